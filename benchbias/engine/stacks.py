"""The stages of a stack: all of it is computed where one of its stages is asked for, and what is missing is stored."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from benchbias.engine.planned import stack_of
from benchbias.errors import ChangedError, DamagedError, StorageError
from benchbias.store.store import Store

if TYPE_CHECKING:
    from benchbias.stages.job import Made
    from benchbias.training.baton import Together

Make = Callable[[str, "Together"], "Made"]
Taken = Callable[[], "Made"]


class Clock:
    """The time that a product takes: seconds, and seconds of the CPU."""

    def __init__(self) -> None:
        self._began, self._cpu = time.monotonic(), time.process_time()
        self._share: tuple[float, float] | None = None

    def read(self) -> tuple[float, float]:
        """The time since the clock was made; once it is stopped, a share of the time until then."""
        return self._share or (time.monotonic() - self._began, time.process_time() - self._cpu)

    def stop(self, shares: int) -> None:
        """Stop it: the time is that of so many stages, in equal shares."""
        seconds, cpu = self.read()
        self._share = (seconds / shares, cpu / shares)


def ended(key: str) -> str:
    """The name in `Job.shared` under which stands how a stage of a stack has ended, before its turn."""
    return f"ended:{key}"


def made_together(store: Store, plan: Mapping[str, Any], key: str, make: Make) -> dict[str, Taken]:
    """For each stage of a stack a function that returns its product, or raises what has ended it.

    A stage that rests on one which has failed is left out. Raises DamagedError where a parent is gone otherwise, and
    what is no stage's own fault, such as a disk's.
    """
    from benchbias.training.baton import run_together

    keys = [mate for mate in stack_of(plan, key) if mate == key or not _rests_on_failed(store, plan, mate)]
    for parent in (parent for mate in keys for parent in plan["stages"][mate]["inputs"]["parents"].values()):
        if not store.has(parent):
            raise DamagedError("the product of a parent of its stack is gone; run again to make it anew")
    try:
        outcomes = run_together([_task(make, mate) for mate in keys])
    except Exception as error:  # of all together, such as too little memory
        return dict.fromkeys(keys, _taken(error))
    for outcome in outcomes:
        if isinstance(outcome, StorageError | ChangedError):
            raise outcome
    return {mate: _taken(outcome) for mate, outcome in zip(keys, outcomes, strict=True)}


def _task(make: Make, key: str) -> Callable[[Together], Made]:
    return lambda together: make(key, together)


def _taken(outcome: Made | BaseException) -> Taken:
    def take() -> Made:
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    return take


def _rests_on_failed(store: Store, plan: Mapping[str, Any], key: str) -> bool:
    """Whether a stage rests on one that has failed."""
    for parent in plan["stages"][key]["inputs"]["parents"].values():
        if not store.has(parent) and (store.attempts(parent) or _rests_on_failed(store, plan, parent)):
            return True
    return False
