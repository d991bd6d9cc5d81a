"""`Results`: what a run has given, for Python and notebooks."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchbias.errors import UsageError
from benchbias.plan.finding import row_trial
from benchbias.records.table import Table
from benchbias.records.trial import TrialRecord, record_folder
from benchbias.statistics.estimates import MARGIN

if TYPE_CHECKING:
    import pandas

    from benchbias.data.values import Predictions
    from benchbias.plan.trials import Plan, Trial
    from benchbias.records.analysis import AnalysisRecord
    from benchbias.runner.report import RunReport
    from benchbias.statistics.cells import CellLayout
    from benchbias.store.store import Store


@dataclass(frozen=True, repr=False)
class Results:
    """The results of a suite: `run` and `load_results` return them; a notebook shows the leaderboard.

    report: what the run did. files: the texts of the leaderboard's files by their paths below `leaderboards`. shown:
    the records on it, those of earlier runs at the same settings too; layouts: of their test splits. analyses: those
    of the suite.
    """

    plan: Plan
    store: Store
    report: RunReport
    files: Mapping[str, str]
    shown: tuple[TrialRecord, ...]
    layouts: Mapping[str, CellLayout]
    analyses: tuple[AnalysisRecord, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 where every trial that was asked for is done or was skipped, else 1; 3 where some are not reproducible."""
        return self.report.exit_code

    @property
    def board(self) -> Path:
        """The leaderboard's file."""
        return self.store.root / "leaderboards" / f"{self.plan.label}.md"

    @property
    def text(self) -> str:
        """The leaderboard as markdown."""
        return self.files[f"{self.plan.label}.md"]

    @property
    def records(self) -> tuple[TrialRecord, ...]:
        """The records of the trials that were asked for: those that are done, failed or were skipped."""
        return self.report.records

    def leaderboard(self) -> str:
        """The leaderboard as markdown."""
        return self.text

    def to_frame(self) -> pandas.DataFrame:
        """A pandas DataFrame, one row for each of `records`: docs/python-api.md has its columns.

        Raises UsageError where pandas is absent.
        """
        from benchbias.runner.frame import frame_of

        return frame_of(self.records)

    def rows(self) -> pandas.DataFrame:
        """A pandas DataFrame, one row for each row of the leaderboard: means, intervals, ranks, gaps, verdicts, costs.

        docs/python-api.md has its columns; `benchbias leaderboard --to FILE.csv` writes the same. Raises UsageError
        where pandas is absent.
        """
        from benchbias.runner.frame import frame_of_board

        return frame_of_board(self.shown, self.layouts)

    def compare(self, one: str, other: str, *, margin: float = MARGIN) -> str:
        """Markdown: one row of the leaderboard against another, paired by seed and test example.

        one, other: `method` or `method[name=value]`. margin: within which rows count as equivalent (0.03: 3 points).
        Raises UsageError for a row that is not on the leaderboard.
        """
        from benchbias.board.comparing import compare

        return compare(self.shown, self.layouts, one, other, margin)

    def analysis(self, name: str, *, task: str | None = None) -> Table:
        """The table of an analysis of the suite. task: may be left out where there is one.

        Raises UsageError for an analysis that there is not, or that has no table.
        """
        from benchbias.records.analysis import find_analysis

        found = find_analysis(self.analyses, name, task, "analysis")
        if found.table is None:
            raise UsageError(f"analysis {found.label} has no table: {found.body['status']}: {found.body['reason']}")
        return found.table

    def predictions(self, method: str, *, seed: int, task: str | None = None) -> Predictions:
        """A trial's answers on the split that it was scored on, with all labels, read from the results folder.

        method: `method`, or `method[name=value]` where it has several rows. task: may be left out where there is one.
        Raises UsageError for a trial that there is not or that has no predictions, StorageError where they are
        damaged.
        """
        trial = row_trial(self.plan, method, seed, task, "predictions")
        record = next((record for record in self.records if record.id == trial.id), None)
        if record is None:
            raise UsageError(f"{trial.label} is not done yet: run it first")
        if record.body["status"] != "ok":
            raise UsageError(f"{trial.label} has no predictions: it {_told(record)}")
        return stored_predictions(self.plan, trial, self.store)

    def __repr__(self) -> str:
        """E.g. `Results(suite 'smoke': 16 trials, 15 ok, 1 failed; leaderboard: results/leaderboards/smoke.md)`."""
        counted = Counter(record.body["status"] for record in self.records) + Counter(missing=self.report.missing)
        counted["not reproducible"] = sum(bool(record.measured.get("conflicts")) for record in self.records)
        names = ("ok", "failed", "skipped", "missing", "not reproducible")
        told = ", ".join(f"{counted[name]} {name}" for name in names if counted[name])
        return f"Results(suite {self.plan.suite!r}: {len(self.plan.trials)} trials, {told}; leaderboard: {self.board})"

    def _repr_markdown_(self) -> str:
        """The leaderboard, for a notebook."""
        return self.text


def results_of(plan: Plan, store: Store, report: RunReport) -> Results:
    """A report with the suite's leaderboard, which is not written here.

    The board shows the trials of the report, and of the suite's other trials those that the folder holds.
    """
    from benchbias.board.published.files import board_files
    from benchbias.board.scored import Scored
    from benchbias.records.latency import read_latency
    from benchbias.runner.publishing import command_for
    from benchbias.runner.report import other_analyses, stored_records
    from benchbias.statistics.cells import read_layouts

    folder = record_folder(store.root, plan.label)
    others = stored_records(plan.others, folder, store.conflicts())[0]
    shown = (*report.records, *others)
    layouts = {**(read_layouts(folder) if others else {}), **report.layouts}
    analyses = report.analyses or tuple(other_analyses(plan, store))
    latency = None
    with contextlib.suppress(UsageError):  # a file that is damaged ends no run: `leaderboard` names it
        latency = read_latency(store.root, plan.label)
    files = board_files(plan.label, Scored.of(shown, layouts, analyses), command_for(plan.suite), latency)
    return Results(plan, store, report, files, shown, layouts, analyses)


def stored_predictions(plan: Plan, trial: Trial, store: Store) -> Predictions:
    """The predictions behind a trial's score, on the CPU. Raises StorageError where they are gone or damaged."""
    import torch

    from benchbias.stages.job import Job
    from benchbias.stages.score import predictions

    inputs = plan.stages[trial.stages[-1]].inputs
    stages = {key: plan.stages[key].inputs for key in trial.stages}
    job = Job(store, inputs, stages, {}, torch.device("cpu"), Path())
    return predictions(job, "test", inputs["split"])


def _told(record: TrialRecord) -> str:
    word = "was skipped" if record.body["status"] == "skipped" else "failed"
    return f"{word} ({record.body['stage']}: {record.body['reason']})"
