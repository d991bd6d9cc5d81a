"""Running suites from Python: `benchbias.run(...)` does the same as `benchbias run`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from benchbias.data.reading.fetching import OFFLINE, provide
from benchbias.data.reading.fetching import offline as is_offline
from benchbias.data.reading.raw_files import data_folder
from benchbias.engine.local import LocalEngine
from benchbias.errors import UsageError
from benchbias.plan.environment import provenance
from benchbias.plan.planner import make
from benchbias.plan.trials import Plan, Selection
from benchbias.plugin.registry import Registry, load_registry
from benchbias.records.trial import record_folder
from benchbias.runner.loop import Reporter, RunReport, execute
from benchbias.runner.recording import current_analyses, current_records, select_rows, suite_label
from benchbias.runner.results import Results
from benchbias.store.store import Store
from benchbias.suite.catalogue import Catalogue, load
from benchbias.util import canonical

if TYPE_CHECKING:
    from benchbias.plan.trials import Stage

TIMEOUT_SECONDS = 3600.0
RERUN = ("missing", "failed", "all")


@dataclass(frozen=True)
class Workspace:
    """The tables and the plugins that a command works with."""

    catalogue: Catalogue
    registry: Registry
    data: Path
    offline: bool = False

    @staticmethod
    def open(
        config: Path | None = None,
        plugins: Iterable[Path] = (),
        *,
        strict: bool = False,
        quiet: bool = False,
        data: Path | None = None,
        offline: bool = False,
    ) -> Workspace:
        """Read benchmarks.toml and the plugins' descriptions. Raises UsageError.

        data: the data folder (default: $BENCHBIAS_DATA, else ./data). offline: no connection is ever opened.
        """
        registry = load_registry(plugins, quiet=quiet)
        if strict and registry.broken:
            name, broken = next(iter(registry.broken.items()))
            raise UsageError(f"--strict-plugins: plugin {name!r} is broken: {broken.reason}")
        folder = data.absolute() if data is not None else data_folder()
        return Workspace(load(config), registry, folder, offline or is_offline())

    def plan(self, name: str, selection: Selection | None = None) -> Plan:
        """Plan a suite. Raw files that are not there are named by `Plan.missing`."""
        return make(self.catalogue, self.registry, name, selection, self.data)

    def ready(self, name: str, selection: Selection, note: Callable[[str], None]) -> Plan:
        """Plan a suite after fetching what is missing; `note` is told. Raises DataError where that cannot be had."""
        plan = self.plan(name, selection)
        if plan.missing:
            provide(self.data, plan.missing, note, offline=self.offline)
            plan = self.plan(name, selection)
        return plan

    @property
    def worker_settings(self) -> dict[str, str]:
        """Environment variables of this workspace's workers."""
        return {"BENCHBIAS_DATA": str(self.data)} | (dict.fromkeys(OFFLINE, "1") if self.offline else {})


class Silent:
    """A reporter that says nothing."""

    def begin(self, plan: Plan, cached: int, todo: int) -> None: ...

    def stage(self, stage: Stage, outcome: str, seconds: float, detail: str) -> None: ...

    def end(self) -> None: ...

    def note(self, text: str) -> None: ...


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
    data_dir: str | Path | None = None,
    offline: bool = False,
) -> Results:
    """Run a suite: compute what is missing, write its records and its leaderboard below `out`.

    methods, tasks: names or globs (default: all of the suite). seeds: 5 means 0 to 4. jobs: stages at once (default:
    the number of CPUs); changes no number. plugins: loose files. assignments: as `--set`. timeout: seconds a stage may
    take. memory: GiB that it may hold (default: no limit). data_dir: where raw data lie (default: $BENCHBIAS_DATA, else
    ./data). offline: open no connection. A trial that fails is in the results; see `exit_code`. Raises BenchbiasError
    for a mistake in the arguments, the TOML, a plugin or the data, before anything runs.
    """
    workspace = _workspace(config, plugins, data_dir, offline=offline)
    selection = _selection(methods, tasks, seeds, assignments, limit, device)
    return run_plan(
        workspace, suite, selection, Silent(), Path(out), jobs=jobs, rerun=rerun, timeout=timeout, memory=memory
    )


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
    data_dir: str | Path | None = None,
) -> Results:
    """What a results folder holds of a suite; nothing is run and nothing is written. The arguments are those of `run`.

    Trials that were made at other settings or by other sources are not among them. Raises BenchbiasError; where there
    is no trial at all, it names the command that makes them.
    """
    workspace = _workspace(config, plugins, data_dir)
    selection = _selection(methods, tasks, seeds, assignments, limit, device)
    plan = workspace.plan(suite, selection)
    store = Store(Path(out))
    records, stale = current_records(plan, store)
    if not records:
        from benchbias.runner.publishing import command_for

        older = f" ({len(stale)} of other settings or sources)" if stale else ""
        raise UsageError(f"{out} has no current records of suite {suite!r}{older}: `{command_for(suite)} -o {out}`")
    missing = len(plan.trials) - len(records)
    analyses = tuple(current_analyses(plan, store))
    report = RunReport(len(store.keys() & plan.stages.keys()), 0, {}, tuple(records), missing, 0.0, analyses)
    return _results(workspace, plan, selection, store, report)


