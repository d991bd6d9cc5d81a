"""A worker: a forked process that is given one stage after another, as long as it is as good as a new one."""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Protocol

from benchbias.engine.base import FAILED
from benchbias.engine.log import Log
from benchbias.util.processes import adopt_orphans, die_with_parent

BUG = 70
SIZE = 4096
MAX_TEXT = 500
BEGUN = 1  # in the first byte; above it are exit codes
CHUNK_BYTES = 1 << 16
CHUNKS = 64  # read at a time, so that no stage keeps the engine from its other work
DONE, NOTED = b".", b"!"
"""A worker's answers where it goes on: the stage is done, or has failed with its mates and that is noted."""
LINE_BYTES = 256  # an order is shorter


class Session(Protocol):
    """The work of one process: stages, one after another."""

    def run(self, key: str, note: Callable[[str], None], *, more: bool) -> int:
        """Run a stage; its exit code is returned. `note` is told which component is called.

        more: whether another one may follow.
        """
        ...

    def stays(self, key: str, code: int) -> bool:
        """Whether the process may go on after a stage that has ended so."""
        ...

    def ready_for_more(self) -> bool:
        """Whether the next stage would find the process as a new one finds it."""
        ...


class Slip:
    """A page of memory that the engine shares with a worker, so that one that dies has still said what it called.

    It also holds whether the stage was begun, and the exit code that the worker itself chose: a component that ends the
    process with one of the engine's own codes is not believed. It is of one stage at a time: that of the worker.
    """

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, SIZE)

    def clear(self) -> None:
        """Forget the stage before: the engine calls it before it gives the next one."""
        self._page[:3] = bytes(3)

    def begin(self) -> None:
        """Note that the worker has taken the stage up."""
        self._page[0] = BEGUN

    @property
    def begun(self) -> bool:
        """Whether the worker has taken the stage up."""
        return self._page[0] != 0

    def write(self, doing: str) -> None:
        """Note what the worker is calling."""
        text = doing.encode(errors="replace")[:MAX_TEXT]
        self._page[1:3] = len(text).to_bytes(2, "big")
        self._page[3 : 3 + len(text)] = text

    def say(self, code: int) -> None:
        """Note the exit code that the worker is about to end the stage with."""
        self._page[0] = BEGUN + 1 + code

    def said(self, code: int) -> bool:
        """Whether the worker chose this exit code."""
        return self._page[0] == BEGUN + 1 + code

    def doing(self) -> str:
        """The last note of what the worker was calling."""
        length = int.from_bytes(self._page[1:3], "big")
        return self._page[3 : 3 + min(length, MAX_TEXT)].decode(errors="replace")

    def close(self) -> None:
        self._page.close()


@dataclass
class Batch:
    """Stages that one process is to run in this order; `keys` are those that it has not begun."""

    keys: deque[str]
    claim: bool


@dataclass
class Turn:
    """A stage that a process is at."""

    key: str
    log: Log
    claim: ExitStack
    started: float = field(default_factory=time.monotonic)
    timed_out: bool = False
    memory: int | None = None  # at which it was stopped


