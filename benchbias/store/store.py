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
import re
import uuid
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchbias.errors import DamagedError, NewerError, StorageError, UsageError
from benchbias.store import claims
from benchbias.store.notes import MAX_NOTE_BYTES, note_of, refuse_to_replace
from benchbias.store.products import MAX_OBJECT_BYTES, product_text, read_product
from benchbias.store.products import Product as Product
from benchbias.store.requirements import check_name, try_out
from benchbias.store.tensor_files import packed, read_tensors
from benchbias.util import canonical
from benchbias.util.files import (
    folders_of,
    is_regular,
    link_new,
    listed,
    make_folder,
    make_folders,
    pieces_of,
    put_whole,
    read_regular,
    regular,
    storage_errors,
    sync_folder,
    write_whole,
)

if TYPE_CHECKING:
    from torch import Tensor

NOT_OURS = (errno.EACCES, errno.EPERM, errno.EROFS)
MAX_DERIVED_BYTES = 64 << 20  # of a record or a board that is to be replaced
FOLDERS = (
    *("objects", "blobs", "measured", "attempts", "claims"),
    *("tmp", "quarantine", "plans", "records", "leaderboards"),
)
CONFLICT = re.compile(r"conflict-([0-9a-f]{64})-[0-9a-f]{12}\.json")


