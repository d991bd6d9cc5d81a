"""Trainers that run side by side, one at a time, so that what they ask of `fit` is trained at once.

Each has a thread. A baton is handed on where a trainer asks for a training, and where it ends: no two ever run at the
same time. Global streams of random numbers are each one's own. What torch keeps by thread is so anyway.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

import torch

from benchbias.training.fit import FitReport, fit
from benchbias.training.population import Member, Trained, outcomes_of

T = TypeVar("T")


class Together:
    """The place where one trainer has its trainings done, with those of its mates; alone where it has none.

    why: why a training was not done with others, the first reason. most: how many were trained at once, at most.
    """

    def __init__(self, ask: Callable[[Member], Trained]) -> None:
        self._ask = ask
        self.most, self.why = 1, ""

    def fit(self, member: Member) -> FitReport:
        """Train a member as `fit` does. Raises what `fit` raises."""
        trained = self._ask(member)
        self.most = max(self.most, trained.together)
        self.why = self.why or trained.why
        return trained.report


@dataclass
class _Runner(Generic[T]):
    """One trainer in its thread. request: what it asks for, while it waits; outcome: of all of it."""

    streams: tuple[Any, ...]
    resume: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    thread: threading.Thread | None = None
    request: Member | None = None
    answer: Trained | BaseException | None = None
    outcome: list[T | BaseException] = field(default_factory=list)

    @contextmanager
    def own_streams(self) -> Iterator[None]:
        """Give the block this runner's global streams of random numbers, and keep what it leaves."""
        others = _streams()
        _put(self.streams)
        try:
            yield
        finally:
            self.streams = _streams()
            _put(others)


def run_together(tasks: Sequence[Callable[[Together], T]]) -> list[T | BaseException]:
    """The outcome of each task: what it returns, or raises. Requests that all who still run have made are done at once.

    Where one has no memory left none has an outcome of its own: then that error is raised.
    """
    halted = threading.Semaphore(0)
    runners: list[_Runner[T]] = [_Runner(_streams()) for _ in tasks]
    for runner, task in zip(runners, tasks, strict=True):
        runner.thread = threading.Thread(target=_live, args=(runner, task, halted), daemon=True)
        runner.thread.start()
    while running := [runner for runner in runners if not runner.outcome]:
        for runner in running:
            with runner.own_streams():
                runner.resume.release()
                halted.acquire()
        parked = [(runner, runner.request) for runner in running if runner.request is not None]
        wanted = [replace(request, streams=runner.own_streams) for runner, request in parked]
        for (runner, _), answer in zip(parked, outcomes_of(wanted), strict=True):
            runner.request, runner.answer = None, answer
    for runner in runners:
        assert runner.thread is not None
        runner.thread.join()
    found = [runner.outcome[0] for runner in runners]
    for one in found:
        if isinstance(one, MemoryError | torch.OutOfMemoryError):
            raise one
    return found


def _live(runner: _Runner[T], task: Callable[[Together], T], halted: threading.Semaphore) -> None:
    """Run a task in its thread, whenever it has the baton."""

    def ask(member: Member) -> Trained:
        if threading.current_thread() is not runner.thread:  # a training inside another's: there is nobody to wait for
            return Trained(fit(**member.arguments), why="it is asked for inside another training")
        runner.request = member
        halted.release()
        runner.resume.acquire()
        if isinstance(runner.answer, Trained):
            return runner.answer
        assert runner.answer is not None
        raise runner.answer

    runner.resume.acquire()
    try:
        runner.outcome.append(task(Together(ask)))
    except BaseException as error:  # whatever ends a trainer is its own
        runner.outcome.append(error)
    finally:
        halted.release()


def _streams() -> tuple[Any, ...]:
    """The states of the global streams: python's, numpy's, torch's."""
    import numpy as np

    cards = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    return random.getstate(), np.random.get_state(), torch.default_generator.get_state(), cards


def _put(states: tuple[Any, ...]) -> None:
    import numpy as np

    python, numpy, cpu, cards = states
    random.setstate(python)
    np.random.set_state(numpy)
    torch.default_generator.set_state(cpu)
    if cards:
        torch.cuda.set_rng_state_all(cards)
