"""Products of stages -> the records of trials and analyses."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from benchbias.errors import LONGEST
from benchbias.plan.trials import Plan, PlannedAnalysis, Trial
from benchbias.records.analysis import AnalysisRecord
from benchbias.records.scored import scored_body
from benchbias.records.trial import TrialRecord
from benchbias.runner.failures import (
    Failure,
    analysis_failure,
    probe_failures,
    trial_failure,
)
from benchbias.store.store import Product, Store
from benchbias.suite.tables import Use

MOST = 1e15  # of a measurement: what is larger is none


class Products:
    """Products and measurements of a run's stages, each read once: many trials share stages.

    known: products that were read already, by key.
    """

    def __init__(self, store: Store, known: Mapping[str, Product]) -> None:
        self._store, self._known = store, dict(known)
        self._measured: dict[str, dict[str, Any]] = {}

    def get(self, key: str) -> Product | None:
        """A stage's product; None where it is missing or damaged."""
        if key not in self._known and (product := self._store.get(key)) is not None:
            self._known[key] = product
        return self._known.get(key)

    def measured(self, key: str) -> dict[str, Any]:
        """Measurements of a stage's run; empty where there are none."""
        if key not in self._measured:
            self._measured[key] = self._store.measured(key)
        return self._measured[key]

    def conflicts(self) -> dict[str, list[str]]:
        """The conflicts of the results folder, see `Store.conflicts`."""
        return self._store.conflicts()


def make_record(
    plan: Plan, trial: Trial, store: Store | Products, blocked: Mapping[str, Failure]
) -> TrialRecord | None:
    """The record of a trial that is done or has failed; None for one that is still missing.

    blocked: every stage that has failed or rests on one that has. A failed probe costs no score.
    """
    head = _head(plan, trial)
    failure = trial_failure(plan, trial, blocked)
    if failure is not None:
        body = head | {"status": failure.status, "stage": failure.stage, "reason": failure.reason[:LONGEST]}
        return TrialRecord(body, {})
    products = {key: store.get(key) for key in trial.stages}
    if not trial.stages or any(product is None for product in products.values()):
        return None
    probes = _probes(trial, store, blocked)
    if probes is None:
        return None
    stages = [(plan.stages[key].kind, product.body) for key, product in products.items() if product is not None]
    body = head | scored_body(stages) | probes
    if stacked := max(product.body.get("stacked", {}).get("together", 1) for product in products.values() if product):
        body["environment"] = head["environment"] | ({"stacked": stacked} if stacked > 1 else {})
    return TrialRecord(body, _measured(trial, store))


def marked(record: TrialRecord, conflicts: Collection[str]) -> TrialRecord:
    """A record that says which of its stages, by key, came out otherwise a second time."""
    keys = sorted(set(record.body["stages"]) & set(conflicts))
    if keys == record.measured.get("conflicts", []):
        return record
    measured = {name: value for name, value in record.measured.items() if name != "conflicts"}
    return TrialRecord(record.body, measured | ({"conflicts": keys} if keys else {}))


def _probes(trial: Trial, store: Store | Products, blocked: Mapping[str, Failure]) -> dict[str, Any] | None:
    """The tables of a trial's probes, and why others have none; None where one is still missing."""
    failures = probe_failures(trial, blocked)
    tables = {}
    for name, key in trial.probes.items():
        if name not in failures:
            product = store.get(key)
            if product is None:
                return None
            tables[name] = product.body["table"]
    told = {name: {"status": f.status, "reason": f.reason[:LONGEST]} for name, f in failures.items()}
    return ({"probes": tables} if tables else {}) | ({"probe_failures": told} if told else {})


def _head(plan: Plan, trial: Trial) -> dict[str, Any]:
    method = plan.methods[trial.method]
    environment = next(iter(plan.stages.values())).inputs["environment"] if plan.stages else {}
    return {
        "trial": trial.id,
        "suite": _suite_head(plan),
        "task": trial.task,
        "method": trial.method,
        "swept": dict(trial.swept),
        "settings": dict(trial.settings),
        "seed": trial.seed,
        "track": trial.track,
        "ranked": method.ranked and plan.limit is None,
        "baseline": method.baseline,
        "settings_from": trial.settings_from,
        "stages": list(trial.everything),
        "environment": environment | _leniency(plan, trial),
    }


def _leniency(plan: Plan, trial: Trial) -> dict[str, Any]:
    """The mark of a trial whose recipe lets be what has no deterministic form; empty for all others."""
    recipes = [plan.stages[key].inputs.get("recipe", {}) for key in trial.stages if key in plan.stages]
    strict = all(recipe.get("deterministic", True) for recipe in recipes)
    return {} if strict else {"deterministic": False}


def _suite_head(plan: Plan) -> dict[str, Any]:
    table = plan.table
    return {
        "name": plan.suite,
        "title": table.title,
        "version": table.version,
        "rank_by": table.rank_by,
        "reference": table.reference,
        "ceiling": table.ceiling,
        "metrics": [Use.of(item, "metrics").name for item in table.metrics],
        "limit": plan.limit,
    }


def _measured(trial: Trial, store: Store | Products) -> dict[str, Any]:
    stages = [store.measured(key) for key in trial.stages]
    total: Mapping[str, float] = {
        name: round(sum(_number(stage.get(name)) for stage in stages), 4) for name in ("seconds", "cpu_seconds")
    }
    peak = max((int(_number(stage.get("peak_memory_bytes"))) for stage in stages), default=0)
    named = (f"{stage['system']}, Python {stage.get('python', 'unknown')}" for stage in stages if "system" in stage)
    hosts = sorted({host[:LONGEST] for host in named})
    code = sorted({_code(stage)[:LONGEST] for stage in stages if "benchbias" in stage})
    return {**total, "peak_memory_bytes": peak, "hosts": hosts, "code": code}


def _number(value: object) -> float:
    """A measurement; 0 for what is none, such as a note that was edited by hand."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return min(max(float(value), 0.0), MOST) if is_number else 0.0  # type: ignore[arg-type]


def _code(stage: Mapping[str, Any]) -> str:
    """E.g. `benchbias 0.1.0, commit 04b85ae..., dirty`."""
    commit = f", commit {stage['commit']}" if "commit" in stage else ""
    return f"benchbias {stage['benchbias']}{commit}{', dirty' if stage.get('dirty') else ''}"


def analysis_records(
    plan: Plan, analyses: Sequence[PlannedAnalysis], store: Store | Products, blocked: Mapping[str, Failure]
) -> list[AnalysisRecord]:
    """Records of a plan's analyses that are done, failed or were skipped, from the store by today's keys."""
    found, conflicts = [], store.conflicts() if analyses else {}
    for planned in analyses:
        failure = analysis_failure(planned, blocked)
        product = None if failure is not None or planned.key is None else store.get(planned.key)
        if failure is None and product is None:
            continue
        inputs = {} if planned.stage is None else planned.stage.inputs
        head = {
            "suite": _suite_head(plan),
            "task": planned.task,
            "analysis": planned.name,
            "options": dict(planned.options),
            "trials": len(inputs.get("members", ())),
            "stage": planned.key,
            "environment": inputs.get("environment", {}),
        }
        if failure is not None:
            told = f"{failure.stage}: {failure.reason}"[:LONGEST]
            found.append(AnalysisRecord(head | {"status": failure.status, "reason": told}))
        elif product is not None:
            body = head | {"status": "ok", "table": product.body["table"]}
            found.append(AnalysisRecord(body, planned.key in conflicts))
    return found
