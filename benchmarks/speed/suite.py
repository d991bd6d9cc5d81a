"""CPU seconds of the default suite as it is, over those at an older commit; both must give the same board."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from .checkout import ROOT, board, bodies, installed, worktree
from .rows import Absent, Goal, Row, Setting
from .timing import benchbias, ratios, used

SEEDS = 2


def rows(setting: Setting) -> Iterator[Row]:
    if not setting.against:
        raise Absent("name an older commit with --against COMMIT")
    suite, seeds = ("smoke", 1) if setting.quick else ("spurious-small", SEEDS)
    with worktree(setting.against) as old, tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        environments = {
            "now": installed(ROOT, scratch / "now"),
            "before": installed(old, scratch / "before"),
        }
        found = run_both(environments, suite, seeds, setting.rounds, scratch)
        require_same(scratch, suite)
    spread = ratios(found, "now", "before")
    note = "the same board and the same bodies of all records"
    yield Row(f"{suite}, {seeds} seeds, over commit {setting.against}", spread, Goal(0.72), note=note)


def run_both(
    environments: Mapping[str, Mapping[str, str]], suite: str, seeds: int, rounds: int, scratch: Path
) -> dict[str, list[float]]:
    """CPU seconds of each round; the results of the last one stay in the scratch folder."""
    found: dict[str, list[float]] = {name: [] for name in environments}
    for environment in environments.values():  # the first command reads the plugins
        used(benchbias("ls"), scratch, environment)
    for number in range(rounds):
        for name in environments if number % 2 == 0 else reversed(list(environments)):
            results = scratch / f"results-{name}-{number}"
            command = benchbias("run", "-s", suite, "--seeds", seeds, "--jobs", 1, "-o", results, "-q")
            found[name].append(used(command, scratch, environments[name]).cpu)
    return found


def require_same(scratch: Path, suite: str) -> None:
    """Raises Absent where the first round's boards or records differ: then the times would not compare."""
    now, before = scratch / "results-now-0", scratch / "results-before-0"
    if board(now, suite) != board(before, suite):
        raise Absent("the two boards differ: the times of different results do not compare")
    one, other = bodies(now, suite), bodies(before, suite)
    if one != other:
        differing = [trial[:12] for trial in sorted({*one, *other}) if one.get(trial) != other.get(trial)]
        raise Absent(f"the bodies of {len(differing)} records differ, e.g. {differing[0]}")
