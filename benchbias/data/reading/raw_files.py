"""Raw files of data sets below the data folder: where they lie, and a digest of them that stands in stage keys.

A data set's folder is digested through a manifest (size, times and sha256 of every file), so that a file is read
once and not again until it changes. Never imports torch.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from benchbias.errors import DataError, StorageError
from benchbias.plugin.registry import cache_folder
from benchbias.util import canonical

READERS = ("pillow", "datasets", "pandas", "pyarrow")
"""The packages that make images and rows of raw files: in the keys of read data, and in the names of the cache."""

OWN = ".benchbias"  # our folder below a data folder
POINTER = b"version https://git-lfs"  # the beginning of what Git LFS puts in the place of a file
SETTLED_SECONDS = 2.0  # a file that was just changed may change again within the clock's grain: it is read again
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


@dataclass(frozen=True)
class Source:
    """A data set that we know in two layouts: a repository of the hub, and the files of a torchvision class.

    folder: where the class keeps its files below the data folder. names: of the classes. content: split -> sha256 of
    its pixels (N, H, W) and labels (N,), uint8 both, in order: equal for every copy that is faithful.
    """

    torchvision: str
    folder: str
    image: str
    names: tuple[str, ...]
    content: Mapping[str, str]


SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        "ylecun/mnist": Source(
            *("MNIST", "MNIST/raw", "image", tuple("0123456789")),
            {
                "train": "edc0d1098aa497be14ace79ddd5171e5a3dcf9c4d196c015389203eb3ba1f59b",
                "test": "c3f9adf9c66efb572b1f9326c3a511b45910c7173b97be66ceceeeeaef6b802b",
            },
        ),
        "uoft-cs/cifar10": Source(
            *("CIFAR10", "cifar-10-batches-py", "img"),
            ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
            {},
        ),
    }
)
"""Two places each: the hub's repository, and the mirrors that torchvision names, with the sums that it checks."""


@dataclass(frozen=True)
class Found:
    """The raw files of a data set: their folder; `source` where they lie as a torchvision class keeps them."""

    folder: Path
    source: Source | None = None


def data_folder() -> Path:
    """The data folder: $BENCHBIAS_DATA, else ./data."""
    return Path(os.environ.get("BENCHBIAS_DATA") or "data").absolute()


def own_folder(root: Path) -> Path:
    """Where we keep manifests and decoded images: below the data folder where it can be written, else the cache."""
    with contextlib.suppress(OSError):
        if root.stat().st_mode & 0o222 and os.access(root, os.W_OK):  # root may write where nobody is meant to
            return root / OWN
    return cache_folder() / "data" / hashlib.sha256(os.fsencode(root)).hexdigest()[:16]


def inside(root: Path, name: str, what: str) -> Path:
    """`root / name`, for a relative path that stays inside. Raises DataError."""
    parts = PurePosixPath(name).parts
    if not parts or PurePosixPath(name).is_absolute() or ".." in parts or "\\" in name or "\0" in name:
        hint = ", with / between folders" if "\\" in name else ""
        raise DataError(f"{what} {name!r:.200}: a path relative to {root}, without `..`{hint}")
    path = root.joinpath(*parts)
    try:
        leads_out = path.exists() and not path.resolve().is_relative_to(root.resolve())
    except OSError as error:  # a name that is too long, a folder that may not be looked into, a circle of links
        raise DataError(f"{what} {name!r:.200}: no such file: {error.strerror}") from None
    except RuntimeError:
        raise DataError(f"{what} {name!r:.200}: no such file: a circle of links") from None
    if leads_out:
        raise DataError(f"{what} {name!r:.200}: a link that leads out of {root}")
    return path


