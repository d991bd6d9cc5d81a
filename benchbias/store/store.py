"""The results folder: immutable objects and blobs named by content, the only truth of a run.

    objects/ab/<key>.json        a stage's product: a function of its key
    blobs/ab/<sha256>.safetensors  tensors that objects name
    measured/ab/<key>.json       seconds, memory, host: what differs between runs; first write wins
    attempts/<key>/              failures and output of stages; never read for scores
    claims/  tmp/  quarantine/  plans/  records/  leaderboards/

A file appears whole or not at all: temporary file, fsync, link(2) to its final name (never a rename over
something), fsync of the folder. Whatever is damaged is moved to quarantine/ and made again.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchbias.errors import DamagedError, StorageError
from benchbias.store.tensor_files import packed, read_tensors
from benchbias.util import canonical
from benchbias.util.files import folders_of, link_new, listed, lock, storage_errors, sync_folder, write_whole

if TYPE_CHECKING:
    from torch import Tensor

SCHEMA = 1
MAX_OBJECT_BYTES = 64 << 20
FOLDERS = (
    *("objects", "blobs", "measured", "attempts", "claims"),
    *("tmp", "quarantine", "plans", "records", "leaderboards"),
)


@dataclass(frozen=True)
class Product:
    """The product of a stage: `body`, small and JSON; `blobs`, name -> sha256 of a file of tensors."""

    body: Mapping[str, Any]
    blobs: Mapping[str, str]


class Store:
    """A results folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def create(self) -> Store:
        """Make the folders. Raises StorageError."""
        with storage_errors(f"cannot use the results folder {self.root}"):
            for name in FOLDERS:
                (self.root / name).mkdir(parents=True, exist_ok=True)
                self._refuse_links(self.root / name)
        return self

    # where things lie

    def object_path(self, key: str) -> Path:
        return self.root / "objects" / key[:2] / f"{key}.json"

    def blob_path(self, sha256: str) -> Path:
        return self.root / "blobs" / sha256[:2] / f"{sha256}.safetensors"

    def measured_path(self, key: str) -> Path:
        return self.root / "measured" / key[:2] / f"{key}.json"

    # writing

    def _refuse_links(self, folder: Path) -> None:
        """A link inside the results folder leads out of it: nothing is written there. Raises OSError."""
        if folder.is_relative_to(self.root):
            for depth in range(len(folder.relative_to(self.root).parts)):
                inside = (folder, *folder.parents)[depth]
                if inside.is_symlink():
                    raise OSError(errno.ELOOP, f"{inside} is a link that leads out of the results folder")

    def _publish(self, content: bytes | Sequence[memoryview], final: Path) -> bool:
        """Write a file that does not exist yet, durably. False where it is there already (and durable now, too)."""
        with storage_errors(f"cannot write {final}"):
            final.parent.mkdir(exist_ok=True)
            self._refuse_links(final.parent)
            partial = self.root / "tmp" / f"{uuid.uuid4().hex}.tmp"
            try:
                write_whole(partial, content)
                new = link_new(partial, final)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    partial.unlink()
            sync_folder(final.parent)  # also for another's file: its writer may not have come so far
        return new

    def put_blob(self, tensors: Mapping[str, Tensor]) -> str:
        """Store tensors as one safetensors file; its sha256 is returned."""
        content = packed(tensors)
        total = hashlib.sha256()
        for piece in content:
            total.update(piece)
        sha256 = total.hexdigest()
        path = self.blob_path(sha256)
        if not self._publish(content, path) and not self._blob_is_whole(sha256):
            self.quarantine(path, "damaged")
            self._publish(content, path)
        return sha256

    def put(self, key: str, inputs: Mapping[str, Any], body: Mapping[str, Any], blobs: Mapping[str, str]) -> None:
        """Commit a stage's product. An equal one there already is fine; another is kept aside as a conflict."""
        content = {"inputs": dict(inputs), "body": dict(body), "blobs": dict(blobs)}
        sha256 = canonical.digest(content)
        document = {"schema": SCHEMA, "key": key, "sha256": sha256, "content": content}
        text = (canonical.dumps(document) + "\n").encode()
        path = self.object_path(key)
        if self._publish(text, path):
            return
        if self.get(key) is None:  # what was there was damaged and is now in quarantine
            self._publish(text, path)
        elif self._read(path) != text:
            name = f"conflict-{key}-{sha256[:12]}.json"
            self._publish(text, self.root / "quarantine" / name)

    def put_measured(self, key: str, measured: Mapping[str, Any]) -> None:
        """Note what differs from run to run; the first note stays."""
        self._publish((canonical.dumps(measured) + "\n").encode(), self.measured_path(key))

    def put_attempt(self, key: str, attempt: Mapping[str, Any]) -> None:
        """Note a stage that ended without a product."""
        with storage_errors("cannot note a failure"):
            (self.root / "attempts" / key).mkdir(exist_ok=True)
            number = len(list((self.root / "attempts" / key).glob("*.json")))
        name = f"{number:04d}-{uuid.uuid4().hex[:8]}.json"
        self._publish((canonical.dumps(attempt) + "\n").encode(), self.root / "attempts" / key / name)

    def replace(self, path: Path, text: str) -> None:
        """Write a derived file (a record, a leaderboard) whole, over an older one."""
        with storage_errors(f"cannot write {path}"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._refuse_links(path.parent)
            if path.is_file() and path.read_bytes() == text.encode():
                return
            inside = path.is_relative_to(self.root)  # else beside it: rename(2) crosses no file system
            partial = (self.root / "tmp" if inside else path.parent) / f"{uuid.uuid4().hex}.tmp"
            try:
                write_whole(partial, text.encode())
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
            sync_folder(path.parent)

    # reading

    def keys(self) -> set[str]:
        """The keys of all products that lie here, unread. Files of other programs are no products."""
        parts = folders_of(self.root / "objects")
        return {path.stem for part in parts for path in listed(part, ".json") if canonical.is_digest(path.stem)}

    def has(self, key: str) -> bool:
        """Whether a product is there and whole, by its own checks (its blobs are checked when they are read)."""
        return self.get(key) is not None

    def get(self, key: str) -> Product | None:
        """A stage's product; None where it is missing or damaged (which puts it into quarantine)."""
        path = self.object_path(key)
        try:
            content = self.read_checked(key)
            complete = all(self.blob_path(sha).is_file() for sha in content["blobs"].values())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error.strerror}") from error
        except (StorageError, KeyError, TypeError, AttributeError, ValueError):
            self.quarantine(path, "damaged")
            return None
        if not complete:
            self.quarantine(path, "blob-missing")
            return None
        return Product(content["body"], content["blobs"])

    def read_checked(self, key: str) -> dict[str, Any]:
        """A product's content, whole by its own checks, or some error of reading it; nothing is moved."""
        path = self.object_path(key)
        with path.open("rb") as file:
            raw = file.read(MAX_OBJECT_BYTES + 1)
        document = canonical.loads(raw) if len(raw) <= MAX_OBJECT_BYTES else {}
        content: dict[str, Any] = document["content"]
        whole = (
            document["schema"] == SCHEMA
            and isinstance(content["body"], dict)
            and document["key"] == key == canonical.digest_of_parsed(content["inputs"])
            and document["sha256"] == canonical.digest_of_parsed(content)
            and all(canonical.is_digest(sha) for sha in content["blobs"].values())
        )
        if not whole:
            raise StorageError(f"{path} is damaged")
        return content

    def load_blob(self, sha256: str, names: tuple[str, ...] | None = None) -> dict[str, Tensor]:
        """Tensors of a blob (all, or only `names`), after checking its sha256. Raises DamagedError."""
        path = self.blob_path(sha256)
        if not self._blob_is_whole(sha256):
            self.quarantine(path, "damaged")
            raise DamagedError(f"{path} was damaged and is now in quarantine; run again to make it anew")
        with storage_errors(f"cannot read {path}"):
            try:
                return read_tensors(path, names)
            except StorageError as error:
                self.quarantine(path, "damaged")
                raise DamagedError(f"{error}; it is now in quarantine, run again to make it anew") from None

    def _read(self, path: Path) -> bytes:
        with storage_errors(f"cannot read {path}"):
            return path.read_bytes()

    def _blob_is_whole(self, sha256: str) -> bool:
        path = self.blob_path(sha256)
        with storage_errors(f"cannot read {path}"), contextlib.suppress(FileNotFoundError):
            if path.is_file():  # nor a pipe, which would hang
                with path.open("rb") as file:
                    return hashlib.file_digest(file, "sha256").hexdigest() == sha256
        return False

    def attempts(self, key: str) -> list[dict[str, Any]]:
        """All noted failures of a stage, oldest first."""
        found = []
        folder = self.root / "attempts" / key
        with storage_errors(f"cannot list {folder}"):
            paths = sorted(folder.glob("*.json"))
        for path in paths:
            with contextlib.suppress(OSError, StorageError):
                attempt = canonical.loads(path.read_bytes())
                found += [attempt] if isinstance(attempt, dict) else []
        return found

    def measured(self, key: str) -> dict[str, Any]:
        """Measurements of a stage's run; empty where there are none."""
        try:
            value = canonical.loads(self.measured_path(key).read_bytes())
        except (OSError, StorageError):
            return {}
        return value if isinstance(value, dict) else {}

    # repair and claims

    def quarantine(self, path: Path, why: str) -> None:
        """Move a damaged file aside: nothing that is wrong is served, nothing is destroyed."""
        with storage_errors(f"cannot move {path} to quarantine"), contextlib.suppress(FileNotFoundError):
            path.rename(self.root / "quarantine" / f"{why}-{uuid.uuid4().hex[:8]}-{path.name}")

    @contextlib.contextmanager
    def claim(self, key: str) -> Iterator[bool]:
        """Whether this process may compute a stage now. Saves work; correctness does not rest on it.

        The claim ends with the process, however that ends.
        """
        with storage_errors("cannot claim a stage"):
            descriptor = os.open(
                self.root / "claims" / key, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644
            )
        try:
            yield lock(descriptor)
        finally:
            with contextlib.suppress(OSError):  # the lock is free by then
                os.close(descriptor)

    def claimed(self, key: str) -> bool:
        """Whether some process is computing a stage at this moment."""
        with storage_errors("cannot ask for a claim"):
            if not (self.root / "claims" / key).is_file():
                return False
        with self.claim(key) as free:
            return not free
