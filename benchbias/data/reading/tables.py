"""A user's table of labels, CSV or parquet, read strictly and in bounds: the same cells give the same rows."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from benchbias.data.reading.cells import LONGEST_CELL, cell_text, named_column, normalised, required_text
from benchbias.data.reading.raw_files import inside, missing_folder
from benchbias.data.reading.repository import LARGEST_ROWS
from benchbias.errors import DataError, unknown

LARGEST_TABLE = 1 << 30  # bytes of a CSV file
DELIMITERS = (",", ";", "\t", "|")
BATCH = 4096  # rows of a parquet file at once


@dataclass(frozen=True)
class Row:
    """One row of a table. where: the file and the row, for messages. values: column -> text, normalised.

    A text is empty only in a column that may have empty cells. Rows are counted as a spreadsheet does: in a CSV file
    the header is row 1, in a parquet file the first example is.
    """

    where: str
    values: Mapping[str, str]


def table_rows(
    root: Path, folder: str, table: str, columns: Sequence[str], *, optional: Sequence[str] = ()
) -> list[Row]:
    """The rows of `<root>/<folder>/<table>`: CSV in UTF-8 with , ; | or tabs, or a parquet file (`.parquet`).

    columns: those that are read; optional: those of them whose cells may be empty. Raises DataError, naming the file,
    and the row where there is one: for a file that is not there or cannot be read, a column that is not there, an
    empty cell, one that is no text, number, date or true/false, more rows than are read.
    """
    home = inside(root, folder, "folder")
    if not home.is_dir():
        raise missing_folder(root, folder)
    path = inside(home, table, "table")
    if not path.is_file():
        raise DataError(f"{path}: no such file (table = {table!r}: a CSV or parquet file in the folder)")
    rows: list[Row] = []
    for where, cells in (_parquet if path.suffix.lower() == ".parquet" else _csv)(path, list(dict.fromkeys(columns))):
        if len(rows) == LARGEST_ROWS:
            raise DataError(f"{where}: at most {LARGEST_ROWS} rows are read")
        texts = {n: (cell_text if n in optional else required_text)(value, where, n) for n, value in cells.items()}
        rows.append(Row(where, texts))
    if not rows:
        raise DataError(f"{path}: no rows")
    return rows


def _csv(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    number = 1
    try:
        if path.stat().st_size > LARGEST_TABLE:
            raise DataError(f"{path}: more than {LARGEST_TABLE >> 20} MiB")
        with path.open(encoding="utf-8-sig", newline="") as file:
            number, delimiter = _dialect(path, file, columns)
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            header = [normalised(name) for name in next(reader, [])]
            places = {name: header.index(normalised(name)) for name in columns}
            for cells in reader:
                number += 1
                if not any(cell.strip() for cell in cells):  # an empty row, as spreadsheets leave them
                    continue
                where = f"{path}, row {number}"
                if len(cells) != len(header):
                    raise DataError(f"{where}: {len(cells)} cells, but the header has {len(header)}")
                yield where, {name: cells[place] for name, place in places.items()}
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 ({error.reason} at byte {error.start}); save it as CSV in UTF-8") from None
    except csv.Error as error:
        raise DataError(f"{path}, row {number + 1}: not a CSV file: {error}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _dialect(path: Path, file: TextIO, columns: Sequence[str]) -> tuple[int, str]:
    """The row of the header (2 below Excel's `sep=;`), and the delimiter with which it has the columns.

    The file then stands at the header. Raises DataError where a column is not there.
    """
    first = file.readline(len("sep=,") + 2)
    said = first[4:5] if first[:4].lower() == "sep=" and first[5:].strip() == "" else ""
    headers: dict[str, list[str]] = {}
    for delimiter in said or DELIMITERS:
        _to_header(file, below=bool(said))
        try:
            headers[delimiter] = [
                normalised(name) for name in next(csv.reader(file, delimiter=delimiter, strict=True), [])
            ]
        except csv.Error:  # quotes that end before another delimiter: it is not this one
            headers[delimiter] = []
    _to_header(file, below=bool(said))
    wanted = set(map(normalised, columns))
    fits = [delimiter for delimiter, header in headers.items() if wanted <= set(header)]
    best = fits[0] if fits else max(headers, key=lambda delimiter: len(headers[delimiter]))
    _check_columns(path, headers[best], columns)
    return 2 if said else 1, best


def _to_header(file: TextIO, *, below: bool) -> None:
    file.seek(0)
    if below:
        file.readline()


def _parquet(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            _check_columns(path, file.schema_arrow.names, columns)
            if file.metadata.num_rows > LARGEST_ROWS:
                raise DataError(f"{path}: {file.metadata.num_rows} rows; at most {LARGEST_ROWS} are read")
            own = [named_column(file.schema_arrow.names, name) or name for name in columns]
            texts = [name for name in own if _is_text(file.schema_arrow.field(name).type)]
        with pyarrow.parquet.ParquetFile(path, read_dictionary=texts) as file:  # equal texts take their room once
            for batch in file.iter_batches(BATCH, columns=own):
                cells = [_values(path, number, batch.column(name), name) for name in own]
                for values in zip(*cells, strict=True):
                    number += 1
                    yield f"{path}, row {number}", dict(zip(columns, values, strict=True))
    except (OSError, ValueError, OverflowError, pyarrow.ArrowException) as error:  # OverflowError: a date
        told = " ".join(str(error).split())
        raise DataError(f"{path}: not a parquet file, or a damaged one: {told}") from None


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    return any(test(kind) for test in (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary))


def _values(path: Path, number: int, column: Any, name: str) -> list[Any]:
    """The cells of a batch: numbers of 16 and 32 bits as numpy's, so that each is written as short as it allows."""
    import numpy as np
    from pyarrow import compute, types

    kind = column.type
    if types.is_dictionary(kind) and _is_text(kind.value_type):
        longest = compute.max(compute.binary_length(column.dictionary)).as_py() or 0
        if longest > 4 * LONGEST_CELL:
            raise DataError(f"{path}, after row {number}: column {name!r:.80} has a cell of {longest} bytes")
    if types.is_float16(kind) or types.is_float32(kind):
        exact = np.float16 if types.is_float16(kind) else np.float32
        return [None if value is None else exact(value) for value in column.to_pylist()]
    return cells_of(column, name, number, str(path))


def cells_of(column: Any, name: str, before: int, where: str) -> list[Any]:
    """The values of a column of arrow. Raises DataError, which names the row, for one that Python cannot hold.

    before: the number of rows before the column's first.
    """
    try:
        return list(column.to_pylist())
    except Exception:  # of many kinds: a date beyond the calendar, an unknown time zone
        for row, cell in enumerate(column, before + 1):
            try:
                cell.as_py()
            except Exception as error:
                told = " ".join(str(error).split()) or type(error).__name__
                raise DataError(
                    f"{where}, row {row}: column {name!r:.80} holds a value of type {column.type} that cannot be read: "
                    f"{told:.200} (years are 1 to 9999, time zones those of the IANA)"
                ) from None
        raise


def _check_columns(path: Path, header: Sequence[str], columns: Sequence[str]) -> None:
    known = [normalised(name) for name in header]
    for name in columns:
        if normalised(name) not in known:
            raise DataError(unknown("column", name, header, str(path)))
        if known.count(normalised(name)) > 1:
            raise DataError(f"{path}: two columns are called {name!r}")
