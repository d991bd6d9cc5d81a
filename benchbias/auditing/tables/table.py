"""The contract of a table of one file: its columns, read all at once and only those that are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from benchbias.auditing.tables.columns import Values
from benchbias.data.reading.cells import normalised
from benchbias.errors import DataError

Kind = Literal["text", "number", "list"]
"""The form of a column: one text a row, one number a row, or a list of numbers a row."""


class Table(Protocol):
    """One file. where: its name for messages; names: its columns in their order."""

    @property
    def where(self) -> str: ...

    @property
    def names(self) -> tuple[str, ...]: ...

    def listed(self, name: str) -> bool:
        """Whether a column holds a list of numbers in each row."""

    def read(self, wanted: Mapping[str, Kind]) -> dict[str, Values]:
        """The columns by name: Coded for text, a Matrix (N, 1) for numbers, (N, C) for lists. Raises DataError."""

    def row(self, number: int) -> str:
        """The place of a row, counted from 0, for messages."""


def check_names(where: str, names: Sequence[str]) -> tuple[str, ...]:
    """The names of columns in their normal form. Raises DataError where two of them are one."""
    found = [normalised(name) for name in names]
    twice = sorted({name for name in found if name and found.count(name) > 1}) if len(set(found)) < len(found) else []
    if twice:
        raise DataError(f"{where}: two columns are called {twice[0]!r:.80}: rename one of them")
    return tuple(found)


def counted(number: int, noun: str) -> str:
    """A number with its noun: `1 row`, `2 rows`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def not_numbers(place: str, column: str, value: object) -> DataError:
    """The error for a cell that should be a number."""
    return DataError(f"{place}: column {column!r:.80} holds {str(value)!r:.40}, which is no number")


def not_numeric(place: str, column: str, what: str) -> DataError:
    """The error for a whole column that has another type than numbers. what: the type in words."""
    return DataError(f"{place}: column {column!r:.80} is {what:.120}: numbers are needed")
