"""Products of a trial's stages -> TrialRecord."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchbias.errors import LONGEST
from benchbias.plan.trials import Plan, Trial
from benchbias.records.analysis import AnalysisRecord, analysis_folder
from benchbias.records.scored import scored_body
from benchbias.records.trial import TrialRecord, record_folder
from benchbias.runner.failures import (
    Failure,
    analysis_failure,
    known_failures,
    probe_failures,
    trial_failure,
    with_descendants,
)
from benchbias.store.store import Store
from benchbias.suite.tables import Use
from benchbias.util import canonical
from benchbias.util.files import storage_errors


def make_record(plan: Plan, trial: Trial, store: Store, blocked: Mapping[str, Failure]) -> TrialRecord | None:
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
    return TrialRecord(body, _measured(trial, store))


def _probes(trial: Trial, store: Store, blocked: Mapping[str, Failure]) -> dict[str, Any] | None:
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
        "environment": environment,
    }


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


def write_records(plan: Plan, store: Store, failures: Mapping[str, Failure]) -> list[TrialRecord]:
    """Write the record of every trial that is done or has failed; those that exist are returned."""
    blocked = with_descendants(plan, failures)
    folder = record_folder(store.root, suite_label(plan))
    records = []
    for trial in plan.trials:
        record = make_record(plan, trial, store, blocked)
        if record is not None:
            store.replace(folder / f"{trial.id}.json", record.to_text())
            records.append(record)
    for digest, layout in _layouts(plan, store, records).items():
        store.replace(folder / "test" / f"{digest}.json", canonical.dumps(layout) + "\n")
    return records


def analysis_records(plan: Plan, store: Store, blocked: Mapping[str, Failure]) -> list[AnalysisRecord]:
    """The analyses of a plan that are done, failed or were skipped: those of the store, by today's keys."""
    found = []
    for planned in plan.analyses:
        failure = analysis_failure(planned, blocked)
        product = None if failure is not None or planned.key is None else store.get(planned.key)
        if failure is None and product is None:
            continue
        inputs = {} if planned.key is None else plan.stages[planned.key].inputs
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
            found.append(AnalysisRecord(head | {"status": "ok", "table": product.body["table"]}))
    return found


def current_analyses(plan: Plan, store: Store) -> list[AnalysisRecord]:
    """A plan's analyses whose keys are today's: those that a results folder holds, and those known to have failed."""
    if not plan.analyses:
        return []
    done = store.keys() & plan.stages.keys()
    return analysis_records(plan, store, with_descendants(plan, known_failures(plan, store, done)))


def write_analyses(plan: Plan, store: Store, failures: Mapping[str, Failure]) -> list[AnalysisRecord]:
    """Write the records of a run's analyses; those that its plan no longer has go. All of the plan's are returned."""
    made = analysis_records(plan, store, with_descendants(plan, failures))
    folder = analysis_folder(record_folder(store.root, suite_label(plan)))
    wanted = {record.file: record for record in made}
    for name, record in wanted.items():
        store.replace(folder / name, record.to_text())
    with storage_errors(f"cannot read {folder}"):
        there = [path for path in folder.glob("*.json") if path.name not in wanted]
    for path in there:
        with storage_errors(f"cannot remove {path}"):
            path.unlink(missing_ok=True)
    return made


def _layouts(plan: Plan, store: Store, records: Iterable[TrialRecord]) -> dict[str, object]:
    """The cells of each test split that the records count in, by digest."""
    wanted = {record.body["correct"]["layout"] for record in records if record.body["status"] == "ok"}
    found: dict[str, object] = {}
    for key, stage in plan.stages.items():
        if stage.kind == "data" and (product := store.get(key)) is not None:
            layout = product.body["layout"]
            if (digest := canonical.digest(layout)) in wanted:
                found[digest] = layout
    return found


def suite_label(plan: Plan) -> str:
    """The suite's name; a limited run has files of its own."""
    return plan.suite if plan.limit is None else f"{plan.suite}.limit-{plan.limit}"


def current_records(plan: Plan, store: Store) -> tuple[list[TrialRecord], list[str]]:
    """The plan's records whose keys are today's, and the ids of older (stale) ones."""
    folder = record_folder(store.root, suite_label(plan))
    current, stale = [], []
    for trial in plan.trials:
        path = folder / f"{trial.id}.json"
        with storage_errors(f"cannot read {path}"):
            there = path.is_file()
        if not there:
            continue
        record = TrialRecord.from_file(path)
        if tuple(record.body["stages"]) == trial.everything:
            current.append(record)
        else:
            stale.append(trial.id)
    return current, stale


def select_rows(plans: Sequence[Plan], store: Store) -> list[TrialRecord]:
    """The current records of several plans of one suite, each trial once."""
    found: dict[str, TrialRecord] = {}
    for plan in plans:
        for record in current_records(plan, store)[0]:
            found.setdefault(record.id, record)
    return list(found.values())
