"""How images are normalised: by the training images' own statistics, by named ones, or by given ones."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from benchbias import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Named = Literal["train", "imagenet", "cifar10", "clip", "half", "none"]
Statistics = tuple[tuple[float, ...], tuple[float, ...]]

PRESETS: Mapping[str, Statistics] = MappingProxyType(
    {
        "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),  # torchvision's weights
        "cifar10": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),  # most published CIFAR-10 recipes
        "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),  # Radford et al., 2021
        "half": ((0.5,), (0.5,)),  # -1 to 1: timm's "inception"
        "none": ((0.0,), (1.0,)),  # 0 to 1
    }
)
"""Mean and standard deviation of red, green and blue, on the scale 0 to 1; one entry is that of every channel."""


def statistics_of(
    normalise: str, mean: Sequence[float], std: Sequence[float], channels: int, *, bgr: bool
) -> Statistics | None:
    """Mean and standard deviation of each channel; None for those of the training images.

    mean, std: in the order of the images' channels, in place of a named pair. Raises DataError.
    """
    if bool(mean) != bool(std):
        raise DataError("mean and std go together: give both, one entry a channel")
    if mean:
        if normalise != "train":
            raise DataError(f"normalise = {normalise!r} goes without mean and std")
        found = tuple(mean), tuple(std)
    elif normalise == "train":
        return None
    else:
        found = PRESETS[normalise]
        found = (found[0][::-1], found[1][::-1]) if bgr else found
    filled = tuple(values * channels if len(values) == 1 else values for values in found)
    if any(len(values) != channels for values in filled):
        raise DataError(f"the images have {channels} channels, mean and std {len(found[0])} and {len(found[1])}")
    if any(value <= 0 for value in filled[1]):
        raise DataError("std is positive in every channel")
    return filled[0], filled[1]


def described(
    normalise: str, statistics: Statistics | None, size: int | None, stretch: int | None, interpolation: str, order: str
) -> str:
    """How the images of a task are made, as a board says it."""
    scaled = "as they are" if size is None and stretch is None else f"{interpolation} "
    if stretch is not None:
        scaled += f"to {stretch} x {stretch}" + (f", the middle {size} x {size}" if size is not None else "")
    elif size is not None:
        scaled += f"to {size} x {size}, the middle square"
    if statistics is None:
        return f"{scaled}, {order}, normalised by the mean and deviation of the training images"
    mean, std = (", ".join(f"{value:g}" for value in values) for values in statistics)
    named = "" if normalise == "train" else f" ({normalise})"
    return f"{scaled}, {order}, normalised by mean {mean} and deviation {std}{named}"
