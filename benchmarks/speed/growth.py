"""Large boards and plans: CPU seconds and memory of 10,000 records and of 30,000 trials, and how a board grows.

Records are copies of a published suite's, under other seeds or under other methods. Finished trials are those of one
small suite: one is computed, and its products stand for all others.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchbias.records.trial import TrialRecord
from benchbias.util import canonical

from ..growth import SUITE as CONFIG
from ..growth import fill
from .rows import Goal, Row, Setting
from .timing import Spread, Usage, benchbias, used

ROOT = Path(__file__).parent.parent.parent
PUBLISHED, SUITE = ROOT / "leaderboard/records/spurious-small", "spurious-small"
COPIES, FEW_COPIES = 34, 8  # of 300 records
PLANNED, FINISHED = 30_000, 10_000
SEEDS = 100  # of the suite in growth.py
LINEAR = 1.1  # an exponent that is linear, with what noise adds


def rows(setting: Setting) -> Iterator[Row]:
    copies, few, planned, finished = (2, 1, 300, 200) if setting.quick else (COPIES, FEW_COPIES, PLANNED, FINISHED)
    with tempfile.TemporaryDirectory() as folder:
        yield from boards(Path(folder), copies, few, setting.rounds)
        yield plan(Path(folder), planned, setting.rounds)
        yield from again(Path(folder), finished, setting.rounds)


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


def configured(file: Path, trials: int) -> Path:
    """The tables of a suite of so many trials, as a file."""
    decays = ", ".join(f"{1e-4 * (number + 1):.6f}" for number in range(trials // SEEDS))
    file.write_text(CONFIG.format(decays=decays), encoding="utf-8")
    return file


def plan(folder: Path, trials: int, rounds: int) -> Row:
    config = configured(folder / "planned.toml", trials)
    command = benchbias("plan", "-s", "growth", "--config", config, "-o", folder / "results")
    found = Spread.of([used(command, ROOT).cpu for _ in range(rounds)])
    return Row(f"a plan of {trials:,} trials", found, Goal(6), "s")


def again(folder: Path, trials: int, rounds: int) -> Iterator[Row]:
    """`run` and `status` where so many trials are finished, and nothing is left to do."""
    config, results = configured(folder / "finished.toml", trials), folder / "finished"
    suite = ("-s", "growth", "--config", config, "-o", results)
    command = benchbias("run", *suite, "-q")
    used([*command, "--set", "growing.decay=0.0001", "--seeds", "1"], ROOT)
    fill(config, results)
    used(command, ROOT)  # writes the records
    for name, told in (("run", command), ("status", benchbias("status", *suite))):
        usages = [used(told, ROOT) for _ in range(rounds)]
        title = f"`{name}` over {trials:,} finished trials"
        yield Row(title, Spread.of([one.cpu for one in usages]), unit="s")
        yield Row(f"memory of {title}", Spread.of([one.memory for one in usages]), unit="MB")
