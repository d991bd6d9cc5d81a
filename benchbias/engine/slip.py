"""A page of memory that the engine shares with a worker, so that a worker that dies has still said what it called.

It also holds the exit code that the worker itself chose: a component that ends the process with one of the
engine's own codes is not believed.
"""

from __future__ import annotations

import mmap

SIZE = 4096
MAX_TEXT = 500


class Slip:
    """Written by one worker, read by the engine after its end."""

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, SIZE)

    def write(self, doing: str) -> None:
        """Note what the worker is calling."""
        text = doing.encode(errors="replace")[:MAX_TEXT]
        self._page[1:3] = len(text).to_bytes(2, "big")
        self._page[3 : 3 + len(text)] = text

    def say(self, code: int) -> None:
        """Note the exit code that the worker is about to end with."""
        self._page[0] = code + 1

    def said(self, code: int) -> bool:
        """Whether the worker chose this exit code."""
        return self._page[0] == code + 1

    def doing(self) -> str:
        """The last note of what the worker was calling."""
        length = int.from_bytes(self._page[1:3], "big")
        return self._page[3 : 3 + min(length, MAX_TEXT)].decode(errors="replace")

    def close(self) -> None:
        self._page.close()
