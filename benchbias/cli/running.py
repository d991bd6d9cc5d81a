"""Verbs that compute: run and clean, and what a run would do or has done."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchbias.cli.options import (
    All,
    AnyDevice,
    Asked,
    Config,
    DataDir,
    Device,
    Gpus,
    Jobs,
    Json,
    Limit,
    Memory,
    Methods,
    Offline,
    Out,
    PerGpu,
    Plugins,
    Quiet,
    Seed,
    Seeds,
    Sets,
    Stack,
    Strict,
    SuiteName,
    Tasks,
    Timeout,
    Verbose,
    open_workspace,
    selected,
)
from benchbias.errors import plain, printable
from benchbias.keys.cards import device_of

if TYPE_CHECKING:
    from benchbias.runner.results import Results


def run(
    suite: SuiteName,
    method: Methods = None,
    task: Tasks = None,
    seeds: Seeds = None,
    seed: Seed = None,
    jobs: Jobs = None,
    out: Out = Path("results"),
    config: Config = None,
    plugin: Plugins = None,
    data_dir: DataDir = None,
    set_: Sets = None,
    rerun: Annotated[str, typer.Option(help="missing, failed (try failures again) or all (compare).")] = "missing",
    limit: Limit = None,
    timeout: Timeout = 3600.0,
    memory: Memory = None,
    device: AnyDevice = None,
    gpus: Gpus = None,
    per_gpu: PerGpu = 1,
    stack: Stack = None,
    offline: Offline = False,
    strict_plugins: Strict = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Compute what is missing of a suite and write its leaderboard.

    Exit codes: 0 all trials are done or were skipped; 1 some failed, or the run was ended by a fault of its process;
    2 a mistake in what was asked for; 3 a stage that was computed again gave other bytes, marked on the board until
    `clean --quarantine`; 4 the results folder cannot be read or written.
    """
    from benchbias.cli.console import reporter
    from benchbias.cli.folders.shown import run_text
    from benchbias.cli.lacking import check_methods, failures_untold
    from benchbias.runner.launch import RunOptions, run_suite

    workspace = open_workspace(config, plugin, data_dir, strict=strict_plugins, offline=offline)
    check_methods(workspace, method or ())
    chosen = (method, task, seeds, seed, set_, limit, device_of(device, gpus))
    selection = selected(*chosen, quiet=quiet or as_json, stack=stack)
    shown = reporter(-1 if quiet or as_json else int(verbose))
    options = RunOptions(out=out, jobs=jobs, rerun=rerun, timeout=timeout, memory=memory, per_card=per_gpu)
    results = run_suite(workspace, suite, selection, options, shown)
    report = results.report
    if as_json:
        print(json.dumps(_summary(suite, results)))
    elif not quiet:
        print(run_text(results, workspace.given).rstrip("\n"))
        print(
            f"{report.cached} stages cached, {report.computed} computed, {len(report.failures)} failed "
            f"in {report.seconds:.1f} s; leaderboard: {results.board}",
            file=sys.stderr,
        )
    for line in failures_untold(results, shown.told):
        print(plain(line), file=sys.stderr)
    if report.failures and not quiet and not as_json:
        print(f"`benchbias status -s {suite} -o {out}` lists the failed trials.", file=sys.stderr)
    raise typer.Exit(report.exit_code)


def _summary(suite: str, results: Results) -> dict[str, Any]:
    """The document that `run --json` prints."""
    report = results.report
    statuses = [record.body["status"] for record in report.records]
    return {
        "suite": suite,
        "exit_code": report.exit_code,
        "trials": {name: statuses.count(name) for name in ("ok", "failed", "skipped")} | {"missing": report.missing},
        "stages": {"cached": report.cached, "computed": report.computed, "failed": len(report.failures)},
        "conflicts": [{"stage": found.stage, "trials": list(found.trials)} for found in report.conflicts],
        "seconds": round(report.seconds, 2),
        "leaderboard": str(results.board),
    }


