"""Put a component's process back as it was, before the core writes what the component has made."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from collections.abc import Iterator

STANDARD = (0, 1, 2)
ABOVE = 64  # where the spare descriptors lie


@contextlib.contextmanager
def process_kept() -> Iterator[None]:
    """Put back the working directory, the umask, where packages are found, and the standard descriptors.

    A file that is opened would take the number of a descriptor that is closed.
    """
    places = list(sys.path), list(sys.meta_path)
    folder = os.open(".", os.O_RDONLY | os.O_CLOEXEC)
    umask = os.umask(0)
    os.umask(umask)
    spare = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, ABOVE) for number in STANDARD]
    try:
        yield
    finally:
        os.umask(umask)
        sys.path[:], sys.meta_path[:] = places
        for kept, number in zip(spare, STANDARD, strict=True):
            with contextlib.suppress(OSError):  # where the spare ones are closed too, there is no log
                os.dup2(kept, number)
        _fill()
        with contextlib.suppress(OSError):
            os.fchdir(folder)
        for kept in (folder, *spare):
            with contextlib.suppress(OSError):
                os.close(kept)


def _fill() -> None:
    """Take every standard number that is still closed."""
    while (taken := os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)) in STANDARD:
        pass
    os.close(taken)
