"""Analyses of trials that a results folder has: `benchbias analyse`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchbias.errors import UsageError
from benchbias.runner.failures import known_failures, with_descendants
from benchbias.runner.launch import RunOptions, launch
from benchbias.runner.recording import analysis_records
from benchbias.runner.reporter import Reporter
from benchbias.runner.workspace import Workspace
from benchbias.store.store import Store

if TYPE_CHECKING:
    from benchbias.plan.trials import Selection
    from benchbias.records.analysis import AnalysisRecord


def analyse_suite(
    workspace: Workspace,
    name: str,
    selection: Selection,
    reporter: Reporter,
    options: RunOptions,
) -> list[AnalysisRecord]:
    """The analyses that a selection names, of trials that a results folder has; only the analyses are computed.

    Raises UsageError where trials are missing.
    """
    plan = workspace.plan(name, selection)
    store, out = Store(options.out), options.out
    done = store.keys() & plan.stages.keys()
    blocked = with_descendants(plan, known_failures(plan, store, done))
    wanted = {key for trial in plan.trials for key in trial.stages} - blocked.keys()
    missing = sum(bool(set(trial.stages) & wanted - done) for trial in plan.trials)
    if missing:
        raise UsageError(
            f"{missing} of {len(plan.trials)} trials of suite {name!r} are not in {out}: `benchbias run --suite {name} "
            f"-o {out}` makes them"
        )
    computed = launch(workspace, plan, options, reporter)
    return analysis_records(plan, plan.analyses, store, computed.blocked)
