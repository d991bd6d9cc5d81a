"""Which stages go to one process, and which of those that are ready begin first: properties over whole plans."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbias.plan.trials import Plan, Selection
from benchbias.runner.grouping import Grouping, Ready
from benchbias.runner.workspace import Workspace

OWN = """
schema = 1
[suites.swept]
title = "Sweeps"
version = "1"
tasks = ["colored-digits-tiny"]
methods = ["levels", "strange", "named"]
seeds = 2
metrics = ["accuracy"]
rank_by = "accuracy"
[methods.levels]
stages = [{ train = "erm" }, { prune = "magnitude", sparsity = "$sparsity" }]
sweep = { sparsity = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7] }
[methods.strange]
stages = [{ train = "erm" }, { prune = "stranger", sparsity = "$sparsity" }]
sweep = { sparsity = [0.1, 0.2, 0.3] }
"""
OWN += """
[methods.named]
stages = [{ train = "erm" }, { prune = "torch_prune", custom = "a.package:Pruning", sparsity = "$sparsity" }]
sweep = { sparsity = [0.1, 0.2, 0.3] }
"""
STRANGER = """
from benchbias import hookimpl

def stranger(model, data, context):
    return {name: weight.abs() for name, weight in context.weights.items()}

@hookimpl
def benchbias_pruners():
    return {"stranger": stranger}
