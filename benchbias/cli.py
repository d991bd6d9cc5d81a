"""The command line: one thin function a verb. Nothing heavy is imported before a verb needs it."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchbias.errors import BenchbiasError, UsageError

if TYPE_CHECKING:
    from benchbias.api import Workspace
    from benchbias.trials import Selection

BUG = 70
INTERRUPTED = 130

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Which pruning and debiasing methods can be trusted when training data is biased?",
)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    if version:
        import importlib.metadata

        print(f"benchbias {importlib.metadata.version('benchbias')}")
        raise typer.Exit


Out = Annotated[Path, typer.Option("-o", "--out", help="The results folder.")]
Config = Annotated[Path | None, typer.Option(help="Tables over the shipped ones (default: ./benchmarks.toml).")]
Plugins = Annotated[list[Path] | None, typer.Option("--plugin", help="A loose plugin file; may be repeated.")]
Sets = Annotated[
    list[str] | None, typer.Option("--set", help="method.parameter=value or recipe.key=value, in TOML syntax.")
]
SuiteName = Annotated[str, typer.Option("-s", "--suite", help="The suite (`benchbias ls suites`).")]
Methods = Annotated[
    list[str] | None,
    typer.Option("-m", "--method", help="Methods or globs; a pruner's or trainer's name runs it as it is."),
]
Tasks = Annotated[list[str] | None, typer.Option("-t", "--task", help="Only these tasks of the suite.")]
Seeds = Annotated[str | None, typer.Option(help="5 (the seeds 0 to 4), 0-4, or 0,3,7.")]
Limit = Annotated[int | None, typer.Option(min=2, help="At most N images a split: quick, and unranked.")]
Device = Annotated[str, typer.Option(help="cpu or cuda.")]
Strict = Annotated[bool, typer.Option("--strict-plugins", help="A broken plugin ends the command.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


def _workspace(config: Path | None, plugins: list[Path] | None, *, strict: bool = False) -> Workspace:
    from benchbias.api import Workspace
    from benchbias.errors import plain

    workspace = Workspace.open(config, plugins or (), strict=strict)
    for name, broken in workspace.registry.broken.items():
        print(
            f"plugin {name!r} is broken and left out: {plain(broken.reason)} (`benchbias show {name}` shows all)",
            file=sys.stderr,
        )
    return workspace


def _selection(
    methods: list[str] | None,
    tasks: list[str] | None,
    seeds: str | None,
    sets: list[str] | None,
    limit: int | None = None,
    device: str = "cpu",
) -> Selection:
    from benchbias.trials import Selection

    return Selection(methods, tasks, parse_seeds(seeds), sets or (), limit, device)


def parse_seeds(text: str | None) -> int | range | list[int] | None:
    """5 -> five seeds from 0; 0-4 and 0,3,7 -> those. Raises UsageError."""
    if text is None:
        return None
    first, dash, last = text.partition("-")
    try:
        if dash:
            return range(int(first), int(last) + 1)
        return [int(part) for part in text.split(",")] if "," in text else int(text)
    except ValueError:
        raise UsageError(f"--seeds {text}: expected 5, 0-4 or 0,3,7") from None


@app.command()
def run(
    suite: SuiteName,
    method: Methods = None,
    task: Tasks = None,
    seeds: Seeds = None,
    jobs: Annotated[int | None, typer.Option("-j", "--jobs", min=1, help="Stages at once (default: CPUs).")] = None,
    out: Out = Path("results"),
    config: Config = None,
    plugin: Plugins = None,
    set_: Sets = None,
    rerun: Annotated[str, typer.Option(help="missing, failed (try failures again) or all (compare).")] = "missing",
    limit: Limit = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds a stage may take.")] = 3600.0,
    device: Device = "cpu",
    strict_plugins: Strict = False,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Failures only.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="A line for every stage.")] = False,
) -> None:
    """Compute what is missing of a suite and write its leaderboard."""
    from benchbias.api import run_plan
    from benchbias.console import reporter

    workspace = _workspace(config, plugin, strict=strict_plugins)
    selection = _selection(method, task, seeds, set_, limit, device)
    shown = reporter(-1 if quiet or as_json else int(verbose))
    results = run_plan(workspace, suite, selection, shown, out, jobs=jobs, rerun=rerun, timeout=timeout)
    report = results.report
    statuses = [record.body["status"] for record in report.records]
    summary = {
        "suite": suite,
        "exit_code": report.exit_code,
        "trials": {name: statuses.count(name) for name in ("ok", "failed", "skipped")} | {"missing": report.missing},
        "stages": {"cached": report.cached, "computed": report.computed, "failed": len(report.failures)},
        "seconds": round(report.seconds, 2),
        "leaderboard": str(results.board),
    }
    if as_json:
        print(json.dumps(summary))
    elif not quiet:
        print(results.leaderboard())
        print(
            f"{report.cached} stages cached, {report.computed} computed, {len(report.failures)} failed "
            f"in {report.seconds:.1f} s; leaderboard: {results.board}",
            file=sys.stderr,
        )
        if report.failures:
            print(f"`benchbias status -s {suite} -o {out}` lists the failed trials.", file=sys.stderr)
    raise typer.Exit(report.exit_code)


@app.command()
def plan(
    suite: SuiteName,
    method: Methods = None,
    task: Tasks = None,
    seeds: Seeds = None,
    out: Out = Path("results"),
    config: Config = None,
    plugin: Plugins = None,
    set_: Sets = None,
    limit: Limit = None,
    device: Device = "cpu",
    as_json: Json = False,
) -> None:
    """Say what a run would do, and its cost."""
    from benchbias.planning import summary, summary_text

    workspace = _workspace(config, plugin)
    made = workspace.plan(suite, _selection(method, task, seeds, set_, limit, device))
    found = summary(made, out)
    print(json.dumps(found) if as_json else summary_text(found))


@app.command("ls")
def list_(
    what: Annotated[str, typer.Argument(help="suites, tasks, methods, plugins or components.")] = "suites",
    config: Config = None,
    plugin: Plugins = None,
) -> None:
    """List suites, tasks, methods, plugins or components."""
    from benchbias.showing import listing

    print(listing(_workspace(config, plugin), what))


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A suite, task, method, plugin or component.")],
    suite: Annotated[str | None, typer.Option("-s", "--suite", help="Show a method as this suite runs it.")] = None,
    config: Config = None,
    plugin: Plugins = None,
    set_: Sets = None,
    image: Annotated[Path | None, typer.Option(help="Of a task: write sample images by group to this PNG.")] = None,
    out: Out = Path("results"),
) -> None:
    """Show all about one name, each value with its source."""
    from benchbias.showing import details

    workspace = _workspace(config, plugin)
    print(details(workspace, name, suite, set_ or ()))
    if image is not None:
        from benchbias.sheet import write_sheet

        if name not in workspace.catalogue.tasks:
            raise UsageError(f"--image goes with a task (known: {', '.join(workspace.catalogue.tasks)})")
        for line in write_sheet(workspace, name, image, out):
            print(line)


@app.command()
def status(
    suite: SuiteName,
    method: Methods = None,
    task: Tasks = None,
    seeds: Seeds = None,
    out: Out = Path("results"),
    config: Config = None,
    plugin: Plugins = None,
    set_: Sets = None,
    limit: Limit = None,
    device: Device = "cpu",
) -> None:
    """Say which trials are done, failed or missing."""
    from benchbias.planning import status_text

    workspace = _workspace(config, plugin)
    made = workspace.plan(suite, _selection(method, task, seeds, set_, limit, device))
    print(status_text(made, out))


@app.command()
def logs(
    trial: Annotated[str, typer.Argument(help="A trial: its id (or its beginning), or task/method/seed.")],
    suite: SuiteName,
    method: Methods = None,
    out: Out = Path("results"),
    config: Config = None,
    plugin: Plugins = None,
    set_: Sets = None,
    limit: Limit = None,
    device: Device = "cpu",
) -> None:
    """Show what a trial's stages printed and raised."""
    from benchbias.planning import log_text

    workspace = _workspace(config, plugin)
    print(log_text(workspace.plan(suite, _selection(method, None, None, set_, limit, device)), trial, out))


