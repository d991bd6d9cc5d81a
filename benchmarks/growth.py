"""CPU seconds of a board over ever more rows, and of a run over ever more finished trials, each beside the one before.

Rows are copies of a published suite's records under other names. Finished trials are those of one small suite: one is
computed, and its products stand for all others, which nothing reads but their records and the board.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

from benchbias.board.markdown.details import details_page
from benchbias.plan.trials import Selection
from benchbias.records.trial import TrialRecord
from benchbias.runner.publishing import published_records
from benchbias.runner.workspace import Workspace
from benchbias.store.store import Store
from benchbias.util import canonical

SUITE = """schema = 1

[tasks.tiny]
dataset = {{ use = "colored_digits", conflict_ratio = 0.05, draws = 1 }}
model = {{ use = "lenet_small", width = 0.25 }}
recipe = {{ epochs = 1, batch_size = 64, optimizer = "adamw", lr = 3e-3, weight_decay = 1e-3, schedule = "onecycle" }}

[methods.growing]
parameters = {{ decay = 1e-3 }}
recipe = {{ weight_decay = "$decay" }}
stages = [{{ train = "erm" }}]
sweep = {{ decay = [{decays}] }}

[suites.growth]
title = "Growth"
version = "1"
tasks = ["tiny"]
methods = ["growing"]
metrics = ["accuracy", "worst_group_accuracy"]
rank_by = "worst_group_accuracy"
seeds = 100
"""


def board_seconds(rows: int, records: list[TrialRecord], layouts: dict[str, object]) -> float:
    """CPU seconds of one board of so many rows."""
    copies = list(copied(rows, records))
    before = time.process_time()
    details_page(copies, layouts, "benchbias run")  # type: ignore[arg-type]
    return time.process_time() - before


def copied(rows: int, records: list[TrialRecord]) -> Iterator[TrialRecord]:
    """The records of ranked rows again and again, each copy a method of its own."""
    ranked = [record for record in records if record.body["ranked"] and record.body["status"] == "ok"]
    methods = sorted({(record.body["method"], canonical.dumps(record.body["swept"])) for record in ranked})
    for number in range(rows):
        name, swept = methods[number % len(methods)]
        for record in ranked:
            if (record.body["method"], canonical.dumps(record.body["swept"])) == (name, swept):
                body = {**record.body, "method": f"{name}-{number}", "track": "labels-none"}
                yield TrialRecord({**body, "trial": canonical.digest([number, record.id])}, record.measured)


def run_seconds(trials: int, folder: Path) -> tuple[float, float]:
    """CPU and wall seconds of `benchbias run` where so many trials are finished."""
    config, results = folder / f"{trials}.toml", folder / str(trials)
    decays = ", ".join(f"{1e-4 * (number + 1):.6f}" for number in range(trials // 100))
    config.write_text(SUITE.format(decays=decays))
    command = [sys.executable, "-m", "benchbias", "run", "-s", "growth", "--config", str(config), "-o", str(results)]
    first = ["--set", "growing.decay=0.0001", "--seeds", "1"]
    subprocess.run([*command, *first, "-q"], check=True, stdout=subprocess.DEVNULL)
    fill(config, results)
    subprocess.run(command, check=True, capture_output=True)  # writes the records
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.monotonic() - started


def fill(config: Path, results: Path) -> None:
    """Give every stage of the suite the product of the one that was computed."""
    plan, store = Workspace.open(config, quiet=True).plan("growth", Selection()), Store(results)
    made = {stage.kind: key for key, stage in plan.stages.items() if store.object_path(key).is_file()}
    with patch.object(os, "fsync", lambda descriptor: None):
        for key, stage in plan.stages.items():
            product = store.get(made[stage.kind])
            if product is not None and not store.object_path(key).is_file():
                store.put(key, stage.inputs, product.body, product.blobs)
                store.put_measured(key, store.measured(made[stage.kind]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("leaderboard", nargs="?", type=Path, default=Path("leaderboard"))
    parser.add_argument("--rows", type=int, nargs="+", default=[125, 250, 500, 1000])
    parser.add_argument("--trials", type=int, nargs="+", default=[2500, 5000, 10_000])
    given = parser.parse_args()
    records, layouts = published_records("spurious-small", given.leaderboard)
    board_seconds(10, records, dict(layouts))  # imports
    before = None
    for rows in given.rows:
        seconds = board_seconds(rows, records, dict(layouts))
        print(f"board of {rows:,} rows: {seconds:.1f} s CPU{ratio(seconds, before)}", flush=True)
        before = seconds
    before = None
    with tempfile.TemporaryDirectory() as folder:
        for trials in given.trials:
            seconds, wall = run_seconds(trials, Path(folder))
            told = f"run over {trials:,} finished trials: {seconds:.1f} s CPU, {wall:.1f} s"
            print(told + ratio(seconds, before), flush=True)
            before = seconds


def ratio(seconds: float, before: float | None) -> str:
    return "" if before is None else f", {seconds / before:.1f} times the one before"


if __name__ == "__main__":
    main()
