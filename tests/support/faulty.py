"""System calls of Python code, counted below one folder, of which the n-th can be made to go wrong.

What goes through `os`, `fcntl.flock` and `io.open` is seen, pathlib included, and so is each read and close of a file
opened to be read. What native code calls (safetensors' own open) is not.
"""

from __future__ import annotations

import fcntl
import io
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

BY_PATH = ("open", "mkdir", "unlink", "rename", "replace", "link", "stat", "scandir", "listdir")
BY_DESCRIPTOR = ("read", "write", "fsync", "close")
PIECE = 400  # bytes: every write is short


@dataclass
class Calls:
    """The calls below `root`, by name. The n-th is refused with `code`, or kills the process where code is 0.

    done: the call is made and its answer lost (always so for close, which frees the descriptor whatever it says).
    """

    root: Path
    nth: int = 0
    code: int = 0
    done: bool = False
    seen: list[str] = field(default_factory=list)
    descriptors: set[int] = field(default_factory=set)

    @property
    def happened(self) -> bool:
        return 0 < self.nth <= len(self.seen)

    def make(self, name: str, real: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """One call, for which the fault may be due."""
        self.seen.append(name)
        due = len(self.seen) == self.nth
        if due and not self.code:
            os.kill(os.getpid(), signal.SIGKILL)
        if due and not self.done and name != "close":
            raise OSError(self.code, os.strerror(self.code))
        answer = real(*arguments, **named)
        if due:
            if isinstance(answer, int) and name == "open":
                REAL["close"](answer)
            raise OSError(self.code, os.strerror(self.code))
        return answer

    def mine(self, path: Any) -> bool:
        return isinstance(path, str | os.PathLike) and Path(os.fspath(path)).is_relative_to(self.root)


REAL = {name: getattr(os, name) for name in (*BY_PATH, *BY_DESCRIPTOR)}
"""Taken before anything is patched."""


class _File(io.FileIO):
    """A file that is read: each read and its close count."""

    def __init__(self, path: Any, calls: Calls) -> None:
        self.calls = calls
        calls.make("open", super().__init__, os.fspath(path), "rb")

    def readinto(self, buffer: Any) -> Any:
        return self.calls.make("read", super().readinto, buffer)

    def readall(self) -> bytes:
        return self.calls.make("read", super().readall)

    def close(self) -> None:
        if not self.closed:
            self.calls.make("close", super().close)


def _by_path(name: str, calls: Calls) -> Callable[..., Any]:
    real = REAL[name]

    def call(*arguments: Any, **named: Any) -> Any:
        if not (arguments and calls.mine(arguments[0])):
            return real(*arguments, **named)
        answer = calls.make(name, real, *arguments, **named)
        if name == "open":
            calls.descriptors.add(answer)
        return answer

    return call


def _by_descriptor(name: str, calls: Calls) -> Callable[..., Any]:
    real = REAL[name]

    def call(descriptor: int, *rest: Any) -> Any:
        if descriptor not in calls.descriptors:
            return real(descriptor, *rest)
        if name == "close":
            calls.descriptors.discard(descriptor)
        if name == "write":
            rest = (rest[0][:PIECE],)
        return calls.make(name, real, descriptor, *rest)

    return call


@contextmanager
def faults(calls: Calls) -> Iterator[Calls]:
    """Within it, calls are counted and the fault happens."""
    real_open, real_flock = io.open, fcntl.flock

    def open_file(path: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
        if mode == "rb" and calls.mine(path):
            return io.BufferedReader(_File(path, calls))
        return real_open(path, mode, *arguments, **named)

    def flock(descriptor: int, operation: int) -> None:
        if descriptor in calls.descriptors:
            return calls.make("flock", real_flock, descriptor, operation)
        return real_flock(descriptor, operation)

    with pytest.MonkeyPatch.context() as patched:
        for name in BY_PATH:
            patched.setattr(os, name, _by_path(name, calls))
        for name in BY_DESCRIPTOR:
            patched.setattr(os, name, _by_descriptor(name, calls))
        patched.setattr(io, "open", open_file)
        patched.setattr(fcntl, "flock", flock)
        yield calls


def in_child(work: Callable[[Callable[[str], None]], int]) -> tuple[int, list[str]]:
    """Run `work` in a fork; how it ended (its exit code, or minus its signal) and the lines that it told."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            os.close(reading)
            code = work(lambda line: REAL["write"](writing, f"{line}\n".encode()) and None)
        finally:
            os._exit(code)
    os.close(writing)
    with suppress(OSError), open(reading) as told:  # noqa: PTH123  (a descriptor)
        lines = told.read().splitlines()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), lines