class Store:
    """A results folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def create(self) -> Store:
        """Make the folders, and try what they need. Raises UsageError for a name, StorageError for a disk."""
        check_name(self.root)
        with storage_errors(f"cannot use the results folder {self.root}"):
            new = False
            for name in FOLDERS:
                new |= make_folders(self.root / name)
                self._refuse_links(self.root / name)
            try:
                try_out(self.root)
            except OSError as error:
                if new or error.errno not in NOT_OURS:  # what is there may be read by who cannot write
                    raise
        return self

    # where things lie

    def object_path(self, key: str) -> Path:
        return self.root / "objects" / key[:2] / f"{key}.json"

    def blob_path(self, sha256: str) -> Path:
        return self.root / "blobs" / sha256[:2] / f"{sha256}.safetensors"

    def measured_path(self, key: str) -> Path:
        return self.root / "measured" / key[:2] / f"{key}.json"

    def log_path(self, key: str) -> Path:
        return self.root / "attempts" / f"{key}.log"

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
            make_folder(final.parent)
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
        if not self._publish(content, path) and not self.blob_is_whole(sha256):
            self.quarantine(path, "damaged")
            self._publish(content, path)
        return sha256

    def put(self, key: str, inputs: Mapping[str, Any], body: Mapping[str, Any], blobs: Mapping[str, str]) -> None:
        """Commit a stage's product. An equal one there already is fine; another is kept aside as a conflict."""
        text = product_text(key, inputs, body, blobs)
        path = self.object_path(key)
        if self._publish(text, path):
            return
        if self.get(key) is None:  # what was there was damaged and is now in quarantine
            self._publish(text, path)
        elif self._read(path) != text:
            name = f"conflict-{key}-{canonical.loads(text)['sha256'][:12]}.json"
            self._publish(text, self.root / "quarantine" / name)

    def put_measured(self, key: str, measured: Mapping[str, Any]) -> None:
        """Note what differs from run to run; the first note stays."""
        self._publish((canonical.dumps(measured) + "\n").encode(), self.measured_path(key))

    def put_attempt(self, key: str, attempt: Mapping[str, Any]) -> None:
        """Note a stage that ended without a product."""
        with storage_errors("cannot note a failure"):
            make_folder(self.root / "attempts" / key)
            number = len(list((self.root / "attempts" / key).glob("*.json")))
        name = f"{number:04d}-{uuid.uuid4().hex[:8]}.json"
        self._publish((canonical.dumps(attempt) + "\n").encode(), self.root / "attempts" / key / name)

    def replace(self, path: Path, text: str) -> None:
        """Write a derived file (a record, a leaderboard) whole, over an older one; never over one of a newer schema."""
        with storage_errors(f"cannot write {path}"):
            make_folders(path.parent)
            self._refuse_links(path.parent)
            old = self._old(path)
            if old == text.encode():
                return
            if old is not None and path.suffix == ".json":
                refuse_to_replace(old, text, path)
            inside = path.is_relative_to(self.root)  # else beside it: rename(2) crosses no file system
            put_whole(path, text.encode(), self.root / "tmp" if inside else path.parent)

    def _old(self, path: Path) -> bytes | None:
        """The content that is about to be replaced; None where it is missing, or no plain file."""
        try:
            return read_regular(path, MAX_DERIVED_BYTES)
        except (FileNotFoundError, UsageError):
            return None

    # reading

    def keys(self) -> set[str]:
        """The keys of all products that lie here, unread. Files of other programs are no products."""
        parts = folders_of(self.root / "objects")
        return {path.stem for part in parts for path in listed(part, ".json") if canonical.is_digest(path.stem)}

    def has(self, key: str) -> bool:
        """Whether a product is there and whole, by its own checks (its blobs are checked when they are read)."""
        return self.get(key) is not None

    def get(self, key: str) -> Product | None:
        """A stage's product; None where it is missing or damaged (which puts it into quarantine).

        Raises StorageError where it could not be read, and NewerError: neither says that it is damaged.
        """
        path = self.object_path(key)
        try:
            content = self.read_checked(key)
            complete = all(is_regular(self.blob_path(sha)) for sha in content["blobs"].values())
        except FileNotFoundError:
            return None
        except NewerError:
            raise
        except (OSError, MemoryError) as error:
            raise StorageError(f"cannot read {path}: {getattr(error, 'strerror', None) or 'no memory'}") from error
        except (StorageError, UsageError, KeyError, TypeError, AttributeError, ValueError):
            self.quarantine(path, "damaged")
            return None
        if not complete:
            self.quarantine(path, "blob-missing")
            return None
        return Product(content["body"], content["blobs"])

    def read_checked(self, key: str) -> dict[str, Any]:
        """A product's content, whole by its own checks, or some error of reading it; nothing is moved."""
        return read_product(self.object_path(key), key)

    def load_blob(self, sha256: str, names: tuple[str, ...] | None = None, *, whole: bool = False) -> dict[str, Tensor]:
        """Tensors of a blob (all, or only `names`), after checking its sha256.

        whole: it was checked before, and its file is the same. Raises DamagedError where the sum is another. A blob of
        the right one is not damaged, whatever cannot read it: then StorageError, and it stays.
        """
        path = self.blob_path(sha256)
        if not whole and not self.blob_is_whole(sha256):
            self.quarantine(path, "damaged")
            raise DamagedError(f"{path} was damaged and is now in quarantine; run again to make it anew")
        try:
            return read_tensors(path, names)
        except (OSError, MemoryError, RuntimeError, ValueError, StorageError) as error:
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise StorageError(f"{path} has the right sum, but cannot be read: {why}; nothing was moved") from error

    def _read(self, path: Path) -> bytes:
        with storage_errors(f"cannot read {path}"):
            return read_regular(path, MAX_OBJECT_BYTES)

    def blob_is_whole(self, sha256: str) -> bool:
        """Whether a plain file lies there that has this sum. Raises StorageError where it cannot be read."""
        path, total = self.blob_path(sha256), hashlib.sha256()
        with storage_errors(f"cannot read {path}"), contextlib.suppress(FileNotFoundError, UsageError):
            with regular(path) as descriptor:
                for piece in pieces_of(descriptor):
                    total.update(piece)
            return total.hexdigest() == sha256
        return False

    def attempts(self, key: str) -> list[dict[str, Any]]:
        """All noted failures of a stage, oldest first."""
        folder = self.root / "attempts" / key
        with storage_errors(f"cannot list {folder}"):
            paths = sorted(folder.glob("*.json"))
        return [note for path in paths if (note := note_of(path))]

    def measured(self, key: str) -> dict[str, Any]:
        """Measurements of a stage's run; empty where there are none."""
        return note_of(self.measured_path(key))

    def log(self, key: str) -> list[str]:
        """The lines that a stage has printed; none where they cannot be read."""
        with contextlib.suppress(OSError, UsageError):
            return read_regular(self.log_path(key), MAX_NOTE_BYTES).decode(errors="replace").strip().splitlines()
        return []

    def conflicts(self) -> dict[str, list[str]]:
        """Products that came out otherwise the second time, and were put aside: key -> names in quarantine/."""
        folder, found = self.root / "quarantine", dict[str, list[str]]()
        with storage_errors(f"cannot list {folder}"), contextlib.suppress(FileNotFoundError):
            for name in sorted(path.name for path in folder.iterdir()):
                if match := CONFLICT.fullmatch(name):
                    found.setdefault(match[1], []).append(name)
        return found

    # repair and claims

    def quarantine(self, path: Path, why: str) -> None:
        """Move a damaged file aside: nothing that is wrong is served, nothing is destroyed."""
        with storage_errors(f"cannot move {path} to quarantine"), contextlib.suppress(FileNotFoundError):
            path.rename(self.root / "quarantine" / f"{why}-{uuid.uuid4().hex[:8]}-{path.name}")

    def claim(self, key: str) -> AbstractContextManager[bool]:
        """Whether this process may compute a stage now; see `claims`."""
        return claims.claim(self.root / "claims" / key)

    def claimed(self, key: str) -> bool:
        """Whether some process is computing a stage at this moment."""
        return claims.claimed(self.root / "claims" / key)

    def holder(self, key: str) -> str:
        """Who is computing a stage at this moment, in words."""
        return claims.holder(self.root / "claims" / key)
