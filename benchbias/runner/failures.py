"""Failures: stages that ended without a product, and all that rests on them."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchbias.engine.base import Ended
from benchbias.keys.stage import Stage
from benchbias.plan.remembered import last_run
from benchbias.plan.trials import Plan, PlannedAnalysis, Trial
from benchbias.records.trial import record_folder
from benchbias.store.store import Store
from benchbias.util.files import folders_of, listed

FULL_BYTES = 1 << 20  # a disk with less room is called full
SIGNAL_TRIES = 3  # deaths by signal, memory or timeout of one stage before it counts as failed for good


@dataclass(frozen=True)
class Failure:
    """Why a trial has no score: `failed` or `skipped`, the stage, and the reason in one line."""

    status: str
    stage: str
    reason: str


def last_failure(store: Store, stage: Stage) -> Failure | None:
    """The last noted failure of a stage."""
    attempts = store.attempts(stage.key)
    if not attempts:
        return None
    last = attempts[-1]
    status = "skipped" if last.get("status") == "skipped" else "failed"  # whatever else a note says
    return Failure(status, stage.label, str(last.get("reason", "")))


def known_failures(plan: Plan, store: Store, done: set[str]) -> dict[str, Failure]:
    """Failures that a plain run does not try again: exceptions, skips, and repeated deaths."""
    found: dict[str, Failure] = {}
    for key, stage in plan.stages.items():
        if key in done:
            continue
        attempts = store.attempts(key)
        deaths = sum(attempt.get("kind") in ("signal", "timeout", "memory") for attempt in attempts)
        decided = any(attempt.get("kind") in ("exception", "exit", "skip") for attempt in attempts)
        if decided or deaths >= SIGNAL_TRIES:
            failure = last_failure(store, stage)
            if failure is not None:
                found[key] = failure
    return found


def with_descendants(plan: Plan, failures: Mapping[str, Failure]) -> dict[str, Failure]:
    """Every stage that has failed or rests on one that has."""
    blocked: dict[str, Failure] = {}
    for key, stage in plan.stages.items():
        cause = failures.get(key) or next((blocked[p] for p in stage.parents.values() if p in blocked), None)
        if cause is not None:
            blocked[key] = cause
    return blocked


def trial_failure(plan: Plan, trial: Trial, blocked: Mapping[str, Failure]) -> Failure | None:
    """Why a trial cannot be scored, or None."""
    if trial.blocked is not None:
        return Failure("failed", "plan", trial.blocked)
    return next((blocked[key] for key in trial.stages if key in blocked), None)


def probe_failures(trial: Trial, blocked: Mapping[str, Failure]) -> dict[str, Failure]:
    """Why probes of a trial have no table, by name: these cost it no score."""
    found = {name: Failure("failed", "plan", reason) for name, reason in trial.blocked_probes.items()}
    return found | {name: blocked[key] for name, key in trial.probes.items() if key in blocked}


def analysis_failure(planned: PlannedAnalysis, blocked: Mapping[str, Failure]) -> Failure | None:
    """Why an analysis has no table, or None: it rests on every trial that it is made of."""
    if planned.key is None:
        return Failure("failed", "plan", planned.blocked or "")
    return blocked.get(planned.key)


def attempt_of(stage: Stage, ended: Ended) -> dict[str, Any]:
    """The note of a process that ended without a product and without a word."""
    return {
        "status": "failed",
        "kind": ended.kind,
        "stage": stage.label,
        "plugins": list(stage.plugins),
        "reason": ended.reason,
        "traceback": "",
    }


def last_words(store: Store, key: str) -> str:
    """The line by which a worker has said why it could not go on."""
    if lines := store.log(key):
        return lines[-1]
    with contextlib.suppress(OSError):
        if shutil.disk_usage(store.root).free < FULL_BYTES:  # the log did not fit either
            return f"No space left: a stage could not write to {store.root}; what is finished is safe"
    return f"a stage could not write to {store.root}; what is finished is safe"


def not_done(plan: Plan, trial: Trial, out: Path) -> str:
    """The reason why a trial of a plan has no finished network in a results folder, with what can be done about it."""
    store = Store(out)
    if trial.blocked is not None:
        return f"{trial.label} cannot run: {trial.blocked}"
    failures = {key: found for key in trial.stages if (found := last_failure(store, plan.stages[key])) is not None}
    failed = next((failures[key] for key in trial.stages if key in failures and not store.has(key)), None)
    if failed is not None:
        told = f"{failed.stage} {failed.status} ({failed.reason:.200})"
        return f"{trial.label} is not done in {out}: {told}; `benchbias logs` shows it all"
    again = f"run it again: `benchbias run -s {plan.suite} -m {trial.method}`"
    if (record_folder(out, plan.label) / f"{trial.id}.json").is_file():
        return (
            f"{trial.label} is done in {out} by other sources, settings of a machine, or packages than today's, or its "
            f"products are gone: {again}"
        )
    others = [name for name in _labels(out, plan.suite) if name != plan.label]
    told = f"; the folder has runs of {', '.join(_options(name, plan.suite) for name in others)}" if others else ""
    return f"{trial.label} is not done in {out} with these options{told}{last_run(out, plan.suite)}"


def _labels(out: Path, suite: str) -> list[str]:
    """The labels of a suite's runs in a results folder, limited ones too."""
    names = [path.name for path in folders_of(out / "records") if listed(path, ".json")]
    return [name for name in names if name == suite or name.startswith(f"{suite}.limit-")]


def _options(label: str, suite: str) -> str:
    return "the whole data (no --limit)" if label == suite else f"--limit {label.rpartition('-')[2]}"
