"""Values that were read from files, kept as long as the files have the same stamps. No torch."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from benchbias.util.stamps import Stamp, stamp_of

T = TypeVar("T")

SETTLED_SECONDS = 3.0
"""The time after which a changed file has another time of change, on the coarsest clock of a file system."""


@dataclass(frozen=True)
class _Kept:
    """A value, the stamps of the files that it was made of, and when these were first seen."""

    value: Any
    stamps: dict[str, Stamp]
    since: float
    settled: bool


class Kept:
    """Values by name. A worker has those that its engine had when it was forked."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[Hashable, _Kept] = {}

    def value(self, name: Hashable, read: Callable[[], T], places: Callable[[], Iterable[str | Path]]) -> T:
        """The value that `read` gives: read again unless no file or folder of `places` has changed since.

        A file may change twice within one tick of its file system's clock. So a value is only kept once it was read
        some seconds after its stamps were first seen.
        """
        known = self._known.get(name)
        if known is not None and {place: stamp_of(place) for place in known.stamps} == known.stamps:
            if known.settled:
                found: T = known.value
                return found
            settled, since = self._clock() - known.since >= SETTLED_SECONDS, known.since
            stamps = known.stamps
        else:
            settled, since = False, self._clock()
            stamps = {str(place): stamp_of(place) for place in places()}
        value = read()
        self._known[name] = _Kept(value, stamps, since, settled)
        return value
