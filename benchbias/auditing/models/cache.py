"""Logits and facts kept from one audit to the next, in files named by all that decides them.

    <key>.logits    a line of JSON (key, shape, sha256 of the rest), then float32 numbers
    <key>.json      facts: sizes and milliseconds

A file appears whole or not at all. One that is damaged is not used and made again. The folder may be removed at any
time: only time is lost.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchbias.auditing.values import Facts, Latency
from benchbias.errors import BenchbiasError, plain
from benchbias.util import canonical
from benchbias.util.files import make_folders, told, write_whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST_HEAD = 4096  # bytes of the line
DTYPE = "<f4"


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

    def facts(self, key: str) -> dict[str, Facts] | None:
        """The facts of a key, by name of model; None where there are none, or damaged ones."""
        if self.folder is None:
            return None
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError, BenchbiasError):
            body: Any = canonical.loads((self.folder / f"{key}.json").read_bytes())
            if body["key"] == key and body["sum"] == canonical.digest(body["facts"]):
                return {name: _facts(value) for name, value in body["facts"].items()}
        return None

    def keep_facts(self, key: str, facts: Mapping[str, Facts]) -> None:
        """Keep facts by name of model."""
        body = {name: asdict(one) for name, one in facts.items()}
        body = json.loads(json.dumps(body))
        self._write(f"{key}.json", canonical.dumps({"key": key, "sum": canonical.digest(body), "facts": body}).encode())

    def _write(self, name: str, content: bytes) -> None:
        if self.folder is None:
            return
        partial = self.folder / f".{name}.{uuid.uuid4().hex}.tmp"
        try:
            make_folders(self.folder)
            try:
                write_whole(partial, content)
                os.replace(partial, self.folder / name)
            finally:
                partial.unlink(missing_ok=True)
        except OSError as error:
            self.note(f"answers cannot be kept in {self.folder}: {plain(told(error))}")


def _facts(value: Mapping[str, Any]) -> Facts:
    return Facts(**{**value, "latency": tuple(Latency(**one) for one in value["latency"])})
