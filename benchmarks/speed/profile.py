"""Where the CPU time of the default suite goes: passes and steps of networks, and what else there is, in percent.

Every process of the run is sampled by its CPU time (sampling/sitecustomize.py), so no call is slower than others.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from .rows import Goal, Row, Setting
from .timing import Spread, benchbias, used

ROOT = Path(__file__).parent.parent.parent
SAMPLING = Path(__file__).parent / "sampling"
SEEDS = 2
STEP = ("forward", "backward", "step")
PREDICTING = "forward of a predict stage"
TRAINING = ("train", "prune")
KINDS = (*TRAINING, "data", "init", "predict", "score", "probe", "analyse")
SHOWN = 14
GOAL = Goal(75, at_least=True)


def rows(setting: Setting) -> Iterator[Row]:
    suite, seeds = ("smoke", 1) if setting.quick else ("spurious-small", SEEDS)
    shares = [profiled(suite, seeds) for _ in range(setting.rounds)]
    trained = [sum(one[name] for name in STEP) for one in shares]
    networks = [part + one[PREDICTING] for part, one in zip(trained, shares, strict=True)]
    run = f"{suite}, {seeds} seeds"
    yield Row(f"forward and backward passes and steps, training and predict, {run}", Spread.of(networks), GOAL, "%")
    yield Row("of these those of training: forward, backward and step", Spread.of(trained), unit="%")
    mean = Counter[str]()
    for one in shares:
        mean.update(one)
    for name, _ in mean.most_common(SHOWN + len(STEP)):
        yield Row(name, Spread.of([one[name] for one in shares]), unit="%")


def profiled(suite: str, seeds: int) -> Counter[str]:
    """Percent of a run's CPU time by what it was spent on."""
    with tempfile.TemporaryDirectory() as folder:
        samples = Path(folder) / "samples"
        path = os.pathsep.join(filter(None, (str(SAMPLING), os.environ.get("PYTHONPATH", ""))))
        command = benchbias("run", "-s", suite, "--seeds", seeds, "--jobs", 1, "-o", Path(folder) / "results", "-q")
        usage = used(command, ROOT, os.environ | {"PYTHONPATH": path, "SPEED_SAMPLES": str(samples)})
        return shared_out(samples.read_text(encoding="utf-8").splitlines(), usage.cpu)


def shared_out(lines: list[str], seconds: float) -> Counter[str]:
    """Percent of so many CPU seconds, by name; what no sample saw is the end of processes.

    lines: microseconds, kind of stage, class of work, module of ours, with tabs between them.
    """
    found = Counter[str]()
    for line in lines:
        spent, stage, work, module = line.split("\t")
        found[named(stage, work, module)] += 1e-4 * int(spent) / seconds
    found["ends of processes, and what no sample saw"] = max(100 - sum(found.values()), 0.0)
    return found


def named(stage: str, work: str, module: str) -> str:
    """The name of a sample: training's own work, or what else the stage did, or what no stage did."""
    kind = stage if stage in KINDS else ""
    if work in STEP and (kind in TRAINING or work != "forward"):
        return work
    if work == "forward":
        return f"forward of a {kind} stage" if kind else "forward outside of stages"
    if work:
        return f"{work}, {kind} stage" if kind else f"{work}, outside of stages"
    if not module:
        return "start of Python"
    room = ".".join(module.split(".")[:2])
    return f"{room}, {kind} stage" if kind else room
