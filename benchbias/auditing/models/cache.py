"""Logits and what else was found, kept from one audit to the next in files named by all that decides them.

    <key>.logits    a line of JSON (key, shape, sha256 of the rest), then float32 numbers
    <key>.json      sizes, milliseconds and notes of the networks of one audit

A file appears whole or not at all. One that is damaged is not used and made again. The folder may be removed at any
time: only time is lost.
"""

from __future__ import annotations

import functools
import hashlib
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchbias.auditing.values import Facts, Latency
from benchbias.errors import BenchbiasError, plain
from benchbias.keys.environment import cpu
from benchbias.plugin.registry import files_digest
from benchbias.util import canonical
from benchbias.util.files import make_folders, told, write_whole
from benchbias.util.packages import version_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCHEMA = 1
PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "torchao",
    "torch-pruning",
    "transformers",
    "onnxruntime",
    "numpy",
    "pillow",
)
LONGEST_HEAD = 4096  # bytes of the line
DTYPE = "<f4"


@dataclass(frozen=True)
class About:
    """Facts by name of model, notes on the networks and the images, and what is told as a warning."""

    facts: Mapping[str, Facts]
    notes: tuple[str, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cache:
    """A folder of kept logits; None keeps nothing. note: told what cannot be used or kept."""

    folder: Path | None
    note: Callable[[str], None]

    def logits(self, key: str) -> NDArray[Any] | None:
        """The logits of a key, float32 (N, K); None where there are none, or damaged ones."""
        if self.folder is None:
            return None
        path = self.folder / f"{key}.logits"
        try:
            with path.open("rb") as file:
                head = json.loads(file.readline(LONGEST_HEAD))
                content = file.read()
            rows, columns = head["shape"]
            if head["key"] == key and hashlib.sha256(content).hexdigest() == head["sha256"]:
                return np.frombuffer(content, DTYPE).reshape(int(rows), int(columns))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError):
            pass
        self.note(f"the kept answers {path} are damaged: they are made again")
        return None

    def keep(self, key: str, logits: NDArray[Any]) -> None:
        """Keep logits, float32 (N, K)."""
        content = np.ascontiguousarray(logits, dtype=DTYPE).tobytes()
        head = {"key": key, "shape": list(logits.shape), "sha256": hashlib.sha256(content).hexdigest()}
        self._write(f"{key}.logits", json.dumps(head).encode() + b"\n" + content)

    def about(self, key: str) -> About | None:
        """The things that were found besides; None where there is nothing, or it is damaged."""
        if self.folder is None:
            return None
        path = self.folder / f"{key}.json"
        try:
            body: Any = canonical.loads(path.read_bytes())
            if body["key"] == key and body["sum"] == canonical.digest(body["about"]):
                facts = {name: _facts(value) for name, value in body["about"]["facts"].items()}
                return About(facts, tuple(body["about"]["notes"]), tuple(body["about"]["warnings"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, BenchbiasError):
            pass
        self.note(f"what was kept in {path} is damaged: it is made again")
        return None

    def keep_about(self, key: str, about: About) -> None:
        """Keep what was found besides."""
        body = json.loads(json.dumps(asdict(about)))
        self._write(f"{key}.json", canonical.dumps({"key": key, "sum": canonical.digest(body), "about": body}).encode())

    def _write(self, name: str, content: bytes) -> None:
        if self.folder is None:
            return
        partial = self.folder / f".{name}.{uuid.uuid4().hex}.tmp"
        try:
            make_folders(self.folder)
            try:
                write_whole(partial, content)
                partial.replace(self.folder / name)
            finally:
                partial.unlink(missing_ok=True)
        except OSError as error:
            self.note(f"answers cannot be kept in {self.folder}: {plain(told(error))}")


def _facts(value: Mapping[str, Any]) -> Facts:
    return Facts(**{**value, "latency": tuple(Latency(**one) for one in value["latency"])})


@functools.cache
def sources_digest() -> str:
    """The sha256 of the code that prepares images and opens networks: an edit of it makes other answers."""
    own = Path(__file__).parent
    core = own.parent.parent
    return files_digest([*own.glob("*.py"), core / "network/checkpoints.py", core / "data/reading/decoding.py"])


def key_of(*parts: Any) -> str:
    """The name of what all these parts decide, with the code and the packages of this machine."""
    versions = {package: version_of(package) for package in PACKAGES}
    return canonical.digest([SCHEMA, versions, sources_digest(), cpu(), *parts])[:32]
