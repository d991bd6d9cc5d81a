"""A biased data set from images and the texts of their labels and attributes, checked; each fault names its row."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchbias.data.augment import AUGMENTATIONS, channel_statistics
from benchbias.data.reading.pixel_cache import rows_of
from benchbias.data.values import BiasedDataset, GroupLabels, LabelledSplit, Split
from benchbias.errors import DataError

LONGEST_NAME = 64  # characters of a label or an attribute: they stand on boards
FORBIDDEN = "/:|<>`[]"  # the marks of group names, of `aligned`, of tables and links


@dataclass(frozen=True)
class Examples:
    """Examples of one split: images uint8 (N, C, H, W), and of each its place for messages, label and attribute."""

    images: Tensor
    where: Sequence[str]
    labels: Sequence[str]
    attributes: Sequence[str]


def dataset_of(
    examples: Mapping[str, Examples], aligned: Sequence[str], duplicates: str, source: str, licence: str
) -> BiasedDataset:
    """The data set of these examples: split -> examples; train, val and test are among them.

    aligned: "label:attribute" pairs; without any, an attribute is aligned with the label with which it occurs most in
    training. duplicates: `refuse` images that two splits share, or `count` them. Equal images are one cluster. Classes
    and attributes are those of training, in alphabetical order, or by size where all are numbers. Raises DataError,
    which names the row.
    """
    train = examples["train"]
    _check_names(train)
    labels, attributes = _sorted(train.labels), _sorted(train.attributes)
    for what, found in (("label", labels), ("attribute", attributes)):
        if len(found) < 2:
            raise DataError(f"{train.where[0]}: all training examples have the {what} {found[0]!r:.80}")
    pairs = _pairs(aligned, train, labels, attributes)
    names = tuple(f"{label}/{attribute}" for label in labels for attribute in attributes)
    clusters: dict[bytes, tuple[int, str, str]] = {}
    splits = {}
    for name in sorted(examples, key=lambda name: not name.startswith("test")):  # test is numbered alike by every seed
        part = examples[name]
        label_index = _index(part, part.labels, labels, "label", name)
        attribute_index = _index(part, part.attributes, attributes, "attribute", name)
        agrees = torch.tensor([pairs[a] == y for y, a in zip(part.labels, part.attributes, strict=True)])
        groups = GroupLabels(
            attribute_index, label_index * len(attributes) + attribute_index, agrees, len(attributes), names
        )
        _check_groups(name, groups, part)
        cluster = _clusters(name, part, clusters, refuse=duplicates == "refuse")
        splits[name] = LabelledSplit(Split(part.images, label_index, len(labels), name), groups, cluster)
    mean, std = channel_statistics(train.images)
    return BiasedDataset(splits, mean, std, source, licence, AUGMENTATIONS)


def carved(root: Path, train: Examples, fraction: float, seed: int) -> dict[str, Examples]:
    """Train and val from the training examples, by the seed; copies of one image stay together."""
    digests = _digests(train.images)
    kinds = {digest: number for number, digest in enumerate(dict.fromkeys(digests))}
    order = np.random.default_rng([seed, 0]).permutation(len(kinds))
    in_val = order < max(1, round(fraction * len(kinds)))
    chosen = np.array([in_val[kinds[digest]] for digest in digests])

    def part(flags: np.ndarray[Any, np.dtype[np.bool_]]) -> Examples:
        index = np.flatnonzero(flags)
        texts = ([values[i] for i in index.tolist()] for values in (train.where, train.labels, train.attributes))
        return Examples(rows_of(root, train.images, torch.from_numpy(index)), *texts)

    if chosen.all():
        raise DataError(f"{train.where[0]}: val_fraction = {fraction} leaves no example to train on")
    return {"train": part(~chosen), "val": part(chosen)}


def _digests(images: Tensor) -> list[bytes]:
    """A digest of each image's pixels."""
    return [hashlib.blake2b(image.numpy().data, digest_size=16).digest() for image in images]


def _check_names(part: Examples) -> None:
    for what, values in (("label", part.labels), ("attribute", part.attributes)):
        for where, text in zip(part.where, values, strict=True):
            if len(text) > LONGEST_NAME or not text.isprintable() or set(text) & set(FORBIDDEN):
                allowed = f"at most {LONGEST_NAME} printable characters, none of {FORBIDDEN}"
                raise DataError(f"{where}: the {what} {text!r:.80}: {allowed}")


def _sorted(values: Sequence[str]) -> list[str]:
    """Distinct texts: numbers by size, else in alphabetical order."""
    found = set(values)
    return sorted(found, key=int) if all(text.isascii() and text.isdigit() for text in found) else sorted(found)


def _index(part: Examples, values: Sequence[str], names: Sequence[str], what: str, split: str) -> Tensor:
    place = {name: number for number, name in enumerate(names)}
    for where, value in zip(part.where, values, strict=True):
        if value not in place:
            known = ", ".join(names)[:400]
            raise DataError(f"{where}: the {what} {value!r:.80} of {split} does not occur in train (there: {known})")
    return torch.tensor([place[value] for value in values], dtype=torch.int64)


def _pairs(aligned: Sequence[str], train: Examples, labels: Sequence[str], attributes: Sequence[str]) -> dict[str, str]:
    """The label with which each attribute is aligned."""
    given: dict[str, str] = {}
    for text in aligned:
        label, _, attribute = text.partition(":")
        if label not in labels or attribute not in attributes or attribute in given:
            raise DataError(
                f'aligned = [..., {text!r:.80}]: "label:attribute", each attribute once '
                f"(labels: {', '.join(labels)[:400]}; attributes: {', '.join(attributes)[:400]})"
            )
        given[attribute] = label
    counts = Counter(zip(train.attributes, train.labels, strict=True))
    for attribute in [name for name in attributes if name not in given]:
        if given:
            raise DataError(f"aligned names no label for the attribute {attribute!r:.80}: give all or none")
    if given:
        return given
    for attribute in attributes:
        most = sorted(((counts[attribute, label], label) for label in labels), reverse=True)
        if most[0][0] == most[1][0]:
            raise DataError(
                f"the attribute {attribute!r:.80} occurs {most[0][0]} times each with {most[0][1]!r:.80} and "
                f"{most[1][1]!r:.80} in training: say what is aligned, such as aligned = "
                f'["{most[0][1]}:{attribute}", ...]'
            )
        given[attribute] = most[0][1]
    return given


def _check_groups(split: str, groups: GroupLabels, part: Examples) -> None:
    """Every group has an example in a test split: without one its accuracy is undefined."""
    if not split.startswith("test"):
        return
    counts = torch.bincount(groups.groups, minlength=len(groups.group_names)).tolist()
    empty = [name for name, count in zip(groups.group_names, counts, strict=True) if not count]
    if empty:
        raise DataError(f"{part.where[0].rpartition(', row ')[0]}: {split} has no example of {', '.join(empty)[:400]}")


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
