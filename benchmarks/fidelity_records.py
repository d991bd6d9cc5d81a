"""Values of a row by seed, from published records, for fidelity.py. Every number comes from a record."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fidelity_rule import rate

from benchbias.board.claims import Answer, answer_claims, load_claims
from benchbias.board.comparing import row_of_task, tasks_of
from benchbias.board.evidence import Evidence
from benchbias.board.marks import collapse_bound, collapsed_seeds
from benchbias.board.row_trials import Rows, Trials, trials_of
from benchbias.errors import UsageError, unknown
from benchbias.records.trial import record_folder
from benchbias.runner.publishing import published_analyses, published_records
from benchbias.statistics.estimates import Estimate, over_seeds
from benchbias.statistics.influence import Measured, measure

CLAIMS = ("claims.toml", "claims-before.toml")


@dataclass(frozen=True)
class Failed:
    """The runs of a row that failed: their seeds, of how many, and the aligned accuracy below which a run failed."""

    label: str
    seeds: tuple[int, ...]
    runs: int
    bound: float | None

    @property
    def interval(self) -> str:
        """The exact interval of the rate."""
        low, high = (100 * one for one in rate(len(self.seeds), self.runs))
        return f"{low:.1f} to {high:.1f} %"

    @property
    def named(self) -> str:
        """The seeds, or a dash."""
        return ", ".join(map(str, self.seeds)) or "–"

    @property
    def text(self) -> str:
        """The rate with its exact interval, and which seeds; there is one at least."""
        seeds = f"seed{'s' * (len(self.seeds) > 1)} {self.named}"
        return f"`{self.label}` {len(self.seeds)} of {self.runs} ({self.interval}), {seeds}"


@dataclass(frozen=True)
class Published:
    """A published folder of records. Suites are read once, when they are first asked for."""

    folder: Path
    root: Path
    _rows: dict[str, Rows | None] = field(default_factory=dict)

    def rows(self, suite: str) -> Rows | None:
        """The rows of a suite; None where it has no records. Raises UsageError."""
        if suite not in self._rows:
            there = any(record_folder(self.folder, suite).glob("*.json"))
            self._rows[suite] = trials_of(*published_records(suite, self.folder)) if there else None
        return self._rows[suite]

    def row(self, suite: str, task: str | None, name: str, where: str) -> Trials | None:
        """One row of a board, as the board or as a plan writes it; None where the suite has no records.

        Raises UsageError for a row that there is not.
        """
        rows = self.rows(suite)
        if rows is None:
            return None
        tasks = tasks_of(rows)
        if task is None and len(tasks) > 1:
            raise UsageError(f"{where}: suite {suite!r} has several tasks ({', '.join(tasks)}): name one, task = ...")
        task = task or tasks[0]
        if task not in tasks:
            raise UsageError(unknown("task", task, tasks, f"{where}: suite {suite!r}"))
        found = row_of_task(rows, task, re.sub(r", *", ", ", name))  # a plan writes no spaces
        if found is None:
            known = [one.label for one in rows if one.first["task"] == task]
            raise UsageError(unknown("row", name, known, f"{where}: suite {suite!r}, task {task!r}"))
        return found

    def failed(self, suite: str, row: Trials) -> Failed:
        """The runs of a row that collapsed, by the board's definition."""
        rows = self.rows(suite) or Rows()
        return Failed(row.label, collapsed_seeds(row, rows), len(row.records), collapse_bound(row, rows))

    def evidence(self, suite: str) -> Evidence | None:
        """A suite's evidence for claims; None where it has no records."""
        rows = self.rows(suite)
        return None if rows is None else Evidence(rows, published_analyses(suite, self.folder))

    def claims(self) -> Mapping[str, Answer]:
        """The answers to all claims of the repository, `FILE: NAME`, each adjusted for all of its file."""
        return {
            f"{file}: {answer.name}": answer
            for file in CLAIMS
            for answer in answer_claims(load_claims(self.root / file)[0], self.evidence)
        }


def values_of(row: Trials, metric: str, where: str) -> dict[int, Measured]:
    """A metric in every seed of a row, as a fraction or a count. Raises UsageError where one has no value."""
    if metric in row.values:
        found = row.measured(metric)
        if found is None:
            raise UsageError(f"{where}: {metric} of {row.label} is undefined in some seed")
        return found
    if metric == CONFLICTING_ERRORS:
        return {seed: Measured(_conflicting_errors(record.body)) for seed, record in row.records.items()}
    counted = {
        seed: measure(metric, cells, row.first["group_aligned"]) if cells is not None else None
        for seed, cells in row.cells.items()
    }
    known = {seed: value for seed, value in counted.items() if value is not None}
    if len(known) < len(counted):
        raise UsageError(unknown("metric", metric, [*row.values, CONFLICTING_ERRORS], f"{where}: {row.label}"))
    return known


CONFLICTING_ERRORS = "conflicting_training_errors"
"""Conflicting training examples (by the noisy label) that the trained model gets wrong: JTT's whole error set where it
gets all aligned ones right."""


def _conflicting_errors(body: Mapping[str, Any]) -> float:
    totals = zip(body["train_group_total"], body["group_aligned"], strict=True)
    conflicting = sum(int(count) for count, aligned in totals if not aligned)
    return float(1 - body["train_conflicting_accuracy"]) * conflicting


def without(values: Mapping[int, Measured], seeds: Collection[int]) -> dict[int, Measured]:
    """The values of all other seeds."""
    return {seed: value for seed, value in values.items() if seed not in seeds}


def gaps_of(ones: Mapping[int, Measured], others: Mapping[int, Measured]) -> dict[int, Measured]:
    """The differences by seed, over the seeds that both have."""
    return {seed: ones[seed] - others[seed] for seed in sorted(ones.keys() & others.keys())}


def mean_of(values: Mapping[int, Measured]) -> Estimate | None:
    """The mean over seeds as counted: papers do not take off the bias of a least, nor does what stands beside them."""
    return over_seeds([replace(one, bias=0.0) for one in values.values()])


def mean_text(values: Mapping[int, Measured], scale: float, digits: int, sign: str = "") -> str:
    """The mean in the printed unit with its 95 % interval, of seeds and test examples; a dash without any.

    sign: `+` for differences.
    """
    found = mean_of(values)
    if found is None:
        return "–"
    text = f"{scale * found.mean:{sign}.{digits}f}"
    if found.half_width is None:
        return text
    if sign:
        return f"{text} ± {scale * found.half_width:.{digits}f}"
    low, high = found.interval()
    return f"{text} ({scale * low:.{digits}f}–{scale * high:.{digits}f})"


def points(values: Mapping[int, Measured], scale: float = 100.0) -> list[float]:
    """The values in the printed unit."""
    return [scale * float(value.value) for value in values.values()]
