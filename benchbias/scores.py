"""Records -> scores: one row a method and setting, with mean, spread, n and Student's t intervals. No torch."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchbias import canonical
from benchbias.errors import UsageError
from benchbias.estimates import LEVEL as LEVEL
from benchbias.estimates import Estimate as Estimate
from benchbias.estimates import estimate as estimate
from benchbias.results import TrialRecord, sorted_records


@dataclass(frozen=True)
class Row:
    """One line of the leaderboard: a method at one setting on one task, over its seeds."""

    task: str
    method: str
    swept: Mapping[str, Any]
    track: str
    ranked: bool
    baseline: str | None
    seeds: tuple[int, ...]
    metrics: Mapping[str, Estimate | None]
    sparsity: float
    parameters: int
    flops: int
    sparse_flops: int
    training_flops: float
    train_conflicting_accuracy: Estimate | None
    to_baseline: Estimate | None
    to_reference: Estimate | None

    @property
    def label(self) -> str:
        """E.g. `magnitude[sparsity=0.8]`."""
        swept = ", ".join(f"{name}={value}" for name, value in self.swept.items())
        return f"{self.method}[{swept}]" if swept else self.method


def score(records: Iterable[TrialRecord]) -> list[Row]:
    """Rows from records, the best first (by the suite's rank_by); rows without a value last.

    Raises UsageError where a row would average one seed twice.
    """
    done = [record for record in sorted_records(records) if record.body["status"] == "ok"]
    rows: dict[tuple[str, str, str], list[TrialRecord]] = {}
    for record in done:
        setting = canonical.dumps([record.body["swept"], record.body["settings"]])
        rows.setdefault((record.body["task"], record.body["method"], setting), []).append(record)
    for (task, method, setting), members in rows.items():
        if len({record.body["seed"] for record in members}) < len(members):
            raise UsageError(f"two records of one seed in the row {task}/{method} {setting}: the recipe must differ")
    made = [_row(members, rows) for members in rows.values()]
    return sorted(made, key=lambda row: _order(row, rank_metric(done)))


def rank_metric(records: Sequence[TrialRecord]) -> str:
    """The suite's rank_by; empty without records."""
    return str(records[0].body["suite"]["rank_by"]) if records else ""


def _order(row: Row, rank_by: str) -> tuple[Any, ...]:
    value = row.metrics.get(rank_by.removeprefix("-"))
    sign = 1 if rank_by.startswith("-") else -1
    return (row.task, value is None, sign * value.mean if value else 0.0, row.method, canonical.dumps(row.swept))


def _row(members: list[TrialRecord], rows: Mapping[tuple[str, str, str], list[TrialRecord]]) -> Row:
    first = members[0].body
    rank_by = str(first["suite"]["rank_by"]).removeprefix("-")
    baseline = _twin(members, first["baseline"], rows)
    reference = _twin(members, first["suite"]["reference"], rows)
    return Row(
        task=first["task"],
        method=first["method"],
        swept=first["swept"],
        track=first["track"],
        ranked=first["ranked"],
        baseline=first["baseline"],
        seeds=tuple(record.body["seed"] for record in members),
        metrics={name: _over_seeds(members, name) for name in first["metrics"]},
        sparsity=statistics.fmean(record.body["sparsity"] for record in members),
        parameters=first["parameters"],
        flops=first["flops"],
        sparse_flops=round(statistics.fmean(record.body["sparse_flops"] for record in members)),
        training_flops=statistics.fmean(record.body["training_flops"] for record in members),
        train_conflicting_accuracy=_complete([record.body["train_conflicting_accuracy"] for record in members]),
        to_baseline=_paired(members, baseline, rank_by),
        to_reference=_paired(members, reference, rank_by),
    )


def _over_seeds(members: Sequence[TrialRecord], name: str) -> Estimate | None:
    return _complete([record.body["metrics"].get(name) for record in members])


def _complete(values: Sequence[float | None]) -> Estimate | None:
    """None where a value is undefined in some seed: a mean over the others would be of another quantity."""
    return None if None in values else estimate([value for value in values if value is not None])


def _twin(
    members: Sequence[TrialRecord], method: str | None, rows: Mapping[tuple[str, str, str], list[TrialRecord]]
) -> list[TrialRecord]:
    """The row of another method on the same task that a row is compared with: the one at its setting, if any."""
    first = members[0].body
    if method is None or method == first["method"]:
        return []
    found = [
        others
        for (task, name, _), others in rows.items()
        if (task, name) == (first["task"], method)
        and all(first["swept"].get(key, value) == value for key, value in others[0].body["swept"].items())
    ]
    return found[0] if len(found) == 1 else []


def _paired(members: Sequence[TrialRecord], others: Sequence[TrialRecord], metric: str) -> Estimate | None:
    """The mean difference over the seeds that both have, with its interval."""
    theirs = {record.body["seed"]: record.body["metrics"].get(metric) for record in others}
    pairs = [(r.body["metrics"].get(metric), theirs[r.body["seed"]]) for r in members if r.body["seed"] in theirs]
    return _complete([None if one is None or other is None else one - other for one, other in pairs])
