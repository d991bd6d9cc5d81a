"""A CSV file as a table: UTF-8, with , ; | or tabs between cells, read in batches of rows."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from benchbias.auditing.tables.columns import Coder, Matrix, Values
from benchbias.auditing.tables.table import Kind, check_names, not_numbers
from benchbias.data.reading.tables import DELIMITERS
from benchbias.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

BATCH = 8192  # rows


class CsvTable:
    """A CSV file. The delimiter is what cuts the header into most columns, or what a first line `sep=;` says."""

    def __init__(self, path: Path) -> None:
        self._path, self.where = path, str(path)
        with self._open() as file:
            first = file.readline(8)
            self._said = first[4:5] if first[:4].lower() == "sep=" and not first[5:].strip() else ""
            self._first = 3 if self._said else 2
            headers = {delimiter: self._header(file, delimiter) for delimiter in self._said or DELIMITERS}
        self._delimiter = max(headers, key=lambda delimiter: len(headers[delimiter]))
        if not headers[self._delimiter]:
            raise DataError(f"{path}: the file is empty: its first line names the columns")
        self.names = check_names(self.where, headers[self._delimiter])
        self._skipped: list[int] = []

    def listed(self, name: str) -> bool:
        """Always False: a cell is one value."""
        return False

    def row(self, number: int) -> str:
        """The place of a row as a spreadsheet counts: the header is row 1."""
        for skipped in self._skipped:
            number += skipped <= number
        return f"{self.where}, row {number + self._first}"

    def read(self, wanted: Mapping[str, Kind]) -> dict[str, Values]:
        """The columns, see Table. Raises DataError for ragged rows, other encodings, and cells of other kinds."""
        places = {name: self.names.index(name) for name in wanted}
        coders = {name: Coder(name, self.row) for name, kind in wanted.items() if kind == "text"}
        numbers: dict[str, list[NDArray[Any]]] = {name: [] for name, kind in wanted.items() if kind == "number"}
        before = 0
        for rows in self._batches():
            cells = list(zip(*rows, strict=True))
            for name, coder in coders.items():
                coder.add(cells[places[name]])
            for name, parts in numbers.items():
                parts.append(self._floats(name, cells[places[name]], before))
            before += len(rows)
        if not before:
            raise DataError(f"{self.where}: no rows below the header")
        found: dict[str, Values] = {name: coder.done() for name, coder in coders.items()}
        return found | {name: Matrix(np.concatenate(parts)[:, None]) for name, parts in numbers.items()}

    def _batches(self) -> Iterator[list[list[str]]]:
        """The rows that are not blank, some thousand at once."""
        self._skipped, number, width = [], 0, len(self.names)
        with self._open() as file:
            if self._said:
                file.readline()
            reader = csv.reader(file, delimiter=self._delimiter, strict=True)
            next(reader)
            rows: list[list[str]] = []
            try:
                for cells in reader:
                    if not any(cells) or not any(map(str.strip, cells)):  # an empty row, as spreadsheets leave them
                        self._skipped.append(number)
                    elif len(cells) != width:
                        place = f"{self.where}, row {number + self._first}"
                        raise DataError(f"{place}: {len(cells)} cells, but the header has {width}")
                    else:
                        rows.append(cells)
                    number += 1
                    if len(rows) == BATCH:
                        yield rows
                        rows = []
            except csv.Error as error:
                raise DataError(f"{self.where}, row {number + self._first}: not a CSV file: {error}") from None
            if rows:
                yield rows

    def _floats(self, name: str, cells: Sequence[str], before: int) -> NDArray[Any]:
        try:
            return np.array([float(cell) if cell.strip() else np.nan for cell in cells])
        except ValueError:
            pass
        for number, cell in enumerate(cells):
            try:
                float(cell or "nan")
            except ValueError:
                raise not_numbers(self.row(before + number), name, cell) from None
        raise not_numbers(self.where, name, "")

    def _header(self, file: TextIO, delimiter: str) -> list[str]:
        file.seek(0)
        if self._said:
            file.readline()
        try:
            return next(csv.reader(file, delimiter=delimiter, strict=True), [])
        except csv.Error:  # quotes that end before another delimiter: it is not this one
            return []

    @contextmanager
    def _open(self) -> Iterator[TextIO]:
        try:
            with self._path.open(encoding="utf-8-sig", newline="") as file:
                yield file
        except UnicodeDecodeError as error:
            place = f"{error.reason} at byte {error.start}"
            raise DataError(f"{self.where}: not UTF-8 ({place}); save it as CSV in UTF-8") from None
        except OSError as error:
            raise DataError(f"{self.where}: cannot be read: {error.strerror}") from None
