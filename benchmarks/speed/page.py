"""The table of docs/performance.md: made from measured.json alone, between two marks of the page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .parts import PARTS
from .rows import Goal, Row
from .timing import Spread

BEGIN = (
    "<!-- made by `python -m benchmarks.speed --write`, from benchmarks/speed/measured.json: change neither by hand -->"
)
END = "<!-- end of what is made -->"


@dataclass(frozen=True)
class Measured:
    """A part's rows, and when and where they were measured."""

    rows: Sequence[Row]
    where: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        return {"where": dict(self.where), "rows": [row.to_json() for row in self.rows]}


def read(file: Path) -> dict[str, Measured]:
    """The measurements of a file, by part; none where it is not there."""
    if not file.is_file():
        return {}
    found = json.loads(file.read_text(encoding="utf-8"))
    return {name: Measured([Row.of_json(row) for row in one["rows"]], one["where"]) for name, one in found.items()}


def write(file: Path, parts: Mapping[str, Measured]) -> None:
    text = json.dumps({name: one.to_json() for name, one in parts.items()}, indent=1, ensure_ascii=False)
    file.write_text(text + "\n", encoding="utf-8")


def number(value: float, unit: str) -> str:
    """A number with three digits after its point where it is small, so that 1.052 is no 1.05; and its unit."""
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 3 if size >= 0.1 or size == 0 else 4
    return f"{value:.{digits}f}" + (" %" if unit == "%" else f" {unit}" if unit else "")


def spread_text(spread: Spread | None, unit: str) -> str:
    if spread is None:
        return "–"
    if spread.count == 1:
        return f"{number(spread.median, unit)} (once)"
    least, most = number(spread.least, ""), number(spread.most, "")
    return f"{number(spread.median, unit)} ({least} to {most}, n = {spread.count})"


def goal_text(goal: Goal | None, unit: str) -> str:
    if goal is None:
        return "–"
    return f"{'≥' if goal.at_least else '≤'} {goal.limit:.3g}" + (f" {unit}" if unit else "")


def table(rows: Sequence[Row]) -> list[str]:
    """Markdown lines of a part's rows."""
    lines = ["| measured | median (least to most, rounds) | goal | verdict |", "|---|---|---|---|"]
    for row in rows:
        note = f"; {row.note}" if row.note and row.spread is not None else f": {row.note}" if row.note else ""
        cells = (row.what, spread_text(row.spread, row.unit), goal_text(row.goal, row.unit), row.verdict + note)
        lines.append(
            "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ").strip("; ") for cell in cells) + " |"
        )
    return lines


def block(parts: Mapping[str, Measured]) -> str:
    """Everything between the two marks, with them: each part under its title, in the order of PARTS."""
    lines = [BEGIN]
    for part in PARTS:
        if part.name in parts:
            one = parts[part.name]
            where = "; ".join(f"{name} {value}" for name, value in one.where.items())
            lines += ["", f"### {part.title}", "", *table(one.rows), "", f"`--only {part.name}`: {where}."]
    return "\n".join([*lines, "", END])


def put_in(page: str, made: str) -> str:
    """The page with this block in the place of the one it has. Raises ValueError where its marks are not both there."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no place for the table: its two marks are missing")
    return before + made + after