class Process:
    """The engine's side of a worker, and the worker's own.

    orders: pipe to the worker, a line a stage. answers: pipe from it, a byte for each stage that it has ended while it
    goes on. output: pipe of all that it prints. lasts: whether it waits for more when its batch is done. card: the one
    whose slot it has.
    """

    def __init__(self, turn: Turn, batch: Batch, *, lasts: bool, card: str | None = None) -> None:
        self.turn: Turn | None = turn
        self.batch, self.lasts, self.card = batch, lasts, card
        self.slip = Slip()
        self.pid = 0
        self.idle_since = 0.0
        self._their_orders, self.orders = os.pipe()
        self.answers, self._their_answers = os.pipe()
        self.output, self._their_output = os.pipe()
        for reader in (self.answers, self.output):
            os.set_blocking(reader, False)
        self.heard = {self.answers, self.output}  # whose writers have not closed them
        self.slip.begin()  # the first stage: there is no order that it may not have taken

    # in the engine

    def fork(self, session: Callable[[], Session], others: Iterable[Process], close: Sequence[int]) -> None:
        """Fork the worker. It closes `close` and what the engine holds of other workers."""
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            self._be_worker(session, parent, others, close)
        for descriptor in self._theirs:
            os.close(descriptor)
        with contextlib.suppress(OSError):
            os.setpgid(self.pid, self.pid)

    @property
    def _theirs(self) -> tuple[int, int, int]:
        return self._their_orders, self._their_answers, self._their_output

    @property
    def idle(self) -> bool:
        """Whether the worker waits for a stage."""
        return self.turn is None and self.orders >= 0

    @property
    def more(self) -> bool:
        """Whether the worker is to wait for another stage after the one that it is at."""
        return self.lasts or bool(self.batch.keys)

    def order(self, turn: Turn) -> None:
        """Give the worker its next stage. One that has died meanwhile does not take it up."""
        self.slip.clear()
        self.turn = turn
        with contextlib.suppress(OSError):
            os.write(self.orders, f"{turn.key} {int(self.more)}\n".encode())

    def answered(self) -> int | None:
        """The exit code of the stage that the worker has ended, if it waits for the next one."""
        if self.answers not in self.heard:
            return None
        with contextlib.suppress(BlockingIOError):
            told = os.read(self.answers, 1)
            if not told:
                self.heard.discard(self.answers)
            return {DONE: 0, NOTED: FAILED}.get(told)
        return None

    def drain(self) -> None:
        """Take what the worker has printed since; output that is of no stage is dropped."""
        for _ in range(CHUNKS):
            if self.output not in self.heard:
                return
            try:
                chunk = os.read(self.output, CHUNK_BYTES)
            except BlockingIOError:
                return
            if not chunk:
                self.heard.discard(self.output)
            elif self.turn is not None:
                self.turn.log.take(chunk)

    def dismiss(self) -> None:
        """Let the worker end: it has no stage, and gets none."""
        with contextlib.suppress(OSError):
            os.close(self.orders)
        self.orders = -1

    def close(self) -> None:
        """Give back what the engine holds of a worker that is dead."""
        self.slip.close()
        for descriptor in (self.orders, self.answers, self.output):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    # in the worker

    def leave(self) -> None:
        """Close, in the fork of another worker, what the engine holds of this one: it keeps the claim."""
        for descriptor in (self.orders, self.answers, self.output):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        if self.turn is not None:
            self.turn.claim.close()

    def _be_worker(
        self, session: Callable[[], Session], parent: int, others: Iterable[Process], close: Sequence[int]
    ) -> None:
        """Be the worker: its own process group and output, no way to the engine but its pipes; never returns."""
        code = BUG
        try:
            os.setpgid(0, 0)
            die_with_parent(parent)
            adopt_orphans()  # so that what it starts stays its own as long as it lives
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            null = os.open(os.devnull, os.O_RDONLY)
            for source, target in ((null, 0), (self._their_output, 1), (self._their_output, 2)):
                os.dup2(source, target)
            for descriptor in (null, self._their_output, *close):
                os.close(descriptor)
            for process in (self, *others):
                process.leave()
            if self.card is not None:
                os.environ["CUDA_VISIBLE_DEVICES"] = self.card
            code = self._work(session())
        finally:
            os._exit(code)

    def _work(self, session: Session) -> int:
        """Run stages until there are no more, or the next one would not find what a new process finds."""
        assert self.turn is not None
        key, more = self.turn.key, self.more
        while True:
            if not more:  # the last one, or a stranger's: it has no way to the engine
                os.close(self._their_orders)
                os.close(self._their_answers)
            code = session.run(key, self.slip.write, more=more)
            sys.stdout.flush()
            sys.stderr.flush()
            stays = more and session.stays(key, code) and session.ready_for_more()
            self.slip.say(code)
            if not stays:
                return code
            os.write(self._their_answers, NOTED if code else DONE)
            order = os.read(self._their_orders, LINE_BYTES).decode().split()
            if not order:
                return 0
            self.slip.begin()
            key, more = order[0], order[1] == "1"
