"""Wall time of one seed of the default suite with one job, over that with two: both CPUs must be idle."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .rows import Absent, Goal, Row, Setting
from .timing import Usage, benchbias, ratios, used

ROOT = Path(__file__).parent.parent.parent


def run(jobs: int, setting: Setting) -> Usage:
    suite = "smoke" if setting.quick else "spurious-small"
    with tempfile.TemporaryDirectory() as folder:
        command = benchbias("run", "-s", suite, "--seeds", 1, "--jobs", jobs, "-o", Path(folder) / "results", "-q")
        return used(command, ROOT)


def rows(setting: Setting) -> Iterator[Row]:
    if (os.cpu_count() or 1) < 2:
        raise Absent("this machine has one CPU")
    if not setting.quick and os.getloadavg()[0] > (os.cpu_count() or 1) - 1.5:
        raise Absent(f"other processes are running: the load is {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs")
    found: dict[str, list[float]] = {"one": [], "two": []}
    for number in range(setting.rounds):
        for name in ("one", "two") if number % 2 == 0 else ("two", "one"):
            found[name].append(run(1 if name == "one" else 2, setting).wall)
    yield Row("one job over two, wall time", ratios(found, "one", "two"), Goal(1.75, at_least=True))
