"""Records -> scores: one row a method and setting, with mean, spread, n and Student's t intervals. No torch."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchbias.board.row_trials import Trials, paired, trials_of, twin
from benchbias.records.row_name import row_name
from benchbias.records.trial import TrialRecord
from benchbias.statistics.cells import CellLayout
from benchbias.statistics.estimates import Estimate, estimate, over_seeds
from benchbias.statistics.worst_group import CrossFitted, cross_fitted_worst_group
from benchbias.util import canonical


@dataclass(frozen=True)
class Row:
    """One line of the leaderboard: a method at one setting on one task, over its seeds.

    collapsed: in how many seeds the model fails on aligned examples, where the shortcut alone would do.
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
    worst_group: CrossFitted | None
    collapsed: int
    sparsity: float
    parameters: int
    flops: int
    sparse_flops: int
    training_flops: float
    train_conflicting_accuracy: Estimate | None
    to_baseline: Estimate | None
    to_reference: Estimate | None

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


def row_of(row: Trials, rows: Sequence[Trials]) -> Row:
    """One line of the board; rows: all, among which its baseline and the reference are found."""
    first, bodies = row.first, [record.body for record in row.records.values()]
    rank_by = str(first["suite"]["rank_by"]).removeprefix("-")
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
        worst_group=_worst_group(row),
        collapsed=len(collapsed_seeds(row, rows)),
        sparsity=statistics.fmean(body["sparsity"] for body in bodies),
        parameters=first["parameters"],
        flops=first["flops"],
        sparse_flops=round(statistics.fmean(body["sparse_flops"] for body in bodies)),
        training_flops=statistics.fmean(body["training_flops"] for body in bodies),
        train_conflicting_accuracy=_complete([body["train_conflicting_accuracy"] for body in bodies]),
        to_baseline=_gap(row, twin(row, first["baseline"], rows), rank_by),
        to_reference=_gap(row, twin(row, first["suite"]["reference"], rows), rank_by),
    )


def _worst_group(row: Trials) -> CrossFitted | None:
    cells = [one for one in row.cells.values() if one is not None]
    if len(cells) < len(row.cells):
        return None
    return cross_fitted_worst_group(cells, len(row.first["group_names"]))


def aligned_accuracy(body: Mapping[str, Any]) -> float | None:
    """The accuracy of one trial on aligned test examples: correct predictions over their number; None without any."""
    groups = [number for number, aligned in enumerate(body.get("group_aligned", ())) if aligned]
    total = sum(body["group_total"][group] for group in groups)
    return sum(body["group_correct"][group] for group in groups) / total if total else None


def collapsed_seeds(row: Trials, rows: Sequence[Trials]) -> tuple[int, ...]:
    """The seeds in which a row's model fails on aligned examples, where the shortcut alone would do.

    rows: all, among which the suite's ceiling is found.
    """
    ceiling = _ceiling(row.first, rows)
    return tuple(seed for seed, record in row.records.items() if _collapsed(record.body, ceiling))


def collapse_bound(row: Trials, rows: Sequence[Trials]) -> float | None:
    """The aligned accuracy below which a model of a row counts as collapsed; None where classes are not counted."""
    return _bound(row.first, _ceiling(row.first, rows))


def _ceiling(first: Mapping[str, Any], rows: Sequence[Trials]) -> float:
    """The mean aligned accuracy of the suite's ceiling on this task; 1 where it has none."""
    for row in rows:
        if (row.first["task"], row.first["method"]) == (first["task"], first["suite"].get("ceiling")):
            found = [aligned_accuracy(record.body) for record in row.records.values()]
            return statistics.fmean([value for value in found if value is not None] or [1.0])
    return 1.0


def _collapsed(body: Mapping[str, Any], ceiling: float) -> bool:
    """Whether aligned accuracy is below half of the way from chance to the ceiling."""
    accuracy, bound = aligned_accuracy(body), _bound(body, ceiling)
    return accuracy is not None and bound is not None and accuracy < bound


def _bound(body: Mapping[str, Any], ceiling: float) -> float | None:
    """Half of the way from chance to the ceiling; None without a number of classes."""
    if "num_classes" not in body:
        return None
    chance = 1 / int(body["num_classes"])
    return chance + (ceiling - chance) / 2


def _complete(values: Sequence[float | None]) -> Estimate | None:
    """None where a value is undefined in some seed: a mean over the others would be of another quantity."""
    return None if None in values else estimate([value for value in values if value is not None])


def _gap(row: Trials, other: Trials | None, metric: str) -> Estimate | None:
    """The mean difference over the seeds that both have, with its interval; None where a seed has no value."""
    return None if other is None else paired(row, other, metric)