"""


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    folder = tmp_path_factory.mktemp("swept")
    (folder / "own.toml").write_text(OWN)
    (folder / "stranger.py").write_text(STRANGER)
    return Workspace.open(folder / "own.toml", [folder / "stranger.py"], quiet=True).plan("swept", Selection())


@pytest.fixture(scope="module")
def plans(swept: Plan) -> list[Plan]:
    return [swept, Workspace.open(quiet=True).plan("smoke", Selection())]


def dealt(plan: Plan, jobs: int, order: random.Random | None, done: set[str], chance: random.Random) -> list[list[str]]:
    """The calls of a run in which processes end in a random order; checked as they are made."""
    grouping = Grouping.of(plan)
    ready, ended = Ready(grouping.ranks, order), set(done)
    parents = {key: set(stage.parents.values()) for key, stage in plan.stages.items()}
    waiting = {key: parents[key] - ended for key in plan.stages if key not in ended}
    calls: list[list[str]] = []
    running: list[list[str]] = []
    while True:
        for key in [key for key, missing in waiting.items() if not missing]:
            ready.add(key)
            del waiting[key]
        while ready and len(running) < jobs:
            keys = grouping.together(ready.take(), ready, waiting, jobs)
            for place, key in enumerate(keys):
                assert parents[key] <= ended | set(keys[:place]), "a stage comes before what it rests on"
                ready.discard(key)
                waiting.pop(key, None)
            assert len(keys) == 1 or not any(grouping.alone(key) for key in keys)
            calls.append(keys)
            running.append(keys)
        if not running:
            return calls
        for key in running.pop(chance.randrange(len(running))):
            ended.add(key)
            for missing in waiting.values():
                missing.discard(key)


@given(
    jobs=st.integers(1, 5),
    shuffle=st.none() | st.integers(0, 9),
    kept=st.floats(0, 1),
    seed=st.integers(0, 99),
    which=st.integers(0, 1),
)
@settings(max_examples=40, deadline=None)
def test_every_stage_is_given_once_after_what_it_rests_on(
    plans: list[Plan], jobs: int, shuffle: int | None, kept: float, seed: int, which: int
):
    plan, chance = plans[which], random.Random(seed)
    done: set[str] = set()
    for key, stage in plan.stages.items():  # what is done rests on what is done
        if set(stage.parents.values()) <= done and chance.random() < kept:
            done.add(key)
    order = None if shuffle is None else random.Random(shuffle)
    calls = dealt(plan, jobs, order, done, chance)
    assert Counter(key for keys in calls for key in keys) == dict.fromkeys(plan.stages.keys() - done, 1)


def kinds(plan: Plan, keys: list[str]) -> str:
    return " ".join(plan.stages[key].kind for key in keys)


def test_a_trained_model_is_measured_in_its_process(plans: list[Plan]):
    calls = dealt(plans[1], 2, None, set(), random.Random(0))
    assert {kinds(plans[1], keys) for keys in calls if plans[1].stages[keys[0]].kind == "train"} >= {
        "train predict score"
    }
    measured = [kinds(plans[1], keys) for keys in calls if plans[1].stages[keys[0]].kind in ("predict", "score")]
    assert measured == []


@pytest.mark.parametrize("jobs", [1, 2, 3, 10])
def test_a_sweep_is_dealt_out_over_the_jobs_and_pruned_before_it_is_measured(swept: Plan, jobs: int):
    calls = dealt(swept, jobs, None, set(), random.Random(0))
    ours = [
        keys
        for keys in calls
        if swept.stages[keys[0]].kind == "prune" and swept.stages[keys[0]].inputs["component"]["name"] == "magnitude"
    ]
    for seed in range(2):
        sizes = [sum(swept.stages[key].kind == "prune" for key in keys) for keys in ours
                 if swept.stages[keys[0]].inputs["seed"] == seed]  # fmt: skip
        assert sum(sizes) == 7
        assert max(sizes) == -(-7 // jobs)
    for keys in ours:
        words = kinds(swept, keys).split()
        count = words.count("prune")
        assert words == ["prune"] * count + ["predict", "score"] * count
        assert len({swept.stages[key].inputs["seed"] for key in keys}) == 1


def test_a_strangers_stages_have_processes_of_their_own(swept: Plan):
    calls = dealt(swept, 2, None, set(), random.Random(0))
    strange = [keys for keys in calls if "stranger.py" in swept.stages[keys[0]].plugins]
    assert [len(keys) for keys in strange] == [1] * 6
    named = [
        keys
        for keys in calls
        if any(swept.stages[key].inputs.get("component", {}).get("name") == "torch_prune" for key in keys)
    ]
    assert [len(keys) for keys in named] == [1] * 6, "an option names a class of others"
    after = [keys for keys in calls if swept.stages[keys[0]].kind == "predict"]
    assert {kinds(swept, keys) for keys in after} == {"predict score"}
    assert len(after) == 12


def test_of_all_that_is_ready_that_comes_first_on_which_most_training_rests(plans: list[Plan]):
    for plan in plans:
        grouping = Grouping.of(plan)

        def longest(key: str, plan: Plan = plan, grouping: Grouping = grouping) -> float:
            stage = plan.stages[key]
            own = stage.inputs["recipe"]["epochs"] if stage.kind == "train" else 0
            return own + max((longest(child) for child in grouping.children.get(key, ())), default=0)

        ready = Ready(grouping.ranks)
        keys = list(plan.stages)
        random.Random(1).shuffle(keys)
        for key in keys:
            ready.add(key)
        assert len(ready) == len(keys)
        epochs = [longest(ready.take()) for _ in keys]
        assert epochs == sorted(epochs, reverse=True)
        assert not ready


def test_ready_stages_in_a_random_order_are_those_of_its_seed(swept: Plan):
    ranks = Grouping.of(swept).ranks

    def taken(seed: int) -> list[str]:
        ready = Ready(ranks, random.Random(seed))
        for key in swept.stages:
            ready.add(key)
        ready.discard(next(iter(swept.stages)))
        return [ready.take() for _ in range(len(ready))]

    assert taken(1) == taken(1) != taken(2)
    assert sorted(taken(1)) == sorted([*swept.stages][1:])


def test_the_amounts_of_a_sweep_are_those_that_a_prune_stage_sets(swept: Plan):
    """What differs in anything else, the seed or the layers say, is no sweep."""
    grouping = Grouping.of(swept)
    for key, others in grouping.sweeps.items():
        mine = swept.stages[key].inputs
        for other in others:
            inputs = swept.stages[other].inputs
            assert {**inputs, "cut": 0} == {**mine, "cut": 0}
            assert {**inputs["cut"], "sparsity": 0} == {**mine["cut"], "sparsity": 0}
    assert Counter(len(others) for others in grouping.sweeps.values()) == {7: 14, 3: 12}
