"""One small table of pictures in every form in which people have one: dialects of CSV, types of parquet, a hub copy."""

from __future__ import annotations

import csv
import datetime
import decimal
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

COLUMNS = ("image", "split", "label", "attribute")
SPLIT_SIZES = {"train": 12, "val": 4, "test": 8}
SIDE = 6
LABELS, ATTRIBUTES = ("0", "1"), ("a", "b")

Rows = list[dict[str, str]]


def pixels(number: int, side: int = SIDE) -> np.ndarray:
    """A picture of four levels that survives a palette, no two alike: uint8 (side, side, 3)."""
    levels = np.array([[number, 0, 255], [255 - number, 80, 0], [0, 255, number], [128, 128, 128]], np.uint8)
    return levels[np.random.default_rng(number).integers(0, 4, (side, side))]


def base_rows() -> Rows:
    """Labels 0 and 1; three of four examples of a label have its usual attribute; in test half."""
    rows: Rows = []
    for split, count in SPLIT_SIZES.items():
        for number in range(count):
            label, odd = number % 2, number // 2 % (2 if split == "test" else 4) == 0
            row = {"image": f"im/{len(rows)}.png", "split": split, "label": LABELS[label]}
            rows.append(row | {"attribute": ATTRIBUTES[label ^ odd]})
    return rows


def write_base(home: Path) -> Rows:
    """The pictures as PNG, without a table."""
    (home / "im").mkdir(parents=True)
    rows = base_rows()
    for number, row in enumerate(rows):
        Image.fromarray(pixels(number)).save(home / row["image"])
    return rows


