"""Tables of analyses as markdown, CSV, parquet and JSON. No torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchbias.board.markdown.probe_tables import column_title
from benchbias.board.text import escaped, no_formula, number_text, table_lines
from benchbias.errors import UsageError
from benchbias.records.analysis import AnalysisRecord
from benchbias.records.table import Table
from benchbias.statistics.estimates import LEVEL
from benchbias.util.files import storage_errors
from benchbias.util.packages import require

MOST_LINES = 60  # of a table on a board
SMALLEST = 1e-13  # what is smaller is rounding, and shown as 0
SUFFIXES = (".md", ".csv", ".parquet", ".json")
BY_PANDAS = (".csv", ".parquet")


def markdown_of(table: Table, most: int | None = None) -> list[str]:
    """A table's lines, at most so many rows."""
    length = max((len(values) for _, _, values in table.columns.values()), default=0)
    shown = length if most is None else min(length, most)
    header = [column_title(name, table.columns[name][1]) for name in table.columns]
    cells = [[_cell(kind, values[row]) for kind, _, values in table.columns.values()] for row in range(shown)]
    rest = [] if shown == length else ["", f"The first {shown} of {length} rows."]
    return [*table_lines(cells, header), *rest]


def _cell(kind: str, value: Any) -> str:
    if value is None or value != value:
        return "–"
    if kind == "text":
        return escaped(str(value))
    if kind == "estimate":
        return number_text(value)
    if kind == "fraction":
        return f"{100 * value:.1f} %"
    if kind in ("count", "image"):
        return str(value)
    return f"{0.0 if abs(value) < SMALLEST else value:.4g}"


def analysis_sections(analyses: Sequence[AnalysisRecord], most: int | None = MOST_LINES) -> list[str]:
    """The part of a board that holds the tables of its suite's analyses; nothing where there is none.

    most: rows of a table that are shown; None: all.
    """
    tables = [(record, table) for record in analyses if (table := record.table) is not None]
    lines = ["", "## Analyses", "", *_NOTE] if tables else []
    for record, table in tables:
        again = " Not reproducible: computed again, it came out otherwise." if record.conflict else ""
        told = f"Of {record.body['trials']} trials. {table.caption}{again}"
        lines += ["", f"### {escaped(record.task)}: {escaped(record.name)}", "", escaped(told), ""]
        lines += markdown_of(table, most)
    return lines + analysis_failures(analyses)


def analysis_failures(analyses: Sequence[AnalysisRecord]) -> list[str]:
    """The part of a board that names analyses without a table, with the reason; nothing where there are none."""
    failed = [record for record in analyses if record.table is None]
    lines = ["", "## Analyses without a table", ""] if failed else []
    return lines + [f"- {escaped(r.label)}: {r.body['status']}: {escaped(r.body['reason'])}" for r in failed]


_NOTE = [
    f"Comparisons over all trials of a task. ± half of the {100 * LEVEL:.0f} % interval of Student's t; – : undefined. "
    "Nothing of an analysis reaches training or a score. Whole tables: `benchbias analyse`.",
]


def check_suffix(path: Path) -> None:
    """Refuse a file whose name says no format, or one that pandas writes where it is absent. Raises UsageError."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path}: the file's name must end in {', '.join(SUFFIXES)}")
    if path.suffix.lower() in BY_PANDAS:
        require("pandas", extra="frames", what=f"a {path.suffix.lower()} file")


def write_table(record: AnalysisRecord, table: Table, path: Path) -> None:
    """Write an analysis' table as its file's name says. Raises UsageError as `check_suffix`, StorageError."""
    check_suffix(path)
    with storage_errors(f"cannot write {path}"):
        match path.suffix.lower():
            case ".md":
                path.write_text("\n".join([escaped(table.caption), "", *markdown_of(table), ""]), encoding="utf-8")
            case ".json":
                path.write_text(json.dumps(json_of(record), indent=1) + "\n", encoding="utf-8")
            case ".csv":
                table.to_frame().map(no_formula).rename(columns=no_formula).to_csv(path, index=False)
            case _:
                table.to_frame().to_parquet(path, index=False)


def json_of(record: AnalysisRecord) -> Mapping[str, Any]:
    """An analysis for JSON: its head, status and table; an estimate is [mean, standard error, freedom, n]."""
    kept = ("task", "analysis", "options", "trials", "status", "reason", "table")
    return {"schema": 1, "suite": record.body["suite"]["name"], **{k: record.body[k] for k in kept if k in record.body}}
