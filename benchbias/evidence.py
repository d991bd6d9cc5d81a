"""What records and analyses say of one claim: a difference with its interval. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from benchbias.analyses import AnalysisRecord, find_analysis
from benchbias.cells import CellLayout
from benchbias.claim_tables import ClaimTable
from benchbias.comparing import row_of_task, tasks_of
from benchbias.errors import UsageError, unknown
from benchbias.estimates import Estimate, difference
from benchbias.results import Table, TrialRecord
from benchbias.rows import Trials, trials_of


@dataclass(frozen=True)
class Evidence:
    """What there is of a suite: its rows, and the records of its analyses."""

    rows: Sequence[Trials]
    analyses: Sequence[AnalysisRecord] = ()

    @staticmethod
    def of(
        records: Sequence[TrialRecord], layouts: Mapping[str, CellLayout], analyses: Sequence[AnalysisRecord] = ()
    ) -> Evidence:
        """From the records of a suite, with the layouts of their test splits."""
        return Evidence(trials_of(records, layouts), analyses)

    def answers(self, claim: ClaimTable) -> bool:
        """Whether what a claim is about has been run."""
        return claim.analysis is None or any(claim.analysis == record.name for record in self.analyses)

    def gap(self, name: str, claim: ClaimTable) -> Estimate | None:
        """The difference that a claim is about; None where it is undefined.

        Raises UsageError for a row, task, metric, analysis or cell that there is not.
        """
        where = f"claims.{name}"
        return _of_rows(self.rows, claim, where) if claim.analysis is None else _of_cell(self.analyses, claim, where)


def _of_rows(rows: Sequence[Trials], claim: ClaimTable, where: str) -> Estimate | None:
    tasks = tasks_of(rows)
    if claim.task is None and len(tasks) > 1:
        raise UsageError(f"{where}: suite {claim.suite!r} has several tasks ({', '.join(tasks)}): name one, task = ...")
    task = claim.task or tasks[0]
    if task not in tasks:
        raise UsageError(unknown("task", task, tasks, where))
    metric, sides = str(claim.metric), []
    for row in (str(claim.row), str(claim.other)):
        trials = row_of_task(rows, task, row)
        if trials is None:
            raise UsageError(unknown("row", row, [one.label for one in rows if one.first["task"] == task], where))
        if metric not in trials.values:
            raise UsageError(unknown("metric", metric, trials.values, where))
        sides.append(trials)
    seeds = sorted(sides[0].records.keys() & sides[1].records.keys())
    one, other = (side.measured(metric, seeds) for side in sides)
    return difference(one, other) if one and other else None


def _of_cell(analyses: Sequence[AnalysisRecord], claim: ClaimTable, where: str) -> Estimate | None:
    table = find_analysis(analyses, str(claim.analysis), claim.task, where).table
    if table is None:
        return None
    columns, value = table.columns, str(claim.value)
    estimates = [name for name, (kind, _, _) in columns.items() if kind == "estimate"]
    if value not in estimates:
        raise UsageError(unknown("estimate", value, estimates, where))
    found = columns[value][2][_row(table, claim, where)]
    return None if found is None else replace(found, mean=found.mean - claim.against)


def _row(table: Table, claim: ClaimTable, where: str) -> int:
    """The number of the row whose texts are those of a claim."""
    texts = {name: values for name, (kind, _, values) in table.columns.items() if kind == "text"}
    for name in claim.at:
        if name not in texts:
            raise UsageError(unknown("column of texts", name, texts, f"{where}.at"))
    length = max((len(values) for values in texts.values()), default=0)
    rows = [n for n in range(length) if all(texts[name][n] == text for name, text in claim.at.items())]
    if len(rows) != 1:
        for name, text in claim.at.items():
            if text not in texts[name]:
                raise UsageError(unknown(name, text, dict.fromkeys(texts[name]), f"{where}.at"))
        raise UsageError(
            f"{where}.at: {len(rows)} rows of {claim.analysis!r} have these texts; name one by {', '.join(texts)}"
        )
    return rows[0]
