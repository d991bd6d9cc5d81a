"""A user's own folder: its table of labels, read strictly, and its images, decoded once into a mapped cache."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from benchbias.data.reading.decoding import LARGEST_IMAGE, check_stretch, decode
from benchbias.data.reading.pixel_cache import Sink, decoded
from benchbias.data.reading.raw_files import inside, missing_folder, raw_digest
from benchbias.errors import DataError, unknown
from benchbias.util import canonical
from benchbias.util.progress import progress


@dataclass(frozen=True)
class Row:
    """One row of a table. where: the file and the line, for messages. values: column -> text, never empty."""

    where: str
    values: Mapping[str, str]


def table_rows(root: Path, folder: str, table: str, columns: Sequence[str]) -> list[Row]:
    """The rows of `<root>/<folder>/<table>`, a CSV (UTF-8, commas or semicolons) or a parquet file.

    columns: those that are read. Raises DataError, naming the file, and the row where there is one: for a file that is
    not there or cannot be read, a column that is not there, an empty cell.
    """
    home = inside(root, folder, "folder")
    if not home.is_dir():
        raise missing_folder(root, folder)
    path = inside(home, table, "table")
    if not path.is_file():
        raise DataError(f"{path}: no such file (table = {table!r}: a CSV or parquet file in the folder)")
    read = _parquet if path.suffix == ".parquet" else _csv
    rows = list(read(path, columns))
    if not rows:
        raise DataError(f"{path}: no rows")
    return rows


def _csv(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            semicolons = ";" in first and "," not in first
            reader = csv.reader(file, delimiter=";" if semicolons else ",", strict=True)
            header = [name.strip() for name in next(reader, [])]
            _check_columns(path, header, columns)
            for cells in reader:
                where = f"{path}, row {reader.line_num}"
                if not cells:  # an empty line
                    continue
                if len(cells) != len(header):
                    raise DataError(f"{where}: {len(cells)} cells, but the header has {len(header)}")
                yield _row(where, dict(zip(header, cells, strict=True)), columns)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 ({error.reason} at byte {error.start})") from None
    except csv.Error as error:
        raise DataError(f"{path}, row {reader.line_num}: not a CSV file: {error}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _parquet(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
        _check_columns(path, file.schema_arrow.names, columns)
        table = file.read(columns=list(dict.fromkeys(columns))).to_pylist()
    except (OSError, ValueError) as error:  # pyarrow's own errors are both
        raise DataError(f"{path}: not a parquet file: {' '.join(str(error).split())}") from None
    for number, values in enumerate(table, 1):
        texts = {name: "" if value is None or value != value else str(value) for name, value in values.items()}
        yield _row(f"{path}, row {number}", texts, columns)


def _check_columns(path: Path, header: Sequence[str], columns: Sequence[str]) -> None:
    for name in columns:
        if name not in header:
            raise DataError(unknown("column", name, header, str(path)))
        if header.count(name) > 1:
            raise DataError(f"{path}: two columns are called {name!r}")


def _row(where: str, values: Mapping[str, str], columns: Sequence[str]) -> Row:
    kept = {name: values[name].strip() for name in columns}
    for name, text in kept.items():
        if not text:
            raise DataError(f"{where}: column {name!r} is empty")
    return Row(where, kept)


def folder_images(
    root: Path,
    folder: str,
    files: Sequence[tuple[str, str]],
    *,
    size: int | None = None,
    channels: int | None = None,
    stretch: int | None = None,
) -> Tensor:
    """Images of a user's folder, uint8 (N, C, H, W), mapped from a cache, not held in memory.

    files: (where it is named, path relative to `<root>/<folder>`). size, channels, stretch: as in `hub_images`. Raises
    DataError, which begins with `where`, for a path that is not there, leaves the folder or is hidden, and for what
    is no whole image of the first one's shape.
    """
    home = inside(root, folder, "folder")
    names = [name for _, name in files]
    check_stretch(stretch, size)
    made_from = {"raw": raw_digest(root, home), "files": canonical.digest(names), "size": size, "channels": channels}
    made_from |= {"stretch": stretch}

    def build(sink: Sink) -> Mapping[str, Any]:
        chosen = channels
        for where, name in progress(files, len(files), f"decoding {folder}"):
            here = f"{where}: {name}"
            pixels = decode(_content(home, where, name), here, size=size, channels=chosen, stretch=stretch)
            chosen = chosen or (3 if len(pixels) == 3 else None)  # a grey image among coloured ones is no fault
            sink.add(pixels, here)
        return {}

    return decoded(root, made_from, build).images


def _content(home: Path, where: str, name: str) -> bytes:
    """The bytes of an image file below `home`. Raises DataError."""
    path = inside(home, name, f"{where}: image")
    if not path.is_file():
        raise DataError(f"{where}: no such file: {path}")
    if any(part.startswith(".") for part in path.resolve().relative_to(home.resolve()).parts):
        raise DataError(f"{where}: {name!r} is hidden: its name or a folder's begins with a point")
    try:
        if path.stat().st_size > LARGEST_IMAGE:
            raise DataError(f"{where}: {name!r} has more than {LARGEST_IMAGE >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{where}: {path} cannot be read: {error.strerror}") from None
