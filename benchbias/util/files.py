"""Files that appear whole or not at all, and the one line that a user is shown where the disk fails."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import os
import re
import stat
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchbias.errors import StorageError, UsageError, plain


@contextlib.contextmanager
def storage_errors(what: str) -> Iterator[None]:
    """Turn a failing system call into the one line that a user is shown."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"{what}: {told(error)}; what is finished is safe") from error


def told(error: OSError) -> str:
    """The reason of a failing system call, e.g. `No space left on device (ENOSPC)`."""
    name = errno.errorcode.get(error.errno or 0, "")
    return f"{error.strerror or error}{f' ({name})' if name else ''}"


def os_error(error: OSError) -> str:
    """One line on a failing system call that nothing nearer has named: the file, the reason."""
    file = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
    return plain(f"{file}{told(error)}; what is finished is safe")


def listed(folder: Path, suffix: str = "") -> list[Path]:
    """The entries of a folder whose names end in `suffix`, sorted; none where there is no folder. Raises StorageError.

    Names that begin with a dot (`.DS_Store`, `.nfs...`, `._x.json`) are other programs': they are left out.
    """
    return [path for path in _entries(folder) if path.name.endswith(suffix)]


def folders_of(folder: Path) -> list[Path]:
    """The folders in a folder, sorted, as `listed` has them. Raises StorageError."""
    with storage_errors(f"cannot list {folder}"):
        return [path for path in _entries(folder) if path.is_dir()]


def put_aside(quarantine: Path) -> list[Path]:
    """The files that were put into quarantine, e.g. `damaged-0123abcd-...`. Raises StorageError."""
    return [path for path in _entries(quarantine) if re.match(r"[a-z][a-z-]*-[0-9a-f]{8}", path.name)]


def _entries(folder: Path) -> list[Path]:
    """The entries of a folder, sorted."""
    with storage_errors(f"cannot list {folder}"), contextlib.suppress(FileNotFoundError):
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    return []


READ_BYTES = 1 << 20  # of a large file, at once
FILE_MODE = 0o666  # less the umask: who shares a folder with a group sets it so (`umask 002`)


def write_whole(path: Path, content: bytes | Iterable[bytes | memoryview]) -> None:
    """Create a file durably: exclusive, every byte, fsync, close checked, read back. Raises OSError.

    content: all of it, or pieces that can be gone through twice; no more than a piece is ever copied.
    """
    pieces = [content] if isinstance(content, bytes) else content
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # says to `clean` that the owner is alive
        for piece in pieces:
            rest = memoryview(piece)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if not _reads_back(path, pieces):
        raise OSError(errno.EIO, "what was written does not read back")


def replace_whole(path: Path, content: bytes) -> None:
    """Write a file whole, over an older one, by a partial file beside it. Raises StorageError."""
    with storage_errors(f"cannot write {path}"):
        make_folders(path.parent)
        put_whole(path, content, path.parent)


def put_whole(path: Path, content: bytes, scratch: Path) -> None:
    """Put a file in its place, over an older one; it is written in a folder of the same file system first."""
    partial = scratch / f"{uuid.uuid4().hex}.tmp"
    try:
        write_whole(partial, content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(path.parent)


def _reads_back(path: Path, pieces: Iterable[bytes | memoryview]) -> bool:
    with path.open("rb", buffering=0) as file:
        for piece in pieces:
            whole = memoryview(piece)
            for start in range(0, len(whole), READ_BYTES):
                wanted = whole[start : start + READ_BYTES]
                if _read_exactly(file, len(wanted)) != wanted:
                    return False
        return not file.read(1)


def _read_exactly(file: io.FileIO, length: int) -> bytes:
    parts = bytearray()
    while len(parts) < length and (part := file.read(length - len(parts))):
        parts += part
    return bytes(parts)


@contextlib.contextmanager
def regular(path: Path) -> Iterator[int]:
    """A plain file, opened to be read: no link, device or pipe is opened, or waited for; its descriptor.

    Raises UsageError for what is no plain file, and OSError where the disk refuses.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UsageError("cannot be read: it is a link") from None
        if error.errno in (errno.ENXIO, errno.ENODEV):  # a socket, a device that is not there
            raise UsageError("cannot be read: it is not a plain file") from None
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UsageError("cannot be read: it is not a plain file")
        yield descriptor
    finally:
        os.close(descriptor)


def pieces_of(descriptor: int) -> Iterator[bytes]:
    """The content of an open file, piece by piece."""
    while piece := os.read(descriptor, READ_BYTES):
        yield piece


def read_regular(path: Path, limit: int) -> bytes:
    """The content of a plain file of at most `limit` bytes. Raises as `regular` does; UsageError for a larger one."""
    content = bytearray()
    with regular(path) as descriptor:
        for piece in pieces_of(descriptor):
            content += piece
            if len(content) > limit:
                raise UsageError(f"cannot be read: it is larger than {limit} bytes")
    return bytes(content)


def is_regular(path: Path) -> bool:
    """Whether a plain file lies there; a link to one is none. Raises OSError where the disk refuses to say."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def sync_folder(path: Path) -> None:
    """Make a new name in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Make a folder durably, in one that is there. It may be there too: its maker may not have come so far."""
    try:
        path.mkdir()
    except FileExistsError:
        if not path.is_dir():
            raise
    with contextlib.suppress(PermissionError):  # a folder above may let us through and show us nothing
        sync_folder(path.parent)


def make_folders(path: Path) -> bool:
    """Make a folder and those above it that are missing, each durably; whether any was."""
    missing = [folder for folder in (path, *path.parents) if not folder.is_dir()]
    for folder in reversed(missing):
        make_folder(folder)
    return bool(missing)


def link_new(partial: Path, final: Path) -> bool:
    """Give a whole file its final name. False where a file has it already. Raises OSError."""
    try:
        os.link(partial, final)
    except FileExistsError:
        return False
    except OSError:
        if partial.stat().st_nlink != 2:  # on NFS the link may have been made and the answer lost
            raise
    return True


def lock(descriptor: int, how: int = fcntl.LOCK_EX) -> bool:
    """Lock an open file; False where another process has locked it. Raises StorageError."""
    with storage_errors("cannot claim a stage"):
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
