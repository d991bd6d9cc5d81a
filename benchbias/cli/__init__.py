"""The command line: one thin function a verb. Nothing heavy is imported before a verb needs it."""

from __future__ import annotations

import signal
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer

from benchbias.cli import analysing, boards, checking, finished, reading, reporting, running
from benchbias.cli.auditing.command import as_command
from benchbias.cli.auditing.options import Asked
from benchbias.cli.auditing.verb import audit
from benchbias.errors import BenchbiasError, StorageError, plain
from benchbias.util.files import os_error
from benchbias.util.packages import spare_broken_distributions
from benchbias.util.streams import ended, steady_streams

BUG = 70
INTERRUPTED = 130

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Which pruning and debiasing methods can be trusted when training data is biased?",
    epilog="Exit codes: 0 done; 1 trials failed or a problem was found; 2 usage; 3 a check failed, products of one key "
    "differ, or an audit found harm; 4 storage or output; 5 an audit is undecided; 70 a bug of ours; 130 interrupted.",
)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    if version:
        import importlib.metadata

        print(f"benchbias {importlib.metadata.version('benchbias')}")
        raise typer.Exit


app.command()(running.run)
app.command()(running.plan)
app.command()(running.tune)
app.command("ls")(reading.list_)
app.command()(reading.show)
app.command()(running.status)
app.command()(running.logs)
app.command()(boards.leaderboard)
app.command()(reporting.report)
app.command()(reporting.site)
app.command()(boards.compare)
app.command()(analysing.analyse)
app.command()(boards.claims)
app.command()(finished.export)
app.command()(finished.latency)
app.command("audit")(as_command(Asked, audit))
app.command()(reading.doctor)
app.command()(reading.prepare)
app.command()(running.clean)
app.command()(checking.check)
app.command()(checking.new)


def main() -> None:
    """Run the command line: every mistake of a user is one message; a bug of ours says where to report it."""
    steady_streams()
    spare_broken_distributions()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code: Any = app(prog_name="benchbias", standalone_mode=False) or 0
        if code == INTERRUPTED:
            raise KeyboardInterrupt
    except BenchbiasError as error:
        print(f"benchbias: {error}", file=sys.stderr)
        code = error.exit_code
    except KeyboardInterrupt:
        code = _interrupted()
    except Exception as error:
        code = _usage_or_bug(error)
    sys.exit(ended(code))


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _interrupted() -> int:
    print("benchbias: interrupted; what is finished is kept, run again to go on", file=sys.stderr)
    return INTERRUPTED


def _has_folder() -> bool:
    try:
        Path.cwd()
    except OSError:
        return False
    return True


def _usage_or_bug(error: Exception) -> int:
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # click's own: an option that is not there
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message(), file=sys.stderr)
            return int(error.exit_code)
        command = getattr(getattr(error, "ctx", None), "command_path", "benchbias")
        print(f"{command}: {error.format_message()} (see {command} --help)", file=sys.stderr)
        return int(error.exit_code)
    if type(error).__name__ == "Abort":
        return _interrupted()
    if isinstance(error, OSError):  # a fault of the machine, wherever it was met
        gone = "the current folder has been removed: change to another one"
        print(f"benchbias: {os_error(error) if _has_folder() else gone}", file=sys.stderr)
        return StorageError.exit_code
    if isinstance(error, UnicodeError) and sys.getfilesystemencoding() != "utf-8":
        print(f"benchbias: {plain(str(error))}: this locale has no such character (LC_ALL=C.UTF-8)", file=sys.stderr)
        return BenchbiasError.exit_code
    traceback.print_exc()
    print(
        "\nThis is a bug in benchbias: please report the text above and what `benchbias --version` says.",
        file=sys.stderr,
    )
    return BUG
