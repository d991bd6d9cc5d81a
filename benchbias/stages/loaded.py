"""A network whose weights come from a file, looked at before anything is trained or pruned: does it fit the images?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import nn

from benchbias.data.augment import channel_statistics, normalise
from benchbias.data.values import Split
from benchbias.network.inspect import head_name

LOOKED_AT, BATCH = 1000, 50  # validation images, in all and at once
CERTAIN = 3.0  # standard deviations above chance


def loaded_notes(
    build: Callable[[int], nn.Module], train: Split, val: Split, mean: Sequence[float], std: Sequence[float]
) -> list[str]:
    """Notes on a network that `build` makes, by a seed, with weights from a file. One sentence each.

    Where the head is the file's too, it is asked for the classes of validation images: at chance, the images are most
    likely normalised otherwise than those that it was trained on. Where the head is new, nothing can be asked.
    """
    model = build(0)
    statistics = tuple(mean), tuple(std)
    told = "mean " + ", ".join(f"{value:.3g}" for value in mean) + "; std " + ", ".join(f"{value:.3g}" for value in std)
    sample = normalise(val.images[:1].to(next(model.parameters()).device), *statistics)
    if _same_head(model, build(1), sample):
        count = min(LOOKED_AT, len(val))
        at = torch.linspace(0, len(val) - 1, count).round().to(torch.int64)
        right, most = _right(model, val, at, statistics), int(torch.bincount(val.labels.cpu()[at]).max())
        if right > most + CERTAIN * math.sqrt(most * (1 - most / count)):
            return []
        return [
            f"the network with weights from a file answers {100 * right / count:.0f} % of {count} validation images "
            f"rightly, chance is {100 * most / count:.0f} %: was it trained on images normalised like these ({told})?"
        ]
    if statistics == channel_statistics(train.images):
        return [
            f"the network has weights from a file and a new head, and the images their own normalisation ({told}): "
            'if the file was trained with another, name it, such as normalise = "imagenet"'
        ]
    return []


def _same_head(model: nn.Module, other: nn.Module, sample: torch.Tensor) -> bool:
    """Whether two networks of different seeds have one head: then it comes from the file."""
    name = head_name(model, sample)
    one, two = (network.get_submodule(name).state_dict() for network in (model, other))
    said = any(bool(tensor.any()) for tensor in one.values())  # a head that begins with zeros is a new one
    return said and one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


@torch.no_grad()
def _right(
    model: nn.Module, split: Split, index: torch.Tensor, statistics: tuple[tuple[float, ...], tuple[float, ...]]
) -> int:
    """How many of the examples `index` (M,) the network answers rightly."""
    device = next(model.parameters()).device
    model.eval()
    right = 0
    for part in torch.split(index, BATCH):
        images = normalise(split.images[part.to(split.images.device)].to(device), *statistics)
        right += int((model(images).argmax(dim=1).cpu() == split.labels.cpu()[part]).sum())
    return right
