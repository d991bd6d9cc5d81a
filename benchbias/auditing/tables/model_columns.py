"""The columns of one model's answers: one of classes, one of lists of logits, or numbered columns of logits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from benchbias.auditing.tables.columns import Matrix, Values
from benchbias.auditing.tables.sources import Place, Sources
from benchbias.auditing.tables.table import Kind
from benchbias.data.reading.cells import normalised
from benchbias.errors import DataError, unknown

SHOWN = 4  # columns that a message names


@dataclass(frozen=True)
class ModelColumns:
    """The place of a model's answers. name: of the model; places: of its columns, in the order of the classes."""

    name: str
    places: tuple[Place, ...]
    kind: Kind

    def values(self, found: dict[Place, Values]) -> Values:
        """Its answers, of what was read. Numbered columns make one matrix."""
        import numpy as np

        if self.kind != "number":
            return found[self.places[0]]
        parts = [found[place] for place in self.places]
        return Matrix(np.concatenate([part.values for part in parts if isinstance(part, Matrix)], axis=1))


def model_columns(sources: Sources, text: str, role: str, classes: Sequence[str] | None = None) -> ModelColumns:
    """The columns for `COLUMN`, `FILE:COLUMN` or `NAME=COLUMN`: a column, or the beginning of numbered ones.

    With classes, columns may also end with the name of each class. Raises DataError for one that is not there, and for
    numbers with a gap.
    """
    name, columns = "", text
    if sources.find(text) is None and "=" in text:
        name, _, columns = text.partition("=")
    place = sources.find(columns)
    name = normalised(name) or normalised(columns)
    if place is not None:
        return ModelColumns(name, (place,), "list" if sources.listed(place) else "text")
    for number, table in enumerate(sources.tables):
        prefix = _prefix(sources, number, columns)
        endings = _numbered(table.where, table.names, prefix) or _named(table.names, prefix, classes or ())
        if endings:
            return ModelColumns(name, tuple(Place(number, column) for column in endings), "number")
    raise DataError(_unknown(sources, columns, role))


def _unknown(sources: Sources, text: str, role: str) -> str:
    """The message for a column that is not there, with a hint where columns begin with its name."""
    endings = [name for name in sources.names() if name.startswith((f"{text}_", f"{text}.")) and name != text]
    if len(endings) < 2:
        return unknown(f"column ({role})", text, sources.names(), sources.where())
    shown = ", ".join(endings[:SHOWN]) + (", ..." if len(endings) > SHOWN else "")
    remedy = f"if these are its logits, name the classes in their order (--classes FILE), as {text}_CLASS"
    return f"{sources.where()}: no column is called {text!r:.80}, and {len(endings)} begin so ({shown:.300}): {remedy}"


def _prefix(sources: Sources, number: int, text: str) -> str:
    """The text without the file that it names, where that is this table."""
    file, colon, rest = normalised(text).rpartition(":")
    return rest if colon and sources.is_called(number, file) else normalised(text)


def _numbered(where: str, names: Sequence[str], prefix: str) -> list[str]:
    """Columns `prefix_0, prefix_1, ...` in this order. Raises DataError where a number is missing or twice."""
    pattern = re.compile(re.escape(prefix) + r"[_.\- ]?\[?([0-9]+)\]?")
    found: dict[int, str] = {}
    for name in names:
        if match := pattern.fullmatch(name):
            number = int(match[1])
            if number in found:
                raise DataError(f"{where}: columns {found[number]!r:.80} and {name!r:.80} have one number")
            found[number] = name
    gap = next((number for number in range(len(found)) if number not in found), None)
    if gap is not None:
        told = f"{len(found)} columns {prefix:.60}_N, up to {max(found)}, but none is number {gap}"
        raise DataError(f"{where}: {told}: the classes are numbered from 0 without a gap")
    return [found[number] for number in range(len(found))]


def _named(names: Sequence[str], prefix: str, classes: Sequence[str]) -> list[str]:
    """Columns `prefix_CLASS` in the order of the classes, none unless all are there."""
    known = set(names)
    for joint in ("_", ".", "-", " ", ""):
        found = [normalised(f"{prefix}{joint}{name}") for name in classes]
        if found and known.issuperset(found):
            return found
    return []
