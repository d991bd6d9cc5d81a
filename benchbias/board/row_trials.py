"""The trials of one row of a board, and pairs of rows: by seed and by test example. No torch."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from benchbias.errors import UsageError
from benchbias.records.row_name import row_name
from benchbias.records.trial import TrialRecord, sorted_records
from benchbias.statistics.cells import CellLayout, Cells, check_counts, stacked, unpack_all, unpack_counts
from benchbias.statistics.estimates import Estimate, over_seeds
from benchbias.statistics.influence import UNBOUNDED, Measured, measure, unstacked
from benchbias.util import canonical

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOLERANCE = 5e-7  # between a metric in a record and the same from the record's own counts; shares are float32

AT_ONCE = 1_000_000  # counts that are measured together

OF_A_ROW = ("suite", "track", "ranked", "baseline", "settings_from", "num_classes", "group_names", "group_aligned")
"""Keys of a record whose values all seeds of a row share."""


@dataclass(frozen=True)
class Trials:
    """All trials of one row, by seed: their records, their test cells, and what these say of every metric.

    values: by metric, then seed, with its influence where cells determine the metric; None where it is undefined.
    """

    records: Mapping[int, TrialRecord]
    cells: Mapping[int, Cells | None]
    values: Mapping[str, Mapping[int, Measured | None]]

    @functools.cached_property
    def first(self) -> Mapping[str, Any]:
        return next(iter(self.records.values())).body

    @property
    def label(self) -> str:
        return row_name(self.first["method"], self.first["swept"])

    def measured(self, metric: str, seeds: Iterable[int] | None = None) -> dict[int, Measured] | None:
        """The metric in every seed (or in these).

        None where a seed has no value: a mean over the others would be of another quantity.
        """
        values = self.values.get(metric, {})
        found = {seed: values.get(seed) for seed in (self.records if seeds is None else seeds)}
        whole = {seed: value for seed, value in found.items() if value is not None}
        return whole if len(whole) == len(found) else None


class Rows(tuple[Trials, ...]):
    """All rows of a suite, in the order of its records."""

    def of_method(self, task: str, method: str | None) -> Sequence[Trials]:
        """The rows of one method on one task."""
        return self._named.get((task, method), ())

    @functools.cached_property
    def labelled(self) -> Mapping[tuple[str, str], Trials]:
        """The first row of each task and label."""
        found: dict[tuple[str, str], Trials] = {}
        for row in self:
            found.setdefault((row.first["task"], row.label), row)
        return found

    @functools.cached_property
    def _named(self) -> Mapping[tuple[str, str | None], Sequence[Trials]]:
        found: dict[tuple[str, str | None], list[Trials]] = {}
        for row in self:
            found.setdefault((row.first["task"], row.first["method"]), []).append(row)
        return found


@dataclass(frozen=True)
class _Counted:
    """The cells of records by identity, `id(record)`, and what these say of metrics."""

    cells: Mapping[int, Cells | None]
    metrics: Mapping[int, Mapping[str, Measured]]

    @staticmethod
    def of(records: Sequence[TrialRecord], layouts: Mapping[str, CellLayout]) -> _Counted:
        """Make it from all records of a suite: those of one test split are measured together."""
        cells = _cells_of(records, layouts)
        metrics: dict[int, dict[str, Measured]] = {id(record): {} for record in records}
        for members in _alike(records, cells, layouts):
            body, here = members[0].body, stacked([known for record in members if (known := cells[id(record)])])
            for name in body["metrics"]:
                trained = body.get("train_group_total")
                found = measure(name, here, body["group_aligned"], body.get("num_classes"), trained)
                for record, one in zip(members, unstacked(found), strict=True) if found is not None else ():
                    metrics[id(record)][name] = one
        return _Counted(cells, metrics)

    def row(self, members: Sequence[TrialRecord]) -> Trials:
        """The trials of one row. Raises UsageError where a record contradicts its own counts."""
        records = {record.body["seed"]: record for record in members}
        names = dict.fromkeys(name for record in members for name in record.body["metrics"])
        values = {
            name: {seed: _measured(name, one, self.metrics[id(one)].get(name)) for seed, one in records.items()}
            for name in names
        }
        return Trials(records, {seed: self.cells[id(one)] for seed, one in records.items()}, values)


def _alike(
    records: Sequence[TrialRecord], cells: Mapping[int, Cells | None], layouts: Mapping[str, CellLayout]
) -> Iterator[Sequence[TrialRecord]]:
    """Records of equal test splits, groups and metrics, no more at once than memory holds."""
    found: dict[tuple[str, str], list[TrialRecord]] = {}
    for record in records:
        body, one = record.body, cells[id(record)]
        if one is not None:
            same = [body.get(name) for name in ("group_aligned", "group_names", "num_classes", "train_group_total")]
            found.setdefault((one.layout, canonical.dumps([same, sorted(body["metrics"])])), []).append(record)
    for (layout, _), members in found.items():
        step = max(1, AT_ONCE // len(layouts[layout].total))
        yield from (members[start : start + step] for start in range(0, len(members), step))


def _measured(metric: str, record: TrialRecord, known: Measured | None) -> Measured | None:
    """The metric of one seed; known: what its counts say, if they determine it."""
    value = record.body["metrics"].get(metric)
    if value is None:
        return None
    if known is None:
        share = metric.endswith("accuracy") and 0 <= value <= 1
        return Measured(value, bounds=(0.0, 1.0) if share else UNBOUNDED)
    if not abs(float(known.value) - value) <= TOLERANCE:
        raise UsageError(
            f"record {record.id[:12]}: {metric} is {value:.6f}, but its own counts give {float(known.value):.6f}"
        )
    return known


def trials_of(records: Iterable[TrialRecord], layouts: Mapping[str, CellLayout]) -> Rows:
    """The rows that are done. Raises UsageError where a row would hold one seed twice, or a record does not fit."""
    rows: dict[tuple[str, str, str], list[TrialRecord]] = {}
    records = list(records)
    packed = [found for record in records if isinstance(found := record.body.get("correct"), Mapping)]
    check_counts((len(layouts[one["layout"]].total) for one in packed if one.get("layout") in layouts), "these records")
    for record in sorted_records(records):
        body = record.body
        if body["status"] == "ok":
            setting = canonical.dumps([body["swept"], body["settings"]])
            rows.setdefault((body["task"], body["method"], setting), []).append(record)
    for (task, method, setting), members in rows.items():
        if len({record.body["seed"] for record in members}) < len(members):
            raise UsageError(f"two records of one seed in the row {task}/{method} {setting}: the recipe must differ")
        for name in OF_A_ROW:
            if any(record.body.get(name) != members[0].body.get(name) for record in members):
                raise UsageError(f"the records of the row {task}/{method} {setting} differ in {name}")
    counted = _Counted.of([record for members in rows.values() for record in members], layouts)
    return Rows(counted.row(members) for members in rows.values())


def _cells_of(records: Sequence[TrialRecord], layouts: Mapping[str, CellLayout]) -> dict[int, Cells | None]:
    """The cells of each record, by `id(record)`: those of one test split are unpacked together. Raises UsageError."""
    found: dict[int, Cells | None] = {id(record): None for record in records}
    together: dict[tuple[str, int], list[TrialRecord]] = {}
    for record in records:
        packed = record.body.get("correct")
        if packed is not None:
            digest = packed.get("layout", "") if isinstance(packed, Mapping) else ""
            together.setdefault((digest, len(record.body["group_names"])), []).append(record)
    for (digest, groups), members in together.items():
        layout = layouts.get(digest)
        step = max(1, AT_ONCE // len(layout.total)) if layout is not None else 1
        for start in range(0, len(members), step):
            part = members[start : start + step]
            whole = _whole(part, layout, groups) if layout is not None else None
            for record in part:
                found[id(record)] = _cells(record, layouts) if whole is None else next(whole)
    return found


def _whole(records: Sequence[TrialRecord], layout: CellLayout, groups: int) -> Iterator[Cells] | None:
    """The cells of records of one test split; None where one does not fit, which then is found one by one."""
    try:
        cells = unpack_all([record.body["correct"] for record in records], layout)
    except UsageError:
        return None
    total, correct = (_by_group(cells, counts, groups) for counts in (cells.total[None], cells.correct))
    if total is None or correct is None:
        return None
    pairs = zip(records, correct, strict=True)
    if any((record.body["group_total"], record.body["group_correct"]) != (total[0], own) for record, own in pairs):
        return None
    return (replace(cells, correct=own) for own in cells.correct)


def _cells(record: TrialRecord, layouts: Mapping[str, CellLayout]) -> Cells | None:
    """The cells of one record. Raises UsageError where it does not fit.

    None for a record without counts, as plugins of other tasks may make them.
    """
    packed = record.body.get("correct")
    if packed is None:
        return None
    layout = layouts.get(packed.get("layout", "")) if isinstance(packed, Mapping) else None
    if layout is None:
        raise UsageError(f"record {record.id[:12]}: the layout of its test split is not among the records' `test/`")
    try:
        cells = unpack_counts(packed, layout)
    except UsageError as error:
        raise UsageError(f"record {record.id[:12]}: {error}") from None
    for name, counts in (("group_total", cells.total), ("group_correct", cells.correct)):
        found = _by_group(cells, counts[None], len(record.body["group_names"]))
        if found is None or found[0] != record.body[name]:
            raise UsageError(f"record {record.id[:12]}: {name} is not what its cells add up to")
    return cells


def _by_group(cells: Cells, counts: NDArray[Any], groups: int) -> list[list[int]] | None:
    """Counts of cells (S, M), added up by group; None where a cell is of no known group."""
    if int(cells.group.max()) >= groups:
        return None
    sums = (counts[:, cells.group == group].sum(axis=1).tolist() for group in range(groups))
    return [list(own) for own in zip(*sums, strict=True)]


def twin(row: Trials, method: str | None, rows: Rows) -> Trials | None:
    """The row of another method on the same task that a row is compared with: the one at its setting, if any."""
    first = row.first
    if method is None or method == first["method"]:
        return None
    found = [
        other
        for other in rows.of_method(first["task"], method)
        if all(first["swept"].get(key, value) == value for key, value in other.first["swept"].items())
    ]
    return found[0] if len(found) == 1 else None


def row_of(rows: Rows, task: str, label: str) -> Trials | None:
    """The row of a task with this label; None where there is none."""
    return rows.labelled.get((task, label))


def paired(row: Trials, other: Trials, metric: str) -> Estimate | None:
    """The mean difference of a metric over the seeds that both rows have, paired by seed and test example.

    None where a seed has no value.
    """
    return over_seeds(pairs(row, other, metric))


def pairs(row: Trials, other: Trials, metric: str) -> list[Measured]:
    """The difference of a metric in every seed that both rows have; none at all where a seed has no value."""
    common = sorted(row.records.keys() & other.records.keys())
    ones, others = row.measured(metric, common), other.measured(metric, common)
    return [ones[seed] - others[seed] for seed in common] if ones is not None and others is not None else []
