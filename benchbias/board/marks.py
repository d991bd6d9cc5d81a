"""Marks that tell what a row cannot show: seeds that collapsed, the floor, the ceiling, a poor fit. No torch."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchbias.board.row_trials import Rows, Trials
from benchbias.board.text import escaped
from benchbias.records.row_name import row_name
from benchbias.records.trial import TrialRecord

LEAST_FIT = 0.8  # of the conflicting training examples: below it a row shows what it has not learnt
FLOOR_ROOM = 0.05  # from what a constant answer or the shortcut alone reaches
LARGE_BIAS = 0.05  # of a least: from there on what is taken off is known too poorly
CEILING_ROOM = 0.01  # from the mean of the suite's ceiling
FROM_ZERO = ("worst_group_accuracy", "worst_class_accuracy", "conflicting_accuracy")
BY_CHANCE = ("accuracy", "mean_group_accuracy", "aligned_accuracy")
"""Metrics by their floor: 0, since one answer or the shortcut fails some part wholly; or one over the classes."""


@dataclass(frozen=True)
class Marks:
    """Marks of a row: how many of its seeds collapsed, its metric at the floor or the ceiling, its fit if too low.

    biased: the bias that was taken off a least, where it is so large that the interval may miss. conflicts: how many
    of its seeds came out otherwise when they were computed again. lenient: whether its recipe lets be what has no
    deterministic form, so that its numbers may not come out again. stacked: how many of its seeds were trained at once.
    """

    collapsed: int
    seeds: int
    floor: bool
    ceiling: bool
    unfitted: float | None
    biased: float | None = None
    conflicts: int = 0
    lenient: bool = False
    stacked: int = 1

    @property
    def shows_no_merit(self) -> bool:
        """Whether a comparison says more of learning at all than of a method: at the floor, or not fitted."""
        return self.floor or self.unfitted is not None

    def words(self) -> list[str]:
        """The marks, each in a few words; nothing where there is none."""
        found = [f"{self.collapsed} of {self.seeds} seeds collapsed"] if self.collapsed else []
        found += ["at the floor"] if self.floor else []
        found += ["at the ceiling"] if self.ceiling else []
        found += [f"fits {100 * self.unfitted:.0f} %"] if self.unfitted is not None else []
        found += [f"least raised by {100 * self.biased:.0f}"] if self.biased is not None else []
        found += ["not deterministic"] if self.lenient else []
        found += [f"trained stacked with {self.stacked} seeds"] if self.stacked > 1 else []
        return found + ([f"{self.conflicts} of {self.seeds} seeds not reproducible"] if self.conflicts else [])


def marks_of(row: Trials, metric: str, rows: Rows) -> Marks:
    """The marks of a row in a metric; rows: all, among which the ceiling is found."""
    first, bodies = row.first, [record.body for record in row.records.values()]
    mean, floor = _mean(row, metric), floor_of(metric, first.get("num_classes"))
    fits = [value for body in bodies if (value := body["train_conflicting_accuracy"]) is not None]
    fit = statistics.fmean(fits) if fits else 1.0
    values = (row.measured(metric) or {}).values()
    bias = -statistics.fmean([float(one.bias) for one in values]) if values else 0.0
    best = _ceiling_row(first, rows)
    top = None if best is None or best is row else _mean(best, metric)
    return Marks(
        collapsed=len(collapsed_seeds(row, rows)),
        seeds=len(bodies),
        floor=mean is not None and floor is not None and mean <= floor + FLOOR_ROOM,
        ceiling=mean is not None and top is not None and mean >= top - CEILING_ROOM,
        unfitted=fit if fit < LEAST_FIT else None,
        biased=bias if bias >= LARGE_BIAS else None,
        conflicts=sum(bool(record.measured.get("conflicts")) for record in row.records.values()),
        lenient=any(body.get("environment", {}).get("deterministic") is False for body in bodies),
        stacked=max(_stacked(body) for body in bodies),
    )


def _stacked(body: Mapping[str, Any]) -> int:
    """How many seeds a trial was trained with at once; 1 for one alone."""
    found = body.get("environment", {}).get("stacked", 1)
    return found if isinstance(found, int) else 1


def conflict_lines(records: Sequence[TrialRecord]) -> list[str]:
    """The part of a board that names trials whose stages came out otherwise a second time; nothing without any."""
    found: dict[str, list[int]] = {}
    for record in records:
        body = record.body
        if record.measured.get("conflicts"):
            found.setdefault(f"{body['task']}: {row_name(body['method'], body['swept'])}", []).append(body["seed"])
    if not found:
        return []
    told = "A stage of these trials was computed again and gave other bytes. What was there first is counted."
    listed = [f"- {escaped(row)}: seeds {', '.join(map(str, sorted(seeds)))}" for row, seeds in found.items()]
    return ["", "## Not reproducible", "", told, "", *listed]


def _mean(row: Trials, metric: str) -> float | None:
    """The mean over seeds, without its interval; None where it is undefined."""
    values = (row.measured(metric) or {}).values()
    return statistics.fmean([float(one.value) - float(one.bias) for one in values]) if values else None


def floor_of(metric: str, classes: int | None) -> float | None:
    """The value that one constant answer or the shortcut alone reaches; None where it is not known."""
    if metric in FROM_ZERO:
        return 0.0
    return 1 / classes if metric in BY_CHANCE and classes else None


def collapsed_seeds(row: Trials, rows: Rows) -> tuple[int, ...]:
    """The seeds in which a row's model fails on aligned examples, where the shortcut alone would do.

    rows: all, among which the suite's ceiling is found.
    """
    bound = collapse_bound(row, rows)
    found = {seed: aligned_accuracy(record.body) for seed, record in row.records.items()}
    return tuple(seed for seed, value in found.items() if value is not None and bound is not None and value < bound)


def collapse_bound(row: Trials, rows: Rows) -> float | None:
    """The aligned accuracy below which a model counts as collapsed; None where classes are not counted.

    Half of the way from chance to the mean of the suite's ceiling; to 1 where it has none.
    """
    first = row.first
    if first.get("num_classes") is None:
        return None
    best = _ceiling_row(first, rows)
    found = [] if best is None else [aligned_accuracy(record.body) for record in best.records.values()]
    ceiling = statistics.fmean([value for value in found if value is not None] or [1.0])
    chance = 1 / int(first["num_classes"])
    return chance + (ceiling - chance) / 2


def aligned_accuracy(body: Mapping[str, Any]) -> float | None:
    """The accuracy of one trial on aligned test examples: correct predictions over their number; None without any."""
    groups = [number for number, aligned in enumerate(body.get("group_aligned", ())) if aligned]
    total = sum(body["group_total"][group] for group in groups)
    return sum(body["group_correct"][group] for group in groups) / total if total else None


def _ceiling_row(first: Mapping[str, Any], rows: Rows) -> Trials | None:
    return next(iter(rows.of_method(first["task"], first["suite"].get("ceiling"))), None)
