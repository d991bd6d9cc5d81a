"""The cells of a board that a reader looks at first, as plain text: the same on terminals, in LaTeX and in HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchbias.board.entries import Entry
from benchbias.board.text import EXAMPLES_ALONE, gap_text, points_text, rank_text
from benchbias.board.words import LABELS, times
from benchbias.errors import plain
from benchbias.statistics.estimates import FEWEST_SEEDS

NONE = "\N{EN DASH}"


@dataclass(frozen=True)
class Cells:
    """The texts of one row. short: the mean of the metric that ranks, without its interval. notes: marks, seeds."""

    rank: str
    method: str
    notes: str
    score: str
    short: str
    gap: str
    control: str
    verdict: str
    labels: str
    cost: str


def cells_of(entry: Entry, rank_by: str, usual: int | None, controls: Mapping[tuple[str, str], str]) -> Cells:
    """The texts of an entry. usual: the number of seeds that the caption says; another one stands in the notes.

    controls: the names of rows in words, see `control_words`.
    """
    row = entry.row
    value = row.metrics.get(rank_by.removeprefix("-"))
    seeds = [] if len(row.seeds) == usual else [_seeds(len(row.seeds))]
    of_control = row.baseline_marks
    beside = []
    if of_control is not None and of_control.collapsed:
        beside.append(f"{of_control.collapsed} of its control's {of_control.seeds} seeds collapsed")
    score = points_text(value)
    return Cells(
        rank=rank_text(entry.rank),
        method=plain(entry.words),
        notes=plain("; ".join([*row.marks.words(), *beside, *seeds])),
        score=score,
        short=score if value is None else f"{100 * value.mean:.1f}",
        gap=gap_text(row.to_baseline) if entry.control is not None else NONE,
        control=plain(controls.get((row.task, entry.control or ""), entry.control or "")),
        verdict=entry.verdict or NONE,
        labels=LABELS.get(row.track, row.track),
        cost=times(entry.relative_cost),
    )


def control_words(entries: Sequence[Entry]) -> dict[tuple[str, str], str]:
    """The name in words of every row, by task and label."""
    return {(entry.row.task, entry.row.label): entry.words for entry in entries}


def usual_seeds(entries: Sequence[Entry]) -> int | None:
    """The number of seeds that most rows have; None without rows."""
    numbers = [len(entry.row.seeds) for entry in entries]
    return max(sorted(set(numbers), reverse=True), key=numbers.count) if numbers else None


def _seeds(number: int) -> str:
    return f"{number} seed{'s' if number != 1 else ''}"


def score_title(suite: Mapping[str, Any]) -> str:
    """The heading of the metric that ranks: `worst group`."""
    return plain(str(suite["rank_by"]).removeprefix("-").replace("_", " ").removesuffix(" accuracy"))


SECTION_TITLES: Mapping[str, str] = {
    "none": "Labels used: none",
    "validation": "Labels used: validation",
    "training": "Labels used: training",
    "controls": "Controls and ceilings, not ranked",
}
"""The headings of the parts of a board."""


def notes_of(entries: Sequence[Entry]) -> list[str]:
    """The sentences below a table of these cells."""
    few = any(len(entry.row.seeds) < FEWEST_SEEDS for entry in entries)
    alone = f"{EXAMPLES_ALONE}: fewer than {FEWEST_SEEDS} seeds, so the interval is of the test examples alone."
    return [
        f"{_seeds(usual)} a row, where a row does not say another number."
        if (usual := usual_seeds(entries)) is not None
        else "No trial has a score yet.",
        "In percent with 95 % intervals over seeds and test examples; differences in points.",
        "A verdict is adjusted for all rows of its task.",
        *([alone] if few else []),
    ]
