"""Products of a trial's stages -> TrialRecord."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchbias.results import TrialRecord
from benchbias.store import Store
from benchbias.suite import Use
from benchbias.trials import Plan, Trial


@dataclass(frozen=True)
class Failure:
    """Why a trial has no score: `failed` or `skipped`, the stage, and the reason in one line."""

    status: str
    stage: str
    reason: str


def make_record(plan: Plan, trial: Trial, store: Store, failure: Failure | None) -> TrialRecord | None:
    """The record of a trial that is done or has failed; None for one that is still missing."""
    head = _head(plan, trial)
    if failure is not None:
        body = head | {"status": failure.status, "stage": failure.stage, "reason": failure.reason}
        return TrialRecord(body, {})
    products = {key: store.get(key) for key in trial.stages}
    if not trial.stages or any(product is None for product in products.values()):
        return None
    bodies = {key: dict(product.body) for key, product in products.items() if product is not None}
    kinds = {key: plan.stages[key].kind for key in trial.stages}
    score = bodies[trial.stages[-1]]
    cost = next(bodies[key]["cost"] for key in trial.stages if kinds[key] == "predict")
    training = [bodies[key] for key in trial.stages if kinds[key] == "train"]
    body = (
        head
        | score
        | cost
        | {
            "status": "ok",
            "sparsity": 1 - cost["nonzero_weights"] / cost["weights"] if cost["weights"] else 0.0,
            "training_flops": sum(stage["training_flops"] for stage in training),
            "training_steps": sum(stage["steps"] for stage in training),
            "selected_epochs": [stage["selected_epoch"] for stage in training],
        }
    )
    return TrialRecord(body, _measured(trial, store))


def _head(plan: Plan, trial: Trial) -> dict[str, Any]:
    method = plan.methods[trial.method]
    table = plan.table
    environment = next(iter(plan.stages.values())).inputs["environment"] if plan.stages else {}
    return {
        "trial": trial.id,
        "suite": {
            "name": plan.suite,
            "title": table.title,
            "version": table.version,
            "rank_by": table.rank_by,
            "reference": table.reference,
            "metrics": [Use.of(item, "metrics").name for item in table.metrics],
            "limit": plan.limit,
        },
        "task": trial.task,
        "method": trial.method,
        "swept": dict(trial.swept),
        "settings": dict(trial.settings),
        "seed": trial.seed,
        "track": trial.track,
        "ranked": method.ranked and plan.limit is None,
        "baseline": method.baseline,
        "stages": list(trial.stages),
        "environment": environment,
    }


def _measured(trial: Trial, store: Store) -> dict[str, Any]:
    stages = [store.measured(key) for key in trial.stages]
    total: Mapping[str, float] = {
        name: round(sum(float(stage.get(name, 0.0)) for stage in stages), 4) for name in ("seconds", "cpu_seconds")
    }
    peak = max((int(stage.get("peak_memory_bytes", 0)) for stage in stages), default=0)
    hosts = sorted({f"{s['system']}, Python {s['python']}" for s in stages if "system" in s})
    code = sorted({_code(stage) for stage in stages if "benchbias" in stage})
    return {**total, "peak_memory_bytes": peak, "hosts": hosts, "code": code}


def _code(stage: Mapping[str, Any]) -> str:
    """E.g. `benchbias 0.1.0, commit 04b85ae..., dirty`."""
    commit = f", commit {stage['commit']}" if "commit" in stage else ""
    return f"benchbias {stage['benchbias']}{commit}{', dirty' if stage.get('dirty') else ''}"
