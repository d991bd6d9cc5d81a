"""The material of one suite that gatherers read: records, analyses, and where images and settings can be had."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchbias.board.entries import Entry
from benchbias.board.row_trials import Rows
from benchbias.board.scored import Scored
from benchbias.board.standings import Board
from benchbias.errors import UsageError
from benchbias.figures.material import Line, Material
from benchbias.records.analysis import AnalysisRecord
from benchbias.records.trial import TrialRecord
from benchbias.statistics.cells import CellLayout
from benchbias.store.store import Store

if TYPE_CHECKING:
    from benchbias.plan.trials import Plan
    from benchbias.report.gathering.task_data import TaskData
    from benchbias.runner.workspace import Workspace
    from benchbias.suite.catalogue import Catalogue


@dataclass(frozen=True, eq=False)
class Source:
    """All that a report knows of one suite.

    place: the folder that the records were read from, and published: whether it is a published one, without products
    of stages. out: the results folder, where data sets are built for images. workspace: None where a report is made of
    records alone; plan: None there, and for a suite that is in no benchmarks.toml any more. images: whether images of
    data sets may stand in the report.
    """

    suite: str
    records: Sequence[TrialRecord]
    layouts: Mapping[str, CellLayout]
    analyses: Sequence[AnalysisRecord] = ()
    place: Path = Path("results")
    published: bool = False
    out: Path = Path("results")
    workspace: Workspace | None = None
    plan: Plan | None = None
    images: bool = True

    @functools.cached_property
    def scored(self) -> Scored:
        """The records with their rows and board. Raises UsageError where they contradict themselves."""
        return Scored.of(self.records, self.layouts, self.analyses)

    @property
    def rows(self) -> Rows:
        """The trials of every row."""
        return self.scored.rows

    @property
    def board(self) -> Board:
        """Rows, ranks and gaps as the leaderboard has them."""
        return self.scored.board

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The rows in the order of the board, with ranks and verdicts."""
        return self.scored.entries

    @functools.cached_property
    def planned(self) -> frozenset[str]:
        """The ids of the trials that the plan has, and those of the rest of its suite."""
        trials = () if self.plan is None else (*self.plan.trials, *self.plan.others)
        return frozenset(trial.id for trial in trials)

    @functools.cached_property
    def planned_plainly(self) -> frozenset[str]:
        """The ids of those trials that are planned without `--set` too: the plan of an own run may have taken some."""
        from benchbias.plan.trials import Selection

        if self.published or self.workspace is None or self.plan is None:
            return self.planned
        seeds = sorted({trial.seed for trial in (*self.plan.trials, *self.plan.others)})
        asked = Selection(seeds=seeds, limit=self.plan.limit, device=self.plan.device)
        try:
            plain = self.workspace.plan(self.suite, asked)
        except UsageError:
            return frozenset()
        return self.planned & {trial.id for trial in plain.trials}

    @property
    def catalogue(self) -> Catalogue | None:
        return None if self.workspace is None else self.workspace.catalogue

    @property
    def store(self) -> Store | None:
        """The products of stages; None of a published folder, which has none."""
        return None if self.published else Store(self.place)

    def tables(self, kinds: Mapping[str, str]) -> list[tuple[AnalysisRecord, list[Line]]]:
        """The analyses whose tables have lines and all these columns, name -> kind; no other table is read."""
        wanted = kinds.items()
        fitting = [record for record in self.analyses if wanted <= _kinds(record).items()]
        return Material(Rows(), fitting).tables(kinds)

    def data(self, task: str) -> TaskData:
        """The images, labels and groups of a task at its first seed. Raises BenchbiasError where they cannot be had."""
        if not self.images:
            raise UsageError("they were left out by --no-images")
        if self.workspace is None or self.suite not in self.workspace.catalogue.suites:
            raise UsageError(f"the data set of {task!r} is known to no benchmarks.toml that was read")
        from benchbias.report.gathering.task_data import task_data

        bodies = [row.body for row in self.records if row.body["task"] == task and row.body["status"] == "ok"]
        seed = min(body["seed"] for body in bodies)
        return task_data(self.workspace, self.suite, task, self.out, seed, bodies[0]["suite"]["limit"])


def _kinds(record: AnalysisRecord) -> dict[str, str]:
    """The columns of an analysis' table, name -> kind; none where it has no table."""
    table = record.body.get("table")
    return {column["name"]: column["kind"] for column in table["columns"]} if table else {}
