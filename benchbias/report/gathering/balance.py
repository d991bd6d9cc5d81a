"""Recall balance: alpha over compression, and the balance of every class before and after, from tables of analyses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchbias.figures.material import Line
from benchbias.figures.recall_balance import ALPHA, BALANCE, OTHER_SEED
from benchbias.records.analysis import AnalysisRecord
from benchbias.report.gathering.numbers import estimate_json, rounded
from benchbias.report.gathering.source import Source

PARTS = ("class", "group")


def gather_balance(source: Source) -> dict[str, Any] | None:
    """Tables with alpha, and tables with balances before and after; None where no analysis has either."""
    alphas = [_alphas(record, lines) for record, lines in source.tables(ALPHA)]
    balances = [
        _balances(record, lines, part) for part in PARTS for record, lines in source.tables({**BALANCE, part: "text"})
    ]
    return {"alphas": alphas, "balances": balances} if alphas or balances else None


def _head(record: AnalysisRecord) -> dict[str, Any]:
    return {
        "task": record.task,
        "analysis": record.name,
        "trials": record.body["trials"],
        "caption": record.body["table"]["caption"],
        "level": record.body["options"].get("level"),
        "conflict": record.conflict,
    }


def _alphas(record: AnalysisRecord, lines: Sequence[Line]) -> dict[str, Any]:
    return _head(record) | {
        "lines": [
            {
                "row": line["row"],
                "control": line["control"],
                "again": line["control"].endswith(OTHER_SEED),
                "compression": rounded(line["compression"]),
                "alpha": estimate_json(line["alpha"]),
                "low": rounded(line["alpha lower"]),
                "high": rounded(line["alpha upper"]),
                "uniform": estimate_json(line["alpha if uniform"]),
                "mark": line["mark"],
                "models": line.get("models"),
                "reliability": rounded(line.get("reliability")),
            }
            for line in lines
        ]
    }


def _balances(record: AnalysisRecord, lines: Sequence[Line], part: str) -> dict[str, Any]:
    return _head(record) | {
        "part": part,
        "lines": [
            {
                "row": line["row"],
                "control": line["control"],
                "part": line[part],
                "before": rounded(line["balance before"]),
                "after": rounded(line["balance after"]),
                "models": line.get("models"),
            }
            for line in lines
        ],
    }
