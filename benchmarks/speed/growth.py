"""Large boards and plans: CPU seconds and memory of 10,000 records and of 30,000 trials, and how a board grows.

Records are copies of a published suite's, under other seeds or under other methods.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchbias.records.trial import TrialRecord
from benchbias.util import canonical

from .rows import Goal, Row, Setting
from .timing import Spread, Usage, benchbias, used

ROOT = Path(__file__).parent.parent.parent
PUBLISHED, SUITE = ROOT / "leaderboard/records/spurious-small", "spurious-small"
COPIES, FEW_COPIES = 34, 8  # of 300 records
TRIALS = 30_000
SEEDS = 100  # of the planned suite
LINEAR = 1.1  # an exponent that is linear, with what noise adds

CONFIG = """schema = 1

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
seeds = {seeds}
"""


def rows(setting: Setting) -> Iterator[Row]:
    copies, few, trials = (2, 1, 300) if setting.quick else (COPIES, FEW_COPIES, TRIALS)
    with tempfile.TemporaryDirectory() as folder:
        yield from boards(Path(folder), copies, few, setting.rounds)
        yield plan(Path(folder), trials, setting.rounds)


def boards(folder: Path, copies: int, few: int, rounds: int) -> Iterator[Row]:
    """A board of so many copies of the records, and of fewer: as more seeds of a row, and as more rows."""
    for by in ("seeds", "rows"):
        count = published(folder / by, copies, by=by)
        published(folder / f"few-{by}", few, by=by)
    usages: dict[str, list[Usage]] = {name: [] for name in ("seeds", "few-seeds", "rows", "few-rows")}
    for _ in range(rounds):
        for name, found in usages.items():
            found.append(board(folder / name))
    title = f"a board of {count:,} records"
    yield Row(title, Spread.of([one.cpu for one in usages["seeds"]]), Goal(4), "s")
    yield Row(f"memory of {title}", Spread.of([one.memory for one in usages["seeds"]]), Goal(500), "MB")
    yield Row(f"{title}, as more rows of ten seeds", Spread.of([one.cpu for one in usages["rows"]]), unit="s")
    for by in ("seeds", "rows"):
        pairs = zip(usages[by], usages[f"few-{by}"], strict=True)
        exponents = [math.log(large.cpu / small.cpu, copies / few) for large, small in pairs]
        yield Row(f"exponent of a board's time in its {by}", Spread.of(exponents), Goal(LINEAR))


def published(root: Path, copies: int, *, by: str) -> int:
    """A published folder of the suite's records again and again, by seeds or by methods; how many there are."""
    folder = root / "records" / SUITE
    folder.mkdir(parents=True)
    originals = [TrialRecord.from_file(file) for file in sorted(PUBLISHED.glob("*.json"))]
    shutil.copytree(PUBLISHED / "test", folder / "test")  # the layouts of test splits, which records name
    for number in range(copies):
        for original in originals:
            record = renamed(original, number, by) if number else original
            (folder / f"{record.id}.json").write_text(record.to_text(), encoding="utf-8")
    return copies * len(originals)


def renamed(record: TrialRecord, copies: int, by: str) -> TrialRecord:
    body = {**record.body, "trial": canonical.digest([record.id, copies])}
    if by == "seeds":
        body["seed"] += 1000 * copies
    else:
        body["method"] += f"-{copies}"
    return TrialRecord(body, record.measured)


def board(root: Path) -> Usage:
    return used(benchbias("leaderboard", SUITE, "--records", root), ROOT)


def plan(folder: Path, trials: int, rounds: int) -> Row:
    config = folder / "growth.toml"
    seeds = min(SEEDS, trials)
    decays = ", ".join(f"{1e-4 * (number + 1):.6f}" for number in range(trials // seeds))
    config.write_text(CONFIG.format(decays=decays, seeds=seeds), encoding="utf-8")
    command = benchbias("plan", "-s", "growth", "--config", config, "-o", folder / "results")
    found = Spread.of([used(command, ROOT).cpu for _ in range(rounds)])
    return Row(f"a plan of {trials:,} trials", found, Goal(6), "s")
