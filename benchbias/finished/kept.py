"""Rows of an earlier measurement that stay beside a new one, with the dense networks that they were timed beside."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from benchbias.plan.trials import Plan
from benchbias.records.latency import Architecture, Earlier, Latency, LatencyRow, LeftOut


def with_earlier(new: Latency, old: Latency | None, plan: Plan, done: Collection[str]) -> tuple[Latency, int, int]:
    """A new measurement with what stays of an older one; how many rows stay, and how many are dropped.

    plan: what was asked for, with the rest of its suite among `others`. done: keys of finished stages. A row stays
    that was not asked for, and whose network is still that of its trial.
    """
    if old is None:
        return new, 0, 0
    current = {trial.id: trial.stages[-1] for trial in plan.others if trial.stages and trial.stages[-1] in done}
    stay = [row for row in old.rows if current.get(row.trial) == row.product]
    again = {row.trial for row in new.rows}
    dropped = sum(row.trial not in again for row in old.rows) - len(stay)
    asked = {(trial.task, trial.row) for trial in plan.trials}
    planned = {(trial.task, trial.row) for trial in plan.others}
    had = {(row.task, row.row) for row in (*new.rows, *stay)}
    told = {(one.task, one.row) for one in new.left_out}
    left = [one for one in old.left_out if (one.task, one.row) in planned - asked - had - told]
    return _joined(new, old, stay, left), len(stay), dropped


def _joined(new: Latency, old: Latency, stay: list[LatencyRow], left: list[LeftOut]) -> Latency:
    places: dict[int, int] = {}
    architectures = list(new.architectures)
    for row in stay:
        if row.architecture not in places:
            places[row.architecture] = len(architectures)
            architectures.append(_earlier(old.architectures[row.architecture], old))
    rows = [row.model_copy(update={"architecture": places[row.architecture]}) for row in stay]
    joined: Mapping[str, object] = {
        "architectures": architectures,
        "rows": [*new.rows, *rows],
        "left_out": [*new.left_out, *left],
    }
    return Latency.model_validate(new.model_copy(update=joined).model_dump(by_alias=True))


def _earlier(architecture: Architecture, old: Latency) -> Architecture:
    """The dense network of an older measurement, with where and when that was."""
    if architecture.earlier is not None:
        return architecture
    found = Earlier(machine=old.machine, repeats=old.repeats, busy=old.busy)
    return architecture.model_copy(update={"earlier": found})
