"""One table, or several that are joined by an id column one to one: where a column is, and its values in one order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchbias.auditing.tables.columns import Coded, Matrix, Values
from benchbias.auditing.tables.opening import open_table
from benchbias.auditing.tables.table import Kind, Table, counted
from benchbias.data.reading.cells import normalised
from benchbias.errors import DataError, UsageError, unknown

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHOWN = 3  # ids that a message tells


@dataclass(frozen=True)
class Place:
    """A column of one of the tables. table: its number; name: its name there."""

    table: int
    name: str


class Sources:
    """The tables of an audit. The first one decides the order of the rows."""

    def __init__(self, path: Path, join: Sequence[Path] = (), identity: str | None = None) -> None:
        """Open the files. Raises DataError for those that are no tables, UsageError for a join without an id."""
        self.tables: list[Table] = [open_table(file) for file in (path, *join)]
        self.identity = None if identity is None else normalised(identity)
        if join and self.identity is None:
            raise UsageError("several tables are joined by a column of ids: say which one it is (--id COLUMN)")
        for table in self.tables if self.identity is not None else ():
            if self.identity not in table.names:
                raise DataError(unknown("column (ids)", self.identity, table.names, table.where))
        self._labels = [_labels(Path(table.where)) for table in self.tables]

    def find(self, text: str) -> Place | None:
        """The place of a column, `column` or `file:column`; None where there is none.

        Raises DataError where several tables have it.
        """
        name = normalised(text)
        found = [Place(number, name) for number, table in enumerate(self.tables) if name in table.names]
        if len(found) > 1 and name == self.identity:
            return found[0]
        if len(found) > 1:
            files = " and ".join(self.tables[place.table].where for place in found)
            raise DataError(f"column {name!r:.80} is in {files}: write it as FILE:{name:.80}")
        if found or ":" not in name:
            return found[0] if found else None
        file, _, rest = name.rpartition(":")
        places = [number for number, labels in enumerate(self._labels) if file in labels]
        if len(places) > 1:
            raise DataError(f"{name!r:.80}: two tables are called {file!r:.80}: write their whole names")
        return Place(places[0], rest) if places and rest in self.tables[places[0]].names else None

    def is_called(self, number: int, file: str) -> bool:
        """Whether a table has this path, file name or file name without suffix."""
        return file in self._labels[number]

    def need(self, text: str, role: str) -> Place:
        """The place of a column that must be there. Raises DataError, which names its role and the known columns."""
        found = self.find(text)
        if found is None:
            what = f"column ({role})" if role else "column"
            hint = "; --image NAME names the column of the files" if role == "image" else ""
            raise DataError(unknown(what, text, self.names(), self.where()) + hint)
        return found

    def names(self) -> list[str]:
        """The columns of all tables."""
        return sorted({name for table in self.tables for name in table.names if name})

    def where(self) -> str:
        """The files, for messages."""
        return " and ".join(table.where for table in self.tables)

    def listed(self, place: Place) -> bool:
        """Whether a column holds lists of numbers."""
        return self.tables[place.table].listed(place.name)

    def row(self, number: int) -> str:
        """The place of a row of the first table, for messages."""
        return self.tables[0].row(number)

    def read(self, wanted: Mapping[Place, Kind]) -> dict[Place, Values]:
        """The columns in the order of the first table. Raises DataError where ids do not join one to one."""
        found: dict[Place, Values] = {}
        ids: list[Coded] = []
        for number, table in enumerate(self.tables):
            own: dict[str, Kind] = {place.name: kind for place, kind in wanted.items() if place.table == number}
            if self.identity is not None:
                own[self.identity] = "text"
            values = table.read(own)
            if self.identity is not None:
                ids.append(_ids(table, self.identity, values[self.identity]))
            found |= {Place(number, name): value for name, value in values.items()}
        for number in range(1, len(self.tables)):
            order = _order(self.tables[0].where, ids[0], self.tables[number].where, ids[number])
            for place in found:
                if place.table == number:
                    found[place] = _taken(found[place], order)
        return found


def _labels(path: Path) -> set[str]:
    return {normalised(text) for text in (str(path), path.name, path.stem)}


def _ids(table: Table, identity: str, values: Values) -> Coded:
    """The ids of a table. Raises DataError where one is empty or stands twice."""
    assert isinstance(values, Coded)
    codes = values.codes
    if (codes < 0).any():
        raise DataError(f"{table.row(int(np.argmax(codes < 0)))}: column {identity!r:.80} (ids) is empty")
    counts = np.bincount(codes, minlength=len(values.names))
    if counts.max() > 1:
        twice = int(np.argmax(counts > 1))
        rows = [table.row(int(number)) for number in np.nonzero(codes == twice)[0][:2]]
        remedy = "an id stands in one row; copies of one example are named by --cluster instead"
        raise DataError(f"{rows[0]} and {rows[1]}: the id {values.names[twice]!r:.80} stands twice: {remedy}")
    return values


def _order(first: str, ids: Coded, second: str, others: Coded) -> NDArray[Any]:
    """The row of the second table for each row of the first, int (N,). Raises DataError where they are not the same."""
    if ids.names != others.names:
        only = [sorted(set(a.names) - set(b.names)) for a, b in ((ids, others), (others, ids))]
        told = " and ".join(
            f"{counted(len(names), 'id')} only in {where} ({', '.join(names[:SHOWN])}{', ...' * (len(names) > SHOWN)})"
            for where, names in zip((first, second), only, strict=True)
            if names
        )
        raise DataError(f"{first} and {second} do not join one to one: {told}")
    place = np.empty(len(others.names), np.int64)
    place[others.codes] = np.arange(len(others.codes))
    return np.asarray(place[ids.codes])


def _taken(values: Values, order: NDArray[Any]) -> Values:
    if isinstance(values, Matrix):
        return Matrix(values.values[order])
    return Coded(values.codes[order], values.names)
