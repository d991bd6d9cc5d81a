"""The lines of a suite's boards: metrics, gap, rank, verdict, marks, cost, groups, seeds, and how to make them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from benchbias.board.entries import Entry
from benchbias.board.row_trials import Trials
from benchbias.board.rows import row_of
from benchbias.board.words import LABELS, in_words, section_of
from benchbias.report.gathering.commands import command_of, reproduces
from benchbias.report.gathering.numbers import estimate_json, rounded
from benchbias.report.gathering.row_groups import groups_of
from benchbias.report.gathering.source import Source
from benchbias.statistics.estimates import MARGIN, estimate

BYTES_OF_A_PARAMETER = 4  # float32


def gather_entries(source: Source) -> dict[str, Any]:
    """All rows in the order of the board, and the margin within which they count as equal."""
    rows = [_entry(source, entry, _trials_of(source, entry)) for entry in source.entries]
    return {"margin": MARGIN, "rows": [{"id": f"r{at}", **row} for at, row in enumerate(rows)]}


def _trials_of(source: Source, entry: Entry) -> Trials:
    """The trials of an entry; where rows of other settings have the same name, those that give its row."""
    row = entry.row
    found = [one for one in source.rows.of_method(row.task, row.method) if one.first["swept"] == row.swept]
    return found[0] if len(found) == 1 else next(one for one in found if row_of(one, source.rows) == row)


def _entry(source: Source, entry: Entry, trials: Trials) -> dict[str, Any]:
    row = entry.row
    return {
        "task": row.task,
        "method": row.method,
        "label": row.label,
        "words": entry.words,
        "swept": dict(row.swept),
        "series": _series(row.method, row.swept),
        "labels": section_of(row.track),
        "labelsUsed": LABELS[row.track],
        "ranked": row.ranked,
        "rank": None if entry.rank is None else list(entry.rank),
        "verdict": entry.verdict,
        "control": entry.control,
        "controlMarks": row.baseline_marks.words() if row.baseline_marks is not None else [],
        "gap": estimate_json(row.to_baseline),
        "metrics": {name: estimate_json(value) for name, value in row.metrics.items()},
        "asCounted": rounded(row.as_counted),
        "worstGroup": estimate_json(row.worst_group),
        "fit": estimate_json(row.train_conflicting_accuracy),
        "marks": row.marks.words(),
        "collapsed": row.marks.collapsed,
        "sparsity": rounded(row.sparsity),
        "reach": rounded(row.reach),
        "settingsFrom": row.settings_from,
        "settings": dict(trials.first["settings"]),
        "seeds": list(row.seeds),
        "perSeed": {name: _per_seed(trials, name) for name in row.metrics},
        "groups": groups_of(trials),
        "costs": _costs(entry, trials),
        "command": command_of(source, trials),
        "reproduces": reproduces(source, trials),
    }


SPARSITIES = ("sparsity", "density", "removed")


def _series(method: str, swept: Any) -> str:
    """The name of the curve that a row is a point of, in words: its method, and what is swept besides sparsity."""
    return in_words(method, {name: value for name, value in swept.items() if name not in SPARSITIES})


def _per_seed(trials: Trials, metric: str) -> list[float | None]:
    """The metric of every seed as its record has it."""
    return [rounded(record.body["metrics"].get(metric)) for record in trials.records.values()]


def _costs(entry: Entry, trials: Trials) -> dict[str, Any]:
    """Costs as counted (a number) and as measured (an estimate over seeds); None where a seed's is not known."""
    row = entry.row
    bodies = [record.body for record in trials.records.values()]
    nonzero = [body.get("nonzero_parameters") for body in bodies]
    known = [value for value in nonzero if value is not None]
    return {
        "parameters": row.parameters,
        "flops": row.flops,
        "sparseFlops": row.sparse_flops,
        "trainingFlops": rounded(row.training_flops),
        "relative": rounded(entry.relative_cost),
        "nonzeroBytes": BYTES_OF_A_PARAMETER * statistics.fmean(known) if len(known) == len(nonzero) else None,
        "seconds": _measured(trials, "seconds"),
        "peakBytes": _measured(trials, "peak_memory_bytes"),
    }


def _measured(trials: Trials, name: str) -> dict[str, Any] | None:
    values: Sequence[float | None] = [record.measured.get(name) for record in trials.records.values()]
    known = [float(value) for value in values if value]
    return estimate_json(estimate(known)) if len(known) == len(values) else None
