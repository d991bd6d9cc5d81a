"""A board in a file: markdown, CSV, JSON, LaTeX or HTML, as the file's name says. No torch."""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchbias.board.entries import Entry
from benchbias.board.exports.columns import Columns, columns_of
from benchbias.board.exports.latex import latex_table
from benchbias.board.exports.reader import cells_of, control_words, notes_of, score_title, usual_seeds
from benchbias.board.text import escaped, no_formula, table_lines
from benchbias.errors import UsageError, plain
from benchbias.util.files import storage_errors

SUFFIXES = (".md", ".csv", ".json", ".tex", ".html")


def check_suffix(path: Path) -> None:
    """Refuse a file whose name says no format. Raises UsageError."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"--to {path}: the file's name must end in {', '.join(SUFFIXES)}; - is standard output")


def board_text(
    suffix: str, entries: Sequence[Entry], suite: Mapping[str, Any], names: Sequence[str] | None, markdown: str
) -> str:
    """The board in a format. names: the columns (None: all of CSV and JSON, else those that a reader looks at first).

    markdown: the whole page, which is what `.md` has where no columns are chosen. Raises UsageError for a column.
    """
    table = columns_of(entries, suite)
    table = table if names is None else table.chosen(names)
    match suffix.lower():
        case ".csv":
            return csv_text(table)
        case ".json":
            return json_text(table)
        case ".md":
            return markdown if names is None else "\n".join(table_lines(*_escaped_cells(table))) + "\n"
    header, rows = reader_table(entries, suite) if names is None else texts_of(table)
    title = plain(f"{suite['title']} (suite {suite['name']}, version {suite['version']})")
    limited = [] if suite["limit"] is None else [f"Limited run (--limit {suite['limit']}): nothing is ranked."]
    notes = [*limited, *notes_of(entries)] if names is None else limited
    return latex_table(title, header, rows, notes) if suffix.lower() == ".tex" else _html(title, header, rows, notes)


def write_board(path: Path, text: str) -> None:
    """Write a file. Raises StorageError."""
    with storage_errors(f"cannot write {path}"):
        path.write_text(text, encoding="utf-8", newline="")


def csv_text(table: Columns) -> str:
    """One line a row. No cell is a formula to a spreadsheet, none has a line break; what is unknown is empty."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow([no_formula(plain(name)) for name in table.names])
    writer.writerows([[_csv_cell(row[name]) for name in table.names] for row in table.rows])
    return written.getvalue()


def _csv_cell(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(value)
    return str(no_formula(text_of(value)))


def json_text(table: Columns) -> str:
    """A list with one object a row."""
    rows = [{name: row[name] for name in table.names} for row in table.rows]
    return json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def text_of(value: Any) -> str:
    """A value in one line of text; empty where it is unknown."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return plain((" " if all(isinstance(item, int) for item in value) else "; ").join(map(str, value)))
    return f"{value:.6g}" if isinstance(value, float) else plain(str(value))


def texts_of(table: Columns) -> tuple[list[str], list[list[str]]]:
    """The heading and the cells of chosen columns, as plain text."""
    return [plain(name) for name in table.names], [[text_of(row[name]) for name in table.names] for row in table.rows]


def _escaped_cells(table: Columns) -> tuple[list[list[str]], list[str]]:
    header, rows = texts_of(table)
    return [[escaped(cell) for cell in row] for row in rows], [escaped(name) for name in header]


def reader_table(entries: Sequence[Entry], suite: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Heading and rows of the columns that a reader looks at first; the task where there are several."""
    many = len({entry.row.task for entry in entries}) > 1
    header = [
        *(["task"] if many else []),
        *("rank", "method", f"{score_title(suite)}, %", "against control, points", "control", "verdict"),
        *("labels", "training cost", "notes"),
    ]
    rows = []
    usual, words = usual_seeds(entries), control_words(entries)
    for entry in entries:
        cells = cells_of(entry, suite["rank_by"], usual, words)
        notes = "; ".join(note for note in ("" if entry.row.ranked else "not ranked", cells.notes) if note)
        rows.append(
            [
                *([plain(entry.row.task)] if many else []),
                *(cells.rank, cells.method, cells.score, cells.gap, cells.control, cells.verdict),
                *(cells.labels, cells.cost, notes),
            ]
        )
    return header, rows


STYLE = """:root { color-scheme: light dark; font: 15px/1.4 system-ui, sans-serif; }
body { margin: 1rem; }
div { overflow-x: auto; }
table { border-collapse: collapse; }
caption { text-align: left; font-weight: 600; padding: 0 0 .5rem; }
th, td { padding: .25rem .75rem .25rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid #8886; }
.number { white-space: nowrap; }"""


def _html(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str]) -> str:
    """One table on a page of its own: no script, nothing from the network."""
    head = "".join(f'<th scope="col">{_shown(name)}</th>' for name in header)
    lines = ["".join(_html_cell(cell) for cell in row) for row in rows]
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{html.escape(title)}</title>\n<style>\n{STYLE}\n</style>\n</head>\n<body>",
            f'<div role="region" aria-label="{html.escape(title)}" tabindex="0">\n<table>',
            f"<caption>{_shown(title)}</caption>\n<thead>\n<tr>{head}</tr>\n</thead>\n<tbody>",
            *(f"<tr>{line}</tr>" for line in lines),
            "</tbody>\n</table>\n</div>",
            *(f"<p>{_shown(note)}</p>" for note in notes),
            "</body>\n</html>\n",
        ]
    )


def _html_cell(text: str) -> str:
    """A cell; a number stays on one line."""
    number = ' class="number"' if text and not any(c.isalpha() for c in text) else ""
    return f"<td{number}>{_shown(text)}</td>"


def _shown(text: str) -> str:
    """Text of any direction as itself."""
    return f"<bdi>{html.escape(text)}</bdi>" if not text.isascii() else html.escape(text)
