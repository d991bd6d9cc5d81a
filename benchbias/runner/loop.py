"""Run a plan: what is in the store is done, the rest goes to an engine, parents before children."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from benchbias.engine.base import BUSY, CHANGED, DAMAGED, FAILED, STORAGE, TIMEOUT_SECONDS, Ended, Engine
from benchbias.errors import ChangedError, StorageError
from benchbias.keys.stage import Stage
from benchbias.keys.unchanged import own_refusal, refusal
from benchbias.plan.endings import Endings
from benchbias.plan.trials import Plan, Trial
from benchbias.runner.failures import Failure, attempt_of, known_failures, last_failure, last_words, with_descendants
from benchbias.runner.grouping import Grouping, Ready
from benchbias.runner.reporter import Reporter, notes_of
from benchbias.store.store import Product, Store

POLL_SECONDS = 0.5
BUSY_SECONDS = 0.2  # before a stage that another run has claimed is asked for again
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
    most work rests. tell: is called for each trial as soon as it has ended, where a stage of it has in this run.
    Raises StorageError where the results folder cannot be written, ChangedError where sources or packages are no
    longer those of the plan; nothing finished is lost.
    """
    started = time.monotonic()
    found = {} if rerun == "all" else {key: one for key in plan.stages if (one := store.get(key)) is not None}
    done = set(found)
    failures = {} if rerun != "missing" else known_failures(plan, store, done)
    grouping = Grouping.of(plan)
    ready = Ready(grouping.ranks, random.Random(shuffle) if shuffle is not None else None)
    blocked = with_descendants(plan, failures)
    state = _initial(grouping, set(done), failures, ready, blocked)
    settled = done | blocked.keys()
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


def _initial(
    grouping: Grouping, done: set[str], failures: Mapping[str, Failure], ready: Ready, blocked: Mapping[str, Failure]
) -> _State:
    """The state before the first stage; blocked: stages that have failed, or rest on one that has."""
    waiting: dict[str, set[str]] = {}
    for key, stage in grouping.plan.stages.items():
        if key not in done and key not in failures:
            own = set(stage.parents.values())
            waiting[key] = {one for one in grouping.needs[key] - done if one in own or one not in blocked}
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
        raise StorageError(ended.message or last_words(store, ended.key))
    if ended.word == CHANGED and (told := refusal(stage.inputs) or own_refusal({"plugins": run.plan.plugins})):
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
        _again(run.grouping, store, state, ended.key)
    else:
        if ended.word != FAILED:
            store.put_attempt(ended.key, attempt_of(stage, ended))
        failure = last_failure(store, stage) or Failure("failed", stage.label, ended.reason)
        state.failures[ended.key] = failure
        run.reporter.stage(stage, failure.status, ended.seconds, failure.reason)
        _release_mates(run, ended.key)
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
    for child in run.grouping.waiters.get(key, ()):
        _release(run.state, child, key)


def _release(state: _State, child: str, key: str) -> None:
    """A stage waits for another no longer; it is ready if it waits for none."""
    if child in state.waiting:
        state.waiting[child].discard(key)
        if not state.waiting[child]:
            del state.waiting[child]
            state.ready.add(child)


def _release_mates(run: _Run, key: str) -> None:
    """A stage has failed: those of a stack in which another rests on it no longer wait for that one."""
    if not run.plan.stacks:
        return
    blocked = with_descendants(run.plan, run.state.failures)
    for one in (one for one in blocked if one == key or one not in run.state.done):
        for waiter in run.grouping.waiters.get(one, ()):
            if waiter not in blocked:
                _release(run.state, waiter, one)


def _put_back(run: _Run, key: str) -> None:
    """An engine hands back a stage, which was not begun: it waits for its parents, or is ready again."""
    state = run.state
    blocked = with_descendants(run.plan, state.failures) if key in run.plan.stacks else {}
    if missing := run.grouping.needs[key] - state.done - blocked.keys():
        state.waiting[key] = set(missing)
    else:
        state.ready.add(key)


def _wait(run: _Run, stage: Stage) -> None:
    """Another run computes a stage: ask again soon, say so after a while, and compute it here after the time-out.

    Only this process's own clock counts. Products are immutable: two that compute one waste work, and no more.
    """
    state, key, now = run.state, stage.key, time.monotonic()
    waited = now - state.busy.setdefault(key, now)
    patience = run.timeout * len(run.plan.stacks.get(key, (key,)))
    if waited >= patience:
        state.unclaimed.add(key)
        run.reporter.warn(f"{stage.label}: not done by {run.store.holder(key)} in {waited:.0f} s: computed here too")
    elif waited >= TELL_SECONDS and key not in state.told:
        state.told.add(key)
        run.reporter.warn(f"waiting for {stage.label}: computed by {run.store.holder(key)}")
    state.later.append((now + min(BUSY_SECONDS, max(patience - waited, 0)), key))


def _tell_notes(run: _Run, stage: Stage) -> None:
    """Tell once what stages say that a user should know; of data sets and networks before anything is trained."""
    if stage.kind not in ("data", "init") and stage.key not in run.plan.stacks:
        return
    for note in notes_of(run.store.get(stage.key)):
        if note not in run.state.noted:
            run.state.noted.add(note)
            run.reporter.note(f"note: {stage.inputs['component']['name']}: {note}")


def _again(grouping: Grouping, store: Store, state: _State, key: str) -> None:
    """Dispatch a stage again, after those that it needs whose products are gone."""
    blocked = with_descendants(grouping.plan, state.failures)
    gone = {parent for parent in grouping.needs[key] - blocked.keys() if not store.has(parent)}
    state.done -= gone
    if gone:
        state.waiting[key] = gone
    else:
        state.later.append((time.monotonic() + BUSY_SECONDS, key))
    for parent in gone:
        known = (*state.ready, *state.running, *state.waiting, *(other for _, other in state.later))
        if parent not in known:
            _again(grouping, store, state, parent)