@app.command()
def leaderboard(
    suite: Annotated[str, typer.Argument(help="The suite.")],
    out: Out = Path("results"),
    records: Annotated[
        Path | None, typer.Option(help="A published folder: rebuild its board from its records alone.")
    ] = None,
    publish: Annotated[Path | None, typer.Option(help="Copy records and table into this folder.")] = None,
    config: Config = None,
    plugin: Plugins = None,
    device: Device = "cpu",
) -> None:
    """Write a suite's leaderboard from its records and print it."""
    from benchbias import publishing

    if records is not None:
        print(publishing.rebuild(suite, records), end="")
        return
    workspace = _workspace(config, plugin)
    made = workspace.plan(suite, _selection(None, None, None, None, None, device))
    print(publishing.board(made, out, publish), end="")


@app.command()
def clean(
    out: Out = Path("results"),
    all_: Annotated[bool, typer.Option("--all", help="Remove everything, results included.")] = False,
    quarantine: Annotated[bool, typer.Option(help="Also remove damaged and conflicting files put aside.")] = False,
    failures: Annotated[bool, typer.Option(help="Also forget failures, so that they are tried again.")] = False,
) -> None:
    """Remove what dead runs left behind; with options, more."""
    from benchbias.planning import clean_results

    print(clean_results(out, everything=all_, quarantine=quarantine, failures=failures))


def main() -> None:
    """Run the command line: every mistake of a user is one message; a bug of ours says where to report it."""
    signal.signal(signal.SIGTERM, _interrupt)
    code: Any = 0
    try:
        code = app(standalone_mode=False) or 0
        if code == INTERRUPTED:
            raise KeyboardInterrupt
    except BenchbiasError as error:
        print(f"benchbias: {error}", file=sys.stderr)
        code = error.exit_code
    except KeyboardInterrupt:
        code = _interrupted()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except Exception as error:
        code = _usage_or_bug(error)
    sys.exit(code)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _interrupted() -> int:
    print("benchbias: interrupted; what is finished is kept, run again to go on", file=sys.stderr)
    return INTERRUPTED


def _usage_or_bug(error: Exception) -> int:
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # click's own: an option that is not there
        command = getattr(getattr(error, "ctx", None), "command_path", "benchbias")
        print(f"{command}: {error.format_message()} (see {command} --help)", file=sys.stderr)
        return int(error.exit_code)
    if type(error).__name__ == "Abort":
        return _interrupted()
    traceback.print_exc()
    print(
        "\nThis is a bug in benchbias: please report the text above and what `benchbias --version` says.",
        file=sys.stderr,
    )
    return BUG
