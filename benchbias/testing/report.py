"""The verdicts as text, as markdown and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from benchbias.board.text import escaped
from benchbias.testing.calling.verdicts import Result

FAILED = 3  # the exit code where a check has failed


def exit_code(results: Sequence[Result]) -> int:
    """0 where nothing failed, else 3."""
    return FAILED if any(result.status == "failed" for result in results) else 0


def as_text(results: Sequence[Result]) -> str:
    """One line a check; of a failed one what was expected, what came, and how to see it again."""
    lines: list[str] = []
    for (kind, name, plugin), group in groupby(results, lambda r: (r.kind, r.component, r.plugin)):
        lines.append(f"{kind} {name} ({plugin})")
        for result in group:
            shown = result.status.upper() if result.status == "failed" else result.status
            note = f"  {result.found}" if result.found and result.status != "failed" else ""
            lines.append(f"  {shown:8}{result.check:22}{note}".rstrip())
            if result.status == "failed":
                lines += [f"          expected: {result.expected}", f"          found: {result.found}"]
                lines.append(f"          again: {result.again}")
    return "\n".join([*lines, _sum(results)])


def as_json(results: Sequence[Result]) -> str:
    """One document: counts, and every result."""
    counts = Counter(result.status for result in results)
    found = {"exit_code": exit_code(results), "counts": counts, "results": [result.to_json() for result in results]}
    return json.dumps(found)


def as_markdown(results: Sequence[Result]) -> str:
    """A table for a README or a pull request."""
    rows = [
        f"| {result.kind} `{_code(result.component)}` | `{result.check}` | {result.status} | {_cell(result)} |"
        for result in results
    ]
    return "\n".join(
        ["| component | check | verdict | what was found |", "|---|---|---|---|", *rows, "", _sum(results)]
    )


def _code(text: str) -> str:
    """A name for a span of code in a table."""
    return text.replace("`", "'").replace("|", r"\|")


def _cell(result: Result) -> str:
    text = f"expected: {result.expected} Found: {result.found}" if result.status == "failed" else result.found
    return escaped(text)


def _sum(results: Sequence[Result]) -> str:
    counts = Counter(result.status for result in results)
    number = len({(result.kind, result.component) for result in results})
    told = ", ".join(f"{counts[status]} {status}" for status in ("ok", "failed", "waived", "skipped") if counts[status])
    return f"{number} component{'s' if number != 1 else ''}: {told}"
