"""Columns that a table of a probe or an analysis may hold: their kinds, values and bounds. No torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from benchbias.statistics.estimates import Estimate

KINDS = ("text", "number", "count", "fraction", "image", "estimate")
LONGEST_TEXT = 200  # of a cell, a column's name or its unit
LONGEST_CAPTION = 2_000
MOST_COLUMNS = 64
MOST_CELLS = 20_000
LARGEST_NUMBER = 1e30  # in size: what is larger overflows in the squares of an interval


def check_table(caption: Any, columns: Sequence[tuple[Any, Any, Any, Sequence[Any]]]) -> None:
    """Check (name, kind, unit, values) of every column. Raises ValueError that names the column and the row.

    text: str. number: float. count: int from 0. fraction: float from 0 to 1. image: int from 0, an index into a
    split; at most one such column. estimate: an Estimate, or [mean, standard error, degrees of freedom, n] as in a
    record. None where a number is undefined.
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
    if kind == "estimate":
        return _is_estimate(value)
    if kind in ("count", "image"):
        return isinstance(value, int) and 0 <= value < 2**63
    if not isinstance(value, int | float):
        return False
    if math.isnan(value):
        return True  # undefined
    return abs(value) <= LARGEST_NUMBER and (kind == "number" or 0 <= value <= 1)


def _is_estimate(value: Any) -> bool:
    parts = value.parts if isinstance(value, Estimate) else value
    if not isinstance(parts, list | tuple) or len(parts) != 4:
        return False
    mean, error, freedom, number = parts
    if mean is None or number is None or not _fits("count", number):
        return False
    numbers = [mean] if error is None and freedom is None else [mean, error, freedom]
    if any(part is None or not _fits("number", part) or math.isnan(part) for part in numbers):
        return False
    return error is None or freedom is None or (error >= 0 and freedom > 0)
