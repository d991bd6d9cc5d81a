"""Run a plan: what is in the store is done, the rest goes to an engine, parents before children."""

from __future__ import annotations

import contextlib
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from benchbias.engine.base import BUSY, CHANGED, DAMAGED, FAILED, STORAGE, TIMEOUT_SECONDS, Ended, Engine
from benchbias.errors import ChangedError, StorageError
from benchbias.keys.stage import Stage
from benchbias.keys.unchanged import refusal
from benchbias.plan.endings import Endings
from benchbias.plan.trials import Plan, Trial
from benchbias.runner.failures import Failure, attempt_of, known_failures, last_failure, with_descendants
from benchbias.runner.grouping import Grouping, Ready
from benchbias.runner.reporter import Reporter
from benchbias.store.store import Product, Store

POLL_SECONDS = 0.5
BUSY_SECONDS = 0.2  # before a stage that another run has claimed is asked for again
FULL_BYTES = 1 << 20  # a disk with less room is called full
TELL_SECONDS = 10.0  # after which a run says for whom it waits
MAX_TRIES = 20  # of one stage within a run, where its parents are damaged again and again


@dataclass(frozen=True)
class Computed:
    """The outcome of a plan's stages: how many were in the store, how many were made, and what failed, by key.

    failures: stages that failed themselves. blocked: those, and all that rest on them, each with its cause. products:
    those that were in the store, by key, so that nobody reads them again.
    """

    cached: int
    computed: int
    failures: Mapping[str, Failure]
    blocked: Mapping[str, Failure]
    seconds: float
    products: Mapping[str, Product] = field(default_factory=dict)


@dataclass
class _State:
    """The state of a run: stages done and to be done.

    running: those that an engine has, each with all of its process that have not ended. busy: stages that another run
    computes, since when they are waited for. told: those that the reporter knows of. unclaimed: those that were waited
    for long enough, and are computed here too. noted: notes of data sets and networks.
    """

    done: set[str]
    waiting: dict[str, set[str]]
    ready: Ready
    failures: dict[str, Failure]
    running: dict[str, set[str]] = field(default_factory=dict)
    processes: int = 0
    tries: Counter[str] = field(default_factory=Counter)
    later: list[tuple[float, str]] = field(default_factory=list)
    busy: dict[str, float] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    unclaimed: set[str] = field(default_factory=set)
    computed: int = 0
    noted: set[str] = field(default_factory=set)


TellTrial = Callable[[Trial, Mapping[str, Failure]], None]
"""A function that is told of a trial that has ended, and of all stages that have failed or rest on one that has."""


@dataclass(frozen=True)
class _Run:
    plan: Plan
    grouping: Grouping
    store: Store
    reporter: Reporter
    state: _State
    timeout: float
    recompute: bool
    endings: Endings
    tell: TellTrial | None


def compute(
    plan: Plan,
    store: Store,
    start_engine: Callable[[], Engine],
    reporter: Reporter,
    *,
    jobs: int,
    rerun: str = "missing",
    timeout: float = TIMEOUT_SECONDS,
    shuffle: int | None = None,
    tell: TellTrial | None = None,
) -> Computed:
    """Compute every stage of the plan that is not in the store.

    rerun: `missing` computes what is neither done nor known to fail, `failed` tries failures again, `all`
    computes everything and compares it with what is there. timeout: seconds that another run's stage is waited for.
    shuffle: dispatch ready stages in a random order (of this seed), which changes no byte; else those first on which
    most work rests. tell: is called for each
    trial as soon as it has ended, where a stage of it has in this run.
    Raises StorageError where the results folder cannot be written, ChangedError where sources or packages are no
    longer those of the plan; nothing finished is lost.
    """
    started = time.monotonic()
    found = {} if rerun == "all" else {key: one for key in plan.stages if (one := store.get(key)) is not None}
    done = set(found)
    failures = {} if rerun != "missing" else known_failures(plan, store, done)
    grouping = Grouping.of(plan)
    ready = Ready(grouping.ranks, random.Random(shuffle) if shuffle is not None else None)
    state = _initial(plan, set(done), failures, ready)
    settled = done | with_descendants(plan, failures).keys()
    reporter.begin(plan, len(done), plan.stages.keys() - settled)
    try:
        if state.ready:
            engine = start_engine()
            try:
                endings = Endings(plan, settled)
                run = _Run(plan, grouping, store, reporter, state, timeout, rerun == "all", endings, tell)
                _loop(run, engine, jobs)
            finally:
                engine.close()
    finally:
        reporter.end()
    blocked = with_descendants(plan, state.failures)
    return Computed(len(done), state.computed, state.failures, blocked, time.monotonic() - started, found)


def _initial(plan: Plan, done: set[str], failures: Mapping[str, Failure], ready: Ready) -> _State:
    waiting: dict[str, set[str]] = {}
    for key, stage in plan.stages.items():
        if key not in done and key not in failures:
            waiting[key] = {parent for parent in stage.parents.values() if parent not in done}
    for key in [key for key, parents in waiting.items() if not parents]:
        ready.add(key)
        del waiting[key]
    return _State(done, waiting, ready, dict(failures))


def _loop(run: _Run, engine: Engine, jobs: int) -> None:
    state = run.state
    while state.ready or state.running or state.later:
        now = time.monotonic()
        for when, key in state.later:
            if when <= now:
                state.ready.add(key)
        state.later = [(when, key) for when, key in state.later if when > now]
        while state.ready and state.processes < jobs:
            _begin(run, engine, jobs)
        for ended in engine.poll(POLL_SECONDS if state.running else BUSY_SECONDS):
            others = state.running.pop(ended.key)
            others.discard(ended.key)
            if not others:
                state.processes -= 1
            _settle(run, ended)


