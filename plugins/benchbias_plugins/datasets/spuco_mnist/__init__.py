"""SpuCoMNIST (Joshi et al., 2023, arXiv:2306.11957): digits in classes of several, on a ground that tells the class.

Of MNIST's 60,000 training images a fifth of every digit, always the same, is validation. The ground is painted only
where a digit has no ink. Every purpose draws from a stream of its own. The same seed gives the same colours at every
difficulty and every noise, and the same test split at every strength.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchbias import hookimpl

from .drawing import balanced_grounds, biased_grounds, noisy, partition
from .grounds import CORNER, DRAWN, WITHIN, hues, visible
from .making import MNIST, built, spuco_mnist
from .splits import PURPOSES, SPLITS, Maker

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchbias import BiasedDataset

__all__ = [
    "CORNER", "DRAWN", "MNIST", "PURPOSES", "SPLITS", "WITHIN", "Maker", "balanced_grounds", "biased_grounds",
    "built", "hues", "noisy", "partition", "spuco_mnist", "visible",
]  # fmt: skip


@hookimpl
def benchbias_datasets() -> dict[str, Callable[..., BiasedDataset]]:
    return {"spuco_mnist": spuco_mnist}
