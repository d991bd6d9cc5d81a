"""Published sets of photographs with a spurious attribute: Waterbirds, CelebA and BFFHQ, as they are distributed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchbias import hookimpl

from .bffhq import bffhq_128, bffhq_224
from .celeba import celeba, celeba_hub
from .waterbirds import waterbirds, waterbirds_hub

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchbias import BiasedDataset


@hookimpl
def benchbias_datasets() -> dict[str, Callable[..., BiasedDataset]]:
    return {
        "bffhq_128": bffhq_128,
        "bffhq_224": bffhq_224,
        "celeba": celeba,
        "celeba_hub": celeba_hub,
        "waterbirds": waterbirds,
        "waterbirds_hub": waterbirds_hub,
    }
