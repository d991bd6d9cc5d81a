"""Timings that can be compared: calls interleaved in rounds, CPU time with child processes, ratios of pairs."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Clock = Callable[[], float]


@dataclass(frozen=True)
class Spread:
    """The median of some values, the least and the most of them, and how many there are."""

    median: float
    least: float
    most: float
    count: int

    @staticmethod
    def of(values: Sequence[float]) -> Spread:
        """Raises ValueError where there is no value."""
        if not values:
            raise ValueError("no value was measured")
        return Spread(statistics.median(values), min(values), max(values), len(values))


def cpu_seconds() -> float:
    """CPU seconds of this process and of its children that have ended: user and system."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def interleaved(
    calls: Mapping[str, Callable[[], object]], rounds: int, *, warm: int = 1, clock: Clock = cpu_seconds
) -> dict[str, list[float]]:
    """Seconds of each call in each round. Every round makes all calls, every second one in the opposite order.

    So a machine that becomes slower is slower for all of them. warm: rounds before, which are not counted.
    """
    found: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(-warm, rounds):
        for name in list(calls) if number % 2 == 0 else reversed(calls):
            before = clock()
            calls[name]()
            if number >= 0:
                found[name].append(clock() - before)
    return found


def ratios(timings: Mapping[str, Sequence[float]], over: str, under: str) -> Spread:
    """The ratio of two calls, each round's own. Raises ValueError where a round's divisor took no time."""
    pairs = list(zip(timings[over], timings[under], strict=True))
    if any(below <= 0 for _, below in pairs):
        raise ValueError(f"{under!r} took no time that the clock can see")
    return Spread.of([above / below for above, below in pairs])


@dataclass(frozen=True)
class Usage:
    """The use of a process and of all its children: CPU and wall seconds, the largest memory of one of them in MB."""

    cpu: float
    wall: float
    memory: float


def used(command: Sequence[str], cwd: Path, environment: Mapping[str, str] | None = None) -> Usage:
    """Run a command to its end. Raises RuntimeError with its last line where it fails."""
    started = time.monotonic()
    process = subprocess.Popen(
        command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    told = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    if process.returncode:
        lines = told.decode(errors="replace").strip().splitlines()
        name = " ".join(command[command.index("benchbias") :] if "benchbias" in command else command)
        raise RuntimeError(f"`{name}` ended with {process.returncode}: {lines[-1] if lines else 'no word'}")
    return Usage(usage.ru_utime + usage.ru_stime, time.monotonic() - started, usage.ru_maxrss / 1000)


def benchbias(*arguments: object) -> list[str]:
    """A command line of ours, run by this Python."""
    return [sys.executable, "-m", "benchbias", *map(str, arguments)]
