"""What a table of a probe or an analysis may hold: kinds of columns, their values and their bounds. No torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

KINDS = ("text", "number", "count", "fraction", "image")
LONGEST_TEXT = 200  # of a cell, a column's name or its unit
LONGEST_CAPTION = 2_000
MOST_COLUMNS = 64
MOST_CELLS = 20_000
LARGEST_NUMBER = 1e30  # in size: what is larger overflows in the squares of an interval


def check_table(caption: Any, columns: Sequence[tuple[Any, Any, Any, Sequence[Any]]]) -> None:
    """Check (name, kind, unit, values) of every column. Raises ValueError that names the column and the row.

    text: str. number: float. count: int from 0. fraction: float from 0 to 1. image: int from 0, an index into a
    split; at most one such column. None where a number is undefined.
    """
    _check_text(caption, "the caption", LONGEST_CAPTION)
    names = [name for name, _, _, _ in columns]
    for name, kind, unit, _ in columns:
        _check_text(name, "the name of a column", LONGEST_TEXT)
        _check_text(unit, f"the unit of column {name!r}", LONGEST_TEXT)
        if kind not in KINDS:
            raise ValueError(f"column {name!r} is of the kind {kind!r:.80} (known: {', '.join(KINDS)})")
    if len(set(names)) < len(names) or not all(names):
        raise ValueError("the columns of a table have different names")
    lengths = {len(values) for _, _, _, values in columns}
    if len(lengths) > 1:
        raise ValueError(f"the columns of a table must have one length, not {sorted(lengths)}")
    if [kind for _, kind, _, _ in columns].count("image") > 1:
        raise ValueError("a table has at most one image column")
    if len(columns) > MOST_COLUMNS or sum(len(values) for _, _, _, values in columns) > MOST_CELLS:
        raise ValueError(f"a table has at most {MOST_COLUMNS} columns and {MOST_CELLS:,} cells")
    for name, kind, _, values in columns:
        for row, value in enumerate(values):
            if not _fits(kind, value):
                raise ValueError(f"column {name!r}, row {row}: {value!r:.80} is no {kind}")


def _check_text(value: Any, what: str, longest: int) -> None:
    if not isinstance(value, str) or len(value) > longest or not value.isprintable():
        raise ValueError(f"{what} must be one line of at most {longest} characters, not {value!r:.80}")


def _fits(kind: str, value: Any) -> bool:
    if kind == "text":
        return isinstance(value, str) and len(value) <= LONGEST_TEXT and value.isprintable()
    if value is None:
        return kind != "image"
    if isinstance(value, bool):
        return False
    if kind in ("count", "image"):
        return isinstance(value, int) and 0 <= value < 2**63
    if not isinstance(value, int | float):
        return False
    if math.isnan(value):
        return True  # undefined
    return abs(value) <= LARGEST_NUMBER and (kind == "number" or 0 <= value <= 1)
