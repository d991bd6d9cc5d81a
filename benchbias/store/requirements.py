"""The requirements of a results folder, tried when it is made and not when the first stage has been computed."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from benchbias.errors import StorageError, UsageError
from benchbias.util.files import FILE_MODE, link_new, sync_folder

LONGEST_BELOW = 200  # bytes of the longest path below a results folder
CHOOSE = "choose another results folder with -o"
OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EINTR, errno.EROFS)  # and not of what it can do


def check_name(root: Path) -> None:
    """Raises UsageError for a folder that safetensors could not open files in, or whose files had too long a path."""
    name = os.fsencode(root.absolute())
    try:
        same = str(root.absolute()).encode() == name
    except UnicodeEncodeError:  # Python's stand-in for a byte that is no text
        same = False
    if not same:
        shown = name.decode(errors="replace")
        raise UsageError(
            f"the results folder {shown}: its path is not UTF-8, and tensors cannot be read there; {CHOOSE}"
        )
    longest = os.pathconf("/", "PC_PATH_MAX") - LONGEST_BELOW
    if len(name) > longest:
        raise UsageError(f"the path of the results folder has {len(name)} bytes, at most {longest} can be used: {root}")


def try_out(root: Path) -> None:
    """Try what benchbias needs of a file system. Raises StorageError naming what is missing, and OSError."""
    folder = root / "tmp"
    first, second = (folder / f"{uuid.uuid4().hex}.tmp" for _ in range(2))
    try:
        descriptor = os.open(first, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
        try:
            with _needed(root, "file locks (flock)"):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(descriptor)
        with _needed(root, "hard links (link)"):
            link_new(first, second)
        with _needed(root, "folders that can be made durable (fsync)"):
            sync_folder(folder)
    finally:
        for path in (first, second):
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _needed(root: Path, what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in OF_THE_DISK:
            raise
        name = errno.errorcode.get(error.errno or 0, "")
        raise StorageError(
            f"cannot use the results folder {root}: its file system lacks {what}, which benchbias needs "
            f"({error.strerror}, {name}); {CHOOSE}"
        ) from None
