"""Classes, attributes and alignment from texts, decided on all of training before any seed draws from it.

Whether a table is accepted, and what its groups are, so never depends on a seed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from benchbias.data.reading.cells import normalised
from benchbias.data.reading.names import EMPTY_WORDS, check_name, mixed_scripts, near_names
from benchbias.data.values import GroupLabels
from benchbias.errors import DataError

WHOLE = "all"  # the attribute of a data set without one


@dataclass(frozen=True)
class Examples:
    """Examples of one split: images uint8 (N, C, H, W), and of each its place for messages, label and attribute.

    whole: the examples of which a seed drew these, where one did: they decide classes, attributes and alignment.
    """

    images: Tensor
    where: Sequence[str]
    labels: Sequence[str]
    attributes: Sequence[str]
    whole: Examples | None = None

    def normalised(self) -> Examples:
        """The same with every text in Unicode's form NFC and without blanks around it."""
        labels, attributes = ([normalised(text) for text in texts] for texts in (self.labels, self.attributes))
        return replace(self, labels=labels, attributes=attributes)


@dataclass(frozen=True)
class Grouping:
    """The classes and attributes in their order, and the label with which each attribute is aligned."""

    labels: Sequence[str]
    attributes: Sequence[str]
    pairs: dict[str, str]

    @staticmethod
    def of(train: Examples, aligned: Sequence[str]) -> Grouping:
        """Decide it on all of training. A data set without attributes has one, `all`, with which all agree.

        Raises DataError, which names the row: for a text that is no name, a single class or attribute, alignment that
        is not said and cannot be counted.
        """
        for what, values in (("label", train.labels), ("attribute", train.attributes)):
            for where, text in zip(train.where, values, strict=True):
                check_name(text, what, where)
        labels, attributes = _sorted(train.labels), _sorted(train.attributes)
        without = attributes == [WHOLE]
        for what, found in (("label", labels), ("attribute", attributes)):
            if len(found) < 2 and not (without and what == "attribute"):
                hint = '; attribute = "" asks for classes alone' if what == "attribute" else ""
                raise DataError(f"{train.where[0]}: all training examples have the {what} {found[0]!r:.80}{hint}")
        return Grouping(labels, attributes, {} if without else _pairs(aligned, train, labels, attributes))

    @property
    def names(self) -> tuple[str, ...]:
        """The groups' names, label/attribute, in order."""
        return tuple(f"{label}/{attribute}" for label in self.labels for attribute in self.attributes)

    def groups(self, part: Examples, split: str) -> tuple[Tensor, GroupLabels]:
        """The class of each example, int64 (N,), and its group. Raises DataError for one that training lacks."""
        label = _index(part, part.labels, self.labels, "label", split)
        attribute = _index(part, part.attributes, self.attributes, "attribute", split)
        agrees = [self.pairs.get(a, y) == y for y, a in zip(part.labels, part.attributes, strict=True)]
        number = len(self.attributes)
        return label, GroupLabels(attribute, label * number + attribute, torch.tensor(agrees), number, self.names)

    def notes(self) -> list[str]:
        """Notes on labels and attributes that may not be meant: near ones, and words for an empty cell."""
        found = []
        for what, each in (("label", self.labels), ("attribute", self.attributes)):
            for names in near_names(each):
                told = ", ".join(map(repr, names))
                found.append(f"the {what}s {told} differ in writing alone: are they one? each counts as its own")
            for name in each:
                if name.casefold() in EMPTY_WORDS:
                    found.append(f"the {what} {name!r} may stand for an empty cell: it counts as a group of its own")
                if scripts := mixed_scripts(name):
                    found.append(f"the {what} {name!r} mixes letters of {' and '.join(scripts)}, which may look alike")
        return found


def _sorted(values: Sequence[str]) -> list[str]:
    """Distinct texts: numbers by size, else in alphabetical order."""
    found = sorted(set(values))
    return sorted(found, key=int) if all(text.isascii() and text.isdigit() for text in found) else found


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
        label, _, attribute = map(normalised, text.partition(":"))
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
