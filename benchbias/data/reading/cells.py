"""One cell of a table as text, whatever type it has: the one conversion and the one test of emptiness for all tables.

Texts are normalised: Unicode's form NFC, without blanks around. So two spellings of one word are one word.
"""

from __future__ import annotations

import datetime
import decimal
import math
import numbers
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchbias.errors import DataError

LONGEST_CELL = 4096  # characters: paths are shorter, and names far shorter
REMEDY = "a cell holds one text, number, date or true/false"


def normalised(text: str) -> str:
    """A text in Unicode's form NFC, without blanks around it."""
    return unicodedata.normalize("NFC", text).strip()


def is_empty(value: object) -> bool:
    """Whether a cell holds nothing: null, not a number, or blanks alone."""
    if isinstance(value, str | bytes):
        return not value.strip()
    if isinstance(value, decimal.Decimal):
        return value.is_nan()
    if isinstance(value, numbers.Number):
        return bool(value != value)
    return value is None or type(value).__name__ in ("NaTType", "NAType")


def cell_text(value: object, where: str, column: str) -> str:
    """The text of a cell; "" where it is empty. Raises DataError, which names the place, the column and the value.

    A number is written as short as its type allows (float32 0.1 is "0.1"), without a point where it is whole; a date
    without its time where that is midnight; bytes are UTF-8.
    """
    if is_empty(value):
        return ""
    text, fault = _text(value)
    if not fault and len(text) > LONGEST_CELL:
        text, fault = "", f"has {len(text)} characters; at most {LONGEST_CELL} are read"
    if fault:
        raise DataError(f"{where}: column {column!r:.80} {fault} ({_shown(value)}): {REMEDY}")
    return normalised(text)


def required_text(value: object, where: str, column: str) -> str:
    """The text of a cell that may not be empty. Raises DataError."""
    text = cell_text(value, where, column)
    if not text:
        raise DataError(f"{where}: column {column!r:.80} is empty: fill the cell, or take the row out")
    return text


def named_column(names: Sequence[str], column: str) -> str | None:
    """The name that a table has for a column, whichever Unicode form it is in; None where it has none."""
    return next((name for name in names if normalised(name) == normalised(column)), None)


def kept_value(value: object, where: str, column: str, dtype: str = "") -> Any:
    """A cell as JSON holds it: numbers, texts and true/false as they are, others as text, None for an empty one.

    dtype: the column's type where it is known: float32's 0.1 is kept as 0.1. Raises DataError.
    """
    if is_empty(value):
        return None
    if isinstance(value, float):
        cell_text(value, where, column)
        return float(str(np.dtype(dtype).type(value))) if dtype in ("float16", "float32") else value
    return value if isinstance(value, str | int) else cell_text(value, where, column)


def _text(value: object) -> tuple[str, str]:
    """The text of a cell that is not empty, and its fault; one of both is empty."""
    if isinstance(value, str):
        return value, ""
    if isinstance(value, bytes | bytearray | memoryview):
        try:
            return bytes(value).decode(), ""
        except UnicodeDecodeError:
            return "", "holds bytes that are not UTF-8"
    if isinstance(value, bool | np.bool_):
        return str(bool(value)), ""
    if isinstance(value, int | np.integer):
        return str(int(value)), ""
    if isinstance(value, float | np.floating | decimal.Decimal):
        return _number(value)
    if isinstance(value, datetime.datetime):
        midnight = value.time() == datetime.time() and not getattr(value, "nanosecond", 0)
        return (value.date() if midnight else value).isoformat(), ""
    if isinstance(value, datetime.date):
        return value.isoformat(), ""
    return "", f"holds a value of type {type(value).__name__}"


def _number(value: float | np.floating[Any] | decimal.Decimal) -> tuple[str, str]:
    if not math.isfinite(value):
        return "", "holds an infinite number"
    if value == int(value):
        return str(int(value)), ""
    return (format(value.normalize(), "f") if isinstance(value, decimal.Decimal) else str(value)), ""


def _shown(value: object) -> str:
    try:
        return f"{value!r:.80}"
    except Exception:  # a type whose text is its own fault
        return type(value).__name__
