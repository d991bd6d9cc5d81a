"""The engine's own process: imports torch once, then forks one worker for each stage it is told to run.

It reads one JSON line a command from standard input ({"submit": [key, ...]} or {"cancel": true}) and writes one JSON
line for each stage that has ended. It ends with its parent: on end of input it kills its workers, and on Linux
the kernel kills it, and the workers after it, however the parent dies.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from benchbias.engine.base import STORAGE
from benchbias.store import Store

PR_SET_PDEATHSIG = 1
POLL_SECONDS = 0.005
BUG = 70


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent dies (Linux; elsewhere end of input must do)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the call
        os._exit(1)


@dataclass
class _Running:
    key: str
    started: float
    timed_out: bool = False


class _Supervisor:
    """Forks workers, reaps them, ends those that take too long."""

    def __init__(self, store: Store, run: Callable[[str], int], timeout: float, out: TextIO) -> None:
        self.store, self.run, self.timeout, self.out = store, run, timeout, out
        self.running: dict[int, _Running] = {}

    def start(self, key: str) -> None:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._worker(key, parent)
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)
        self.running[pid] = _Running(key, time.monotonic())

    def _worker(self, key: str, parent: int) -> None:
        """In the child: its own process group, its own log; never returns."""
        code = BUG
        try:
            os.setpgid(0, 0)
            die_with_parent(parent)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            log = self.store.root / "attempts" / f"{key}.log"
            code = STORAGE  # if the log cannot be written, products cannot either
            descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o644)
            code = BUG
            null = os.open(os.devnull, os.O_RDONLY)
            for source, target in ((null, 0), (descriptor, 1), (descriptor, 2)):
                os.dup2(source, target)
            code = self.run(key)
            sys.stdout.flush()
            sys.stderr.flush()
            if log.stat().st_size == 0:
                log.unlink()
        finally:
            os._exit(code)

    def reap(self) -> None:
        """Report every worker that has ended, and end those over their time."""
        now = time.monotonic()
        for pid, running in list(self.running.items()):
            if not running.timed_out and now - running.started > self.timeout:
                running.timed_out = True
                self._kill(pid)
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                self._kill(pid)  # whatever the stage left behind in its group
                del self.running[pid]
                self._report(running, status)

    def _report(self, running: _Running, status: int) -> None:
        killed = os.WIFSIGNALED(status)
        event: dict[str, Any] = {
            "key": running.key,
            "exit_code": None if killed else os.WEXITSTATUS(status),
            "signal": os.WTERMSIG(status) if killed else None,
            "timed_out": running.timed_out,
            "seconds": time.monotonic() - running.started,
        }
        print(json.dumps(event), file=self.out, flush=True)

    def _kill(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)

    def kill_all(self) -> None:
        for pid in self.running:
            self._kill(pid)


def serve(store: Store, run: Callable[[str], int], timeout: float, out: TextIO) -> None:
    """Obey commands until the input ends."""
    supervisor = _Supervisor(store, run, timeout, out)
    waiting = b""
    while True:
        readable, _, _ = select.select([0], [], [], POLL_SECONDS if supervisor.running else 1.0)
        if readable:
            chunk = os.read(0, 65536)
            if not chunk:
                supervisor.kill_all()
                return
            *lines, waiting = (waiting + chunk).split(b"\n")
            for line in lines:
                command = json.loads(line)
                for key in command.get("submit", ()):
                    supervisor.start(key)
                if command.get("cancel"):
                    supervisor.kill_all()
        supervisor.reap()


def main() -> None:
    die_with_parent(int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    store, timeout = Store(Path(sys.argv[2])), float(sys.argv[4])
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    plan = json.loads(Path(sys.argv[3]).read_bytes())
    from benchbias.engine.warm import preload

    preload()
    from benchbias.engine.worker import run_stage

    print(json.dumps({"ready": True}), file=out, flush=True)
    serve(store, lambda key: run_stage(store, plan, key), timeout, out)


if __name__ == "__main__":
    main()
