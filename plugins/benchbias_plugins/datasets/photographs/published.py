"""The base of the published sets: two classes, an attribute of two values, and counts that are known."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

from benchbias import BiasedDataset, DataError, GroupLabels, LabelledSplit, Split, rows_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # mean and std, as group DRO's code normalises
AUGMENTATIONS = ("none", "shift", "flip-crop")
T = TypeVar("T")


@dataclass(frozen=True)
class Photos:
    """The photographs of one split: uint8 (N, 3, H, W), and int64 (N,) of label, attribute and number among all."""

    images: Tensor
    labels: Tensor
    attributes: Tensor
    numbers: Tensor

    @property
    def groups(self) -> Tensor:
        """2 * label + attribute, int64 (N,)."""
        return 2 * self.labels + self.attributes

    def take(self, root: Path, index: Tensor) -> Photos:
        """The examples `index` (M,); a large selection is mapped, not held in memory."""
        chosen = (values[index] for values in (self.labels, self.attributes, self.numbers))
        return Photos(rows_of(root, self.images, index), *chosen)


@dataclass(frozen=True)
class Kind:
    """The kind of a set: its name, those of its two classes and of the two values of its attribute, in order."""

    name: str
    classes: tuple[str, str]
    attributes: tuple[str, str]
    source: str
    licence: str
    mean: tuple[float, ...] = IMAGENET[0]
    std: tuple[float, ...] = IMAGENET[1]

    @property
    def groups(self) -> tuple[str, ...]:
        return tuple(f"{label}/{attribute}" for label, attribute in itertools.product(self.classes, self.attributes))


def dataset(kind: Kind, parts: Mapping[str, Photos], *, opposed: bool = False) -> BiasedDataset:
    """The data set of these splits. opposed: an attribute is aligned with the other class, not that of its number.

    Raises DataError where test lacks a group.
    """
    counts = torch.bincount(parts["test"].groups, minlength=4)
    empty = [name for name, count in zip(kind.groups, counts.tolist(), strict=True) if not count]
    if empty:
        raise DataError(f"{kind.name}: test has no image of {', '.join(empty)}: its accuracy would be undefined")
    splits = {}
    for name, part in parts.items():
        aligned = (part.labels == part.attributes) ^ opposed
        groups = GroupLabels(part.attributes, part.groups, aligned, 2, kind.groups)
        splits[name] = LabelledSplit(Split(part.images, part.labels, 2, name), groups, part.numbers)
    return BiasedDataset(splits, kind.mean, kind.std, kind.source, kind.licence, AUGMENTATIONS)


def held_out(groups: Tensor, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """(training, validation) as sorted positions into (N,) groups: of each the same share, by the seed.

    Validation so follows training. A group of two or more has an example on either side.
    """
    chosen = torch.zeros(len(groups), dtype=torch.bool)
    for group in range(4):
        members = torch.nonzero(groups == group)[:, 0]
        order = torch.from_numpy(np.random.default_rng([seed, group]).permutation(len(members)))
        count = min(max(1, round(fraction * len(members))), len(members) - 1) if len(members) else 0
        chosen[members[order[:count]]] = True
    return torch.nonzero(~chosen)[:, 0], torch.nonzero(chosen)[:, 0]


def named_counts(kind: Kind, split: str, counts: Sequence[int]) -> dict[str, int]:
    """The counts (4,) of a split's groups by name: "train landbird/water" -> count."""
    return {f"{split} {name}": count for name, count in zip(kind.groups, counts, strict=True)}


def group_counts(kind: Kind, split: str, groups: Tensor) -> dict[str, int]:
    """How many of (N,) examples each group of a split has, by name."""
    return named_counts(kind, split, torch.bincount(groups, minlength=4).tolist())


def check_counts(where: str, found: Mapping[str, int], published: Mapping[str, int], *, partial: bool) -> None:
    """Raises DataError, with the numbers, where counts are not the published ones and `partial` does not allow it."""
    other = [f"{name} {found[name]} (published: {count})" for name, count in published.items() if found[name] != count]
    if other and not partial:
        raise DataError(
            f"{where}: not the published images: {', '.join(other)}; partial = true takes what is there as it is"
        )


def meaning(text: object, known: Mapping[str, T], column: str, where: str) -> T:
    """The value that a cell's text stands for. Raises DataError with the known texts."""
    if str(text) not in known:
        raise DataError(f"{where}: {column} is {str(text)!r:.80} (known: {', '.join(known)})")
    return known[str(text)]


def require(kind: Kind, parts: Mapping[str, Photos], names: Sequence[str], where: str) -> None:
    """Raises DataError where a split has no image, or training one class or one value of the attribute only."""
    for name in names:
        if name not in parts:
            raise DataError(f"{where}: {kind.name} has no image of the split {name}")
    train = parts["train"]
    for what, values, texts in (
        ("class", train.labels, kind.classes),
        ("attribute", train.attributes, kind.attributes),
    ):
        if int(values.min()) == int(values.max()):
            raise DataError(f"{where}: all training images have the {what} {texts[int(values[0])]!r}")


def check_once(names: Sequence[str], where: Sequence[str]) -> None:
    """Raises DataError where a name stands twice."""
    seen: dict[str, str] = {}
    for name, place in zip(names, where, strict=True):
        if name in seen:
            raise DataError(f"{place}: {name!r:.200} stands there already: {seen[name].rpartition(', ')[2]}")
        seen[name] = place


def hub_binary(
    values: Tensor | list[Any], names: tuple[str, ...] | None, known: Mapping[str, int], column: str, where: str
) -> Tensor:
    """A column of the hub as 0 and 1, int64 (N,): by the names of its classes, where it has some. Raises DataError."""
    cells = values.tolist() if isinstance(values, torch.Tensor) else values
    texts = [names[cell] if names and isinstance(cell, int) and 0 <= cell < len(names) else cell for cell in cells]
    found = [meaning(text, known, column, f"{where}, row {row}") for row, text in enumerate(texts, 1)]
    return torch.tensor(found, dtype=torch.int64)
