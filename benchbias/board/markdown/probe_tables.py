"""The tables of probes, averaged over seeds, as markdown: rows of equal texts belong together. No torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from benchbias.board.text import escaped, number_text, points_text, table_lines
from benchbias.records.row_name import row_name
from benchbias.records.table import Table
from benchbias.records.trial import TrialRecord
from benchbias.statistics.estimates import LEVEL, over_seeds
from benchbias.statistics.influence import UNBOUNDED, Measured


def probe_sections(records: Sequence[TrialRecord]) -> list[str]:
    """One table for each task and probe, from records in order; nothing where no record has one."""
    found: dict[tuple[str, str], dict[str, list[Table]]] = {}
    for record in records:
        body = record.body
        label = row_name(body["method"], body["swept"])
        for name, table in body.get("probes", {}).items():
            found.setdefault((body["task"], name), {}).setdefault(label, []).append(Table.from_json(table))
    if not found:
        return []
    lines = ["", "## Probes", "", *_NOTE]
    for (task, name), by_row in sorted(found.items()):
        lines += ["", f"### {escaped(task)}: {escaped(name)}"]
        for header, captions, rows in _alike(by_row):
            lines += ["", *(escaped(caption) for caption in captions), "", *table_lines(rows, header)]
    return lines


_NOTE = [
    f"What the suite's probes found in the finished models: mean over seeds ± half of the {100 * LEVEL:.0f} % interval "
    "of Student's t over seeds alone; rows of a seed with equal texts are averaged first. Fractions in percent, with "
    "the bounds of their interval. "
    "Nothing of a probe reaches training or a score. – : undefined in every seed; (n): in n seeds only.",
]


def _alike(by_row: dict[str, list[Table]]) -> Iterable[tuple[list[str], list[str], list[list[str]]]]:
    """(header, captions, rows) for all methods whose tables have the same columns."""
    shapes: dict[tuple[tuple[str, str, str], ...], dict[str, list[Table]]] = {}
    for label, tables in by_row.items():
        for table in tables:
            shape = tuple((name, kind, unit) for name, (kind, unit, _) in table.columns.items() if kind != "image")
            shapes.setdefault(shape, {}).setdefault(label, []).append(table)
    for shape, members in shapes.items():
        captions = dict.fromkeys(table.caption for tables in members.values() for table in tables)
        texts = [column_title(name, unit) for name, kind, unit in shape if kind == "text"]
        numbers = [column_title(name, unit) for name, kind, unit in shape if kind != "text"]
        rows = [row for label, tables in members.items() for row in _averaged(label, tables)]
        yield ["method", *texts, *numbers, "seeds"], list(captions), rows


def column_title(name: str, unit: str) -> str:
    """A column's name with its unit."""
    return f"{escaped(name)} ({escaped(unit)})" if unit else escaped(name)


def _averaged(label: str, tables: Sequence[Table]) -> list[list[str]]:
    """One row for each combination of texts, in the order of their first appearance."""
    columns = tables[0].columns
    texts = [name for name, (kind, _, _) in columns.items() if kind == "text"]
    numbers = {name: kind for name, (kind, _, _) in columns.items() if kind not in ("text", "image")}
    seeds: dict[tuple[str, ...], list[dict[str, list[float]]]] = {}
    for table in tables:
        for key, values in by_texts(table, texts, list(numbers)).items():
            seeds.setdefault(key, []).append(values)
    return [
        [
            escaped(label),
            *map(escaped, key),
            *(_cell(kind, averaged(found, name), len(found)) for name, kind in numbers.items()),
            str(len(found)),
        ]
        for key, found in seeds.items()
    ]


def by_texts(
    table: Table, texts: Sequence[str], numbers: Sequence[str]
) -> dict[tuple[str, ...], dict[str, list[float]]]:
    """The defined numbers of a table's rows, by the row's texts."""
    found: dict[tuple[str, ...], dict[str, list[float]]] = {}
    length = max((len(values) for _, _, values in table.columns.values()), default=0)
    for row in range(length):
        key = tuple(table.columns[name][2][row] for name in texts)
        values = found.setdefault(key, {name: [] for name in numbers})
        for name in numbers:
            value: Any = table.columns[name][2][row]
            if value is not None:
                values[name].append(float(value))
    return found


def averaged(seeds: Sequence[dict[str, list[float]]], name: str) -> list[float]:
    """The mean of a number in every seed in which it is defined."""
    return [math.fsum(seed[name]) / len(seed[name]) for seed in seeds if seed[name]]


def _cell(kind: str, values: Sequence[float], seeds: int) -> str:
    share = kind == "fraction"
    found = over_seeds([Measured(value, bounds=(0.0, 1.0) if share else UNBOUNDED) for value in values])
    if found is None:
        return "–"
    text = points_text(found) if share else number_text(found)
    return text if len(values) == seeds else f"{text} ({len(values)})"


def probe_failures(records: Iterable[TrialRecord]) -> list[str]:
    """Probes without a table, with the reason; their trials are scored."""
    bad: dict[tuple[str, str, str], int] = {}
    for record in records:
        body = record.body
        label = row_name(body["method"], body["swept"])
        for name, failure in body.get("probe_failures", {}).items():
            told = (f"{body['task']}: {label}: {name}", failure["status"], failure["reason"])
            bad[told] = bad.get(told, 0) + 1
    if not bad:
        return []
    lines = ["", "## Probes without a table", "", "Their trials are scored all the same.", ""]
    return lines + [
        f"- {escaped(label)}: {status} in {count} trials: {escaped(reason)}"
        for (label, status, reason), count in bad.items()
    ]
