"""The errors a user may meet: each carries one message (what, where, the known choices) and an exit code."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

LONGEST = 2000  # characters of a message
ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,16}\b")  # differs from run to run: no record may hold it


class BenchbiasError(Exception):
    """Base of every error that is shown as one message instead of a traceback."""

    exit_code = 2

    def __str__(self) -> str:
        """One line without control characters, whatever a file, a name or a plugin put into it."""
        text = plain(super().__str__())
        return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


class UsageError(BenchbiasError):
    """A mistake in the command line, in benchmarks.toml or in a plugin's description (exit code 2)."""


class NewerRecordError(UsageError):
    """A record was made by a newer benchbias, whose schema this one does not know: upgrade (exit code 2)."""


class DataError(UsageError):
    """The files of a data set are missing, unreadable or not what the options say (exit code 2)."""


class StorageError(BenchbiasError):
    """The results folder cannot be written: full, read-only, damaged (exit code 4). Nothing finished is lost."""

    exit_code = 4


class DamagedError(StorageError):
    """A product that a stage reads was damaged and is now in quarantine: it must be made again."""


class NewerError(StorageError):
    """A file was made by a newer benchbias, whose schema this one does not know: it is neither used nor moved."""


class ChangedError(BenchbiasError):
    """The sources or packages that a plan was made of are no longer those that run (exit code 1): run again."""

    exit_code = 1


class ComponentError(BenchbiasError):
    """A plugin's component returned something that its contract does not allow (its trial fails, exit code 1)."""

    exit_code = 1


class Skip(Exception):
    """Raised by a component that does not fit the task: the trial is recorded as skipped, with this reason."""


def plain(text: str) -> str:
    """Text of a plugin without control characters, which would draw on a user's terminal, and memory addresses."""
    return ADDRESS.sub("0x...", "".join(c if c.isprintable() else " " for c in text))


def first_line(error: BaseException) -> str:
    """The first line of an error's text, whatever its class does when it is asked."""
    try:
        return str(error).split("\n")[0]
    except Exception as second:
        return f"(its text cannot be shown: __str__ raises {type(second).__name__})"


def printable(text: str) -> str:
    """Do the same as `plain` for a text of several lines."""
    return "\n".join(plain(line) for line in text.split("\n"))


def unknown(what: str, name: object, known: Iterable[str], where: str = "") -> str:
    """Say that `name` is no known `what`, with the nearest known name and all of them."""
    names = sorted(set(known))
    near = difflib.get_close_matches(str(name)[:80], names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    choices = ", ".join(names) if names else "none"
    place = f"{where}: " if where else ""
    return f"{place}unknown {what} {str(name)!r:.80}{hint} (known: {choices})"
