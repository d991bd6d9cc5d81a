"""Smoke runs that are killed in the middle of stages, and what is left of them."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

SURVIVE_SECONDS = 30.0  # a busy machine takes its time
START_SECONDS = 120.0


class Run(Protocol):
    """A run that goes on; as subprocess.Popen says it."""

    pid: int

    def poll(self) -> int | None: ...


def processes(out: Path) -> dict[int, str]:
    """The living processes that name this results folder: the command, the engine, its workers (forks of it)."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if str(out) in words:
                found[int(folder.name)] = " ".join(words)
    return found


def start(out: Path, *arguments: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """A smoke run in a session of its own, which heeds interruptions even where the tests run in the background."""
    return subprocess.Popen(
        [sys.executable, "-m", "benchbias", "run", "-s", "smoke", "-o", str(out), "-q", *arguments],
        cwd=out.parent,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's `&` leaves it ignored
    )


def engines(out: Path) -> list[int]:
    """The engine and its workers; the engine is the first."""
    return sorted(pid for pid, words in processes(out).items() if "benchbias.engine.supervisor" in words)


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
        return set(os.listdir(out / "claims")) - {"run"}  # noqa: PTH208  (fast; `run` says that some run is alive)
    return set()


def wait_for_claims(out: Path, count: int, runner: Run) -> bool:
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


def kill_command(out: Path, pid: int) -> None:
    """Only the command's own process, which must leave nothing alive."""
    os.kill(pid, signal.SIGKILL)


def kill_everything(out: Path, pid: int) -> None:
    """Every process at once, as a scheduler or a lack of memory does."""
    os.killpg(pid, signal.SIGKILL)
    for other in processes(out):
        with contextlib.suppress(ProcessLookupError):
            os.kill(other, signal.SIGKILL)


@dataclass
class Killed:
    """What the kills of a campaign hit."""

    kills: int = 0
    in_flight: int = 0
    cut: int = 0
    finished: int = 0


def campaign(
    out: Path,
    kills: int,
    stages: int,
    begin: Callable[[], Any],
    wait: Callable[[Any], int],
    *,
    seed: int = 20,
) -> Killed:
    """Start a run and kill it, again and again, at the n-th stage that it starts.

    Half of the kills end every process, half the command alone. Nothing may stay alive, no product that was committed
    may go or be computed again. `begin` starts a run; `wait` waits for its end and gives its exit code.
    """
    chance, found = random.Random(seed), Killed()
    while found.kills < kills:
        done = committed(out)
        if len(done) > stages // 2:  # finished, or nearly: lose a random half to go on
            for key in chance.sample(sorted(done), stages // 2):
                (out / "objects" / key[:2] / f"{key}.json").unlink()
            done = committed(out)
        forget_claims(out)
        before = {path: path.stat().st_mtime_ns for path in out.glob("measured/*/*.json") if path.stem in done}
        runner = begin()
        fired = wait_for_claims(out, chance.randint(1, 8), runner)
        if fired:
            (kill_command, kill_everything)[found.kills % 2](out, runner.pid)
            running = claims(out) - committed(out)
            found.kills += 1
            found.in_flight += bool(running)
            found.cut += len(running)
        else:
            found.finished += 1
            assert found.finished <= kills, "most runs end before they are killed"
        assert wait(runner) == (-signal.SIGKILL if fired else 0)
        assert survivors(out) == {}, f"after {found}"
        assert not claims(out) & done, "a stage that was committed was started again"
        assert done <= committed(out), "a committed product is gone"
        assert all(path.stat().st_mtime_ns == when for path, when in before.items())
    assert found.in_flight >= kills // 2, "the kills hit no stage"
    assert found.cut >= kills // 2
    return found