def places(root: Path, repository: str) -> list[Found]:
    """Where a repository's files may lie, in the order in which they are looked for. Raises DataError for its name."""
    if not REPOSITORY.fullmatch(repository) or ".." in repository:
        raise DataError(f"{repository!r:.200} is no name of a repository of the hub (owner/name)")
    known = SOURCES.get(repository)
    found = [Found(root / repository)]
    found += [Found(root / known.folder, known)] if known else []
    return [*found, Found(own_folder(root) / "hub" / repository)]


def find(root: Path, repository: str) -> Found | None:
    """A repository's files, if they are there."""
    return next((place for place in places(root, repository) if place.folder.is_dir()), None)


def locate(root: Path, kind: str, name: str) -> Path | None:
    """The raw files that a data set reads: those of a `hub` repository, or a `folder`. Raises DataError."""
    if kind == "hub":
        found = find(root, name)
        return None if found is None else found.folder
    path = inside(root, name, "folder")
    return path if path.is_dir() else None


def missing(root: Path, repository: str) -> DataError:
    """The error for a repository whose files are not there: where they were looked for, how to have them."""
    looked = " and ".join(str(place.folder) for place in places(root, repository)[:2])
    return DataError(
        f"the data set {repository!r} is not there: looked for {looked}. "
        "`benchbias prepare` fetches it; --data-dir DIR or BENCHBIAS_DATA says where it lies"
    )


def missing_folder(root: Path, name: str) -> DataError:
    """The error for a user's folder that is not there: where it was looked for."""
    return DataError(
        f"the folder {name!r} is not there: looked for {root / name}. "
        "--data-dir DIR or BENCHBIAS_DATA says in which folder it lies (default: ./data)"
    )


def files_of(path: Path) -> Iterator[Path]:
    """The plain files of a folder (or the file itself), sorted by path; hidden ones are left out."""
    if path.is_file():
        yield path
        return
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            file = Path(folder, name)
            if not name.startswith(".") and file.is_file():
                yield file


def raw_digest(root: Path, path: Path) -> str:
    """The sha256 over names, sizes and contents of the files at `path`, by the manifest. Raises DataError."""
    manifest = own_folder(root) / "manifest" / f"{hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:32]}.json"
    known = _read(manifest)
    base = path if path.is_dir() else path.parent
    entries: list[list[Any]] = []
    settled: dict[str, Any] = {}
    try:
        for file in files_of(path):
            name = os.fsencode(file.relative_to(base)).decode(errors="backslashreplace")
            status = file.stat()
            seen = [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
            old = known.get(name)
            if isinstance(old, list) and old[:3] == seen and len(old) == 4 and canonical.is_digest(old[3]):
                sha256 = old[3]
            else:
                with file.open("rb") as content:
                    sha256 = hashlib.file_digest(content, "sha256").hexdigest()
            entries.append([name, status.st_size, sha256])
            if max(status.st_mtime_ns, status.st_ctime_ns) < (time.time() - SETTLED_SECONDS) * 1e9:
                settled[name] = [*seen, sha256]
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from None
    if not entries:
        raise DataError(f"{path}: no files")
    if settled != known:
        _write(manifest, settled)
    return canonical.digest(entries)


def check_unchanged(root: Path, path: Path, digest: str) -> None:
    """Raises DataError where files are no longer those of a digest: what was read may be neither old nor new."""
    if raw_digest(root, path) != digest:
        raise DataError(f"{path}: files changed while they were read: run again")


def _read(manifest: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, StorageError):
        value = canonical.loads(manifest.read_bytes())
        return value if isinstance(value, dict) else {}
    return {}


def _write(manifest: Path, entries: Mapping[str, Any]) -> None:
    """A manifest saves time and decides nothing: where it cannot be written there is none."""
    partial = manifest.with_name(f"{manifest.name}.{uuid.uuid4().hex}.tmp")
    with contextlib.suppress(OSError, ValueError):
        manifest.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_bytes((canonical.dumps(entries) + "\n").encode())
            partial.replace(manifest)
        finally:
            partial.unlink(missing_ok=True)
