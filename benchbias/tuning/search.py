"""Running a search for settings: its trials in one plan, their validation scores, the choice, the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchbias.errors import UsageError, unknown
from benchbias.keys.stage import Stage
from benchbias.plan.trials import Plan, Selection, Trial
from benchbias.runner.failures import Failure, trial_failure
from benchbias.runner.launch import RunOptions, launch
from benchbias.runner.reporter import Reporter
from benchbias.runner.workspace import Workspace
from benchbias.store.store import Store
from benchbias.tuning.search_space import Rule, Search, Value, choose, mean_value, proposals, searches, worst_pooled


@dataclass(frozen=True)
class Attempt:
    """One trial of a search, planned: its settings and the suite's trials that show what they are worth."""

    search: Search
    rule: Rule
    number: int
    settings: Mapping[str, float]
    trials: tuple[Trial, ...]


def tune(
    workspace: Workspace,
    suite: str,
    reporter: Reporter,
    options: RunOptions,
    *,
    methods: Sequence[str] | None = None,
    device: str = "cpu",
) -> list[dict[str, Any]]:
    """Search for the settings of the recipe and of every method of a suite that has some; a log entry a trial.

    Only training and validation data are used. Raises UsageError where the suite has no tuning table.
    """
    attempts: list[Attempt] = []
    plans: list[Plan] = []
    for search in _selected(workspace, suite, methods):
        made, found = _planned(workspace, suite, search, device, reporter)
        plans += made
        attempts += found
    merged = _merged(plans)
    computed = launch(workspace, merged, options, reporter)
    return _entries(merged, Store(options.out), attempts, computed.blocked)


def _selected(workspace: Workspace, suite: str, methods: Sequence[str] | None) -> list[Search]:
    if workspace.catalogue.suite(suite).tuning is None:
        tunable = [name for name, table in workspace.catalogue.suites.items() if table.tuning is not None]
        where = workspace.catalogue.where("suites", suite)
        raise UsageError(f"{where} has no `tuning` table (suites with one: {', '.join(tunable) or 'none'})")
    found = {search.owner: search for search in searches(workspace.catalogue, workspace.registry, suite)}
    for name in methods or ():
        if name not in found:
            raise UsageError(unknown("method with settings to search", name, found, suite))
    return [search for owner, search in found.items() if methods is None or owner in methods]


def _planned(
    workspace: Workspace, suite: str, search: Search, device: str, reporter: Reporter
) -> tuple[list[Plan], list[Attempt]]:
    """The plan of every trial of a search; which split they are scored on depends on whose labels they use."""
    tuning = workspace.catalogue.suite(suite).tuning
    assert tuning is not None
    selection = Selection([search.method], seeds=tuning.dev_seeds, device=device, split="val")
    tracks = {trial.track for trial in workspace.ready(suite, selection, reporter.note).trials}
    if len(tracks) > 1:
        raise UsageError(f"{search.method}: uses group labels on some tasks only ({', '.join(sorted(tracks))})")
    rule = Rule.of(tracks.pop(), workspace.catalogue.suite(suite))
    plans, attempts = [], []
    for number, settings in enumerate(proposals(search, tuning.trials)):
        chosen = replace(selection, assignments=search.assignments(settings), split=rule.split)
        plan = workspace.plan(suite, chosen)
        plans.append(plan)
        attempts.append(Attempt(search, rule, number, settings, plan.trials))
    return plans, attempts


def _merged(plans: Sequence[Plan]) -> Plan:
    """All stages of several plans, without trials: a search writes no records."""
    stages: dict[str, Stage] = {}
    plugins: dict[str, Mapping[str, Any]] = {}
    for plan in plans:
        stages |= plan.stages
        plugins |= plan.plugins
    return replace(plans[0], trials=(), stages=stages, plugins=plugins)


def _entries(
    plan: Plan, store: Store, attempts: Sequence[Attempt], blocked: Mapping[str, Failure]
) -> list[dict[str, Any]]:
    """The log: every trial of every search with what it reached, in order; one of each search is chosen."""
    entries: list[dict[str, Any]] = []
    for search in dict.fromkeys(attempt.search for attempt in attempts):
        own = [attempt for attempt in attempts if attempt.search is search]
        values = [_value(plan, store, attempt, blocked) for attempt in own]
        pairs = [(attempt.settings, value) for attempt, (value, _) in zip(own, values, strict=True)]
        chosen = choose(search, pairs)
        for attempt, (value, reason) in zip(own, values, strict=True):
            entries.append(
                {
                    "suite": plan.suite,
                    "version": plan.table.version,
                    "owner": search.owner,
                    "method": search.method,
                    "trial": attempt.number,
                    "settings": dict(attempt.settings),
                    "track": attempt.trials[0].track,
                    "split": attempt.rule.split,
                    "worst": attempt.rule.worst,
                    "seeds": sorted({trial.seed for trial in attempt.trials}),
                    "rows": len({(trial.task, trial.row) for trial in attempt.trials}),
                    "accuracy": value.accuracy if value else None,
                    "standard_error": value.standard_error if value else None,
                    "reason": reason,
                    "chosen": attempt.number == chosen,
                    "training_flops": _training_flops(plan, store, attempt),
                }
            )
    return entries


def _value(
    plan: Plan, store: Store, attempt: Attempt, blocked: Mapping[str, Failure]
) -> tuple[Value | None, str | None]:
    """The value that a trial reached, or the reason why it reached none."""
    rows: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for trial in attempt.trials:
        failure = trial_failure(plan, trial, blocked)
        product = store.get(trial.stages[-1]) if trial.stages else None
        if failure is not None or product is None:
            return None, failure.reason if failure else "not computed"
        rows.setdefault((trial.task, trial.row), []).append(product.body)
    values = [worst_pooled(scores, attempt.rule.worst) for scores in rows.values()]
    whole = [value for value in values if value is not None]
    if len(whole) < len(values):
        return None, f"a {attempt.rule.worst} has no example in {attempt.rule.split}"
    return mean_value(whole), None


def _training_flops(plan: Plan, store: Store, attempt: Attempt) -> float:
    """Known FLOPs of the trial's training, each distinct stage once; a pruner may train too."""
    training = ("train", "prune")
    keys = dict.fromkeys(key for trial in attempt.trials for key in trial.stages if plan.stages[key].kind in training)
    products = [store.get(key) for key in keys]
    return sum(float(product.body.get("training_flops") or 0) for product in products if product is not None)
