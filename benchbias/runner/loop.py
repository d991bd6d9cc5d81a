"""Run a plan: what is in the store is done, the rest goes to an engine, parents before children."""

from __future__ import annotations

import contextlib
import random
import shutil
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from benchbias.engine.base import BUSY, DAMAGED, FAILED, STORAGE, Ended, Engine
from benchbias.errors import StorageError
from benchbias.keys.stage import Stage
from benchbias.plan.trials import Plan
from benchbias.runner.failures import Failure, attempt_of, known_failures, last_failure, with_descendants
from benchbias.runner.reporter import Reporter
from benchbias.store.store import Product, Store

POLL_SECONDS = 0.5
BUSY_SECONDS = 0.2  # before a stage that another run has claimed is asked for again
FULL_BYTES = 1 << 20  # a disk with less room is called full
MAX_TRIES = 20  # of one stage within a run, where its parents are damaged again and again or a claim is unclear


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
    waiting: dict[str, set[str]]
    children: dict[str, list[str]]
    ready: deque[str]
    failures: dict[str, Failure]
    running: set[str] = field(default_factory=set)
    tries: Counter[str] = field(default_factory=Counter)
    later: list[tuple[float, str]] = field(default_factory=list)
    computed: int = 0
    told: set[str] = field(default_factory=set)  # notes of data sets and networks


def compute(
    plan: Plan,
    store: Store,
    start_engine: Callable[[], Engine],
    reporter: Reporter,
    *,
    jobs: int,
    rerun: str = "missing",
    shuffle: int | None = None,
) -> Computed:
    """Compute every stage of the plan that is not in the store.

    rerun: `missing` computes what is neither done nor known to fail, `failed` tries failures again, `all`
    computes everything and compares it with what is there. shuffle: dispatch ready stages in a random order (of
    this seed), which changes no byte.
    Raises StorageError where the results folder cannot be written; nothing finished is lost.
    """
    started = time.monotonic()
    found = {} if rerun == "all" else {key: one for key in plan.stages if (one := store.get(key)) is not None}
    done = set(found)
    failures = {} if rerun != "missing" else known_failures(plan, store, done)
    state = _initial(plan, done, failures)
    reporter.begin(plan, len(done), plan.stages.keys() - done - with_descendants(plan, failures).keys())
    try:
        if state.ready:
            engine = start_engine()
            try:
                _loop(
                    plan, store, engine, reporter, state, jobs, random.Random(shuffle) if shuffle is not None else None
                )
            finally:
                engine.close()
    finally:
        reporter.end()
    blocked = with_descendants(plan, state.failures)
    return Computed(len(done), state.computed, state.failures, blocked, time.monotonic() - started, found)


def _initial(plan: Plan, done: set[str], failures: Mapping[str, Failure]) -> _State:
    waiting: dict[str, set[str]] = {}
    children: dict[str, list[str]] = {}
    for key, stage in plan.stages.items():
        for parent in set(stage.parents.values()):
            children.setdefault(parent, []).append(key)
        if key not in done and key not in failures:
            waiting[key] = {parent for parent in stage.parents.values() if parent not in done}
    ready = deque(key for key, parents in waiting.items() if not parents)
    for key in ready:
        del waiting[key]
    return _State(waiting, children, ready, dict(failures))


def _loop(
    plan: Plan,
    store: Store,
    engine: Engine,
    reporter: Reporter,
    state: _State,
    jobs: int,
    order: random.Random | None,
) -> None:
    while state.ready or state.running or state.later:
        now = time.monotonic()
        state.ready.extend(key for when, key in state.later if when <= now)
        state.later = [(when, key) for when, key in state.later if when > now]
        while state.ready and len(state.running) < jobs:
            if order is not None:
                state.ready.rotate(order.randrange(len(state.ready)))
            key = state.ready.popleft()
            state.running.add(key)
            engine.submit([key])
        for ended in engine.poll(POLL_SECONDS if state.running else BUSY_SECONDS):
            state.running.discard(ended.key)
            _settle(plan, store, reporter, state, ended)


def _settle(plan: Plan, store: Store, reporter: Reporter, state: _State, ended: Ended) -> None:
    """Whether a stage is done, only the store says."""
    stage = plan.stages[ended.key]
    if ended.word == STORAGE:
        raise StorageError(_storage_reason(store, ended.key))
    if store.has(ended.key):
        state.computed += 1
        reporter.stage(stage, "done", ended.seconds, "")
        _tell_notes(stage, store, reporter, state)
        for child in state.children.get(ended.key, ()):
            if child in state.waiting:
                state.waiting[child].discard(ended.key)
                if not state.waiting[child]:
                    del state.waiting[child]
                    state.ready.append(child)
        return
    if ended.word in (BUSY, DAMAGED) and state.tries[ended.key] < MAX_TRIES:
        state.tries[ended.key] += ended.word == DAMAGED or not store.claimed(ended.key)
        _again(plan, store, state, ended.key)
        return
    if ended.word != FAILED:
        store.put_attempt(ended.key, attempt_of(stage, ended))
    failure = last_failure(store, stage) or Failure("failed", stage.label, ended.reason)
    state.failures[ended.key] = failure
    reporter.stage(stage, failure.status, ended.seconds, failure.reason)


def _tell_notes(stage: Stage, store: Store, reporter: Reporter, state: _State) -> None:
    """Tell once what data sets and networks say that a user should know, before anything is trained on them."""
    if stage.kind not in ("data", "init"):
        return
    product = store.get(stage.key)
    for note in product.body.get("notes", ()) if product is not None else ():
        if note not in state.told:
            state.told.add(note)
            reporter.note(f"note: {stage.inputs['component']['name']}: {note}")


def _again(plan: Plan, store: Store, state: _State, key: str) -> None:
    """Dispatch a stage again, after those of its parents whose products are gone."""
    gone = {parent for parent in plan.stages[key].parents.values() if not store.has(parent)}
    if gone:
        state.waiting[key] = gone
    else:
        state.later.append((time.monotonic() + BUSY_SECONDS, key))
    for parent in gone:
        known = (*state.ready, *state.running, *state.waiting, *(other for _, other in state.later))
        if parent not in known:
            _again(plan, store, state, parent)


def _storage_reason(store: Store, key: str) -> str:
    with contextlib.suppress(OSError):
        lines = (store.root / "attempts" / f"{key}.log").read_text(errors="replace").strip().splitlines()
        if lines:
            return lines[-1]
        if shutil.disk_usage(store.root).free < FULL_BYTES:  # the log did not fit either
            return f"No space left: a stage could not write to {store.root}; what is finished is safe"
    return f"a stage could not write to {store.root}; what is finished is safe"
