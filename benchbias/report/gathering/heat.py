"""Heat maps: what pruning each layer by each amount changes, and what probes found of neurons and layers by group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchbias.board.markdown.probe_tables import averaged, by_texts
from benchbias.board.row_trials import Trials
from benchbias.board.sweeps import LayerSweep, layer_sweeps
from benchbias.records.table import Table
from benchbias.report.gathering.numbers import estimate_json
from benchbias.report.gathering.source import Source
from benchbias.statistics.estimates import over_seeds
from benchbias.statistics.influence import UNBOUNDED, Measured

ACROSS, PROBABILITY = "group", "p"
CHANGES = ("change", "control", "difference")
"""Columns of probes that modify a model: where a table has all of them, it is drawn by these alone."""


def gather_heat(source: Source) -> dict[str, Any] | None:
    """Layer sweeps, and tables of probes averaged over seeds; None where a suite has neither."""
    metrics = list(source.rows[0].first["metrics"]) if source.rows else []
    sweeps = [_sweep(sweep, metrics) for sweep in layer_sweeps(source.rows) if sweep.whole is not None]
    probes = [probe for row in source.rows for probe in _probes(row)]
    return {"sweeps": sweeps, "probes": probes} if sweeps or probes else None


def _sweep(sweep: LayerSweep, metrics: Sequence[str]) -> dict[str, Any]:
    """Changes from the row that nothing was pruned from, by metric."""
    return {
        "task": sweep.task,
        "method": sweep.method,
        "control": "" if sweep.whole is None else sweep.whole.label,
        "amount": sweep.amount,
        "layers": list(sweep.layers),
        "amounts": list(sweep.amounts),
        "cells": [
            {
                "layers": layers,
                "amount": amount,
                "changes": {name: estimate_json(sweep.change(layers, amount, name)) for name in metrics},
            }
            for layers, amount in sweep.points
        ],
    }


def _probes(row: Trials) -> Iterator[dict[str, Any]]:
    """The tables of a row's probes; tables of other columns stand apart."""
    found: dict[tuple[str, str], list[Table]] = {}
    for record in row.records.values():
        for name, value in record.body.get("probes", {}).items():
            table = Table.from_json(value)
            shape = repr([(column, kind, unit) for column, (kind, unit, _) in table.columns.items()])
            found.setdefault((name, shape), []).append(table)
    for (name, _), tables in found.items():
        if (made := _probe(tables)) is not None:
            head = {"task": row.first["task"], "row": row.label, "probe": name, "caption": tables[0].caption}
            yield head | {"seeds": len(tables)} | made


def _probe(tables: Sequence[Table]) -> dict[str, Any] | None:
    """The cells of a heat map: texts but one name its lines, that one its columns. None for a table without both."""
    columns = tables[0].columns
    texts = [name for name, (kind, _, _) in columns.items() if kind == "text"]
    numbers = [name for name, (kind, _, _) in columns.items() if kind not in ("text", "image")]
    numbers = [name for name in numbers if name in CHANGES] if set(CHANGES) <= set(numbers) else numbers
    if len(texts) < 2 or not numbers:
        return None
    across = ACROSS if ACROSS in texts else texts[-1]
    cells = _cells(tables, texts, numbers)
    if not cells:
        return None
    varied = [at for at, name in enumerate(texts) if name != across and len({key[at] for key, _ in cells}) > 1]
    named = varied or [at for at, name in enumerate(texts) if name != across][:1]
    return {
        "across": across,
        "down": [texts[at] for at in named],
        "always": {texts[at]: cells[0][0][at] for at in range(len(texts)) if at not in named and texts[at] != across},
        "numbers": [{"name": name, "kind": columns[name][0], "unit": columns[name][1]} for name in numbers],
        "cells": [
            {"down": [key[at] for at in named], "across": key[texts.index(across)], "values": values}
            for key, values in cells
        ],
    }


def _cells(
    tables: Sequence[Table], texts: Sequence[str], numbers: Sequence[str]
) -> list[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Each combination of texts with its numbers, averaged within a seed, then over seeds, as the board has them."""
    seeds: dict[tuple[str, ...], list[dict[str, list[float]]]] = {}
    for table in tables:
        for key, values in by_texts(table, texts, numbers).items():
            seeds.setdefault(key, []).append(values)
    columns = tables[0].columns
    return [
        (key, {name: _over_seeds(name, columns[name][0], averaged(members, name)) for name in numbers})
        for key, members in seeds.items()
    ]


def _over_seeds(name: str, kind: str, values: Sequence[float]) -> dict[str, Any] | None:
    """Fractions stay within 0 and 1, and so do numbers that are named as probabilities and seen nowhere else."""
    probable = name.split(" ")[0] == PROBABILITY and all(0 <= value <= 1 for value in values)
    bounds = (0.0, 1.0) if kind == "fraction" or probable else UNBOUNDED
    return estimate_json(over_seeds([Measured(value, bounds=bounds) for value in values]))
