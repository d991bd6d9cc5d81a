"""Tables of answers written in every format that an audit reads, from one mapping of columns."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet

FORMATS = ("csv", "tsv", "parquet", "jsonl", "npz")


def write_table(folder: Path, form: str, columns: Mapping[str, Sequence[Any]], name: str = "table") -> Path:
    """The file of a table. A column of lists is numbered columns in CSV, lists in parquet and JSON, (N, C) in npz."""
    path = folder / f"{name}.{form}"
    if form in ("csv", "tsv"):
        _write_text(path, columns, "\t" if form == "tsv" else ",")
    elif form == "parquet":
        pyarrow.parquet.write_table(pyarrow.table(dict(columns)), path)
    elif form == "jsonl":
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        path.write_text("".join(json.dumps(row, default=str) + "\n" for row in rows))
    else:
        np.savez(path, **{key: _array(values) for key, values in columns.items()})
    return path


def _write_text(path: Path, columns: Mapping[str, Sequence[Any]], delimiter: str) -> None:
    flat: dict[str, list[Any]] = {}
    for key, values in columns.items():
        if isinstance(values[0], list):
            flat |= {f"{key}_{at}": [row[at] for row in values] for at in range(len(values[0]))}
        else:
            flat[key] = ["" if value is None else value for value in values]
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(flat)
        writer.writerows(zip(*flat.values(), strict=True))


def _array(values: Sequence[Any]) -> np.ndarray[Any, Any]:
    if any(value is None for value in values):
        return np.array(["" if value is None else str(value) for value in values])
    array = np.array(values)
    return array.astype(str) if array.dtype == object else array
