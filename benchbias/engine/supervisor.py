"""The engine's own process: imports torch once, then forks one worker for each stage that it is told to run.

It reads one JSON line a command from standard input ({"submit": [key, ...], "claim": true} or {"cancel": true}) and
writes one JSON line for each stage that has ended. It holds the claims of stages itself: no component has them, nor
what a component leaves behind. It reaps workers, ends one that takes too much time or memory, and all it leaves
behind. It ends with its parent, however that dies: on end of input, or when the kernel says so, it ends its workers and
all that they have started. Killed itself, it takes its workers with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from benchbias.engine.base import BUSY, GIB, STORAGE, Ended
from benchbias.engine.log import Log
from benchbias.engine.slip import Slip
from benchbias.errors import StorageError
from benchbias.keys.unchanged import first_refusal
from benchbias.store.store import Store
from benchbias.util.packages import spare_broken_distributions
from benchbias.util.processes import adopt_orphans, die_with_parent, end_children, family, held_bytes, kill, kill_group

MEMORY_SECONDS = 0.2  # between two looks at the memory that stages hold
POLL_SECONDS = 0.005
IDLE_SECONDS = 1.0
BUG = 70

Run = Callable[[str, Slip], int]
"""Runs the stage of a key, notes what it calls, and returns the exit code of its process."""


@dataclass(frozen=True)
class Limits:
    """Limits of one stage: seconds, and GiB of memory of all its processes together (0: no limit)."""

    seconds: float
    memory: float = 0.0


@dataclass
class _Running:
    key: str
    started: float
    log: Log
    slip: Slip
    claim: ExitStack
    timed_out: bool = False
    memory: int | None = None  # at which it was stopped


class Supervisor:
    """The workers of an engine."""

    def __init__(self, store: Store, run: Run, limits: Limits, out: TextIO) -> None:
        self.store, self.run, self.limits, self.out = store, run, limits, out
        self.running: dict[int, _Running] = {}
        self._measured = 0.0

    def start(self, key: str, *, claim: bool = True) -> None:
        """Fork a worker for a stage, unless it is claimed by another run or its claim cannot be asked for."""
        held = ExitStack()
        try:
            if claim and not held.enter_context(self.store.claim(key)):
                held.close()
                self._tell(Ended(key, BUSY, None, timed_out=False, seconds=0.0))
                return
        except StorageError as error:
            self._tell(Ended(key, STORAGE, None, timed_out=False, seconds=0.0, message=str(error)))
            return
        parent = os.getpid()
        running = _Running(key, time.monotonic(), Log(self.store.log_path(key)), Slip(), held)
        pid = os.fork()
        if pid == 0:
            self._worker(running, parent)
        os.close(running.log.writer)
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)
        self.running[pid] = running

    def _worker(self, running: _Running, parent: int) -> None:
        """Work in the child: its own process group, its own log, no way to the engine; never returns."""
        code = BUG
        try:
            os.setpgid(0, 0)
            die_with_parent(parent)
            adopt_orphans()  # so that what it starts stays its own as long as it lives
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            null = os.open(os.devnull, os.O_RDONLY)
            for source, target in ((null, 0), (running.log.writer, 1), (running.log.writer, 2)):
                os.dup2(source, target)
            for descriptor in (self.out.fileno(), null, *(other.log.reader for other in self.running.values())):
                os.close(descriptor)
            for claimed in (running, *self.running.values()):
                claimed.claim.close()  # ours of the descriptor: the engine keeps the claim
            os.close(running.log.writer)
            os.close(running.log.reader)
            code = self.run(running.key, running.slip)
            running.slip.say(code)
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)

    def readers(self) -> list[int]:
        """The descriptors at which the output of workers arrives."""
        return [running.log.reader for running in self.running.values() if running.log.open]

    def drain(self) -> None:
        """Take what the workers have printed."""
        for running in self.running.values():
            if running.log.open:
                running.log.drain()

    def reap(self) -> None:
        """Report every worker that has ended, and end those over their time or memory."""
        self._end_late()
        self._end_large()
        for pid, running in list(self.running.items()):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                self._settle(pid, running, status)

    def _end_late(self) -> None:
        now = time.monotonic()
        for pid, running in self.running.items():
            if not running.timed_out and now - running.started > self.limits.seconds:
                running.timed_out = True
                kill(pid)

    def _end_large(self) -> None:
        now = time.monotonic()
        if not self.limits.memory or now - self._measured < MEMORY_SECONDS:
            return
        self._measured = now
        for pid, running in self.running.items():
            held = held_bytes(family(pid))
            if held > self.limits.memory * GIB and running.memory is None:
                running.memory = held
                kill(pid)

    def _settle(self, pid: int, running: _Running, status: int) -> None:
        """A worker is dead: so is, before anyone hears of it, all that it has started."""
        kill_group(pid)
        del self.running[pid]
        end_children(self.running)
        running.log.close()
        running.claim.close()
        self._report(running, status)
        running.slip.close()

    def _report(self, running: _Running, status: int) -> None:
        killed = os.WIFSIGNALED(status)
        code = None if killed else os.WEXITSTATUS(status)
        ended = Ended(
            key=running.key,
            exit_code=code,
            signal=os.WTERMSIG(status) if killed else None,
            timed_out=running.timed_out,
            seconds=time.monotonic() - running.started,
            memory=running.memory,
            said=code is not None and running.slip.said(code),
            doing=running.slip.doing(),
        )
        self._tell(ended)

    def _tell(self, ended: Ended) -> None:
        print(json.dumps(asdict(ended)), file=self.out, flush=True)

    def kill_all(self) -> None:
        """End all workers; `reap` reports them."""
        for pid in self.running:
            kill(pid)

    def close(self) -> None:
        """End all workers and whatever they have started; nobody is told."""
        self.kill_all()
        ended = list(self.running.values())
        self.running.clear()
        end_children()
        for running in ended:
            running.claim.close()


def _serve(supervisor: Supervisor) -> None:
    """Obey commands until the input ends."""
    waiting = b""
    while True:
        seconds = POLL_SECONDS if supervisor.running else IDLE_SECONDS
        readable, _, _ = select.select([0, *supervisor.readers()], [], [], seconds)
        if 0 in readable:
            chunk = os.read(0, 65536)
            if not chunk:
                return
            *lines, waiting = (waiting + chunk).split(b"\n")
            for line in lines:
                command = json.loads(line)
                for key in command.get("submit", ()):
                    supervisor.start(key, claim=command.get("claim", True))
                if command.get("cancel"):
                    supervisor.kill_all()
        if readable:
            supervisor.drain()
        supervisor.reap()


def main() -> None:
    """Be the engine's process. Arguments: the process to end with, results, plan, seconds and GiB a stage may take."""
    parent = int(sys.argv[1])
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    results, plan_file = (Path(path).absolute() for path in sys.argv[2:4])  # a component may leave this folder
    store, limits = Store(results), Limits(float(sys.argv[4]), float(sys.argv[5]))
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    plan = json.loads(plan_file.read_bytes())
    spare_broken_distributions()
    _import_what_keys_name(plan, out)
    from benchbias.engine.worker import run_stage

    adopt_orphans()
    signal.signal(signal.SIGTERM, _leave)
    die_with_parent(parent, signal.SIGTERM)  # from here on there may be processes to end first
    print(json.dumps({"ready": True}), file=out, flush=True)
    supervisor = Supervisor(store, lambda key, slip: run_stage(store, plan, key, slip.write), limits, out)
    try:
        _serve(supervisor)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        supervisor.close()


def _import_what_keys_name(plan: Mapping[str, Any], out: TextIO) -> None:
    """Import what workers need, once; end this process where it is not what the plan's keys name.

    Before and after: sources that are as the keys say both times have been imported as the keys say.
    """
    from benchbias.engine.warm import preload

    inputs = [stage["inputs"] for stage in plan["stages"].values()]
    told = first_refusal(inputs)
    if told is None:
        preload()
        told = first_refusal(inputs)
    if told is not None:
        print(json.dumps({"changed": told}), file=out, flush=True)
        sys.exit(1)


def _leave(number: int, frame: object) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
