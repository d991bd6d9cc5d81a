"""Smoke runs that are killed in the middle of stages, cheaply: forks of a process that has imported torch already.

A warm run is the command line itself, `benchbias run` in a session of its own, with its engine and its workers. Only
what starts a new interpreter differs: the run and its engine are forked, so a round costs no second import of torch.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from benchbias.plan.environment import worker_environment
from support import ROOT

SURVIVE_SECONDS = 5.0
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


def engines(out: Path) -> list[int]:
    """The engine and its workers; the engine is the first."""
    return sorted(pid for pid, words in processes(out).items() if "benchbias.engine" in words)


def survivors(out: Path, seconds: float = SURVIVE_SECONDS, *, but: int = 0) -> dict[int, str]:
    """What is still alive after some seconds; returns at once when nothing is."""
    end = time.monotonic() + seconds
    while (alive := {pid: words for pid, words in processes(out).items() if pid != but}) and time.monotonic() < end:
        time.sleep(0.02)
    return alive


def committed(out: Path) -> set[str]:
    return {path.stem for path in out.glob("objects/*/*.json")}


def claims(out: Path) -> set[str]:
    with contextlib.suppress(FileNotFoundError):
        return set(os.listdir(out / "claims"))  # noqa: PTH208  (fast)
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


def kill_command(out: Path, pid: int, but: int = 0) -> None:
    """Only the command's own process, which must leave nothing alive."""
    os.kill(pid, signal.SIGKILL)


def kill_everything(out: Path, pid: int, but: int = 0) -> None:
    """Every process at once, as a scheduler or a lack of memory does."""
    os.killpg(pid, signal.SIGKILL)
    for other in processes(out):
        if other != but:
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
    but: int = 0,
    seed: int = 20,
) -> Killed:
    """Start a run and kill it, again and again, at the n-th stage that it starts.

    Half of the kills end every process, half the command alone. Nothing may stay alive, no product that was committed
    may go or be computed again. `begin` starts a run; `wait` waits for its end and gives its exit code. but: a process
    that is named like the run's and is not one of them.
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
            (kill_command, kill_everything)[found.kills % 2](out, runner.pid, but)
            running = claims(out) - committed(out)
            found.kills += 1
            found.in_flight += bool(running)
            found.cut += len(running)
        else:
            found.finished += 1
            assert found.finished <= kills, "most runs end before they are killed"
        assert wait(runner) == (-signal.SIGKILL if fired else 0)
        assert survivors(out, but=but) == {}, f"after {found}"
        assert not claims(out) & done, "a stage that was committed was started again"
        assert done <= committed(out), "a committed product is gone"
        assert all(path.stat().st_mtime_ns == when for path, when in before.items())
    assert found.in_flight >= kills // 2, "the kills hit no stage"
    assert found.cut >= kills // 2
    return found


@dataclass
class Warm:
    """A process that forks runs of the command line, one at a time."""

    out: Path
    process: subprocess.Popen[str]

    def start(self, *arguments: str) -> WarmRun:
        """Start a command; it goes on until it ends or is killed."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(arguments) + "\n")
        self.process.stdin.flush()
        return WarmRun(self._said(), self)

    def call(self, *arguments: str) -> int:
        """Run a command to its end; its exit code is returned."""
        return self.start(*arguments).wait()

    def _said(self) -> int:
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())


@dataclass
class WarmRun:
    """A fork of the warm process that is `benchbias run`."""

    pid: int
    warm: Warm

    def poll(self) -> int | None:
        """Whether it has ended; its exit code comes from `wait`."""
        try:
            state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return 0
        return 0 if state == "Z" else None

    def wait(self) -> int:
        return self.warm._said()


@contextlib.contextmanager
def warm(out: Path) -> Iterator[Warm]:
    """A warm process for runs into one results folder, which its command line names, as those of its forks do."""
    path = os.pathsep.join([str(ROOT / "tests"), str(ROOT), str(ROOT / "plugins"), *sys.path[1:]])
    process = subprocess.Popen(
        [sys.executable, "-c", "from support import killing; killing.serve()", str(out)],
        cwd=out.parent,
        env=worker_environment(os.environ) | {"PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Warm(out, process)
    finally:
        process.kill()
        process.communicate()


def serve() -> None:
    """In the warm process: fork a run for each line of arguments, tell its number, wait, tell how it ended."""
    from benchbias.engine.warm import preload

    preload()
    for name in ("benchbias.cli", "benchbias.runner.api", "benchbias.cli.console"):
        importlib.import_module(name)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _become(json.loads(line))
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def _become(arguments: list[str]) -> None:
    """Be `benchbias` with these arguments, in a session of its own, silently."""
    from benchbias import cli
    from benchbias.engine import local

    code = 70
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for target in (0, 1):
            os.dup2(null, target)
        subprocess_like = type("subprocess", (), {**vars(subprocess), "Popen": _Forked})
        local.subprocess = subprocess_like  # type: ignore[assignment]
        sys.argv = ["benchbias", *arguments]
        cli.main()
    except SystemExit as ending:
        code = int(ending.code or 0)
    finally:
        os._exit(code)


class _Forked:
    """Stands in for the subprocess.Popen that starts the engine: a fork with the same arguments, pipes and session."""

    def __init__(self, command: list[str], stdin: int, stdout: int, stderr: Any, **_: Any) -> None:
        from benchbias.engine import __main__ as engine

        (inner_in, outer_in), (outer_out, inner_out) = os.pipe(), os.pipe()
        self.pid = os.fork()
        self.returncode: int | None = None
        if self.pid == 0:
            try:
                os.setsid()
                for source, target in ((inner_in, 0), (inner_out, 1), (stderr.fileno(), 2)):
                    os.dup2(source, target)
                for extra in (inner_in, outer_in, outer_out, inner_out):
                    os.close(extra)
                sys.argv = command[3:]
                engine.main()
            finally:
                os._exit(0)
        os.close(inner_in)
        os.close(inner_out)
        self.stdin, self.stdout = os.fdopen(outer_in, "wb"), os.fdopen(outer_out, "rb")

    def wait(self, timeout: float = 0) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
