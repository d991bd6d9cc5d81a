"""A run that is killed again and again, in the middle of stages, ends as if nothing had happened.

SIGKILLs at the n-th stage that a round starts: half end every process of the run at once (as a scheduler or a
lack of memory does), half only the command's own process, which must leave nothing alive. No product that was
committed is ever computed again, and the last, undisturbed run gives the bytes of a run that was never killed.
A few of them hit runs in interpreters of their own, the rest forks of a warm one (see support/warm.py); `python
benchmarks/kills.py --kills 1000` makes more.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from support.killing import campaign, committed, start
from support.running import tree
from support.warm import Forked, Server


def ended(runner: subprocess.Popen[str]) -> int:
    runner.communicate()
    return runner.returncode


@pytest.mark.parametrize(("cold", "warm"), [(0, 6), pytest.param(4, 56, marks=pytest.mark.slow)])
def test_kills_leave_no_process_and_change_no_byte(
    smoke: Path,
    tmp_path: Path,
    server: Server,
    cli: Callable[..., subprocess.CompletedProcess[str]],
    cold: int,
    warm: int,
):
    out = tmp_path / "results"
    stages = len(committed(smoke))
    campaign(out, cold, stages, lambda: start(out, "-j", "2"), ended)
    command = ("run", "-s", "smoke", "-o", str(out), "-j", "2", "-q")
    campaign(out, warm, stages, lambda: server.start(*command), Forked.wait)
    last = cli(*command, cwd=tmp_path)
    assert (last.returncode, last.stderr) == (0, "")
    assert tree(out) == tree(smoke)
    assert not list((out / "quarantine").iterdir())
    assert not list((out / "attempts").iterdir()), "a kill was noted as a failure of a stage"
    cleaned = cli("clean", "-o", str(out), cwd=tmp_path)
    assert cleaned.returncode == 0
    assert not list((out / "tmp").iterdir())
    assert tree(out) == tree(smoke)
