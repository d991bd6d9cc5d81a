"""The stamp of a file: another one once the file was written to, or is another file."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

Stamp = tuple[int, ...] | None


def stamp_of(path: str | Path) -> Stamp:
    """The identity, size and times of a file or folder; None where it cannot be opened.

    It is opened, and not only asked for: a file system of another machine looks there then. No program can set the time
    of the last change of what the file system knows of a file. A write through a mapping (mmap) is the exception: to a
    page that waits to be written already it changes no time, until the system writes that page.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            found = os.fstat(descriptor)
        finally:
            with contextlib.suppress(OSError):  # nothing was written: nothing can be lost
                os.close(descriptor)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns
