"""CPU seconds of commands that must start quickly, beside `python -c pass`; and of a run with nothing left to do."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .checkout import installed
from .rows import Goal, Row, Setting
from .timing import Spread, benchbias, used

ROOT = Path(__file__).parent.parent.parent
COMMANDS = {
    "`benchbias --help`": (benchbias("--help"), 0.2),
    "`benchbias ls`": (benchbias("ls"), 0.4),
    "`benchbias plan -s spurious-small`": (benchbias("plan", "-s", "spurious-small"), 0.4),
    "`benchbias doctor`": (benchbias("doctor"), 3.0),
}


def seconds(command: list[str], rounds: int, folder: Path) -> Spread:
    """CPU seconds of a command in a folder, once its bytecode and the plugins' descriptions are there."""
    with tempfile.TemporaryDirectory() as scratch:
        environment = installed(ROOT, Path(scratch) / "metadata")
        used(command, folder, environment)
        return Spread.of([used(command, folder, environment).cpu for _ in range(rounds)])


def rows(setting: Setting) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as empty:
        rounds, folder = setting.rounds, Path(empty)
        yield Row("`python -c pass`", seconds([sys.executable, "-c", "pass"], rounds, folder), unit="s")
        for name, (command, limit) in COMMANDS.items():
            yield Row(name, seconds(command, rounds, folder), Goal(limit), "s")
    planned = seconds(benchbias("plan", "-s", "spurious-small"), rounds, ROOT)
    yield Row("the same plan beside published records, with the power of its comparisons", planned, unit="s")
    yield from again(setting)


def again(setting: Setting) -> Iterator[Row]:
    """A run of the smallest suite whose results are all there: it computes no stage."""
    with tempfile.TemporaryDirectory() as folder:
        command = benchbias("run", "-s", "smoke", "--seeds", 1, "-o", Path(folder) / "results", "--json")
        used(command, ROOT)
        spread = Spread.of([used(command, ROOT).cpu for _ in range(setting.rounds)])
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        stages = json.loads(done.stdout)["stages"]
    yield Row(
        "`benchbias run -s smoke` with nothing to do", spread, unit="s", note=f"{stages['computed']} stages computed"
    )
