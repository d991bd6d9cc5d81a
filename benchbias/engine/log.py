"""The log of a stage: its output, taken from a pipe to a file; of a long one the beginning and the end."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from benchbias.util.files import FILE_MODE

HEAD_BYTES = 1 << 20  # of the file; what follows is left out, but for
TAIL_BYTES = 64 << 10
CHUNK_BYTES = 1 << 16
CHUNKS = 64  # read at a time, so that no stage keeps the engine from its other work


class Log:
    """The output of one stage. `writer` is the worker's end of the pipe; its file appears with the first byte."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        self.open = True
        self.left_out = 0
        self._tail = bytearray()
        self._room: int | None = None

    def drain(self) -> None:
        """Take what has been printed since."""
        for _ in range(CHUNKS):
            try:
                chunk = os.read(self.reader, CHUNK_BYTES)
            except BlockingIOError:
                return
            if not chunk:
                self.open = False  # every writer has closed it
                return
            self._take(chunk)

    def _take(self, chunk: bytes) -> None:
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
        """Take the rest, and write the end of what was too long."""
        if self.open:
            self.drain()
        if self.left_out:
            self._append(f"\n[benchbias: {self.left_out:,} bytes of output are left out here]\n".encode())
        self._append(bytes(self._tail))
        os.close(self.reader)
