"""Standard streams that never raise: what cannot be encoded is replaced, what cannot be written is dropped and told."""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TextIO

UTF8: Mapping[str, str] = MappingProxyType({"PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8:backslashreplace"})
"""Environment variables of our child processes: what a component prints never fails, whatever the user's terminal."""

SPELT: Mapping[str, str] = MappingProxyType(
    {"\N{PLUS-MINUS SIGN}": "+-", "\N{EN DASH}": "-", "\N{DAGGER}": "*", "\N{MULTIPLICATION SIGN}": "x"}
)
"""Characters of boards, spelt for a terminal that lacks them; any other one becomes a question mark."""

LOST = 4  # the exit code where output was lost, as for any fault of storage
FINDINGS = (0, 1, 3, 5)  # the exit codes of work that is done, and whose findings are printed


def _spelt(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return "".join(SPELT.get(c, "?") for c in error.object[error.start : error.end]), error.end


class _Steady(io.FileIO):
    """A stream that drops everything after the first fault, which it keeps."""

    failure: OSError | None = None

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)

    def write(self, content: Any) -> int:
        size = memoryview(content).nbytes
        while self.failure is None:
            try:
                written = super().write(content)
            except OSError as error:
                self.failure = error
                break
            if written is not None:
                return written
            select.select((), (self.fileno(),), ())  # a stream that does not block, and is full for now
        return size


def steady_streams() -> None:
    """Make standard output and errors of this process steady; streams that are closed are opened on nothing.

    A closed one would be taken by the next file that is opened, and then printed into.
    """
    codecs.register_error(__name__, _spelt)
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        if descriptor == 1:  # what is printed is lost, which is told: nothing can be written here
            os.close(descriptor)
            os.open(os.devnull, os.O_RDONLY)
    os.close(descriptor)
    sys.stdout = _steady(sys.stdout, sys.__stdout__, 1)
    sys.stderr = _steady(sys.stderr, sys.__stderr__, 2)


def _steady(stream: TextIO | None, own: TextIO | None, descriptor: int) -> TextIO:
    """A stream that replaces what it cannot encode; the process's own writes to its descriptor and never raises."""
    if stream is not None and stream is not own:  # another's, such as pytest's
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=__name__)
        return stream
    if stream is not None:
        stream.flush()
    raw = _Steady(descriptor)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding if stream is not None else "utf-8",
        errors=__name__,
        line_buffering=descriptor == 2 or raw.isatty(),
    )


def lost_output() -> str | None:
    """Say why standard output is not whole, in one line; None where it is, and where its reader has gone away."""
    sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    failure = raw.failure if isinstance(raw, _Steady) else None
    if failure is None or failure.errno == errno.EPIPE:
        return None
    if failure.errno == errno.EBADF:
        return "standard output is closed: what was to be printed is lost; what is finished is safe"
    name = errno.errorcode.get(failure.errno or 0, "")
    return f"cannot write to standard output: {failure.strerror} ({name}); what is finished is safe"


def ended(code: int) -> int:
    """Say where output was lost; the exit code of the process is returned: that of its work, or of lost output.

    What was found (harm, failed trials) was to be printed, and is lost with the output: nobody was told of it. A
    mistake, a bug and an interruption are told on standard error, and keep their codes.
    """
    told = lost_output()
    if told is None:
        return code
    print(f"benchbias: {told}", file=sys.stderr)
    return LOST if code in FINDINGS else code
