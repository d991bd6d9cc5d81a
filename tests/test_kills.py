"""A run that is killed again and again, in the middle of stages, ends as if nothing had happened.

Twelve SIGKILLs at the n-th stage that a round starts: half end every process of the run at once (as a scheduler or a
lack of memory does), half only the command's own process, which must leave nothing alive. No product that was
committed is ever computed again, and the last, undisturbed run gives the bytes of a run that was never killed.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from conftest import tree

KILLS = 12
MAX_ROUNDS = 30
SURVIVE_SECONDS = 5.0
START_SECONDS = 120.0


def start(out: Path, *arguments: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """A smoke run in a session of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "benchbias", "run", "-s", "smoke", "-o", str(out), "-q", *arguments],
        cwd=out.parent,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def processes(out: Path) -> dict[int, str]:
    """The living processes that name this results folder: the command, the engine, its workers (forks of it)."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if str(out) in words:
                found[int(folder.name)] = " ".join(words)
    return found


def engines(out: Path) -> list[int]:
    """The engine and its workers; the engine is the first."""
    return sorted(pid for pid, words in processes(out).items() if "benchbias.engine" in words)


def survivors(out: Path, seconds: float = SURVIVE_SECONDS) -> dict[int, str]:
    """What is still alive after some seconds; returns at once when nothing is."""
    end = time.monotonic() + seconds
    while (alive := processes(out)) and time.monotonic() < end:
        time.sleep(0.02)
    return alive


def committed(out: Path) -> set[str]:
    return {path.stem for path in out.glob("objects/*/*.json")}


def claims(out: Path) -> set[str]:
    with contextlib.suppress(FileNotFoundError):
        return set(os.listdir(out / "claims"))  # noqa: PTH208  (fast)
    return set()


def wait_for_claims(out: Path, count: int, runner: subprocess.Popen[str]) -> bool:
    """Wait for the n-th stage that starts; False where the run ends before."""
    end = time.monotonic() + START_SECONDS
    while len(claims(out)) < count:
        if runner.poll() is not None:
            return False
        assert time.monotonic() < end, "the run starts no stage"
        time.sleep(0.001)
    return True


def forget_claims(out: Path) -> None:
    """As `clean` does: so that every claim of the next round is a stage that was started in it."""
    for name in claims(out):
        (out / "claims" / name).unlink()


def kill_command(out: Path, runner: subprocess.Popen[str]) -> None:
    os.kill(runner.pid, signal.SIGKILL)


def kill_everything(out: Path, runner: subprocess.Popen[str]) -> None:
    os.killpg(runner.pid, signal.SIGKILL)
    for pid in processes(out):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_twelve_kills_leave_no_process_and_change_no_byte(
    smoke: Path, tmp_path: Path, cli: Callable[..., subprocess.CompletedProcess[str]]
):
    chance = random.Random(20)
    out = tmp_path / "results"
    stages = len(committed(smoke))
    kills = in_flight = cut = 0
    for number in range(MAX_ROUNDS):
        if kills == KILLS:
            break
        done = committed(out)
        if len(done) > stages // 2:  # finished, or nearly: lose a random half to go on
            for key in chance.sample(sorted(done), stages // 2):
                (out / "objects" / key[:2] / f"{key}.json").unlink()
            done = committed(out)
        forget_claims(out)
        before = {path: path.stat().st_mtime_ns for path in out.glob("measured/*/*.json") if path.stem in done}
        runner = start(out, "-j", "2")
        fired = wait_for_claims(out, chance.randint(1, 8), runner)
        if fired:
            kill = (kill_command, kill_everything)[kills % 2]
            kill(out, runner)
            running = claims(out) - committed(out)
            kills += 1
            in_flight += bool(running)
            cut += len(running)
        runner.communicate()
        assert runner.returncode == (-signal.SIGKILL if fired else 0)
        assert survivors(out) == {}, f"round {number}"
        assert not claims(out) & done, "a stage that was committed was started again"
        assert done <= committed(out), "a committed product is gone"
        assert all(path.stat().st_mtime_ns == when for path, when in before.items())
    assert kills == KILLS
    assert in_flight >= KILLS // 2, "the kills hit no stage"
    assert cut >= KILLS // 2

    last = cli("run", "-s", "smoke", "-o", str(out), "-j", "2", "-q", cwd=tmp_path)
    assert (last.returncode, last.stderr) == (0, "")
    assert tree(out) == tree(smoke)
    assert not list((out / "quarantine").iterdir())
    assert not list((out / "attempts").iterdir()), "a kill was noted as a failure of a stage"
    cleaned = cli("clean", "-o", str(out), cwd=tmp_path)
    assert cleaned.returncode == 0
    assert not list((out / "tmp").iterdir())
    assert tree(out) == tree(smoke)
