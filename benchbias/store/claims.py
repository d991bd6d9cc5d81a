"""Claims: which process computes a stage at this moment. They save work; correctness does not rest on them.

A claim is a lock on a file (flock(2)) and ends with the process that holds it, however that ends. The file also says
who holds it, for a reader: nothing is decided by it, and no clock of another machine is compared with ours.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from benchbias.errors import StorageError, UsageError, plain
from benchbias.util import canonical
from benchbias.util.files import FILE_MODE, is_regular, lock, read_regular, storage_errors

MAX_BYTES = 4096
OF_ANOTHER = (errno.EACCES, errno.EPERM, errno.EROFS)  # a file of another user, or a disk that cannot be written


@contextlib.contextmanager
def claim(path: Path) -> Iterator[bool]:
    """Whether this process may compute a stage now; for as long as the context lasts.

    A fork inherits the claim: it must leave the context before it runs anything of a plugin. Raises StorageError.
    """
    with storage_errors("cannot claim a stage"):
        descriptor = _opened(path)
    try:
        if mine := lock(descriptor):
            _sign(descriptor)
        yield mine
    finally:
        with contextlib.suppress(OSError):  # the lock is free by then
            os.close(descriptor)


def claimed(path: Path) -> bool:
    """Whether some process is computing a stage at this moment. Raises StorageError."""
    with storage_errors("cannot ask for a claim"):
        if not is_regular(path):
            return False
        descriptor = _opened(path)
    try:
        return not lock(descriptor, fcntl.LOCK_SH)  # shared: to ask is no claim, and several may ask at once
    finally:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def _opened(path: Path) -> int:
    """Open the file of a claim; that of another user may be readable alone, which is enough to lock it."""
    flags = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | flags, FILE_MODE)
    except OSError as error:
        if error.errno not in OF_ANOTHER or not is_regular(path):
            raise
        descriptor = os.open(path, os.O_RDONLY | flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise StorageError(f"cannot claim a stage: {path} is not a plain file: remove it")
    return descriptor


def _sign(descriptor: int) -> None:
    """Note who holds the claim, as far as the file may be written."""
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    text = canonical.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}).encode()
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text + b"\n", 0)


def holder(path: Path) -> str:
    """Who holds a claim, in words: process, machine, since when by its own clock; as far as its file says so."""
    try:
        told = canonical.loads(read_regular(path, MAX_BYTES))
        pid, host, since = (told[name] for name in ("pid", "host", "since"))
    except (OSError, StorageError, UsageError, KeyError, TypeError):
        return "another process"
    if not isinstance(pid, int) or isinstance(pid, bool):
        return "another process"
    state = _state(pid) if host == socket.gethostname() else "unknown"
    if state is None:
        return "another process"  # who signed is gone, and its successor could not sign
    stopped = ", which is stopped" if state == "T" else ""
    return plain(f"process {pid} on {host!s:.64}, since {since!s:.32} by its clock{stopped}")


def _state(pid: int) -> str | None:
    """The state of a process of this machine, as /proc has it (T: stopped); None where there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return None if Path("/proc/self").exists() else "unknown"
    except (OSError, IndexError):
        return "unknown"