def csv_bytes(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = COLUMNS, **options: Any) -> bytes:
    """A table as CSV in UTF-8, by the options of csv.writer."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", **{"lineterminator": "\n"} | options)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


DIALECTS: Mapping[str, Callable[[Rows], bytes]] = {
    "commas": csv_bytes,
    "semicolons": lambda rows: csv_bytes(rows, delimiter=";"),
    "tabs": lambda rows: csv_bytes(rows, delimiter="\t"),
    "bars": lambda rows: csv_bytes(rows, delimiter="|"),
    "a mark at the start": lambda rows: b"\xef\xbb\xbf" + csv_bytes(rows),
    "a mark, semicolons, CRLF": lambda rows: b"\xef\xbb\xbf" + csv_bytes(rows, delimiter=";", lineterminator="\r\n"),
    "CR alone": lambda rows: csv_bytes(rows, lineterminator="\r"),
    "all quoted": lambda rows: csv_bytes(rows, quoting=csv.QUOTE_ALL),
    "quoted semicolons": lambda rows: csv_bytes(rows, quoting=csv.QUOTE_ALL, delimiter=";"),
    "Excel's first line": lambda rows: b"sep=;\r\n" + csv_bytes(rows, delimiter=";", lineterminator="\r\n"),
    "a comma in another header": lambda rows: csv_bytes(
        [row | {"x, y": "0,5"} for row in rows], (*COLUMNS, "x, y"), delimiter=";"
    ),
    "a semicolon in another header": lambda rows: csv_bytes(
        [row | {"x; y": "1;2"} for row in rows], (*COLUMNS, "x; y")
    ),
    "an index": lambda rows: csv_bytes([{"": n, **row} for n, row in enumerate(rows)], ("", *COLUMNS)),
    "other columns first": lambda rows: csv_bytes([row | {"z": "é"} for row in rows], ("z", *COLUMNS[::-1])),
    "empty rows": lambda rows: csv_bytes(rows).replace(b"\n", b"\n\n", 3) + b",,,\n  \n\n",
    "blanks around": lambda rows: csv_bytes([{name: f" {text} " for name, text in row.items()} for row in rows]),
    "paths of another spelling": lambda rows: csv_bytes([row | {"image": f"./{row['image']}"} for row in rows]),
}
"""Dialects of CSV that all say the same."""

DATES = {"0": datetime.date(2020, 1, 1), "1": datetime.date(2021, 6, 30)}


def _moment(text: str) -> datetime.datetime:
    return datetime.datetime.combine(DATES[text], datetime.time())


TYPES: Mapping[str, tuple[Callable[[str], Any], pa.DataType, Callable[[str], str]]] = {
    "string": (str, pa.string(), str),
    "large_string": (str, pa.large_string(), str),
    "dictionary": (str, pa.dictionary(pa.int32(), pa.string()), str),
    "binary": (str.encode, pa.binary(), str),
    "large_binary": (str.encode, pa.large_binary(), str),
    "int8": (int, pa.int8(), str),
    "int64": (int, pa.int64(), str),
    "uint64": (lambda text: (1 << 63) + int(text), pa.uint64(), lambda text: str((1 << 63) + int(text))),
    "bool": (lambda text: text == "1", pa.bool_(), lambda text: str(text == "1")),
    "float16": (lambda text: np.float16(0.1 + int(text)), pa.float16(), lambda text: ("0.1", "1.1")[int(text)]),
    "float32": (lambda text: 0.1 + int(text), pa.float32(), lambda text: ("0.1", "1.1")[int(text)]),
    "float64": (lambda text: 0.1 + int(text), pa.float64(), lambda text: ("0.1", "1.1")[int(text)]),
    "whole float32": (float, pa.float32(), str),
    "whole float64": (float, pa.float64(), str),
    "decimal": (
        lambda text: decimal.Decimal(text) + decimal.Decimal("0.50"),
        pa.decimal128(6, 2),
        lambda text: ("0.5", "1.5")[int(text)],
    ),
    "whole decimal": (decimal.Decimal, pa.decimal128(6, 2), str),
    "date32": (DATES.get, pa.date32(), lambda text: DATES[text].isoformat()),
    "date64": (DATES.get, pa.date64(), lambda text: DATES[text].isoformat()),
    "timestamp[s]": (_moment, pa.timestamp("s"), lambda text: DATES[text].isoformat()),
    "timestamp[ns]": (_moment, pa.timestamp("ns"), lambda text: DATES[text].isoformat()),
    "timestamp[us, UTC]": (_moment, pa.timestamp("us", "UTC"), lambda text: DATES[text].isoformat()),
}
"""Types of a column: how its cells are made of "0" and "1", the arrow type, and the text that each becomes."""

REFUSED: Mapping[str, tuple[Any, pa.DataType, str]] = {
    "null": (None, pa.string(), "is empty"),
    "blank": ("  ", pa.string(), "is empty"),
    "nan": (float("nan"), pa.float64(), "is empty"),
    "null of a float": (None, pa.float32(), "is empty"),
    "null of a bool": (None, pa.bool_(), "is empty"),
    "null of a timestamp": (None, pa.timestamp("ns"), "is empty"),
    "infinity": (float("inf"), pa.float64(), r"holds an infinite number \(inf\)"),
    "minus infinity": (float("-inf"), pa.float32(), r"holds an infinite number"),
    "bytes": (b"\xff\xfe", pa.binary(), "holds bytes that are not UTF-8"),
    "a list": (["0"], pa.list_(pa.string()), "holds a value of type list"),
    "a struct": ({"x": "0"}, pa.struct([("x", pa.string())]), "holds a value of type dict"),
    "a duration": (datetime.timedelta(1), pa.duration("s"), "holds a value of type timedelta"),
    "a time": (datetime.time(3), pa.time64("us"), "holds a value of type time"),
    "a long text": ("x" * 5000, pa.string(), "has 5000 characters; at most 4096"),
}
"""Cells that are none: the value, the type of its column, and what is said of it."""


def table_of(rows: Rows, **columns: pa.Array) -> pa.Table:
    """The table in arrow, with other columns in the place of some."""
    return pa.table({name: columns.get(name, pa.array([row[name] for row in rows])) for name in COLUMNS})


def column_of(texts: Sequence[str], kind: str) -> pa.Array:
    """A column of "0" and "1" as a type of TYPES."""
    make, arrow, _ = TYPES[kind]
    return pa.array([make(text) for text in texts], arrow)


def write_hub(home: Path, folder: Path, rows: Rows, **columns: Callable[[Rows], pa.Array]) -> None:
    """The same pictures as a copy of a repository, in plain parquet, one file a split; no column `split`."""
    (home / "data").mkdir(parents=True, exist_ok=True)
    for split, name in (("train", "train"), ("val", "validation"), ("test", "test")):
        part = [row for row in rows if row["split"] == split]
        cells = [{"bytes": (folder / row["image"]).read_bytes(), "path": None} for row in part]
        made = {"image": pa.array(cells, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))}
        for column in ("label", "attribute"):
            make = columns.get(column, lambda part, column=column: pa.array([row[column] for row in part]))
            made[column] = make(part)
        pq.write_table(pa.table(made), home / "data" / f"{name}-00000-of-00001.parquet")
