"""Images decoded once: a cache of uint8 pixels in files that are mapped into memory, named by what made them.

    <name>.u8      the pixels, (N, C, H, W), nothing else
    <name>.json    shape, sha256 of the pixels, and what else the decoder says; written last: without it there is none

It lies below the data folder where that can be written, else in the user's cache folder. An entry that is damaged
is made again; a file appears whole or not at all.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from benchbias.data.reading.raw_files import READERS, own_folder
from benchbias.errors import DataError, StorageError
from benchbias.plugin.registry import files_digest
from benchbias.util import canonical
from benchbias.util.files import FILE_MODE, storage_errors, write_whole
from benchbias.util.packages import version_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SMALL_BYTES = 64 << 20  # of a selection that is simply copied
PART_BYTES = 8 << 20


@dataclass(frozen=True)
class Decoded:
    """images: uint8 (N, C, H, W), mapped from the cache. about: what the decoder said of them, as JSON."""

    images: Tensor
    about: Mapping[str, Any]


class Sink:
    """Takes images one by one and appends their pixels to a file. All must have one shape."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.count = 0
        self.shape: tuple[int, ...] = ()
        self.sha256 = hashlib.sha256()

    def add(self, image: NDArray[np.uint8], where: str) -> None:
        """Append images (C, H, W). Raises DataError where they have not the shape of the first."""
        if self.count == 0:
            self.shape = image.shape
        if image.shape != self.shape:
            raise DataError(
                f"{where}: the image is {_shape(image.shape)}, the first one {_shape(self.shape)}; "
                "size = 64 (or another) scales all to one size, channels = 1 or 3 makes all grey or colour"
            )
        rest = image.reshape(-1).data
        self.sha256.update(rest)
        while rest:
            rest = rest[os.write(self.descriptor, rest) :]
        self.count += 1


def _shape(shape: tuple[int, ...]) -> str:
    return f"{shape[2]} x {shape[1]} {'grey' if shape[0] == 1 else 'colour'}"


def decoded(root: Path, made_from: Mapping[str, Any], build: Callable[[Sink], Mapping[str, Any]]) -> Decoded:
    """The cache's entry of `made_from` (JSON: all that decides the pixels), built by `build` if it is not there.

    build: adds every image to the sink and returns what else is to be kept, as JSON. Raises DataError (from
    `build`) and StorageError.
    """
    name = canonical.digest({"decoder": _decoder(), **made_from})
    with storage_errors("cannot keep decoded images"):
        folder = own_folder(root) / "decoded"
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / f"{name}.lock"):
            return _read(folder, name) or _build(folder, name, build)


@functools.cache
def _decoder() -> list[str]:
    """The identity of what makes pixels and rows of bytes: the digest of our sources, the versions of the packages."""
    return [files_digest(sorted(Path(__file__).parent.glob("*.py"))), *map(version_of, READERS)]


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Many stages want the same images: one decodes, the others wait."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _read(folder: Path, name: str) -> Decoded | None:
    """An entry; None where it is missing, or damaged in any way (then its files are removed)."""
    pixels, about = folder / f"{name}.u8", folder / f"{name}.json"
    if not about.exists():
        return None
    with contextlib.suppress(StorageError, KeyError, TypeError, ValueError, OSError):
        told = canonical.loads(about.read_bytes())
        shape = tuple(told["shape"])
        with pixels.open("rb") as file:
            whole = hashlib.file_digest(file, "sha256").hexdigest() == told["sha256"]
        if whole and told["name"] == name and told["sum"] == canonical.digest({**told, "sum": ""}):
            return Decoded(mapped(pixels, shape), told["about"])
    for path in (about, pixels):
        path.unlink(missing_ok=True)
    return None


def mapped(path: Path, shape: tuple[int, ...]) -> Tensor:
    """A file of bytes as uint8 of this shape, mapped copy-on-write: what is read takes no memory of its own."""
    size = path.stat().st_size
    return torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8).reshape(shape)


def rows_of(root: Path, images: Tensor, index: Tensor) -> Tensor:
    """The images of `index` (M,), in its order: uint8 (M, C, H, W).

    A large selection goes to an unnamed file below the data folder's cache and is mapped from there: it takes no
    memory. Raises StorageError.
    """
    if len(index) * images[0].nbytes <= SMALL_BYTES:
        return images[index]
    with storage_errors("cannot keep a selection of images"):
        folder = own_folder(root) / "decoded"
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f"rows.{uuid.uuid4().hex}.tmp"
        try:
            with partial.open("xb") as file:
                for part in torch.split(index, max(1, PART_BYTES // images[0].nbytes)):
                    file.write(images[part].numpy().data)
            return mapped(partial, (len(index), *images.shape[1:]))
        finally:
            partial.unlink(missing_ok=True)


def _build(folder: Path, name: str, build: Callable[[Sink], Mapping[str, Any]]) -> Decoded:
    partial = folder / f"{name}.{uuid.uuid4().hex}.tmp"
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    try:
        try:
            sink = Sink(descriptor)
            said = build(sink)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if sink.count == 0:
            raise DataError("a split without an example")
        shape = (sink.count, *sink.shape)
        told = {"name": name, "shape": list(shape), "sha256": sink.sha256.hexdigest(), "about": dict(said), "sum": ""}
        told = canonical.plain(told)
        told["sum"] = canonical.digest(told)
        partial.replace(folder / f"{name}.u8")
    finally:
        partial.unlink(missing_ok=True)
    try:
        write_whole(partial, (canonical.dumps(told) + "\n").encode())
        partial.replace(folder / f"{name}.json")
    finally:
        partial.unlink(missing_ok=True)
    return Decoded(mapped(folder / f"{name}.u8", shape), told["about"])
