"""The state of a plan's trials and analyses in a results folder: values, for text and JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchbias.errors import plain
from benchbias.plan.trials import Plan, PlannedAnalysis, Trial
from benchbias.runner.failures import (
    Failure,
    analysis_failure,
    known_failures,
    last_failure,
    probe_failures,
    trial_failure,
    with_descendants,
)
from benchbias.runner.report import Conflict, conflicts_of, current_records
from benchbias.store.store import CONFLICT, Store
from benchbias.util.files import put_aside

SCHEMA = 1
STATES = ("done", "running", "failed", "skipped", "missing", "conflict")
"""States of trials and analyses; an analysis is never said to run."""


@dataclass(frozen=True)
class TrialState:
    """One trial: its state, why, and the probes of it that have no table, by name."""

    trial: Trial
    state: str
    reason: str
    probes: Mapping[str, Failure]


@dataclass(frozen=True)
class AnalysisState:
    """One analysis: its state, and why."""

    planned: PlannedAnalysis
    state: str
    reason: str


@dataclass(frozen=True)
class FolderState:
    """A plan beside a results folder.

    stale: records that were made by other sources or on another machine. damaged: files that were put into quarantine.
    """

    plan: Plan
    out: Path
    trials: tuple[TrialState, ...]
    analyses: tuple[AnalysisState, ...]
    conflicts: tuple[Conflict, ...]
    stale: int
    damaged: int

    @property
    def counts(self) -> Counter[str]:
        """How many trials are in each state, in the order in which they are met."""
        return Counter(one.state for one in self.trials)


@dataclass(frozen=True)
class _Found:
    """The part of a plan that lies in a results folder. conflicting: labels of stages in conflict, by key."""

    plan: Plan
    store: Store
    done: set[str]
    blocked: Mapping[str, Failure]
    conflicting: Mapping[str, str]


def folder_state(plan: Plan, out: Path) -> FolderState:
    """Look at a results folder. Raises StorageError."""
    store = Store(out)
    done = {key for key in plan.stages if store.has(key)}
    conflicts = conflicts_of(plan, store.conflicts())
    blocked = with_descendants(plan, known_failures(plan, store, done))
    found = _Found(plan, store, done, blocked, {conflict.key: conflict.stage for conflict in conflicts})
    return FolderState(
        plan,
        out,
        tuple(_trial_state(trial, found) for trial in plan.trials),
        tuple(_analysis_state(planned, found) for planned in plan.analyses),
        conflicts,
        len(current_records(plan, store)[1]),
        sum(not CONFLICT.fullmatch(path.name) for path in put_aside(out / "quarantine")),
    )


def _trial_state(trial: Trial, found: _Found) -> TrialState:
    failure = trial_failure(found.plan, trial, found.blocked)
    if failure is not None:
        return TrialState(trial, failure.status, plain(f"{failure.stage}: {failure.reason}"), {})
    probes = probe_failures(trial, found.blocked)
    open_ = [key for key in trial.everything if key not in found.done]
    if set(open_) <= found.blocked.keys():
        again = [found.conflicting[key] for key in trial.everything if key in found.conflicting]
        state, why = ("conflict", f"not reproducible: {again[0]}") if again else ("done", "")
    else:
        running = [found.plan.stages[key].label for key in open_ if found.store.claimed(key)]
        state, why = ("running", running[0]) if running else ("missing", _last_death(open_, found))
    return TrialState(trial, state, plain(why), probes)


def _last_death(keys: list[str], found: _Found) -> str:
    """How a stage that the next run tries again ended the last time, e.g. by a signal."""
    failures = [last_failure(found.store, found.plan.stages[key]) for key in keys]
    return next((f"to be tried again: {f.stage}: {f.reason}" for f in failures if f is not None), "")


def _analysis_state(planned: PlannedAnalysis, found: _Found) -> AnalysisState:
    failure = analysis_failure(planned, found.blocked)
    if failure is not None:
        return AnalysisState(planned, failure.status, plain(f"{failure.stage}: {failure.reason}"))
    if planned.key not in found.done:
        return AnalysisState(planned, "missing", "")
    if planned.key in found.conflicting:
        return AnalysisState(planned, "conflict", "not reproducible")
    return AnalysisState(planned, "done", "")


def state_document(state: FolderState, selection: Mapping[str, Any] | None) -> dict[str, Any]:
    """The document that `status --json` prints. selection: what was taken from the folder's last run, if anything."""
    counts = state.counts
    return {
        "schema": SCHEMA,
        "suite": state.plan.suite,
        "version": state.plan.table.version,
        "folder": str(state.out),
        "remembered": None if selection is None else dict(selection),
        "counts": {name: counts[name] for name in STATES},
        "trials": [_trial_document(one) for one in state.trials],
        "analyses": [
            {"task": one.planned.task, "analysis": one.planned.name, "state": one.state, "reason": one.reason}
            for one in state.analyses
        ],
        "stale": state.stale,
        "conflicts": [
            {"stage": one.stage, "trials": list(one.trials), "files": [str(state.out / name) for name in one.files]}
            for one in state.conflicts
        ],
        "damaged": state.damaged,
    }


def _trial_document(one: TrialState) -> dict[str, Any]:
    trial = one.trial
    return {
        "trial": trial.id,
        "task": trial.task,
        "method": trial.method,
        "swept": dict(trial.swept),
        "row": trial.row,
        "seed": trial.seed,
        "state": one.state,
        "reason": one.reason,
        "probes": [
            {"probe": name, "state": found.status, "reason": plain(found.reason)} for name, found in one.probes.items()
        ],
    }
