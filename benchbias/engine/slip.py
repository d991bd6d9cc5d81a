"""A page of memory that the engine shares with a worker, so that a worker that dies has still said what it called.

It also holds whether the stage was begun, and the exit code that the worker itself chose: a component that ends the
process with one of the engine's own codes is not believed.
"""

from __future__ import annotations

import mmap

SIZE = 4096
MAX_TEXT = 500
BEGUN = 1  # in the first byte; above it are exit codes


class Slip:
    """Written by one worker, read by the engine. It is of one stage at a time: that which the worker is at."""

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
