"""The log of a stage: its output as a file; of a long one the beginning and the end."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from benchbias.util.files import FILE_MODE

HEAD_BYTES = 1 << 20  # of the file; what follows is left out, but for
TAIL_BYTES = 64 << 10


class Log:
    """The output of one stage. Its file appears with the first byte."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.left_out = 0
        self._tail = bytearray()
        self._room: int | None = None

    def take(self, chunk: bytes) -> None:
        """Keep what the stage has printed."""
        if self._room is None:
            self._room = max(HEAD_BYTES - self._size(), 0)
        head, rest = chunk[: self._room], chunk[self._room :]
        self._room -= len(head)
        self._append(head)
        self._tail += rest
        over = max(len(self._tail) - TAIL_BYTES, 0)
        self.left_out += over
        del self._tail[:over]

    def _size(self) -> int:
        with contextlib.suppress(OSError):
            return self.path.lstat().st_size
        return 0

    def _append(self, text: bytes) -> None:
        """Write to the log, if it is a plain file: a pipe in its place would keep the engine waiting."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        if text:
            with contextlib.suppress(OSError):  # a full disk stops the stage itself
                descriptor = os.open(self.path, flags, FILE_MODE)
                with os.fdopen(descriptor, "ab") as file:
                    if stat.S_ISREG(os.fstat(descriptor).st_mode):
                        file.write(text)

    def close(self) -> None:
        """Write the end of what was too long."""
        if self.left_out:
            self._append(f"\n[benchbias: {self.left_out:,} bytes of output are left out here]\n".encode())
        self._append(bytes(self._tail))
