"""Inputs of analyse stages: the analyses of a suite, and the head of every trial's record. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchbias.plan.trials import Trial
from benchbias.suite.tables import MethodTable, SuiteTable, Use


def analyses_of(table: SuiteTable, chosen: Sequence[str] | None, where: str) -> list[Use]:
    """The analyses of a suite; with `chosen` those of these names: as the suite has them, else with their defaults."""
    known = {use.name: use for use in (Use.of(item, where) for item in table.analyses)}
    return (
        list(known.values()) if chosen is None else [known.get(name, Use(name, {})) for name in dict.fromkeys(chosen)]
    )


def analysis_inputs(
    suite: str, table: SuiteTable, methods: Mapping[str, MethodTable], task: str, trials: Sequence[Trial]
) -> dict[str, Any]:
    """The inputs of an analyse stage but its component. Parents `n.i`: stage i of trial n, in the order of both."""
    parents = {f"{n}.{i}": key for n, trial in enumerate(trials) for i, key in enumerate(trial.stages)}
    head = {"name": suite, "version": table.version, "rank_by": table.rank_by, "reference": table.reference}
    return {
        "suite": {**head, "ceiling": table.ceiling, "metrics": [Use.of(m, "metrics").name for m in table.metrics]},
        "task": task,
        "seed": 0,
        "members": [_head(trial, methods[trial.method]) for trial in trials],
        "parents": parents,
    }


def _head(trial: Trial, method: MethodTable) -> dict[str, Any]:
    return {
        "trial": trial.id,
        "method": trial.method,
        "swept": dict(trial.swept),
        "settings": dict(trial.settings),
        "seed": trial.seed,
        "track": trial.track,
        "ranked": method.ranked,
        "baseline": method.baseline,
        "settings_from": trial.settings_from,
    }
