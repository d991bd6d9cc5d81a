"""Notes beside products may say anything: no score rests on them, and none of them ends a command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchbias.plan.trials import Plan
from benchbias.records.trial import TrialRecord
from benchbias.runner.workspace import Workspace
from benchbias.store.store import Store
from support.running import tree

Cli = Callable[..., subprocess.CompletedProcess[str]]

MEASURED: list[Any] = [
    {"seconds": "fast", "cpu_seconds": [], "peak_memory_bytes": {}, "system": ["x"], "benchbias": None, "commit": 7},
    {"seconds": True, "cpu_seconds": -1, "peak_memory_bytes": 1e300, "system": "s" * 50_000, "python": {}},
    {"schema": 2, "made": "by a newer benchbias"},
    [],
    None,
]
ATTEMPTS: list[Any] = [
    {"status": "exploded", "kind": ["exception"], "reason": {"a": 1}, "traceback": 7},
    {"status": "failed", "kind": "exception", "reason": "x" * 100_000, "traceback": "\x1b[2J"},
    {"schema": 2},
    [],
]


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Workspace.open(quiet=True).plan("smoke")


@pytest.fixture
def out(smoke: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(smoke, tmp_path / "results"))


def test_measurements_that_are_none_count_as_nothing(out: Path, smoke: Path, plan: Plan, cli: Cli):
    paths = sorted((out / "measured").glob("*/*.json"))
    for number, path in enumerate(paths):
        path.write_text(json.dumps(MEASURED[number % len(MEASURED)]))
    done = cli("run", "-s", "smoke", "-o", str(out), "-q", cwd=out.parent)
    assert (done.returncode, done.stderr) == (0, "")
    boards = "leaderboards/smoke.md"
    found, expected = tree(out), tree(smoke)
    assert found.pop(boards).splitlines()[3:] == expected.pop(boards).splitlines()[3:], "the head names the code"
    assert found == expected
    for path in (out / "records" / "smoke").glob("*.json"):
        assert TrialRecord.from_file(path).measured["seconds"] == 0
    logs = cli("logs", plan.trials[0].id, "-s", "smoke", "-o", str(out), cwd=out.parent)
    assert (logs.returncode, logs.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("note", ATTEMPTS, ids=["odd", "long", "newer", "list"])
def test_failures_that_are_none_end_no_command(out: Path, plan: Plan, cli: Cli, note: Any):
    trial = next(trial for trial in plan.trials if trial.method == "random")
    key = trial.stages[-1]
    Store(out).object_path(key).unlink()
    (out / "attempts" / key).mkdir()
    (out / "attempts" / key / "0000-0.json").write_text(json.dumps(note))
    os.mkfifo(out / "attempts" / key / "0001-0.json")
    os.mkfifo(out / "attempts" / f"{key}.log")
    for verb in (("status",), ("logs", trial.id), ("run", "-q")):
        done = cli(*verb, "-s", "smoke", "-o", str(out), cwd=out.parent)
        assert done.returncode in (0, 1), done.stderr
        assert "Traceback (most" not in done.stderr
        assert "\x1b" not in done.stdout + done.stderr
    decided = isinstance(note, dict) and note.get("kind") == "exception"
    assert done.returncode == int(decided)
    assert Store(out).has(key) != decided
