"""Rows, labels and costs in a few words, for readers. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from benchbias.records.row_name import value_text

LABELS = MappingProxyType(
    {"labels-none": "none", "val-select": "validation, to choose", "val-fit": "validation, to fit", "train": "training"}
)
"""The group labels that a row had, by its track: of which split, and for what."""

SECTIONS = ("none", "validation", "training")
"""The parts of a board, by whose group labels its rows had."""


def section_of(track: str) -> str:
    """The part of a board that a track stands in: one of SECTIONS."""
    return LABELS.get(track, track).partition(",")[0]


def in_words(method: str, swept: Mapping[str, Any]) -> str:
    """A row for readers: `magnitude, 80 %` (its sparsity), `rigl, density 20 %`, `dense-length, epochs 75`."""
    return ", ".join([method, *(_value(name, value) for name, value in swept.items())])


def _value(name: str, value: Any) -> str:
    share = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    if name == "sparsity" and share:
        return f"{100 * value:.6g} %"
    if name == "density" and share:
        return f"density {100 * value:.6g} %"
    return f"{name.replace('_', ' ')} {value_text(value)}"


def times(ratio: float | None) -> str:
    """A cost relative to another one: `1.7×`; an en dash where it is not known."""
    if ratio is None:
        return "–"
    digits = 2 if ratio < 0.995 else 1
    return f"{ratio:.{digits}f}×" if ratio < 99.95 else f"{ratio:.0f}×"
