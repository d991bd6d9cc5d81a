"""Evidence of records and analyses on one claim: a difference with its interval. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchbias.board.claim_tables import ClaimTable
from benchbias.board.comparing import row_of_task, tasks_of
from benchbias.board.marks import Marks, marks_of
from benchbias.board.row_trials import Rows, Trials, trials_of
from benchbias.errors import UsageError, unknown
from benchbias.records.analysis import AnalysisRecord, find_analysis
from benchbias.records.table import Table
from benchbias.records.trial import TrialRecord
from benchbias.statistics.cells import CellLayout
from benchbias.statistics.estimates import Estimate, difference, estimate


@dataclass(frozen=True)
class Evidence:
    """Everything that is known of a suite: its rows, and the records of its analyses."""

    rows: Rows
    analyses: Sequence[AnalysisRecord] = ()

    @staticmethod
    def of(
        records: Sequence[TrialRecord], layouts: Mapping[str, CellLayout], analyses: Sequence[AnalysisRecord] = ()
    ) -> Evidence:
        """Make it from the records of a suite, with the layouts of their test splits."""
        return Evidence(trials_of(records, layouts), analyses)

    def answers(self, claim: ClaimTable) -> bool:
        """Whether what a claim is about has been run."""
        if claim.analysis is not None:
            return any(claim.analysis == record.name for record in self.analyses)
        return claim.probe is None or any(claim.probe in row.first.get("probes", {}) for row in self.rows)

    def marks(self, claim: ClaimTable) -> dict[str, Marks]:
        """The marks of every row that a claim is about, by the row's name; rows that are not there are left out."""
        found = {}
        here = [row for row in self.rows if claim.task in (None, row.first["task"])]
        for name in dict.fromkeys(claim.rows):
            row = _only(here, name)
            if row is not None:
                metric = claim.metric or str(row.first["suite"]["rank_by"]).removeprefix("-")
                found[name] = marks_of(row, metric, self.rows)
        return found

    def gap(self, name: str, claim: ClaimTable) -> Estimate | None:
        """The difference that a claim is about; None where it is undefined.

        Raises UsageError for a row, task, metric, analysis, probe or cell that there is not.
        """
        where = f"claims.{name}"
        if claim.analysis is not None:
            return _of_analysis(self.analyses, claim, where)
        return _of_rows(self.rows, claim, where) if claim.probe is None else _of_probe(self.rows, claim, where)


def _only(rows: Sequence[Trials], name: str) -> Trials | None:
    """The row of this name; None where no row, or several, have it."""
    found = [row for row in rows if name in (row.label, row.first["method"])]
    exact = [row for row in found if row.label == name] or found
    return exact[0] if len(exact) == 1 else None


def _of_rows(rows: Sequence[Trials], claim: ClaimTable, where: str) -> Estimate | None:
    metric, sides = str(claim.metric), []
    for row in (str(claim.row), str(claim.other)):
        trials = _row(rows, claim, row, where)
        if metric not in trials.values:
            raise UsageError(unknown("metric", metric, trials.values, where))
        sides.append(trials)
    seeds = sorted(sides[0].records.keys() & sides[1].records.keys())
    one, other = (side.measured(metric, seeds) for side in sides)
    return difference(one, other) if one and other else None


def _row(rows: Sequence[Trials], claim: ClaimTable, name: str, where: str) -> Trials:
    tasks = tasks_of(rows)
    if claim.task is None and len(tasks) > 1:
        raise UsageError(f"{where}: suite {claim.suite!r} has several tasks ({', '.join(tasks)}): name one, task = ...")
    task = claim.task or tasks[0]
    if task not in tasks:
        raise UsageError(unknown("task", task, tasks, where))
    found = row_of_task(rows, task, name)
    if found is None:
        raise UsageError(unknown("row", name, [one.label for one in rows if one.first["task"] == task], where))
    return found


def _of_analysis(analyses: Sequence[AnalysisRecord], claim: ClaimTable, where: str) -> Estimate | None:
    table = find_analysis(analyses, str(claim.analysis), claim.task, where).table
    if table is None:
        return None
    values = _column(table, claim, ("estimate",), where)
    found = [values[_line(table, claim, key, where)] for key in ("at", "less") if getattr(claim, key)]
    if any(value is None for value in found):
        return None
    return _less(found[0], found[1] if claim.less else None, claim.against)


def _less(one: Estimate, other: Estimate | None, against: float) -> Estimate:
    """one - other - against: as of other models (Welch); where they share models the interval is too wide."""
    if other is None:
        return one.less(against)
    mean, number = one.mean - other.mean - against, min(one.n, other.n)
    if one.standard_error is None or other.standard_error is None or one.freedom is None or other.freedom is None:
        return Estimate.of(mean, None, None, number)
    parts = one.standard_error**2, other.standard_error**2
    variance = math.fsum(parts)
    spread = parts[0] ** 2 / one.freedom + parts[1] ** 2 / other.freedom
    freedom = variance**2 / spread if spread > 0 else min(one.freedom, other.freedom)
    return Estimate.of(mean, math.sqrt(variance), freedom, number)


def _of_probe(rows: Sequence[Trials], claim: ClaimTable, where: str) -> Estimate | None:
    trials, values = _row(rows, claim, str(claim.row), where), []
    for _, record in sorted(trials.records.items()):
        tables = record.body.get("probes", {})
        if claim.probe not in tables:
            raise UsageError(unknown("probe", str(claim.probe), tables, where))
        table = Table.from_json(tables[claim.probe])
        column = _column(table, claim, ("number", "fraction", "count"), where)
        found = [column[_line(table, claim, key, where)] for key in ("at", "less") if getattr(claim, key)]
        if any(value is None for value in found):
            return None
        values.append(float(found[0]) - (float(found[1]) if claim.less else 0.0) - claim.against)
    return estimate(values)


def _column(table: Table, claim: ClaimTable, kinds: Sequence[str], where: str) -> Sequence[Any]:
    """The values that a claim is about."""
    known = [name for name, (kind, _, _) in table.columns.items() if kind in kinds]
    if claim.value not in known:
        raise UsageError(unknown(kinds[0], str(claim.value), known, where))
    return table.columns[str(claim.value)][2]


def _line(table: Table, claim: ClaimTable, key: str, where: str) -> int:
    """The number of the table's row whose texts are those of `at` or `less`."""
    texts = {name: values for name, (kind, _, values) in table.columns.items() if kind == "text"}
    wanted: Mapping[str, str] = getattr(claim, key)
    for name in wanted:
        if name not in texts:
            raise UsageError(unknown("column of texts", name, texts, f"{where}.{key}"))
    length = max((len(values) for values in texts.values()), default=0)
    lines = [n for n in range(length) if all(texts[name][n] == text for name, text in wanted.items())]
    if len(lines) != 1:
        for name, text in wanted.items():
            if text not in texts[name]:
                raise UsageError(unknown(name, text, dict.fromkeys(texts[name]), f"{where}.{key}"))
        raise UsageError(
            f"{where}.{key}: {len(lines)} rows of {claim.analysis or claim.probe!r} have these texts; name one by "
            f"{', '.join(texts)}"
        )
    return lines[0]