def _workspace(
    config: str | Path | None,
    plugins: str | Path | Sequence[str | Path],
    data_dir: str | Path | None,
    *,
    offline: bool = False,
) -> Workspace:
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
    return Selection(_several(methods), _several(tasks), seeds, _several(assignments) or (), limit, device)


def _several(given: str | Sequence[str] | None) -> Sequence[str] | None:
    """A string alone stands for a list of one: as a sequence it would be its letters."""
    return [given] if isinstance(given, str) else given


def run_plan(
    workspace: Workspace,
    name: str,
    selection: Selection,
    reporter: Reporter,
    out: Path,
    *,
    jobs: int | None = None,
    rerun: str = "missing",
    timeout: float = TIMEOUT_SECONDS,
    memory: float | None = None,
    shuffle: int | None = None,
) -> Results:
    """Run a suite's plan on the local engine and write its leaderboard. The board shows all current records."""
    if rerun not in RERUN:
        raise UsageError(f"--rerun {rerun}: known: {', '.join(RERUN)}")
    plan = workspace.ready(name, selection, reporter.note)
    store = Store(out).create()
    path = write_payload(plan, store, recompute=rerun == "all")
    report = execute(
        plan,
        store,
        lambda: LocalEngine(out, path, timeout=timeout, memory=memory, settings=workspace.worker_settings),
        reporter,
        jobs=jobs if jobs is not None else available_cpus(),
        rerun=rerun,
        shuffle=shuffle,
    )
    return write_board(workspace, plan, selection, store, report)


def available_cpus() -> int:
    """The CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def write_payload(plan: Plan, store: Store, *, recompute: bool) -> Path:
    """Write what workers read of a plan; the file is named by its content."""
    text = canonical.dumps({**plan.payload(), "recompute": recompute, "provenance": provenance()}) + "\n"
    path = store.root / "plans" / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
    store.replace(path, text)
    return path


def _results(workspace: Workspace, plan: Plan, selection: Selection, store: Store, report: RunReport) -> Results:
    """The report with the suite's leaderboard, which is not written here."""
    from benchbias.board.render import render
    from benchbias.runner.publishing import command_for
    from benchbias.statistics.cells import read_layouts

    methods = list(dict.fromkeys((*plan.table.methods, *plan.methods)))
    whole = workspace.plan(plan.suite, replace(selection, methods=methods, tasks=None, seeds=None))
    shown = tuple(select_rows([plan, whole], store))
    layouts = read_layouts(record_folder(store.root, suite_label(plan)))
    analyses = report.analyses or tuple(current_analyses(whole, store))
    text = render(shown, layouts, command_for(plan.suite), analyses)
    board = store.root / "leaderboards" / f"{suite_label(plan)}.md"
    return Results(plan, store, report, board, text, shown, layouts, analyses)


def write_board(workspace: Workspace, plan: Plan, selection: Selection, store: Store, report: RunReport) -> Results:
    """Write the suite's leaderboard: this run's rows and every other record of the suite at the same settings."""
    results = _results(workspace, plan, selection, store, report)
    store.replace(results.board, results.text)
    return results
