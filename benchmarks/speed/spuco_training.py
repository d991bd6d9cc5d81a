"""An epoch of LeNet: ours as a stage's process runs it, spuco's ERM with its default loader, each a whole process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchbias.keys.environment import worker_environment

from .peers import import_spuco, spuco_note
from .rows import Goal, Row, Setting
from .timing import Spread, ratios

ROOT = Path(__file__).parent.parent.parent
IMAGES, QUICK_IMAGES = 48_000, 640


def microseconds(loop: str, images: int) -> float:
    """CPU microseconds an image, from a process of its own."""
    environment = worker_environment(os.environ) if loop == "ours" else dict(os.environ)
    command = [sys.executable, "-m", f"{__package__}.one_training", loop, str(images)]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.split()[-1])


def rows(setting: Setting) -> Iterator[Row]:
    note = spuco_note(import_spuco())
    images = QUICK_IMAGES if setting.quick else IMAGES
    found: dict[str, list[float]] = {"ours": [], "spuco": [], "spuco0": []}
    for number in range(setting.rounds):
        for loop in list(found) if number % 2 == 0 else reversed(found):
            found[loop].append(microseconds(loop, images))
    default = ratios(found, "ours", "spuco")
    yield Row(
        "LeNet training over spuco's default loop (4 workers), whole processes", default, Goal(1 / 1.4), note=note
    )
    yield Row("the same over spuco's loop with 0 workers", ratios(found, "ours", "spuco0"))
    for loop, name in (("ours", "ours"), ("spuco", "spuco, 4 workers"), ("spuco0", "spuco, 0 workers")):
        yield Row(f"CPU time an image, {name}", Spread.of(found[loop]), unit="µs")
