"""The contract of an engine: submit, poll, cancel, close.

An engine is handed stage keys and returns nothing but "it ended": whether a stage is done, only the store says.
It retries nothing. What it sends to a worker is keys and the path of the plan: no pickled closures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Ended:
    """A submitted stage has ended: how, after how long. `exit_code` and `signal` are those of its process."""

    key: str
    exit_code: int | None
    signal: int | None
    timed_out: bool
    seconds: float

    @property
    def reason(self) -> str:
        """How the process ended, in words; for a stage that left no product and noted no failure of its own."""
        if self.timed_out:
            return f"it was stopped after {self.seconds:.0f} s (see --timeout)"
        if self.signal is not None:
            return f"its process was ended by signal {self.signal}"
        return f"its process ended with exit code {self.exit_code} and left no product"


# Exit codes of a worker, none of which a plugin is likely to end a process with
FAILED = 71  # it noted a failure
DAMAGED = 72  # a product that it reads was damaged and is gone
STORAGE = 74  # it could not write
BUSY = 75  # another run has claimed the stage


class Engine(Protocol):
    """Runs stages somewhere."""

    def submit(self, keys: Sequence[str]) -> None:
        """Start stages (each in its own process) whose parents are all in the store."""

    def poll(self, seconds: float) -> list[Ended]:
        """Stages that have ended since the last call, waiting at most `seconds` for one. Raises EngineError."""
        ...

    def cancel(self) -> None:
        """End all running stages."""

    def close(self) -> None:
        """End everything and wait for it."""
