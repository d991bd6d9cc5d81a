"""The launch of an engine, the same for run, analyse, tune and show; and the run of a whole suite."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchbias.engine.base import TIMEOUT_SECONDS
from benchbias.engine.local import LocalEngine
from benchbias.errors import BenchbiasError, UsageError
from benchbias.keys.cards import Slots, slots_of
from benchbias.keys.environment import provenance
from benchbias.plan.remembered import Remembered, remember
from benchbias.plan.trials import Plan, Selection, Trial
from benchbias.plugin.trackers import Trackers
from benchbias.records.trial import TrialRecord
from benchbias.runner.failures import Failure
from benchbias.runner.loop import Computed, TellTrial, compute
from benchbias.runner.recording import make_record, marked
from benchbias.runner.report import conflict_text, conflicts_of, record
from benchbias.runner.reporter import Reporter
from benchbias.runner.results import Results, results_of
from benchbias.runner.workspace import Workspace
from benchbias.store.in_use import in_use
from benchbias.store.store import Store
from benchbias.util import canonical

RERUN = ("missing", "failed", "all")


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How stages are run; none of it changes a number. Raises UsageError for an unknown `rerun`.

    out: the results folder. jobs: stages at once (None: one for each CPU, on cards one for each slot). rerun: `missing`
    computes what is neither done nor known to fail, `failed` tries failures again, `all` computes everything and
    compares it with what is there. timeout: seconds that a stage may take, and that one of another run is waited for.
    memory: GiB that it may hold of the host (None: no limit). shuffle: the seed of a random order of ready stages.
    per_card: stages at once on a card.
    """

    out: Path = Path("results")
    jobs: int | None = None
    rerun: str = "missing"
    timeout: float = TIMEOUT_SECONDS
    memory: float | None = None
    shuffle: int | None = None
    per_card: int = 1

    def __post_init__(self) -> None:
        if self.rerun not in RERUN:
            raise UsageError(f"--rerun {self.rerun}: known: {', '.join(RERUN)}")

    def slots(self, device: str) -> Slots:
        """Where stages run at once on a device. Raises UsageError for more jobs than slots, or a card not there."""
        return slots_of(device, self.jobs, self.per_card, available_cpus())


def run_suite(
    workspace: Workspace, name: str, selection: Selection, options: RunOptions, reporter: Reporter
) -> Results:
    """Compute what is missing of a suite, write its records and its board. The board shows all current records."""
    options.slots(selection.device)  # refused before anything is made
    plan = workspace.ready(name, selection, reporter.note, others=True)
    store = Store(options.out)
    with in_use(store):
        _remember(workspace, store, name, selection, reporter)
        tell = _teller(workspace, plan, store, reporter)
        report = record(plan, store, launch(workspace, plan, options, reporter, tell))
        results = results_of(plan, store, report)
        for file, text in results.files.items():
            store.replace(store.root / "leaderboards" / file, text)
    return results


def _remember(workspace: Workspace, store: Store, suite: str, selection: Selection, reporter: Reporter) -> None:
    """Write what this run is of, for verbs that look at the folder; a run goes on without."""
    given = workspace.given
    try:
        remember(store, suite, Remembered.of(selection, given.config, given.plugins, given.data))
    except BenchbiasError as error:
        reporter.note(f"what this run is of is not remembered: {error}")


def _teller(workspace: Workspace, plan: Plan, store: Store, reporter: Reporter) -> TellTrial | None:
    """A function that gives the record of a trial that has ended to all trackers; None where there are none."""
    refs = [workspace.registry.plugins[name] for name in workspace.registry.trackers]
    if not refs:
        return None
    trackers = Trackers(refs, reporter.fault)

    def tell(trial: Trial, blocked: Mapping[str, Failure]) -> None:
        made = make_record(plan, trial, store, blocked)
        if made is None:  # a product was damaged meanwhile: the trial is not finished
            return
        text = marked(made, store.conflicts()).to_text()
        try:
            TrialRecord.from_text(text)
        except BenchbiasError:  # no reader could have it: the end of the run says so
            return
        trackers.hear(trial.label, lambda: TrialRecord.from_text(text))

    return tell


def launch(
    workspace: Workspace, plan: Plan, options: RunOptions, reporter: Reporter, tell: TellTrial | None = None
) -> Computed:
    """Compute what a plan lacks, in processes of this machine. Raises StorageError and EngineError.

    tell: see `loop.compute`.
    """
    store, slots = Store(options.out), options.slots(plan.device)

    def start() -> LocalEngine:
        payload = write_payload(plan, store, recompute=options.rerun == "all")
        return LocalEngine(
            options.out,
            payload,
            timeout=options.timeout,
            memory=options.memory,
            settings={**workspace.worker_settings, **slots.settings},
            cards=slots.cards,
            per_card=slots.per_card,
            most=max(map(len, plan.stacks.values()), default=1),
        )

    _tell_stacks(plan, reporter)
    with in_use(store):
        computed = compute(
            plan,
            store,
            start,
            reporter,
            jobs=slots.jobs,
            rerun=options.rerun,
            timeout=options.timeout,
            shuffle=options.shuffle,
            tell=tell,
        )
    conflicts = conflicts_of(plan, store.conflicts())
    for conflict in conflicts:
        reporter.warn(conflict_text(conflict))
    if conflicts:
        reporter.warn(f"`benchbias status -s {plan.suite} -o {store.root}` says how that is resolved")
    return computed


def _tell_stacks(plan: Plan, reporter: Reporter) -> None:
    """Say, where seeds are to be trained at once, which stages are not, and why."""
    for why, stages in plan.unstacked.items() if plan.stack > 1 else ():
        more = f" and {len(stages) - 3} more" if len(stages) > 3 else ""
        reporter.note(f"--stack {plan.stack}: not stacked: {', '.join(stages[:3])}{more}: {why}")


def available_cpus() -> int:
    """The CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def write_payload(plan: Plan, store: Store, *, recompute: bool) -> Path:
    """Write what workers read of a plan; the file is named by its content."""
    text = canonical.dumps({**plan.payload(), "recompute": recompute, "provenance": provenance()}) + "\n"
    path = store.root / "plans" / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
    store.replace(path, text)
    return path
