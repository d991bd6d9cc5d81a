"""A file of JSON lines as a table: one object a line, read once in batches; a JSON list of objects is read too."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchbias.auditing.tables.columns import Coded, Coder, Matrix, Values
from benchbias.auditing.tables.table import Kind, check_names, not_numbers
from benchbias.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

BATCH = 8192  # rows


class JsonTable:
    """JSON lines. The columns are the keys of all rows; a row without a key has an empty cell there."""

    def __init__(self, path: Path) -> None:
        self._path, self.where = path, str(path)
        own: dict[str, _Column] = {}
        self._rows = 0
        for rows in self._batches():
            for name in {name: None for row in rows for name in row if name not in own}:
                own[name] = _Column(name, self)
                own[name].add([None] * self._rows)
            for name, column in own.items():
                column.add([row.get(name) for row in rows])
            self._rows += len(rows)
        self.names = check_names(self.where, list(own))
        self._columns = dict(zip(self.names, own.values(), strict=True))

    def listed(self, name: str) -> bool:
        """Whether any row has a list there."""
        return self._columns[name].listed

    def row(self, number: int) -> str:
        """The place of a row: the first object is row 1."""
        return f"{self.where}, row {number + 1}"

    def read(self, wanted: Mapping[str, Kind]) -> dict[str, Values]:
        """The columns, see Table. Raises DataError for cells of other kinds."""
        if not self._rows:
            raise DataError(f"{self.where}: no rows")
        return {name: self._columns[name].values(kind) for name, kind in wanted.items()}

    def _batches(self) -> Iterator[list[dict[str, Any]]]:
        rows: list[dict[str, Any]] = []
        for row in self._objects():
            rows.append(row)
            if len(rows) == BATCH:
                yield rows
                rows = []
        if rows:
            yield rows

    def _objects(self) -> Iterator[dict[str, Any]]:
        number, decode = 0, json.JSONDecoder(object_pairs_hook=_object).decode
        try:
            with self._path.open(encoding="utf-8-sig") as file:
                whole = file.read(64).lstrip()[:1] == "["
                file.seek(0)
                for number, line in enumerate([file.read()] if whole else file, 1):
                    if not line.strip():
                        continue
                    found = decode(line)
                    for row in found if whole and isinstance(found, list) else [found]:
                        if not isinstance(row, dict):
                            raise DataError(f"{self.where}, line {number}: one JSON object a line is read")
                        yield row
        except UnicodeDecodeError as error:
            place = f"{error.reason} at byte {error.start}"
            raise DataError(f"{self.where}: not UTF-8 ({place}); save it as JSON in UTF-8") from None
        except json.JSONDecodeError as error:
            line_number = error.lineno if whole else number
            raise DataError(f"{self.where}, line {line_number}: not JSON: {error.msg}") from None
        except (_TwiceError, RecursionError, ValueError) as error:
            raise DataError(f"{self.where}, line {number}: {error}") from None
        except OSError as error:
            raise DataError(f"{self.where}: cannot be read: {error.strerror}") from None


class _Column:
    """The cells of one key. A cell that cannot be read is an error only where the column is asked for."""

    def __init__(self, name: str, table: JsonTable) -> None:
        self._name, self._row = name, table.row
        self._coder = Coder(name, table.row)
        self._lists: list[NDArray[Any]] = []
        self._fault: DataError | None = None
        self._count = 0
        self.listed = False

    def add(self, cells: list[Any]) -> None:
        self.listed = self.listed or list in set(map(type, cells))
        if self._fault is None and cells:
            try:
                if self.listed:
                    self._lists.append(self._floats(cells))
                else:
                    self._coder.add(cells)
            except DataError as error:
                self._fault = error
        self._count += len(cells)

    def values(self, kind: Kind) -> Values:
        """The column, see Table. Raises DataError."""
        if self._fault is not None:
            raise self._fault
        if self.listed:
            if (rows := sum(map(len, self._lists))) < self._count:
                raise self._uneven(0, f"no list, but row {self._count - rows + 1} has one")
            return Matrix(np.concatenate(self._lists))
        column = self._coder.done()
        return column if kind == "text" else Matrix(self._numbers(column)[:, None])

    def _floats(self, cells: list[Any]) -> NDArray[Any]:
        """The numbers of a batch of lists, float (rows, columns)."""
        width = self._lists[0].shape[1] if self._lists else len(cells[0]) if isinstance(cells[0], list) else 0
        for number, cell in enumerate(cells, self._count):
            if not isinstance(cell, list) or len(cell) != width or not cell:
                size = f"a list of {len(cell)} numbers" if isinstance(cell, list) else "no list"
                raise self._uneven(number, f"{size}; the first row has {width}")
            for value in cell:
                if type(value) not in (int, float):
                    raise not_numbers(self._row(number), self._name, value)
        try:
            return np.array(cells, np.float64)
        except OverflowError:
            raise DataError(
                f"{self._row(self._count)}: column {self._name!r:.80} holds a number beyond 1e308"
            ) from None

    def _numbers(self, column: Coded) -> NDArray[Any]:
        """The numbers of a column of single cells, float (N,), NaN where one is empty."""
        numbers = np.full(len(column.names) + 1, np.nan)
        for code, name in enumerate(column.names):
            try:
                numbers[code] = float(name)
            except ValueError:
                raise not_numbers(self._row(int(np.argmax(column.codes == code))), self._name, name) from None
        return np.asarray(numbers[column.codes])

    def _uneven(self, number: int, told: str) -> DataError:
        return DataError(f"{self._row(number)}: column {self._name!r:.80} holds {told}")


class _TwiceError(Exception):
    """A key stands twice in one object."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _TwiceError(f"the key {twice!r:.80} stands twice in one object")
    return found
