"""The progress of a run: the time that is left by the work that is left, and failures that are told every time."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchbias.cli.console import Lines, Pace, reporter
from benchbias.plan.trials import Plan, Selection
from benchbias.runner.workspace import Workspace

SECONDS = {"data": 30.0, "init": 0.1, "prune": 0.5, "predict": 1.0, "score": 0.2}


@pytest.fixture(scope="module")
def plan(plugin_cache: Path) -> Plan:
    return Workspace.open(quiet=True).plan("smoke", Selection())


def seconds_of(stage) -> float:
    """A data stage is long, and comes first: by the number of stages alone the rest would be said to take hours."""
    return SECONDS[stage.kind] if stage.kind != "train" else 2.0 * (int(stage.inputs["recipe"]["epochs"]) + 1)


def said(pace: Pace, now: float) -> float | None:
    found = re.fullmatch(r", about (\d+) s left", pace.text(now))
    return float(found[1]) if found else None


@pytest.mark.parametrize("jobs", [1, 4])
def test_the_time_left_is_told_right_or_not_at_all(plan: Plan, jobs: int):
    """Stages take what their kind takes; `jobs` run at once; starting the engine takes 100 s."""
    pace = Pace(plan, plan.stages)
    assert pace.text(0.0) == ""
    now = 100.0
    free = [now] * jobs  # when each worker is free again
    ends = []
    for stage in plan.stages.values():  # parents before children
        worker = free.index(min(free))
        free[worker] += seconds_of(stage)
        ends.append((free[worker], stage))
    told = []
    for now, stage in sorted(ends, key=lambda end: end[0]):
        pace.ended(stage, seconds_of(stage), now)
        estimate, truth = said(pace, now), max(free) - now
        if estimate is not None:
            told.append(estimate)
            alone = sum(seconds_of(stage) for end, stage in ends if end > now)
            assert alone / jobs - 1 <= estimate <= alone + 1
            assert jobs > 1 or abs(estimate - truth) <= 1
    assert 0 < len(told) < len(plan.stages), "not before every kind that is left was met"
    assert told[-1] == 0


def test_nothing_is_told_of_a_kind_that_was_not_met(plan: Plan):
    trains = [key for key, stage in plan.stages.items() if stage.kind == "train"]
    others = [key for key, stage in plan.stages.items() if stage.kind == "score"]
    pace = Pace(plan, [*trains, *others])
    for key in trains[:-1]:
        pace.ended(plan.stages[key], 1.0, 1.0)
    assert pace.text(2.0) == ""
    pace.ended(plan.stages[others[0]], 1.0, 2.0)
    assert said(pace, 2.0) is not None


def test_lines_say_no_time_before_it_is_known(plan: Plan, capsys: pytest.CaptureFixture[str], monkeypatch):
    monkeypatch.setattr("benchbias.cli.console.LINE_SECONDS", -1.0)
    shown = reporter(0)
    assert isinstance(shown, Lines)
    shown.begin(plan, 0, plan.stages)
    first = next(iter(plan.stages.values()))
    shown.stage(first, "done", 30.0, "")
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == f"[1/{len(plan.stages)}] 0 failed"


BOOM = '''
import benchbias

def boom(model, data, context):
    """Explode."""
    raise RuntimeError("out of order")

@benchbias.hookimpl
def benchbias_pruners():
    return {"boom": boom}
'''


def test_a_failure_is_told_by_every_run(cli, tmp_path: Path):
    (tmp_path / "boom.py").write_text(BOOM)
    arguments = ("run", "-s", "smoke", "-m", "boom", "--seed", "0", "--plugin", "boom.py", "-j", "1")
    for more in ("-q", "-q", "--json", "-v"):
        done = cli(*arguments, more, cwd=tmp_path)
        assert done.returncode == 1
        told = [line for line in done.stderr.splitlines() if "RuntimeError: out of order" in line]
        assert told, more
        assert bool(done.stdout) == (more != "-q")
