"""How many PIEs an analysis of the suite counted, beside images that records alone cannot call PIEs."""

from __future__ import annotations

from typing import Any

from benchbias.report.gathering.source import Source

COUNTED = {"row": "text", "baseline": "text", "compared": "text", "PIEs": "number"}
"""Columns of tables such as `pie_counts` makes."""
WHOLE = "all models"


def counted_pies(source: Source, task: str) -> dict[tuple[str, str], dict[str, Any]]:
    """The analysis and its number of PIEs of all models, by (row, control); without the rows that no table counts."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for record, lines in source.tables(COUNTED):
        for line in lines if record.task == task else ():
            if line["compared"] == WHOLE and line["PIEs"] is not None:
                counted = {"analysis": record.name, "pies": round(line["PIEs"])}
                found.setdefault((line["row"], line["baseline"]), counted)
    return found
