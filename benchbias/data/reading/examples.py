"""A biased data set from images and the texts of their labels and attributes, checked; each fault names its row."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchbias.data.augment import AUGMENTATIONS, channel_statistics
from benchbias.data.reading.grouping import Examples, Grouping
from benchbias.data.reading.names import check_split
from benchbias.data.reading.pixel_cache import rows_of
from benchbias.data.values import BiasedDataset, GroupLabels, LabelledSplit, Split
from benchbias.errors import DataError

Statistics = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation of each channel, on the scale 0 to 1."""


def dataset_of(
    examples: Mapping[str, Examples],
    aligned: Sequence[str],
    duplicates: str,
    source: str,
    licence: str,
    *,
    statistics: Statistics | None = None,
    empty_groups: str = "refuse",
    notes: Sequence[str] = (),
    preprocessing: str = "",
) -> BiasedDataset:
    """The data set of these examples: split -> examples; train, val and test are among them.

    aligned: "label:attribute" pairs; without any, an attribute is aligned with the label with which it occurs most in
    training. duplicates: `refuse` images that two splits share, or `count` them. Equal images are one cluster. Classes
    and attributes are those of training, in alphabetical order, or by size where all are numbers. statistics: that
    images are normalised by, those of the training images where None. empty_groups: `refuse` groups without an example
    in a test split, or `allow` them: their accuracy is then undefined. notes: what a user should know.
    preprocessing: how the images were made, for boards. Raises DataError, which names the row.
    """
    parts = {name: part.normalised() for name, part in examples.items()}
    whole = parts["train"].whole
    grouping = Grouping.of(parts["train"] if whole is None else whole.normalised(), aligned)
    told = [*notes, *grouping.notes()]
    clusters: dict[bytes, tuple[int, str, str]] = {}
    splits = {}
    for name in sorted(parts, key=lambda name: not name.startswith("test")):  # test is numbered alike by every seed
        part = parts[name]
        check_split(name, part.where[0])
        labels, groups = grouping.groups(part, name)
        told += _empty_groups(name, groups, part, refuse=empty_groups == "refuse")
        cluster = _clusters(name, part, clusters, refuse=duplicates == "refuse")
        splits[name] = LabelledSplit(Split(part.images, labels, len(grouping.labels), name), groups, cluster)
    mean, std = statistics or channel_statistics(parts["train"].images)
    return BiasedDataset(splits, mean, std, source, licence, AUGMENTATIONS, tuple(told), preprocessing)


def carved(root: Path, train: Examples, fraction: float, seed: int) -> dict[str, Examples]:
    """Train and val from the training examples, by the seed: of every group alike, copies of one image together.

    How many of each group are drawn does not depend on the seed, and one of each stays in training. Raises DataError.
    """
    digests = _digests(train.images)
    kinds: dict[bytes, set[tuple[str, str]]] = {}
    for digest, label, attribute in zip(digests, train.labels, train.attributes, strict=True):
        kinds.setdefault(digest, set()).add((label, attribute))
    groups: dict[tuple[str, str], list[bytes]] = {}
    for digest, pairs in kinds.items():
        if len(pairs) == 1:  # copies with several labels stay in training: they are of no group
            groups.setdefault(next(iter(pairs)), []).append(digest)
    stream = np.random.default_rng([seed, 0])
    drawn: set[bytes] = set()
    for group, number in _quotas({pair: len(groups[pair]) for pair in sorted(groups)}, fraction).items():
        drawn |= {groups[group][at] for at in stream.permutation(len(groups[group]))[:number]}
    if not drawn:
        raise DataError(f"{train.where[0]}: val_fraction = {fraction} leaves no example to train on, or none of val")

    def part(chosen: bool) -> Examples:
        index = [at for at, digest in enumerate(digests) if (digest in drawn) == chosen]
        where, labels, attributes = (
            [texts[at] for at in index] for texts in (train.where, train.labels, train.attributes)
        )
        return Examples(rows_of(root, train.images, torch.tensor(index)), where, labels, attributes, whole=train)

    return {"train": part(False), "val": part(True)}


def _quotas(sizes: Mapping[tuple[str, str], int], fraction: float) -> dict[tuple[str, str], int]:
    """How many of each group are drawn: the fraction of all, shared by largest remainders, never a whole group."""
    quotas = {pair: min(math.floor(fraction * size), size - 1) for pair, size in sizes.items()}
    left = max(1, round(fraction * sum(sizes.values()))) - sum(quotas.values())
    by_remainder = sorted(sizes, key=lambda pair: quotas[pair] - fraction * sizes[pair])
    while left > 0 and any(quotas[pair] < sizes[pair] - 1 for pair in sizes):
        pair = next(pair for pair in by_remainder if quotas[pair] < sizes[pair] - 1)
        by_remainder = [*(other for other in by_remainder if other != pair), pair]
        quotas[pair], left = quotas[pair] + 1, left - 1
    return quotas


def _digests(images: Tensor) -> list[bytes]:
    """A digest of each image's pixels."""
    return [hashlib.blake2b(image.numpy().data, digest_size=16).digest() for image in images]


def _empty_groups(split: str, groups: GroupLabels, part: Examples, *, refuse: bool) -> list[str]:
    """Notes on groups without an example in a test split: their accuracy is undefined. Raises DataError."""
    if not split.startswith("test"):
        return []
    counts = torch.bincount(groups.groups, minlength=len(groups.group_names)).tolist()
    empty = [name for name, count in zip(groups.group_names, counts, strict=True) if not count]
    said = f"{split} has no example of {', '.join(empty)[:400]}"
    if empty and refuse:
        place = part.where[0].rpartition(", row ")[0]
        raise DataError(f'{place}: {said}; empty_groups = "allow" leaves metrics that need it undefined')
    return [f"{said}: metrics that need it are undefined"] if empty else []


def _clusters(split: str, part: Examples, known: dict[bytes, tuple[int, str, str]], *, refuse: bool) -> Tensor:
    """The number of each example's image: equal images are one cluster. Raises DataError for one in two splits."""
    found = []
    for where, digest in zip(part.where, _digests(part.images), strict=True):
        number, first, place = known.setdefault(digest, (len(known), split, where))
        if refuse and first != split:
            raise DataError(
                f"{where}: this image of {split} is in {first} too ({place}), pixel for pixel; "
                'duplicates = "count" accepts that'
            )
        found.append(number)
    return torch.tensor(found, dtype=torch.int64)
