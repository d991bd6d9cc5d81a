"""Records -> scores: one row a method and setting, with mean, spread, n and Student's t intervals. No torch."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchbias.board.marks import Marks, marks_of
from benchbias.board.row_trials import Rows, Trials, paired, trials_of, twin
from benchbias.records.row_name import row_name
from benchbias.records.trial import TrialRecord
from benchbias.statistics.cells import CellLayout
from benchbias.statistics.estimates import Estimate, over_seeds
from benchbias.statistics.influence import Measured
from benchbias.statistics.worst_group import least_mean
from benchbias.util import canonical


@dataclass(frozen=True)
class Row:
    """One line of the leaderboard: a method at one setting on one task, over its seeds.

    as_counted: the mean over seeds of the metric that ranks, as papers print it; metrics take off the bias of a least.
    worst_group: the least over groups of the mean over seeds. marks: of the metric that ranks. reach: the share of all
    matrices' weights that pruning reaches. training_flops: None where some seed's are unknown; relative_cost: over
    those of the suite's reference method. training_steps: of the optimizer, the mean over seeds; None where a record
    has none. control: the label of the row that `to_baseline` is a difference from;
    reference: the suite's reference method.
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
    made = [row_of(row, rows) for row in rows]
    return sorted(made, key=lambda row: sort_key(row, rank_metric(rows)))


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
    first, bodies = row.first, [record.body for record in row.records.values()]
    rank_by = str(first["suite"]["rank_by"]).removeprefix("-")
    baseline = twin(row, first["baseline"], rows)
    reference = twin(row, first["suite"]["reference"], rows)
    return Row(
        task=first["task"],
        method=first["method"],
        swept=first["swept"],
        track=first["track"],
        ranked=first["ranked"],
        baseline=first["baseline"],
        settings_from=first.get("settings_from", "default"),
        seeds=tuple(row.records),
        metrics={name: over_seeds(list((row.measured(name) or {}).values())) for name in first["metrics"]},
        as_counted=_as_counted(row, rank_by),
        worst_group=_worst_group(row),
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
        train_conflicting_accuracy=_complete([body["train_conflicting_accuracy"] for body in bodies]),
        to_baseline=_gap(row, baseline, rank_by),
        to_reference=_gap(row, reference, rank_by),
    )


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


def _worst_group(row: Trials) -> Estimate | None:
    cells = [one for one in row.cells.values() if one is not None]
    return least_mean(cells, len(row.first["group_names"])) if len(cells) == len(row.cells) else None


def _complete(values: Sequence[float | None]) -> Estimate | None:
    """None where a value is undefined in some seed: a mean over the others would be of another quantity."""
    known = [Measured(value, bounds=(0.0, 1.0)) for value in values if value is not None]
    return over_seeds(known) if len(known) == len(values) else None


def _gap(row: Trials, other: Trials | None, metric: str) -> Estimate | None:
    """The mean difference over the seeds that both have, with its interval; None where a seed has no value."""
    return None if other is None else paired(row, other, metric)
