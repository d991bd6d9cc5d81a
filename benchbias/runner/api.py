"""Running suites from Python: `benchbias.run(...)` does the same as `benchbias run`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from benchbias.engine.base import TIMEOUT_SECONDS
from benchbias.errors import UsageError
from benchbias.plan.trials import Selection
from benchbias.records.trial import record_folder
from benchbias.runner.launch import RunOptions, run_suite
from benchbias.runner.publishing import command_for
from benchbias.runner.report import RunReport, conflicts_of, current_analyses, current_records
from benchbias.runner.reporter import Silent
from benchbias.runner.results import Results, results_of
from benchbias.runner.workspace import Workspace
from benchbias.statistics.cells import read_layouts
from benchbias.store.store import Store


def run(
    suite: str,
    *,
    methods: str | Sequence[str] | None = None,
    tasks: str | Sequence[str] | None = None,
    seeds: int | Sequence[int] | None = None,
    jobs: int | None = None,
    out: str | Path = "results",
    config: str | Path | None = None,
    plugins: str | Path | Sequence[str | Path] = (),
    assignments: str | Sequence[str] = (),
    rerun: Literal["missing", "failed", "all"] = "missing",
    limit: int | None = None,
    timeout: float = TIMEOUT_SECONDS,
    memory: float | None = None,
    device: str = "cpu",
    per_card: int = 1,
    stack: int | None = None,
    data_dir: str | Path | None = None,
    offline: bool = False,
) -> Results:
    """Run a suite: compute what is missing, write its records and its leaderboard below `out`.

    methods, tasks: names or globs (default: all of the suite). seeds: 5 means 0 to 4. jobs: stages at once (default:
    the number of CPUs, on cards that of slots); changes no number. plugins: loose files. assignments: as `--set`.
    timeout: seconds a stage may take. memory: GiB of the host that it may hold (default: no limit). device: `cpu`,
    `cuda` (the first card), `cuda:1`, `cuda:0,1` or `cuda:all`. per_card: stages at once on a card. stack: seeds of a
    row that are trained at once (default: as the suite says, else none). data_dir: where raw
    data lie (default: $BENCHBIAS_DATA, else ./data). offline: open no connection. A trial that fails is in the results;
    see `exit_code`. Raises BenchbiasError for a mistake in the arguments, the TOML, a plugin or the data, before
    anything runs.
    """
    workspace = opened_workspace(config, plugins, data_dir, offline=offline)
    selection = replace(_selection(methods, tasks, seeds, assignments, limit, device), stack=stack)
    options = RunOptions(out=Path(out), jobs=jobs, rerun=rerun, timeout=timeout, memory=memory, per_card=per_card)
    return run_suite(workspace, suite, selection, options, Silent())


def load_results(
    suite: str,
    *,
    methods: str | Sequence[str] | None = None,
    tasks: str | Sequence[str] | None = None,
    seeds: int | Sequence[int] | None = None,
    out: str | Path = "results",
    config: str | Path | None = None,
    plugins: str | Path | Sequence[str | Path] = (),
    assignments: str | Sequence[str] = (),
    limit: int | None = None,
    device: str = "cpu",
    stack: int | None = None,
    data_dir: str | Path | None = None,
) -> Results:
    """Read what a results folder holds of a suite: nothing is run or written. The arguments are those of `run`.

    Trials that were made at other settings or by other sources are not among them. Raises BenchbiasError; where there
    is no trial at all, it names the command that makes them.
    """
    workspace = opened_workspace(config, plugins, data_dir)
    selection = replace(_selection(methods, tasks, seeds, assignments, limit, device), stack=stack)
    plan = workspace.plan(suite, selection)
    store = Store(Path(out))
    records, stale = current_records(plan, store)
    if not records:
        older = f" ({len(stale)} of other settings or sources)" if stale else ""
        raise UsageError(f"{out} has no current records of suite {suite!r}{older}: `{command_for(suite)} -o {out}`")
    missing = len(plan.trials) - len(records)
    analyses = tuple(current_analyses(plan, store))
    layouts = read_layouts(record_folder(store.root, plan.label))
    cached = len(store.keys() & plan.stages.keys())
    conflicts = conflicts_of(plan, store.conflicts())
    report = RunReport(cached, 0, {}, tuple(records), missing, 0.0, analyses, layouts, conflicts)
    return results_of(plan, store, report)


def opened_workspace(
    config: str | Path | None,
    plugins: str | Path | Sequence[str | Path],
    data_dir: str | Path | None,
    *,
    offline: bool = False,
) -> Workspace:
    """Open a workspace from the arguments that functions of Python take. Raises BenchbiasError."""
    files = [plugins] if isinstance(plugins, str | Path) else plugins
    return Workspace.open(
        Path(config) if config is not None else None,
        [Path(file) for file in files],
        quiet=True,
        data=Path(data_dir) if data_dir is not None else None,
        offline=offline,
    )


def _selection(
    methods: str | Sequence[str] | None,
    tasks: str | Sequence[str] | None,
    seeds: int | Sequence[int] | None,
    assignments: str | Sequence[str],
    limit: int | None,
    device: str,
) -> Selection:
    return Selection(several(methods), several(tasks), seeds, several(assignments) or (), limit, device)


def several(given: str | Sequence[str] | None) -> Sequence[str] | None:
    """A string alone stands for a list of one: as a sequence it would be its letters."""
    return [given] if isinstance(given, str) else given
