"""A board as a table that fits a terminal: numbers are never cut, names wrap, narrow terminals get fewer columns."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from benchbias.board.entries import Entry
from benchbias.board.exports.reader import (
    NONE,
    SECTION_TITLES,
    Cells,
    cells_of,
    control_words,
    notes_of,
    score_title,
    usual_seeds,
)
from benchbias.errors import plain

if TYPE_CHECKING:
    from rich.console import RenderableType

LEAST_NAME = 16  # characters that a name of a method has at least, before other columns go
GAP = 2  # between two columns

Column = tuple[str, str, list[str]]
"""A heading, how it is set (`left`, `right` or `wrap`), and the cells."""

Group = tuple[str, list[Cells]]
"""A title and the rows below it."""


def terminal_text(entries: Sequence[Entry], suite: Mapping[str, Any], width: int) -> str:
    """The board in lines of at most `width` characters, where a number has as much room: sections by labels.

    All sections have the same columns: the most that fit in each.
    """
    groups, score = list(_groups(entries, suite)), score_title(suite)
    lines = _wrapped(f"{plain(suite['title'])} (suite {suite['name']}, version {plain(suite['version'])})", width)
    if suite["limit"] is not None:
        lines += _wrapped(f"LIMITED RUN (--limit {suite['limit']}): nothing here is comparable or ranked.", width)
    form = next((at for at in range(FORMS) if all(needed(_form(g, score)[at]) <= width for _, g in groups)), None)
    for title, rows in groups:
        lines += ["", *_wrapped(title, width)]
        if form is None:
            lines += [line for row in rows for line in _block(row, score, width)]
        else:
            lines += fitting(_form(rows, score)[form], width)
    notes = [line for sentence in notes_of(entries) for line in _wrapped(sentence, width)]
    return "\n".join([*lines, "", *notes])


def chosen_text(header: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> str:
    """A table of chosen columns, all of which may wrap; where they do not fit, one block of lines a row."""
    columns: list[Column] = [(name, "wrap", [row[at] for row in rows]) for at, name in enumerate(header)]
    if needed(columns) <= width:
        return "\n".join(fitting(columns, width))
    blocks = [[line for name, cell in zip(header, row, strict=True) for line in _wrapped(f"{name}: {cell}", width)]
              for row in rows]  # fmt: skip
    return "\n\n".join("\n".join(block) for block in blocks)


def fitting(columns: Sequence[Column], width: int) -> list[str]:
    """The lines of a table of columns, of at most `width` characters; those that wrap share what the others leave."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), show_edge=False)
    for name, how, _ in columns:
        if how == "wrap":
            table.add_column(Text(name), overflow="fold", min_width=min(LEAST_NAME, width))
        else:
            table.add_column(Text(name), justify="right" if how == "right" else "left", no_wrap=True)
    for row in zip(*(cells for _, _, cells in columns), strict=True):
        table.add_row(*(Text(cell) for cell in row))
    return _printed(table, width)


def needed(columns: Sequence[Column]) -> int:
    """The width that a table takes at least: all numbers whole, and LEAST_NAME for what wraps."""
    from rich.cells import cell_len

    widths = []
    for name, how, cells in columns:
        whole = max(cell_len(line) for text in (name, *cells) for line in text.split("\n"))
        widths.append(min(whole, LEAST_NAME) if how == "wrap" else whole)
    return sum(widths) + GAP * (len(widths) - 1)


def _groups(entries: Sequence[Entry], suite: Mapping[str, Any]) -> Iterator[Group]:
    usual, words = usual_seeds(entries), control_words(entries)
    many = len({entry.row.task for entry in entries}) > 1
    for (task, section), group in groupby(entries, key=lambda entry: (entry.row.task, entry.section)):
        limited = section == "controls" and suite["limit"] is not None
        title = "Not ranked" if limited else SECTION_TITLES[section]
        rows = [cells_of(entry, suite["rank_by"], usual, words) for entry in group]
        yield f"{task}. {title}" if many else title, rows


FORMS = 4


def _form(rows: Sequence[Cells], score: str) -> list[list[Column]]:
    """The table in FORMS forms, the widest first."""
    rank: list[Column] = [("rank", "left", [row.rank for row in rows])]
    rank = rank if any(row.rank != NONE for row in rows) else []
    method: Column = ("method", "wrap", [_lines(row.method, row.notes) for row in rows])
    told: Column = ("method", "wrap", [_lines(row.method, _against(row), row.notes) for row in rows])
    whole: Column = (f"{score}, %", "left", [row.score for row in rows])
    short: Column = (_stacked(f"{score}, %"), "left", [row.short for row in rows])
    named = [f"{row.gap} ({row.control})" if row.control else row.gap for row in rows]
    gap: Column = (_stacked("against control"), "left", [row.gap for row in rows])
    verdict: Column = ("verdict", "left", [row.verdict for row in rows])
    stacked: Column = ("verdict", "left", [_stacked(row.verdict) for row in rows])
    return [
        [*rank, method, whole, ("against control", "left", named), verdict],
        [*rank, told, whole, gap, verdict],
        [*rank, told, short, gap, stacked],
        [*rank, told, gap, stacked],
    ]


def _stacked(heading: str) -> str:
    """A heading with a word a line, which a narrow column has room for; a unit stays with the last word."""
    return heading.replace(", %", ",\N{NO-BREAK SPACE}%").replace(" ", "\n").replace("\N{NO-BREAK SPACE}", " ")


def _against(row: Cells) -> str:
    return f"control: {row.control}" if row.control else ""


def _block(row: Cells, score: str, width: int) -> list[str]:
    """One row in lines of its own, where no table fits."""
    head = row.method if row.rank == NONE else f"{row.rank}: {row.method}"
    gap = f"{row.gap} ({row.control}): {row.verdict}" if row.control else ""
    parts = [head, f"{score}, %: {row.score}", gap, row.notes]
    return [line for part in parts if part for line in _wrapped(part, width)]


def _lines(*parts: str) -> str:
    return "\n".join(part for part in parts if part)


def _wrapped(text: str, width: int) -> list[str]:
    from rich.text import Text

    return _printed(Text(plain(text), overflow="fold"), width)


def _printed(what: RenderableType, width: int) -> list[str]:
    from rich.console import Console

    written = io.StringIO()
    console = Console(file=written, width=max(width, 1), color_system=None, force_terminal=False, legacy_windows=False)
    console.print(what)
    return [line.rstrip() for line in written.getvalue().rstrip("\n").split("\n")]
