"""The groups of one row: accuracies over seeds with intervals, and the examples of each."""

from __future__ import annotations

from typing import Any

from benchbias.board.row_trials import Trials
from benchbias.report.gathering.numbers import estimate_json
from benchbias.statistics.estimates import over_seeds
from benchbias.statistics.influence import Measured
from benchbias.statistics.worst_group import group_accuracies


def groups_of(trials: Trials) -> list[dict[str, Any]]:
    """Every group with its accuracy, and its examples in test and training; nothing where records have no groups."""
    first = trials.first
    names = first.get("group_names") or []
    by_seed = [_accuracies(trials, seed, len(names)) for seed in trials.records]
    aligned, trained = first.get("group_aligned") or [], first.get("train_group_total") or []
    tested = [record.body["group_total"] for record in trials.records.values()] if names else []
    return [
        {
            "name": name,
            "aligned": bool(aligned[at]) if at < len(aligned) else None,
            "accuracy": estimate_json(over_seeds([one for seed in by_seed if (one := seed[at]) is not None])),
            "test": sorted({totals[at] for totals in tested}),
            "train": trained[at] if at < len(trained) else None,
        }
        for at, name in enumerate(names)
    ]


def _accuracies(trials: Trials, seed: int, groups: int) -> list[Measured | None]:
    """The accuracy of every group in one seed, with its influence where the record has counts of cells."""
    cells = trials.cells[seed]
    if cells is not None:
        return group_accuracies(cells, groups)
    body = trials.records[seed].body
    pairs = zip(body["group_correct"], body["group_total"], strict=True) if groups else ()
    return [Measured(right / total, bounds=(0.0, 1.0)) if total else None for right, total in pairs]
