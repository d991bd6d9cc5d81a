"""CPU seconds of boards over ever more records, of plans, and of runs over ever more finished trials.

Each stands beside the one before, with its exponent: 1 where twice as much takes twice as long. Records are copies of
a published suite's, under other names (more rows) or of other seeds; a board is all its files. Finished trials are
those of one small suite: one is computed, and its products stand for all others, which nothing reads but their records
and the board.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from unittest.mock import patch

from benchbias.board.markdown.surroundings import Surroundings
from benchbias.board.published.files import published_files
from benchbias.board.scored import Scored
from benchbias.plan.trials import Selection
from benchbias.records.trial import TrialRecord
from benchbias.runner.publishing import published_records
from benchbias.runner.workspace import Workspace
from benchbias.statistics import behrens_fisher
from benchbias.statistics.cells import CellLayout
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


def board_seconds(records: list[TrialRecord], layouts: Mapping[str, CellLayout]) -> float:
    """CPU seconds from records to the files of their board; no quantile is kept from before."""
    behrens_fisher.one_quantile.cache_clear()
    behrens_fisher._curve.cache_clear()
    before = time.process_time()
    published_files("growth", Scored.of(records, layouts), "benchbias run", date=None, pages=Surroundings())
    return time.process_time() - before


def copied(number: int, records: list[TrialRecord], *, seeds: bool) -> list[TrialRecord]:
    """So many records: copies of the given ones, each time with other methods, or with other seeds."""
    step, found = 1 + max(record.body["seed"] for record in records), list[TrialRecord]()
    for copy in itertools.count():
        for record in records:
            if len(found) == number:
                return found
            body = dict(record.body)
            if copy:  # the first keeps its names: it has the controls
                body |= {"seed": body["seed"] + step * copy} if seeds else {"method": f"{body['method']}.{copy}"}
            found.append(TrialRecord({**body, "trial": canonical.digest([copy, record.id])}, record.measured))
    raise AssertionError("there is always one more")


def plan_seconds(trials: int, folder: Path) -> float:
    """CPU seconds of a plan of so many trials."""
    config = folder / f"plan-{trials}.toml"
    config.write_text(SUITE.format(decays=decays(trials)))
    before = time.process_time()
    Workspace.open(config, quiet=True).plan("growth", Selection())
    return time.process_time() - before


def decays(trials: int) -> str:
    """The swept values that make so many trials of a hundred seeds each."""
    return ", ".join(f"{1e-4 * (number + 1):.6f}" for number in range(trials // 100))


def run_seconds(trials: int, folder: Path) -> tuple[float, float]:
    """CPU and wall seconds of `benchbias run` where so many trials are finished."""
    config, results = folder / f"{trials}.toml", folder / str(trials)
    config.write_text(SUITE.format(decays=decays(trials)))
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
    parser.add_argument("--records", type=int, nargs="+", default=[1000, 2000, 4000, 8000])
    parser.add_argument("--plans", type=int, nargs="+", default=[7500, 15_000, 30_000])
    parser.add_argument("--trials", type=int, nargs="+", default=[2500, 5000, 10_000])
    given = parser.parse_args()
    records, layouts = published_records("spurious-small", given.leaderboard)
    board_seconds(records, layouts)  # imports
    for seeds in (False, True):
        told = f"board of {{:,}} records, more {'seeds' if seeds else 'rows'}"
        made = functools.partial(copied, records=records, seeds=seeds)
        grow(told, given.records, lambda number, made=made: board_seconds(made(number), layouts))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan_seconds(100, folder)
        grow("plan of {:,} trials", given.plans, lambda number: plan_seconds(number, folder))
        grow("run over {:,} finished trials", given.trials, lambda number: run_seconds(number, folder)[0])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"largest memory of this process, with copies: {peak:.0f} MB; of a run: {children_peak():.0f} MB")


def children_peak() -> float:
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def grow(what: str, sizes: Sequence[int], seconds: Callable[[int], float]) -> None:
    """Measure each size, and print it beside the one before."""
    last: tuple[int, float] | None = None
    for size in sizes:
        took, beside = seconds(size), ""
        if last is not None:
            ratio, exponent = took / last[1], math.log(took / last[1]) / math.log(size / last[0])
            beside = f", {ratio:.1f} times the one before (exponent {exponent:.2f})"
        print(f"{what.format(size)}: {took:.1f} s CPU{beside}", flush=True)
        last = size, took


if __name__ == "__main__":
    main()
