"""The contract of an engine: submit, poll, cancel, close.

An engine is handed stage keys and returns nothing but "it ended", or "it was not begun": whether a stage is done, only
the store says.
It retries nothing. What it sends to a worker is keys and the path of the plan: no pickled closures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

GIB = 1 << 30
TIMEOUT_SECONDS = 3600.0  # that a stage may take, and that one of another run is waited for


@dataclass(frozen=True)
class Ended:
    """A submitted stage has ended: how, after how long. `exit_code` and `signal` are those of its process.

    memory: the bytes at which it was stopped, where it was. said: whether the worker itself chose the exit code; a
    component can end the process with any. doing: the component that was called last. message: what the engine says of
    a fault of its own. returned: why it is handed back, as if it had not been submitted; empty where it has ended. That
    is no failure, whatever became of the process that was to run it.
    """

    key: str
    exit_code: int | None
    signal: int | None
    timed_out: bool
    seconds: float
    memory: int | None = None
    said: bool = True
    doing: str = ""
    message: str = ""
    returned: str = ""

    @property
    def word(self) -> int | None:
        """The exit code by which the worker says how it ended; None where it could not say."""
        return self.exit_code if self.said else None

    @property
    def kind(self) -> str:
        """The kind of its end (memory, timeout, signal, changed, exit), for a stage that left no note itself."""
        if self.memory is not None:
            return "memory"
        if self.word == CHANGED:
            return "changed"
        return "timeout" if self.timed_out else "signal" if self.signal is not None else "exit"

    @property
    def reason(self) -> str:
        """How the process ended, in words; for a stage that left no product and noted no failure of its own."""
        return f"{self._how} ({self.doing})" if self.doing else self._how

    @property
    def _how(self) -> str:
        if self.memory is not None:
            return f"it was stopped at {self.memory / GIB:.2f} GiB of memory (see --memory)"
        if self.timed_out:
            return f"it was stopped after {self.seconds:.0f} s (see --timeout)"
        if self.signal is not None:
            return f"its process was ended by signal {self.signal}"
        if self.word == CHANGED:
            return "sources or packages looked changed to its process"
        return f"its process ended with exit code {self.exit_code} and left no product"


def handed_back(key: str, why: str = "not begun") -> Ended:
    """A stage that is handed back: the process that was to run it ended before."""
    return Ended(key, None, None, timed_out=False, seconds=0.0, returned=why)


# Exit codes by which a worker says how it ended
FAILED = 71  # it noted a failure
DAMAGED = 72  # a product that it reads was damaged and is gone
STORAGE = 74  # it could not write
BUSY = 75  # another run has claimed the stage
CHANGED = 76  # what its key names is no longer what runs here


class Engine(Protocol):
    """Runs stages somewhere."""

    def submit(self, keys: Sequence[str], *, claim: bool = True) -> None:
        """Start one process for these stages, in this order.

        Parents are in the store, or before their children in `keys`. Each stage ends as soon as it is done. One that
        does not end well, or after which its process is not as good as new, is the last of its process: the later
        ones are handed back. claim: end them as BUSY where another run computes them; else compute them all the same.
        """

    def poll(self, seconds: float) -> list[Ended]:
        """Stages that have ended since the last call, waiting at most `seconds` for one. Raises EngineError."""
        ...

    def cancel(self) -> None:
        """End all running stages."""

    def close(self) -> None:
        """End everything and wait for it."""
