"""Whether a results folder is in use: runs hold a shared lock as long as they live, and `clean` asks for it alone."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from benchbias.errors import StorageError
from benchbias.store.store import Store
from benchbias.util.files import storage_errors

WAIT_SECONDS = 10.0  # of a run for a `clean` that is at work
STEP_SECONDS = 0.05


def _lock_file(root: Path) -> Path:
    return root / "claims" / "run"


@contextlib.contextmanager
def in_use(store: Store) -> Iterator[None]:
    """Make a results folder and hold it as one of its runs. Raises StorageError."""
    end = time.monotonic() + WAIT_SECONDS
    while (descriptor := _held(store)) is None:
        if time.monotonic() > end:
            raise StorageError(f"{store.root} is being cleaned: run again once `benchbias clean` has ended")
        time.sleep(STEP_SECONDS)
    try:
        yield
    finally:
        os.close(descriptor)


def _held(store: Store) -> int | None:
    """The shared lock of the file that the folder has now; None where somebody cleans, or has just done so."""
    file = _lock_file(store.create().root)
    with storage_errors(f"cannot use the results folder {store.root}"):
        descriptor = os.open(file, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), file.stat()):
                return descriptor
        except (BlockingIOError, FileNotFoundError):
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return None


@contextlib.contextmanager
def alone(root: Path) -> Iterator[bool]:
    """Whether no run uses a results folder; as long as this lasts none begins. Raises StorageError."""
    with contextlib.ExitStack() as stack:
        with storage_errors(f"cannot ask whether a run uses {root}"):
            try:
                descriptor = os.open(_lock_file(root), os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
            except OSError:
                if _lock_file(root).exists():
                    raise
                descriptor = os.open(root, os.O_RDONLY | os.O_CLOEXEC)  # it cannot be written: no run can begin
            stack.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                free = True
            except BlockingIOError:
                free = False
        yield free
