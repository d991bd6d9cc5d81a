"""CPU seconds that a stage costs beyond its own work: processes, claims, logs, checks of sources, files.

Taken from runs of the smallest suite over one seed and over more: what a run costs as a whole falls out.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .rows import Goal, Row, Setting
from .timing import Spread, benchbias, used

ROOT = Path(__file__).parent.parent.parent
SEEDS, QUICK_SEEDS = 6, 2


@dataclass(frozen=True)
class Ran:
    """A run: its CPU seconds with all processes, those that its stages say they took, and how many stages."""

    cpu: float
    stages: float
    count: int


def run(seeds: int, folder: Path) -> Ran:
    results = folder / "results"
    usage = used(benchbias("run", "-s", "smoke", "--seeds", seeds, "--jobs", 1, "-o", results, "-q"), ROOT)
    seconds = [json.loads(file.read_text())["cpu_seconds"] for file in (results / "measured").rglob("*.json")]
    return Ran(usage.cpu, sum(seconds), len(seconds))


def rows(setting: Setting) -> Iterator[Row]:
    overheads = []
    for _ in range(setting.rounds):
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
            few, many = run(1, Path(one)), run(QUICK_SEEDS if setting.quick else SEEDS, Path(other))
        stages = many.count - few.count
        overheads.append(((many.cpu - few.cpu) - (many.stages - few.stages)) / stages)
    yield Row("a stage beyond its own work", Spread.of(overheads), Goal(0.1), "s", f"over {stages} stages of smoke")
