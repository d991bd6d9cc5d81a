"""Stages of a stack in a run: begun when all that they rest on is there, in one process, whatever else fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbias.engine.base import FAILED, Ended
from benchbias.plan.trials import Plan, Selection
from benchbias.runner.failures import attempt_of
from benchbias.runner.loop import compute
from benchbias.runner.reporter import Silent
from benchbias.runner.workspace import Workspace
from benchbias.store.store import Store

OWN = """
schema = 1
[suites.own]
title = "Own"
version = "1"
tasks = ["colored-digits-tiny"]
methods = ["chain", "levels"]
seeds = 4
metrics = ["accuracy"]
rank_by = "accuracy"
[methods.chain]
stages = [{ train = "erm" }, { prune = "magnitude", sparsity = 0.5 }, { train = "erm" }]
[methods.levels]
stages = [{ train = "erm" }, { prune = "random", sparsity = "$sparsity" }, { train = "erm" }]
sweep = { sparsity = [0.2, 0.7] }
"""


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    folder = tmp_path_factory.mktemp("own")
    (folder / "own.toml").write_text(OWN)
    return Workspace.open(folder / "own.toml", quiet=True).plan("own", Selection(stack=3))


class Pretending:
    """An engine that makes empty products, or notes failures; it checks what it is given."""

    def __init__(self, plan: Plan, store: Store, failing: Callable[[str], bool], draw: Callable[[int], int]) -> None:
        self.plan, self.store, self.failing, self.draw = plan, store, failing, draw
        self.open: list[list[str]] = []
        self.given: list[list[str]] = []

    def submit(self, keys: Sequence[str], *, claim: bool = True) -> None:
        known = set()
        for key in keys:
            for parent in self.plan.stages[key].parents.values():
                assert self.store.has(parent) or parent in known, self.plan.stages[key].label
            known.add(key)
        for mate in self.plan.stacks.get(keys[0], ()):
            assert all(self.settled(parent) for parent in self.plan.stages[mate].parents.values()), "it began too early"
        self.given.append(list(keys))
        self.open.append(list(keys))

    def settled(self, key: str) -> bool:
        """Whether a stage is done, has failed, or rests on one that has."""
        if self.store.has(key) or self.store.attempts(key):
            return True
        parents = self.plan.stages[key].parents.values()
        return any(not self.store.has(parent) and self.settled(parent) for parent in parents)

    def poll(self, seconds: float) -> list[Ended]:
        batch = self.open[self.draw(len(self.open))]
        key = batch.pop(0)
        if not batch:
            self.open.remove(batch)
        fails = self.failing(key)
        ended = Ended(key, FAILED if fails else 0, None, timed_out=False, seconds=0.0)
        stage = self.plan.stages[key]
        if not fails:
            self.store.put(key, stage.inputs, {}, {})
            return [ended]
        self.store.put_attempt(key, {**attempt_of(stage, ended), "kind": "exception"})
        if key in self.plan.stacks or not batch:
            return [ended]
        self.open.remove(batch)
        return [ended, *(Ended(one, None, None, False, 0.0, returned="not begun") for one in batch)]

    def cancel(self) -> None: ...

    def close(self) -> None: ...


@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_every_stage_that_can_be_computed_is_whatever_fails_and_in_any_order(plan: Plan, data: st.DataObject):
    import tempfile

    keys = list(plan.stages)
    failing = data.draw(st.sets(st.sampled_from(keys), max_size=4))
    jobs = data.draw(st.integers(1, 4))
    random = data.draw(st.randoms(use_true_random=False))
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        store = Store(Path(name) / "results").create()
        engine = Pretending(plan, store, lambda key: key in failing, random.randrange)
        computed = compute(plan, store, lambda: engine, Silent(), jobs=jobs, shuffle=random.randrange(99))
        done = store.keys()
        for key, stage in plan.stages.items():
            able = key not in failing and all(parent in done for parent in stage.parents.values())
            assert (key in done) == able, stage.label
        assert set(computed.failures) == {key for key in failing if done.issuperset(plan.stages[key].parents.values())}


def test_a_stack_is_one_call_and_its_sweeps_and_measures_are_others(plan: Plan, fast: Path):
    store = Store(fast / "results").create()
    engine = Pretending(plan, store, lambda key: False, lambda count: 0)
    compute(plan, store, lambda: engine, Silent(), jobs=2)
    calls = [sorted(keys) for keys in engine.given if keys[0] in plan.stacks]
    assert {tuple(keys) for keys in calls} == {tuple(sorted(group)) for group in plan.stacks.values()}
    assert len(calls) == 4, "stage 1 of both, stage 3 of three rows: of seeds 0 to 2 each"


def test_what_is_there_of_a_stack_is_not_asked_for(plan: Plan, fast: Path):
    store = Store(fast / "results").create()
    engine = Pretending(plan, store, lambda key: False, lambda count: 0)
    group = next(iter(plan.stacks.values()))
    there = group[1]
    store.put(there, plan.stages[there].inputs, {}, {})
    compute(plan, store, lambda: engine, Silent(), jobs=2)
    assert all(there not in keys for keys in engine.given)
    assert sorted(next(keys for keys in engine.given if keys[0] in group)) == sorted({*group} - {there})
