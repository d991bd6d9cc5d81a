"""Layer sweeps in records: which layers, how much of them, and what that did to accuracies. No torch."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchbias.board.row_trials import Rows, Trials, paired, twin
from benchbias.records.row_name import value_text
from benchbias.statistics.estimates import Estimate, estimate, over_seeds

LAYERS = "layers"
AMOUNTS = ("sparsity", "density", "removed")
"""The swept values that a layer sweep has: which layers, and one of these."""


@dataclass(frozen=True)
class LayerSweep:
    """One method on one task, swept over layers and an amount: the rows by (layers, amount), and the row of amount 0.

    layers, amounts: in the order of the file, and from the least pruned. whole: the method's baseline, which nothing
    was pruned from; None where the records have none.
    """

    task: str
    method: str
    amount: str
    layers: tuple[str, ...]
    amounts: tuple[float, ...]
    points: Mapping[tuple[str, float], Trials]
    whole: Trials | None

    @property
    def title(self) -> str:
        return f"{self.method} ({self.task})"

    def curve(self, layers: str) -> list[tuple[float, Trials]]:
        """The rows of one choice of layers, by amount from the least pruned; the baseline stands first, at none."""
        start = [(1.0 if self.amount == "density" else 0.0, self.whole)] if self.whole is not None else []
        rest = [(amount, self.points.get((layers, amount))) for amount in self.amounts]
        return [(amount, row) for amount, row in [*start, *rest] if row is not None]

    def change(self, layers: str, amount: float, metric: str) -> Estimate | None:
        """The change of a metric at a point: the difference from the baseline, paired by seed and test example."""
        row = self.points.get((layers, amount))
        return paired(row, self.whole, metric) if row is not None and self.whole is not None else None


def layer_sweeps(rows: Rows) -> list[LayerSweep]:
    """The layer sweeps among the rows of a suite, in the order of its records."""
    found: dict[tuple[str, str], list[Trials]] = {}
    for row in rows:
        swept = row.first["swept"]
        if LAYERS in swept and len(swept) == 2 and any(name in swept for name in AMOUNTS):
            found.setdefault((row.first["task"], row.first["method"]), []).append(row)
    return [_sweep(task, method, members, rows) for (task, method), members in found.items()]


def _sweep(task: str, method: str, members: Sequence[Trials], rows: Rows) -> LayerSweep:
    amount = next(name for name in AMOUNTS if name in members[0].first["swept"])
    points = {(value_text(row.first["swept"][LAYERS]), float(row.first["swept"][amount])): row for row in members}
    layers = dict.fromkeys(name for name, _ in sorted(points, key=lambda point: _order(points[point], point)))
    amounts = sorted({value for _, value in points}, reverse=amount == "density")
    whole = twin(members[0], members[0].first["baseline"], rows)
    return LayerSweep(task, method, amount, tuple(layers), tuple(amounts), points, whole)


def _order(row: Trials, point: tuple[str, float]) -> tuple[int, str]:
    """Single layers by name, then lists and globs: records do not say in which order the file has them."""
    name = point[0]
    return (int(not name[0].isalnum() or "+" in name) + int(name == "*"), name)


def metric_at(row: Trials, metric: str) -> Estimate | None:
    """A metric of a row with its interval; None where a seed has no value."""
    return over_seeds(list((row.measured(metric) or {}).values()))


def average_accuracy(body: Mapping[str, Any]) -> float | None:
    """Group accuracies weighted by the groups' shares in training, as the field's "average" (Sagawa et al., 2020).

    None where a group that occurs in training is not tested.
    """
    shares = body["train_group_total"]
    parts = [
        (share, correct, total)
        for share, correct, total in zip(shares, body["group_correct"], body["group_total"], strict=True)
        if share
    ]
    if not parts or any(total == 0 for _, _, total in parts):
        return None
    return float(sum(share * correct / total for share, correct, total in parts) / sum(shares))


def at_equal_accuracy(sweep: LayerSweep, layers: str, metric: str, loss: float) -> Estimate | None:
    """A metric where pruning these layers has cost `loss` of the average accuracy, interpolated; minus the baseline's.

    Of every seed the curve is followed from the baseline to the first amount at which the average accuracy is `loss`
    below the baseline's, and the metric is interpolated linearly between the two points around it. None where a seed
    never loses so much, or has no value.
    """
    curve = sweep.curve(layers)
    if sweep.whole is None or not curve:
        return None
    values = []
    for seed in sweep.whole.records:
        value = _crossing([_both(row, metric, seed) for _, row in curve], loss)
        if value is None:
            return None
        values.append(value)
    return estimate(values)


def _both(row: Trials, metric: str, seed: int) -> tuple[float, float] | None:
    """(average accuracy, metric) of one seed."""
    record = row.records.get(seed)
    if record is None:
        return None
    average, value = average_accuracy(record.body), record.body["metrics"].get(metric)
    return None if average is None or value is None else (average, value)


def _crossing(points: Sequence[tuple[float, float] | None], loss: float) -> float | None:
    """The change of the second coordinate where the first has fallen by `loss` for the first time."""
    known = [point for point in points if point is not None]
    if len(known) < len(points):
        return None
    target = known[0][0] - loss
    for (high, before), (low, after) in itertools.pairwise(known):
        if low <= target <= high:
            share = (high - target) / (high - low) if high > low else 0.0
            return before + share * (after - before) - known[0][1]
    return None