def _begin(run: _Run, engine: Engine, jobs: int) -> None:
    """Give the first of the ready stages to a process, with those that go with it."""
    state = run.state
    key = state.ready.take()
    claim = key not in state.unclaimed
    keys = run.grouping.together(key, state.ready, state.waiting, jobs) if claim else [key]
    if not state.unclaimed.isdisjoint(keys):
        keys = [key]
    together = set(keys)
    for one in keys:
        state.ready.discard(one)
        state.waiting.pop(one, None)
        state.running[one] = together
    state.processes += 1
    engine.submit(keys, claim=claim)


def _settle(run: _Run, ended: Ended) -> None:
    """Whether a stage is done, only the store says."""
    store, state, stage = run.store, run.state, run.plan.stages[ended.key]
    if ended.returned:
        _put_back(run, ended.key)
        return
    if ended.word == STORAGE:
        raise StorageError(ended.message or _last_words(store, ended.key))
    if ended.word == CHANGED and (told := refusal(stage.inputs)) is not None:
        raise ChangedError(told)
    waits = ended.word == BUSY and ended.key not in state.unclaimed
    if waits and run.recompute:  # what is there is what this run is to be compared with
        _wait(run, stage)
    elif store.has(ended.key):
        state.computed += 1
        state.done.add(ended.key)
        run.reporter.stage(stage, "done", ended.seconds, "")
        _tell_notes(run, stage)
        _release_children(run, ended.key)
        _tell_trials(run, ended.key)
    elif waits:
        _wait(run, stage)
    elif ended.word == DAMAGED and state.tries[ended.key] < MAX_TRIES:
        state.tries[ended.key] += 1
        _again(run.plan, store, state, ended.key)
    else:
        if ended.word != FAILED:
            store.put_attempt(ended.key, attempt_of(stage, ended))
        failure = last_failure(store, stage) or Failure("failed", stage.label, ended.reason)
        state.failures[ended.key] = failure
        run.reporter.stage(stage, failure.status, ended.seconds, failure.reason)
        _tell_trials(run, ended.key)


def _tell_trials(run: _Run, key: str) -> None:
    """Tell of the trials that end with a stage."""
    ended = run.endings.after(key, failed=key in run.state.failures) if run.tell is not None else []
    blocked = with_descendants(run.plan, run.state.failures) if ended else {}
    for trial in ended:
        if run.tell is not None:
            run.tell(trial, blocked)


def _release_children(run: _Run, key: str) -> None:
    """A stage is done: its children that waited for nothing else are ready."""
    state = run.state
    for child in run.grouping.children.get(key, ()):
        if child in state.waiting:
            state.waiting[child].discard(key)
            if not state.waiting[child]:
                del state.waiting[child]
                state.ready.add(child)


def _put_back(run: _Run, key: str) -> None:
    """An engine hands back a stage, which was not begun: it waits for its parents, or is ready again."""
    state = run.state
    if missing := {parent for parent in run.plan.stages[key].parents.values() if parent not in state.done}:
        state.waiting[key] = missing
    else:
        state.ready.add(key)


def _wait(run: _Run, stage: Stage) -> None:
    """Another run computes a stage: ask again soon, say so after a while, and compute it here after the time-out.

    Only this process's own clock counts. Products are immutable: two that compute one waste work, and no more.
    """
    state, key, now = run.state, stage.key, time.monotonic()
    waited = now - state.busy.setdefault(key, now)
    if waited >= run.timeout:
        state.unclaimed.add(key)
        run.reporter.warn(f"{stage.label}: not done by {run.store.holder(key)} in {waited:.0f} s: computed here too")
    elif waited >= TELL_SECONDS and key not in state.told:
        state.told.add(key)
        run.reporter.warn(f"waiting for {stage.label}: computed by {run.store.holder(key)}")
    state.later.append((now + min(BUSY_SECONDS, max(run.timeout - waited, 0)), key))


def _tell_notes(run: _Run, stage: Stage) -> None:
    """Tell once what data sets and networks say that a user should know, before anything is trained on them."""
    if stage.kind not in ("data", "init"):
        return
    product = run.store.get(stage.key)
    for note in product.body.get("notes", ()) if product is not None else ():
        if note not in run.state.noted:
            run.state.noted.add(note)
            run.reporter.note(f"note: {stage.inputs['component']['name']}: {note}")


def _again(plan: Plan, store: Store, state: _State, key: str) -> None:
    """Dispatch a stage again, after those of its parents whose products are gone."""
    gone = {parent for parent in plan.stages[key].parents.values() if not store.has(parent)}
    state.done -= gone
    if gone:
        state.waiting[key] = gone
    else:
        state.later.append((time.monotonic() + BUSY_SECONDS, key))
    for parent in gone:
        known = (*state.ready, *state.running, *state.waiting, *(other for _, other in state.later))
        if parent not in known:
            _again(plan, store, state, parent)


def _last_words(store: Store, key: str) -> str:
    """The line by which a worker has said why it could not go on."""
    if lines := store.log(key):
        return lines[-1]
    with contextlib.suppress(OSError):
        if shutil.disk_usage(store.root).free < FULL_BYTES:  # the log did not fit either
            return f"No space left: a stage could not write to {store.root}; what is finished is safe"
    return f"a stage could not write to {store.root}; what is finished is safe"
