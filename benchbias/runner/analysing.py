"""Analyses of trials that a results folder has: `benchbias analyse`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchbias.engine.local import LocalEngine
from benchbias.errors import UsageError
from benchbias.runner.api import TIMEOUT_SECONDS, Workspace, available_cpus, write_payload
from benchbias.runner.failures import known_failures, with_descendants
from benchbias.runner.loop import Reporter, compute
from benchbias.runner.recording import analysis_records
from benchbias.store.store import Store

if TYPE_CHECKING:
    from benchbias.plan.trials import Selection
    from benchbias.records.analysis import AnalysisRecord


def analyse_suite(
    workspace: Workspace,
    name: str,
    selection: Selection,
    reporter: Reporter,
    out: Path,
    *,
    jobs: int | None = None,
    timeout: float = TIMEOUT_SECONDS,
    memory: float | None = None,
) -> list[AnalysisRecord]:
    """The analyses that a selection names, of trials that a results folder has; only the analyses are computed.

    Raises UsageError where trials are missing.
    """
    plan = workspace.plan(name, selection)
    store = Store(out)
    done = store.keys() & plan.stages.keys()
    blocked = with_descendants(plan, known_failures(plan, store, done))
    wanted = {key for trial in plan.trials for key in trial.stages} - blocked.keys()
    missing = sum(bool(set(trial.stages) & wanted - done) for trial in plan.trials)
    if missing:
        raise UsageError(
            f"{missing} of {len(plan.trials)} trials of suite {name!r} are not in {out}: `benchbias run --suite {name} "
            f"-o {out}` makes them"
        )
    path = write_payload(plan, store.create(), recompute=False)
    start = partial(LocalEngine, out, path, timeout=timeout, memory=memory, settings=workspace.worker_settings)
    _, _, failures = compute(plan, store, start, reporter, jobs=jobs if jobs is not None else available_cpus())
    return analysis_records(plan, store, with_descendants(plan, failures))
