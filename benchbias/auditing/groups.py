"""The groups of an audit: all examples, each value of an attribute, each crossing of values; and sums over them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from benchbias.auditing.values import ALL, Answers, Column, Group, Options
from benchbias.errors import UsageError, unknown

if TYPE_CHECKING:
    from numpy.typing import NDArray

MISSING = "(missing)"
OTHER = "(other)"
MOST_VALUES = 5_000  # of an attribute: more are a name of each example
MOST_GROUPS = 50_000
JOIN = " & "
PRINTS = 2  # random sums that tell whether two groups have the same examples


@dataclass(frozen=True)
class Crossing:
    """All groups of some attributes at once. cells: int (N,), the group of each example; groups: by cell, by number.

    number: the cells that the values allow, with examples or without.
    """

    attributes: tuple[str, ...]
    cells: NDArray[Any]
    number: int

    def sums(self, values: NDArray[Any] | None = None) -> NDArray[Any]:
        """The sum of values (N,) over each group, or the number of its examples: float (number,)."""
        return np.bincount(self.cells, values, minlength=self.number).astype(float)


@dataclass(frozen=True)
class Grouping:
    """The groups of some answers. crossings: by attributes; groups: each with its place, (crossing, cell).

    empty: crossings of values that no example has. columns: the attributes that they are made of, as `columns_of`.
    """

    crossings: tuple[Crossing, ...]
    groups: tuple[Group, ...]
    places: tuple[tuple[int, int], ...]
    empty: tuple[str, ...] = ()
    columns: Mapping[str, Column] = field(default_factory=dict)

    def gathered(self, by_crossing: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """The value of each group, (G,), from those of all cells of every crossing."""
        return np.array([by_crossing[crossing][cell] for crossing, cell in self.places])

    def sums(self, values: NDArray[Any] | None = None) -> NDArray[Any]:
        """The sum of values (N,) over each group, or its number of examples: float (G,)."""
        return self.gathered([crossing.sums(values) for crossing in self.crossings])

    def members(self, index: int) -> NDArray[Any]:
        """Whether each example is in a group, bool (N,)."""
        crossing, cell = self.places[index]
        return np.asarray(self.crossings[crossing].cells == cell)

    def of_rows(self, kept: NDArray[Any]) -> Grouping:
        """The same groups of some of the examples, bool (N,); their numbers n are those of all."""
        crossings = [replace(crossing, cells=crossing.cells[kept]) for crossing in self.crossings]
        return Grouping(tuple(crossings), self.groups, self.places)


def columns_of(answers: Answers, options: Options) -> dict[str, Column]:
    """The attributes by name, sorted, the label first; missing values and rare ones are values. Raises UsageError."""
    found = {name: _whole(name, answers.attributes[name], options.pool) for name in sorted(answers.attributes)}
    if options.gate is not None:
        for name in options.gate:
            if name not in (*found, answers.label_name):
                raise UsageError(unknown("attribute", name, [*found, answers.label_name], "gate"))
    if answers.label_name in found:
        raise UsageError(f"an attribute is called {answers.label_name!r:.80}, as the label is: give it another name")
    if options.by_label and (answers.label >= 0).all():
        found = {answers.label_name: _present(Column(answers.label, answers.classes)), **found}
    for name, column in found.items():
        if len(column.names) > MOST_VALUES:
            raise UsageError(
                f"attribute {name!r:.80} has {len(column.names)} values: is it a name of each example? At most "
                f"{MOST_VALUES} are audited; --pool N makes one group of all values with fewer than N examples"
            )
    return found


def grouping_of(answers: Answers, options: Options) -> Grouping:
    """All groups up to a depth of crossings; those with the same examples are one. Raises UsageError."""
    columns = columns_of(answers, options)
    if options.depth < 1:
        raise UsageError(f"depth {options.depth}: at least 1, single attributes")
    size = len(answers.label)
    crossings = [Crossing((), np.zeros(size, np.int64), 1)]
    for depth in range(1, options.depth + 1):
        crossings += [_crossed(names, columns) for names in itertools.combinations(columns, depth)]
        if sum(crossing.number for crossing in crossings) > MOST_GROUPS:
            raise UsageError(
                f"depth {depth} makes more than {MOST_GROUPS} groups: give a lower --depth, fewer attributes, or "
                "--pool N, which makes one group of all values with fewer than N examples"
            )
    gate = {*columns} if options.gate is None else {*options.gate}
    return _named(crossings, columns, gate, _units(answers.cluster, crossings))


def _whole(name: str, column: Column, pool: int) -> Column:
    """The column with missing values as a value, and those with fewer than `pool` examples as one."""
    codes, names = column.codes, column.names
    for reserved, used in ((MISSING, bool((codes < 0).any())), (OTHER, pool > 0)):
        if used and reserved in names:
            raise UsageError(f"attribute {name!r:.80} says {reserved!r}, the audit's own name of a group: rename it")
    counts = np.bincount(codes[codes >= 0], minlength=len(names))
    texts = [OTHER if count < pool else text for text, count in zip(names, counts, strict=True)]
    return _present(Column(codes, (*texts, MISSING)))


def _present(column: Column) -> Column:
    """The column with those names alone that some example has, sorted, and each once."""
    counts = np.bincount(np.where(column.codes < 0, len(column.names) - 1, column.codes), minlength=len(column.names))
    names = sorted({name for name, count in zip(column.names, counts, strict=True) if count})
    place = {name: at for at, name in enumerate(names)}
    codes = np.array([place.get(name, -1) for name in column.names])[column.codes]
    return Column(codes, tuple(names))


def _crossed(names: Sequence[str], columns: Mapping[str, Column]) -> Crossing:
    shape = [len(columns[name].names) for name in names]
    cells = np.zeros(len(columns[names[0]].codes), np.int64)
    for name, length in zip(names, shape, strict=True):
        cells = cells * length + columns[name].codes
    return Crossing(tuple(names), cells, int(np.prod(shape, dtype=float)))


def _units(cluster: NDArray[Any] | None, crossings: Sequence[Crossing]) -> list[NDArray[Any]] | None:
    """The number of clusters in every cell of each crossing; None where each example is one."""
    if cluster is None:
        return None
    number = np.unique(cluster, return_inverse=True)[1]
    most = int(number.max()) + 1
    found = []
    for crossing in crossings:
        pairs = np.unique(crossing.cells * most + number)
        found.append(np.bincount(pairs // most, minlength=crossing.number))
    return found


def _named(
    crossings: Sequence[Crossing], columns: Mapping[str, Column], gate: set[str], units: list[NDArray[Any]] | None
) -> Grouping:
    size = len(crossings[0].cells)
    draws = np.random.default_rng(0).integers(0, 2**31, (PRINTS, size)).astype(float)
    kept: dict[tuple[float, ...], int] = {}
    groups: list[Group] = []
    places: list[tuple[int, int]] = []
    empty: list[str] = []
    for at, crossing in enumerate(crossings):
        counts = crossing.sums()
        prints = [crossing.sums(draw) for draw in draws]
        for cell, parts in enumerate(_parts(crossing, columns)):
            name = JOIN.join(f"{attribute}={value}" for attribute, value in parts) or ALL
            if not counts[cell]:
                empty.append(name)
                continue
            key = (counts[cell], *(float(one[cell]) for one in prints))
            gated = not parts or (len(parts) == 1 and parts[0][0] in gate)
            if key in kept:
                same = groups[kept[key]]
                groups[kept[key]] = replace(same, alias=(*same.alias, name), gated=same.gated or gated)
                continue
            kept[key] = len(groups)
            independent = int(counts[cell] if units is None else units[at][cell])
            groups.append(Group(name, parts, int(counts[cell]), independent, gated))
            places.append((at, cell))
    return Grouping(tuple(crossings), tuple(groups), tuple(places), tuple(empty), columns)


def _parts(crossing: Crossing, columns: Mapping[str, Column]) -> Iterator[tuple[tuple[str, str], ...]]:
    """The attributes and values of every cell, in order."""
    for values in itertools.product(*(columns[name].names for name in crossing.attributes)):
        yield tuple(zip(crossing.attributes, values, strict=True))
