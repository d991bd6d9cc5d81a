"""CIFAR-10: as it is, with corrupted test splits, and with corruptions that mostly agree with the class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchbias import hookimpl

from .biased import corrupted_cifar10, corrupted_cifar10_published_frost
from .plain import cifar10, cifar10_published_frost

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchbias import BiasedDataset


@hookimpl
def benchbias_datasets() -> dict[str, Callable[..., BiasedDataset]]:
    return {
        "cifar10": cifar10,
        "cifar10_published_frost": cifar10_published_frost,
        "corrupted_cifar10": corrupted_cifar10,
        "corrupted_cifar10_published_frost": corrupted_cifar10_published_frost,
    }
