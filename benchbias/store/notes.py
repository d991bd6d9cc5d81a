"""Documents beside products: notes on which no score rests, and derived files that are written anew."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from benchbias.errors import StorageError, UsageError
from benchbias.util import canonical
from benchbias.util.files import read_regular

MAX_NOTE_BYTES = 16 << 20  # of a measurement, a failure, a log


def note_of(path: Path) -> dict[str, Any]:
    """A note; empty where it cannot be read, or is none."""
    with contextlib.suppress(OSError, StorageError, UsageError):
        value = canonical.loads(read_regular(path, MAX_NOTE_BYTES))
        return value if isinstance(value, dict) else {}
    return {}


def refuse_to_replace(old: bytes, text: str, path: Path) -> None:
    """Raises NewerError where what is to be replaced was made by a newer benchbias."""
    try:
        known, there = canonical.loads(text), canonical.loads(old)
    except StorageError:  # what is damaged is replaced
        return
    if isinstance(known, dict) and isinstance(known.get("schema"), int):
        canonical.refuse_newer(there, known["schema"], path)
