"""The kind of table that a file is, by its suffix, else by its first bytes."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from benchbias.auditing.tables.array_tables import NpzTable
from benchbias.auditing.tables.csv_tables import CsvTable
from benchbias.auditing.tables.json_tables import JsonTable
from benchbias.auditing.tables.parquet_tables import ParquetTable
from benchbias.auditing.tables.table import Table
from benchbias.errors import DataError

READERS: Mapping[str, Callable[[Path], Table]] = MappingProxyType(
    {
        **dict.fromkeys((".csv", ".tsv", ".txt", ".tab"), CsvTable),
        **dict.fromkeys((".parquet", ".pq"), ParquetTable),
        **dict.fromkeys((".jsonl", ".ndjson", ".json"), JsonTable),
        ".npz": NpzTable,
    }
)
FORMATS = "CSV, parquet, JSON lines and npz are read"


def open_table(path: Path) -> Table:
    """The table of a file. Raises DataError for one that is not there, or of another kind."""
    if not path.is_file():
        told = "a folder" if path.is_dir() else "no plain file" if path.exists() else "no such file"
        raise DataError(f"{path}: {told} (a table of answers: {FORMATS})")
    try:
        with path.open("rb") as file:
            first = file.read(64)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    if not first.strip():
        raise DataError(f"{path}: the file is empty")
    reader = READERS.get(path.suffix.lower()) or _by_content(path, first)
    return reader(path)


def _by_content(path: Path, first: bytes) -> Callable[[Path], Table]:
    other = {
        b"\x80": "a pickle, which is never opened",
        b"\x1f\x8b": "compressed by gzip: unpack it first",
        b"\x28\xb5\x2f\xfd": "compressed by zstandard: unpack it first",
        b"ARROW1": "a feather or arrow file",
        b"\x93NUMPY": "a npy file of one array: save all columns by numpy.savez",
        b"\x89HDF": "a HDF5 file",
        b"SQLite": "a database of SQLite",
    }
    for begin, told in other.items():
        if first.startswith(begin):
            raise DataError(f"{path}: {told} ({FORMATS})")
    if first.startswith(b"PAR1"):
        return ParquetTable
    if first.startswith(b"PK"):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
            if any(name.startswith("xl/") for name in names):
                raise DataError(f"{path}: a spreadsheet: save it as CSV in UTF-8")
        return NpzTable
    return JsonTable if first.lstrip()[:1] in (b"{", b"[") else CsvTable
