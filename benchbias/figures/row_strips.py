"""A strip of rows: every row of a board without a curve of its own, named below, with its 95 % interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from benchbias.board.marks import marks_of
from benchbias.board.row_trials import Rows, Trials
from benchbias.board.sweeps import metric_at
from benchbias.board.text import points_text
from benchbias.board.words import SECTIONS, in_words, section_of
from benchbias.figures.material import band

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CONTROLS = "controls"
LOOKS = MappingProxyType(
    {
        "none": ("o", "#1b1b1b", "no group labels"),
        "validation": ("s", "#7b3294", "labels in validation"),
        "training": ("^", "#b35806", "labels in training"),
        CONTROLS: ("D", "#7f7f7f", "control, not ranked"),
    }
)
"""Marker, colour and words of a row, by the labels that it had."""
LEAST_SPARSITY = 0.01
LONGEST_NAME = 44  # characters of a name below a strip


@dataclass(frozen=True)
class Strip:
    """Rows side by side. title: what they share."""

    title: str
    rows: tuple[Trials, ...]


def sparsity_of(row: Trials) -> float:
    """The sparsity that a row reached, the mean over seeds."""
    return float(sum(record.body["sparsity"] for record in row.records.values()) / len(row.records))


def is_dense(row: Trials) -> bool:
    """Whether a row has kept more than 99 % of its weights: a readout fitted with an L1 penalty loses a few."""
    return sparsity_of(row) < LEAST_SPARSITY


def strips_of(rows: Sequence[Trials], metric: str, *, descending: bool) -> list[Strip]:
    """The dense rows and the sparse ones, each by their labels and then by a metric, the best first; none is empty."""
    order = [*SECTIONS, CONTROLS]

    def place(row: Trials) -> tuple[int, float]:
        value = metric_at(row, metric)
        mean = float("-inf") if value is None else value.mean if descending else -value.mean
        return order.index(_section(row)), -mean

    dense = [row for row in rows if is_dense(row)]
    sparse = [row for row in rows if not is_dense(row)]
    found = (("dense", dense), ("sparse", sparse))
    return [Strip(title, tuple(sorted(members, key=place))) for title, members in found if members]


def draw_strip(strip: Strip, metric: str, rows: Rows, axes: Axes) -> list[str]:
    """Draw points with bars, hollow where the board marks the row; its numbers are returned, a line a row."""
    lines = []
    for place, row in enumerate(strip.rows):
        value, marks = metric_at(row, metric), _marks(row, rows)
        told = f" ({', '.join(marks)})" if marks else ""
        lines.append(f"  {row.label}, {sparsity_of(row):.4g}: {points_text(value)}{told}")
        if value is not None:
            shape, shade, _ = look(row)
            low, high = band(value)
            spread = [[100 * (value.mean - low)], [100 * (high - value.mean)]]
            face = "white" if marks else shade
            bar = {"fmt": shape, "markersize": 4, "capsize": 2, "color": shade, "markerfacecolor": face}
            axes.errorbar([place], [100 * value.mean], spread, elinewidth=1, **bar)  # type: ignore[arg-type]
    axes.set_xlim(-0.7, len(strip.rows) - 0.3)
    axes.set_xticks(range(len(strip.rows)), [name_of(row) for row in strip.rows], rotation=90, fontsize=7)
    return lines


def look(row: Trials) -> tuple[str, str, str]:
    """The marker, the colour and the words of a row's labels."""
    return LOOKS[_section(row)]


def looks_of(rows: Sequence[Trials]) -> list[tuple[str, str, str]]:
    """The looks that some row has, in the board's order."""
    there = {_section(row) for row in rows}
    return [LOOKS[section] for section in (*SECTIONS, CONTROLS) if section in there]


def name_of(row: Trials) -> str:
    """The name of a row in words, of at most 44 characters."""
    words = in_words(row.first["method"], row.first["swept"])
    return words if len(words) <= LONGEST_NAME else f"{words[: LONGEST_NAME - 3]}..."


def _marks(row: Trials, rows: Rows) -> list[str]:
    """The board's marks of a row, in the metric that ranks."""
    suite: Mapping[str, Any] = row.first["suite"]
    return marks_of(row, suite["rank_by"].removeprefix("-"), rows).words()


def _section(row: Trials) -> str:
    section = section_of(row.first.get("track", "none")) if row.first.get("ranked", True) else CONTROLS
    return section if section in LOOKS else CONTROLS
