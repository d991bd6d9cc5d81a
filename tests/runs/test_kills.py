"""A run that is killed again and again, in the middle of stages, ends as if nothing had happened.

Sixty SIGKILLs at the n-th stage that a round starts: half end every process of the run at once (as a scheduler or a
lack of memory does), half only the command's own process, which must leave nothing alive. No product that was
committed is ever computed again, and the last, undisturbed run gives the bytes of a run that was never killed.
Four of them hit runs in interpreters of their own, the rest forks of a warm one (see support/warm.py); `python
benchmarks/kills.py --kills 1000` makes more.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from support.killing import campaign, committed, start
from support.running import tree
from support.warm import Forked, Server

COLD, WARM = 4, 56


def ended(runner: subprocess.Popen[str]) -> int:
    runner.communicate()
    return runner.returncode


def test_kills_leave_no_process_and_change_no_byte(
    smoke: Path, tmp_path: Path, server: Server, cli: Callable[..., subprocess.CompletedProcess[str]]
):
    out = tmp_path / "results"
    stages = len(committed(smoke))
    campaign(out, COLD, stages, lambda: start(out, "-j", "2"), ended)
    campaign(
        out, WARM, stages, lambda: server.start("run", "-s", "smoke", "-o", str(out), "-j", "2", "-q"), Forked.wait
    )

    last = cli("run", "-s", "smoke", "-o", str(out), "-j", "2", "-q", cwd=tmp_path)
    assert (last.returncode, last.stderr) == (0, "")
    assert tree(out) == tree(smoke)
    assert not list((out / "quarantine").iterdir())
    assert not list((out / "attempts").iterdir()), "a kill was noted as a failure of a stage"
    cleaned = cli("clean", "-o", str(out), cwd=tmp_path)
    assert cleaned.returncode == 0
    assert not list((out / "tmp").iterdir())
    assert tree(out) == tree(smoke)