def tune(
    suite: Annotated[str, typer.Argument(help="A suite with a `tuning` table.")],
    method: Annotated[list[str] | None, typer.Option("-m", "--method", help="Only these methods' settings.")] = None,
    jobs: Jobs = None,
    out: Out = Path("results"),
    publish: Annotated[Path | None, typer.Option(help="Also write log and page into this folder.")] = None,
    config: Config = None,
    plugin: Plugins = None,
    data_dir: DataDir = None,
    timeout: Timeout = 3600.0,
    memory: Memory = None,
    device: AnyDevice = None,
    gpus: Gpus = None,
    per_gpu: PerGpu = 1,
    offline: Offline = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Search for the settings of a suite's methods, each with the same budget."""
    from benchbias.cli.console import reporter
    from benchbias.runner.launch import RunOptions
    from benchbias.store.store import Store
    from benchbias.tuning.log import write_log
    from benchbias.tuning.search import tune as search

    workspace = open_workspace(config, plugin, data_dir, offline=offline)
    shown = reporter(-1 if quiet else int(verbose))
    options = RunOptions(out=out, jobs=jobs, timeout=timeout, memory=memory, per_card=per_gpu)
    entries = search(workspace, suite, shown, options, methods=method, device=device_of(device, gpus))
    for folder in (out, publish) if publish is not None else (out,):
        path, text = write_log(folder, suite, entries, Store(out))
    print(text)
    print(f"settings: {path}", file=sys.stderr)
    raise typer.Exit(int(any(entry["accuracy"] is None for entry in entries)))


def plan(
    suite: SuiteName,
    method: Methods = None,
    task: Tasks = None,
    seeds: Seeds = None,
    seed: Seed = None,
    out: Out = Path("results"),
    config: Config = None,
    plugin: Plugins = None,
    data_dir: DataDir = None,
    set_: Sets = None,
    limit: Limit = None,
    device: Device = "cpu",
    stack: Stack = None,
    as_json: Json = False,
) -> None:
    """Say what a run would do, its cost, and the seeds that a difference of 5 points needs."""
    from benchbias.cli.folders.status import seeds_needed, seeds_text, summary, summary_text

    workspace = open_workspace(config, plugin, data_dir)
    selection = selected(method, task, seeds, seed, set_, limit, device, quiet=as_json, stack=stack)
    made = workspace.plan(suite, selection)
    found = summary(made, out)
    needed = seeds_needed(made, out)
    if as_json:
        print(json.dumps({**found, "seeds_needed": needed}))
    else:
        print(printable("\n".join([summary_text(found), *seeds_text(needed)])))


def status(
    suite: SuiteName,
    method: Methods = None,
    task: Tasks = None,
    seeds: Seeds = None,
    seed: Seed = None,
    out: Out = Path("results"),
    config: Config = None,
    plugin: Plugins = None,
    data_dir: DataDir = None,
    set_: Sets = None,
    limit: Limit = None,
    device: AnyDevice = None,
    stack: Stack = None,
    all_: All = False,
    as_json: Json = False,
) -> None:
    """Say which trials are done, failed or missing: those of the folder's last run, unless options say which."""
    from benchbias.cli.folders.states import folder_state, state_document
    from benchbias.cli.folders.status import status_text

    asked = Asked(method, task, seeds, seed, set_, limit, device, stack)
    made, last = asked.plan(suite, out, config, plugin, data_dir, everything=all_, quiet=as_json)
    state = folder_state(made, out)
    if as_json:
        print(json.dumps(state_document(state, None if last is None else last.model_dump(by_alias=True))))
    else:
        print(printable(status_text(state)))


def logs(
    trial: Annotated[str, typer.Argument(help="A trial: its id (or its beginning), or task/method/seed.")],
    suite: SuiteName,
    method: Methods = None,
    seeds: Seeds = None,
    seed: Seed = None,
    out: Out = Path("results"),
    config: Config = None,
    plugin: Plugins = None,
    data_dir: DataDir = None,
    set_: Sets = None,
    limit: Limit = None,
    device: Device = "cpu",
    stack: Stack = None,
) -> None:
    """Show what a trial's stages printed and raised."""
    from benchbias.cli.folders.status import log_text

    workspace = open_workspace(config, plugin, data_dir)
    made = workspace.plan(suite, selected(method, None, seeds, seed, set_, limit, device, stack=stack))
    print(printable(log_text(made, trial, out)))


def clean(
    out: Out = Path("results"),
    all_: Annotated[bool, typer.Option("--all", help="Remove everything, results included.")] = False,
    quarantine: Annotated[bool, typer.Option(help="Also remove damaged and conflicting files put aside.")] = False,
    failures: Annotated[bool, typer.Option(help="Also forget failures, so that they are tried again.")] = False,
) -> None:
    """Remove what dead runs left behind; with options, more."""
    from benchbias.cli.folders.cleaning import clean_results

    print(clean_results(out, everything=all_, quarantine=quarantine, failures=failures))
