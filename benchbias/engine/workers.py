"""The workers of an engine: forked, given stages in turn, watched, ended with all that they leave behind."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import TextIO

from benchbias.engine.base import BUSY, GIB, STORAGE, Ended, handed_back
from benchbias.engine.log import Log
from benchbias.engine.process import Batch, Process, Session, Turn
from benchbias.errors import StorageError
from benchbias.store.store import Store
from benchbias.util.processes import end_children, family, held_bytes, kill, kill_group

MEMORY_SECONDS = 0.2  # between two looks at the memory that stages hold
IDLE_SECONDS = 5.0  # that a worker of a card waits for a stage before it ends


@dataclass(frozen=True)
class Limits:
    """Limits of one stage: seconds, and GiB of memory of all its processes together (0: no limit)."""

    seconds: float
    memory: float = 0.0


class Slots:
    """Slots of cards, `per_card` on each; a process has one as long as it lives."""

    def __init__(self, cards: Sequence[str], per_card: int) -> None:
        self._free = deque(card for _ in range(per_card) for card in cards)  # the first ones on different cards

    @property
    def free(self) -> bool:
        """Whether a slot is free."""
        return bool(self._free)

    def take(self) -> str:
        """The card of a free slot, which is taken by it."""
        return self._free.popleft()

    def give_back(self, card: str) -> None:
        """Free the slot of a process that is dead."""
        self._free.append(card)


class Workers:
    """The workers of an engine.

    alone: whether a stage must have a process of its own. slots: the places on cards; None where every batch has a
    new process at once. size: how many stages are computed where one is asked for, and have their time together.
    """

    def __init__(
        self,
        store: Store,
        session: Callable[[], Session],
        limits: Limits,
        out: TextIO,
        *,
        alone: Callable[[str], bool] = lambda key: False,
        slots: Slots | None = None,
        size: Callable[[str], int] = lambda key: 1,
    ) -> None:
        self.store, self.session, self.limits, self.out = store, session, limits, out
        self.alone, self.slots, self.size = alone, slots, size
        self.processes: dict[int, Process] = {}
        self.waiting: deque[Batch] = deque()  # for a slot
        self._measured = 0.0

    def submit(self, keys: Sequence[str], *, claim: bool = True) -> None:
        """Give stages to one process, as soon as there is room."""
        self.waiting.append(Batch(deque(keys), claim))
        self._begin()

    def _begin(self) -> None:
        """Begin what waits, as far as there is room."""
        while self.waiting:
            alone = self.alone(self.waiting[0].keys[0])
            idle = next((process for process in self.processes.values() if process.idle), None)
            if self.slots is not None and not self.slots.free and (idle is None or alone):
                if idle is not None:
                    idle.dismiss()  # its slot is free once it is dead
                return
            batch = self.waiting.popleft()
            turn = self._claimed(batch)
            if turn is None:
                continue
            if idle is not None and not alone:
                idle.batch = batch
                idle.order(turn)
            else:
                self._fork(turn, batch, alone=alone)

    def _fork(self, turn: Turn, batch: Batch, *, alone: bool) -> None:
        card = self.slots.take() if self.slots is not None else None
        if alone:
            self._hand_back(batch)
        process = Process(turn, batch, lasts=card is not None and not alone, card=card)
        process.fork(self.session, self.processes.values(), [self.out.fileno()])
        self.processes[process.pid] = process

    def _claimed(self, batch: Batch) -> Turn | None:
        """The turn of a batch's next stage; None where it is claimed by another run or its claim cannot be asked for.

        Then the rest is handed back: it may rest on it.
        """
        key, held = batch.keys.popleft(), ExitStack()
        try:
            if not batch.claim or held.enter_context(self.store.claim(key)):
                return Turn(key, Log(self.store.log_path(key)), held)
            held.close()
            self._tell(Ended(key, BUSY, None, timed_out=False, seconds=0.0))
        except StorageError as error:
            self._tell(Ended(key, STORAGE, None, timed_out=False, seconds=0.0, message=str(error)))
        self._hand_back(batch)
        return None

    def readers(self) -> list[int]:
        """The descriptors at which answers and the output of workers arrive."""
        return [descriptor for process in self.processes.values() for descriptor in process.heard]

    def drain(self) -> None:
        """Take what the workers have printed."""
        for process in self.processes.values():
            process.drain()

    def reap(self) -> None:
        """Report every stage that has ended, give its worker the next one, and end those over their time or memory."""
        for process in self.processes.values():
            if (code := process.answered()) is not None:
                self._go_on(process, code)
        self._end_late()
        self._end_large()
        for pid, process in list(self.processes.items()):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                self._settle(process, status)
        self._begin()

    def _go_on(self, process: Process, code: int) -> None:
        """A worker has ended a stage and waits for the next: it has left nothing behind. code: how it has ended."""
        process.drain()
        self._end_turn(process, code << 8)  # as a process's status has it
        batch = process.batch
        if batch.keys and self.alone(batch.keys[0]):
            self._hand_back(batch)
        turn = self._claimed(batch) if batch.keys else None
        if turn is not None:
            process.order(turn)
        elif not process.lasts:
            process.dismiss()

    def _end_late(self) -> None:
        now = time.monotonic()
        for pid, process in self.processes.items():
            turn = process.turn
            late = turn is not None and now - turn.started > self.limits.seconds * self.size(turn.key)
            if turn is not None and late and not turn.timed_out:
                turn.timed_out = True
                kill(pid)
            if process.idle and now - process.idle_since > IDLE_SECONDS and not self.waiting:
                process.dismiss()

    def _end_large(self) -> None:
        now = time.monotonic()
        if not self.limits.memory or now - self._measured < MEMORY_SECONDS:
            return
        self._measured = now
        for pid, process in self.processes.items():
            turn = process.turn
            if turn is None or turn.memory is not None:
                continue
            held = held_bytes(family(pid))
            if held > self.limits.memory * GIB:
                turn.memory = held
                kill(pid)

    def _settle(self, process: Process, status: int) -> None:
        """A worker is dead: so is, before anyone hears of it, all that it has started."""
        kill_group(process.pid)
        del self.processes[process.pid]
        end_children(self.processes)
        process.drain()
        self._end_turn(process, status)
        self._hand_back(process.batch)
        process.close()
        if self.slots is not None and process.card is not None:
            self.slots.give_back(process.card)

    def _end_turn(self, process: Process, status: int) -> None:
        """Report the stage that a worker was at; status: of its process; where that goes on, as if it had ended."""
        turn, slip = process.turn, process.slip
        process.turn, process.idle_since = None, time.monotonic()
        if turn is None:
            return
        turn.log.close()
        turn.claim.close()
        stopped = turn.timed_out or turn.memory is not None
        if not slip.begun and not stopped:  # the worker died before it took it up
            self._tell(handed_back(turn.key))
            return
        killed = os.WIFSIGNALED(status)
        code = None if killed else os.WEXITSTATUS(status)
        self._tell(
            Ended(
                key=turn.key,
                exit_code=code,
                signal=os.WTERMSIG(status) if killed else None,
                timed_out=turn.timed_out,
                seconds=time.monotonic() - turn.started,
                memory=turn.memory,
                said=code is not None and slip.said(code),
                doing=slip.doing(),
            )
        )

    def _hand_back(self, batch: Batch) -> None:
        """Give back the stages of a batch that were not begun: no failure of theirs."""
        while batch.keys:
            self._tell(handed_back(batch.keys.popleft()))

    def _tell(self, ended: Ended) -> None:
        print(json.dumps(asdict(ended)), file=self.out, flush=True)

    def cancel(self) -> None:
        """End all workers; `reap` reports them. What waits is handed back."""
        while self.waiting:
            self._hand_back(self.waiting.popleft())
        for pid in self.processes:
            kill(pid)

    def close(self) -> None:
        """End all workers and whatever they have started; nobody is told."""
        for pid in self.processes:
            kill(pid)
        ended = list(self.processes.values())
        self.processes.clear()
        end_children()
        for process in ended:
            if process.turn is not None:
                process.turn.claim.close()
