"""Speed as ratios in one run: ours against bare loops, the peers' own packages, and an older commit.

Each part runs in a process of its own, on one thread; its calls are interleaved in rounds, and their CPU time is
compared. A part that cannot be measured says why, and the others go on.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchbias.keys.environment import worker_environment

from .circumstances import circumstances
from .page import Measured, block, put_in, read, spread_text, write
from .parts import PARTS, Part, part
from .rows import Row

ROOT = Path(__file__).parent.parent.parent
PAGE, MEASURED = ROOT / "docs/performance.md", Path(__file__).parent / "measured.json"
QUICK_ROUNDS = 2
PART_SECONDS = 4 * 3600


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    names = [one.name for one in PARTS]
    parser.add_argument("--only", nargs="+", choices=names, metavar="PART", help=f"these parts: {', '.join(names)}")
    parser.add_argument("--rounds", type=int, help="rounds of every part (default: each part's own)")
    parser.add_argument(
        "--quick", action="store_true", help="small sizes: tries every part out, the values say nothing"
    )
    parser.add_argument("--against", default="", metavar="COMMIT", help="compare the default suite with this commit")
    parser.add_argument("--write", action="store_true", help="put the values into docs/performance.md")
    given = parser.parse_args(arguments)
    if given.quick and given.write:
        parser.error("--quick values say nothing: they are not written")
    if given.rounds is not None and given.rounds < 1:
        parser.error("--rounds: at least 1")
    return given


def environment(one: Part) -> dict[str, str]:
    """One thread everywhere; for our own loops, everything that a stage's process has."""
    if one.worker:
        return worker_environment(os.environ)
    return os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def measure(one: Part, given: argparse.Namespace) -> list[Row]:
    """A part's rows, from a process of its own; what kills that process is a row too."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.jsonl"
        rounds = given.rounds or (QUICK_ROUNDS if given.quick else one.rounds)
        command = [sys.executable, "-m", f"{__package__}.measure", one.name, one.title]
        command += ["--rounds", str(rounds), "--against", given.against, "--to", str(file)]
        command += ["--quick"] if given.quick else []
        try:
            code = subprocess.run(command, cwd=ROOT, env=environment(one), timeout=PART_SECONDS, check=False).returncode
            ended = f"its process ended with {code}" if code else ""
        except subprocess.TimeoutExpired:
            ended = f"it took more than {PART_SECONDS // 3600} hours"
        lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    rows = [Row.of_json(json.loads(line)) for line in lines]
    return [*rows, Row(one.title, note=f"failed: {ended}")] if ended else rows


def show(one: Part, rows: Sequence[Row]) -> None:
    print(f"{one.title} ({one.name})")
    for row in rows:
        goal = f"  goal {'>=' if row.goal.at_least else '<='} {row.goal.limit:.3g}" if row.goal else ""
        note = f"  [{row.note}]" if row.note else ""
        print(f"  {row.what:62s} {spread_text(row.spread, row.unit)}{goal}  {row.verdict}{note}", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    given = options(arguments)
    found: dict[str, Measured] = {}
    for one in [part(name) for name in given.only] if given.only else PARTS:
        where = circumstances()
        rows = measure(one, given)
        show(one, rows)
        found[one.name] = Measured(rows, where)
    if given.write:
        everything = {**read(MEASURED), **found}
        write(MEASURED, {one.name: everything[one.name] for one in PARTS if one.name in everything})
        PAGE.write_text(put_in(PAGE.read_text(encoding="utf-8"), block(everything)), encoding="utf-8")
    if any(row.note.startswith("failed:") for one in found.values() for row in one.rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
