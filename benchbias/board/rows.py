"""Records -> scores: one row a method and setting, with mean, spread, n and Student's t intervals. No torch."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchbias.board.marks import Marks, marks_of
from benchbias.board.row_trials import Rows, Trials, pairs, trials_of, twin
from benchbias.records.row_name import row_name
from benchbias.records.trial import TrialRecord
from benchbias.statistics.cells import CellLayout, Cells
from benchbias.statistics.estimates import Estimate, all_over_seeds
from benchbias.statistics.influence import Measured
from benchbias.statistics.worst_group import GroupMeans, group_means
from benchbias.util import canonical

AT_ONCE = 2_000_000  # numbers of the groups of rows whose estimates are made together


@dataclass(frozen=True)
class Row:
    """One line of the leaderboard: a method at one setting on one task, over its seeds.

    as_counted: the mean over seeds of the metric that ranks, as papers print it; metrics take off the bias of a least.
    worst_group: the least over groups of the mean over seeds; groups: these means, by number, none without counts.
    marks: of the metric that ranks. reach: the share of all matrices' weights that pruning reaches. training_flops:
    None where some seed's are unknown; relative_cost: over those of the suite's reference method. training_steps: of
    the optimizer, the mean over seeds; None where a record has none. control: the label of the row that `to_baseline`
    is a difference from; reference: the suite's reference method.
    """

    task: str
    method: str
    swept: Mapping[str, Any]
    track: str
    ranked: bool
    baseline: str | None
    settings_from: str
    seeds: tuple[int, ...]
    metrics: Mapping[str, Estimate | None]
    as_counted: float | None
    worst_group: Estimate | None
    marks: Marks
    baseline_marks: Marks | None
    sparsity: float
    reach: float
    parameters: int
    flops: int
    sparse_flops: int
    training_flops: float | None
    relative_cost: float | None
    training_steps: float | None
    control: str | None
    reference: str | None
    train_conflicting_accuracy: Estimate | None
    to_baseline: Estimate | None
    to_reference: Estimate | None
    groups: tuple[Estimate | None, ...] = ()

    @property
    def collapsed(self) -> int:
        """The number of seeds in which the model fails on aligned examples, where the shortcut alone would do."""
        return self.marks.collapsed

    @property
    def label(self) -> str:
        return row_name(self.method, self.swept)


def score(records: Iterable[TrialRecord], layouts: Mapping[str, CellLayout] | None = None) -> list[Row]:
    """Rows from records, the best first (by the suite's rank_by); rows without a value last.

    layouts: the cells of the test splits, by digest; without them intervals are of seeds alone.
    Raises UsageError where a row would average one seed twice, or where a record contradicts itself.
    """
    rows = trials_of(records, layouts or {})
    return sorted(rows_of(rows, rows), key=lambda row: sort_key(row, rank_metric(rows)))


def rank_metric(rows: Sequence[Trials]) -> str:
    """The suite's rank_by; empty without rows."""
    return str(rows[0].first["suite"]["rank_by"]) if rows else ""


def sort_key(row: Row, rank_by: str) -> tuple[Any, ...]:
    """Orders rows: by task, then the best first, those without a value last."""
    value = row.metrics.get(rank_by.removeprefix("-"))
    sign = 1 if rank_by.startswith("-") else -1
    return (row.task, value is None, sign * value.mean if value else 0.0, row.method, canonical.dumps(row.swept))


def row_of(row: Trials, rows: Rows) -> Row:
    """One line of the board; rows: all, among which its baseline and the reference are found."""
    return rows_of([row], rows)[0]


def rows_of(chosen: Sequence[Trials], rows: Rows) -> list[Row]:
    """Lines of the board, in the order given: estimates of many rows are made together."""
    found: list[Row] = []
    for members in _parts(chosen):
        sources = [_Source.of(row, rows) for row in members]
        estimates = all_over_seeds([values for source in sources for values in source.over_seeds])
        groups, at = _groups([source.row for source in sources]), 0
        for source, means in zip(sources, groups, strict=True):
            own = estimates[at : at + len(source.over_seeds)]
            at += len(own)
            found.append(_line(source, own, means, rows))
    return found


def _parts(rows: Sequence[Trials]) -> Iterator[list[Trials]]:
    """The rows in their order, some at a time: no more than memory holds, or one row of more."""
    part, numbers = list[Trials](), 0
    for row in rows:
        own = sum(len(one.total) for one in row.cells.values() if one) * len(row.first.get("group_names", ()))
        if part and numbers + own > AT_ONCE:
            yield part
            part, numbers = [], 0
        part.append(row)
        numbers += own
    if part:
        yield part


@dataclass(frozen=True)
class _Source:
    """The material of one line. over_seeds: the values of which it has the means: metrics, the fit, both gaps."""

    row: Trials
    baseline: Trials | None
    reference: Trials | None
    over_seeds: Sequence[Sequence[Measured]]

    @staticmethod
    def of(row: Trials, rows: Rows) -> _Source:
        first = row.first
        metric = _rank_by(row)
        baseline, reference = twin(row, first["baseline"], rows), twin(row, first["suite"]["reference"], rows)
        values = [list((row.measured(name) or {}).values()) for name in first["metrics"]]
        fit = _complete([record.body["train_conflicting_accuracy"] for record in row.records.values()])
        gaps = [[] if other is None else pairs(row, other, metric) for other in (baseline, reference)]
        return _Source(row, baseline, reference, [*values, fit, *gaps])


def _groups(rows: Sequence[Trials]) -> list[GroupMeans]:
    """The groups of each row; none of a row without counts."""
    found = [GroupMeans((), None)] * len(rows)
    counted: dict[int, list[tuple[int, list[Cells]]]] = {}
    for at, row in enumerate(rows):
        cells = [one for one in row.cells.values() if one is not None]
        if len(cells) == len(row.cells):
            counted.setdefault(len(row.first["group_names"]), []).append((at, cells))
    for groups, members in counted.items():
        for (at, _), one in zip(members, group_means([cells for _, cells in members], groups), strict=True):
            found[at] = one
    return found


def _line(source: _Source, own: Sequence[Estimate | None], groups: GroupMeans, rows: Rows) -> Row:
    row, baseline, reference = source.row, source.baseline, source.reference
    first, bodies = row.first, [record.body for record in row.records.values()]
    *metrics, fit, to_baseline, to_reference = own
    rank_by = _rank_by(row)
    return Row(
        task=first["task"],
        method=first["method"],
        swept=first["swept"],
        track=first["track"],
        ranked=first["ranked"],
        baseline=first["baseline"],
        settings_from=first.get("settings_from", "default"),
        seeds=tuple(row.records),
        metrics=dict(zip(first["metrics"], metrics, strict=True)),
        as_counted=_as_counted(row, rank_by),
        worst_group=groups.least,
        marks=marks_of(row, rank_by, rows),
        baseline_marks=None if baseline is None else marks_of(baseline, rank_by, rows),
        reach=min(_reach(body) for body in bodies),
        sparsity=statistics.fmean(body["sparsity"] for body in bodies),
        parameters=first["parameters"],
        flops=first["flops"],
        sparse_flops=round(statistics.fmean(body["sparse_flops"] for body in bodies)),
        training_flops=_training_flops(row),
        relative_cost=_relative_cost(row, row if first["method"] == first["suite"]["reference"] else reference),
        training_steps=_known_mean([body.get("training_steps") for body in bodies]),
        control=None if baseline is None else baseline.label,
        reference=first["suite"]["reference"],
        train_conflicting_accuracy=fit,
        to_baseline=to_baseline,
        to_reference=to_reference,
        groups=groups.groups,
    )


def _rank_by(row: Trials) -> str:
    return str(row.first["suite"]["rank_by"]).removeprefix("-")


def _reach(body: Mapping[str, Any]) -> float:
    matrices = body.get("matrix_weights")
    return float(body["weights"] / matrices) if matrices else 1.0


def _training_flops(row: Trials) -> float | None:
    return _known_mean([record.body["training_flops"] for record in row.records.values()])


def _relative_cost(row: Trials, reference: Trials | None) -> float | None:
    """Training FLOPs over those of the reference; None where either is unknown."""
    cost, unit = _training_flops(row), None if reference is None else _training_flops(reference)
    return cost / unit if cost is not None and unit else None


def _known_mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if len(known) == len(values) else None


def _as_counted(row: Trials, metric: str) -> float | None:
    values = row.measured(metric)
    return statistics.fmean(float(one.value) for one in values.values()) if values else None


def _complete(values: Sequence[float | None]) -> list[Measured]:
    """None at all where a value is undefined in some seed: a mean over the others would be of another quantity."""
    known = [Measured(value, bounds=(0.0, 1.0)) for value in values if value is not None]
    return known if len(known) == len(values) else []
