"""Stages of seeds that are trained at once: other keys, the same trials, and no other stage touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchbias.errors import UsageError
from benchbias.plan.stacking import chunk_of, refusal
from benchbias.plan.trials import Plan, Selection
from benchbias.runner.workspace import Workspace
from benchbias.suite.tables import Recipe

OWN = """
schema = 1
[suites.own]
title = "Own"
version = "1"
tasks = ["colored-digits-tiny"]
methods = ["chain", "plateau", "rigl"]
seeds = 5
metrics = ["accuracy"]
rank_by = "accuracy"
population = POPULATION
[methods.chain]
stages = [{ train = "erm" }, { prune = "magnitude", sparsity = 0.5 }, { train = "erm" }]
[methods.plateau]
stages = [{ train = "erm", recipe = { schedule = "plateau" } }]
"""


def planned(folder: Path, population: str = "false", **selection: object) -> Plan:
    (folder / "own.toml").write_text(OWN.replace("POPULATION", population))
    return Workspace.open(folder / "own.toml", quiet=True).plan("own", Selection(**selection))  # type: ignore[arg-type]


def test_a_stack_changes_keys_of_what_is_trained_in_it_and_of_nothing_else(tmp_path: Path):
    plain, two, five = (planned(tmp_path, stack=stack) for stack in (None, 2, 5))
    assert [trial.id for trial in plain.trials] == [trial.id for trial in two.trials] == [t.id for t in five.trials]
    assert not plain.stacks
    assert set(planned(tmp_path, stack=1).stages) == set(plain.stages)
    for plan in (two, five):
        for one, other in zip(plain.trials, plan.trials, strict=True):
            for key, stacked in zip(one.stages, other.stages, strict=True):
                rests = {stacked, *plan.stages[stacked].parents.values()} & changed(plan)
                assert (key != stacked) == bool(rests), plan.stages[stacked].label
                assert plain.stages[key].identity == plan.stages[stacked].identity
    assert not set(two.stacks) & set(five.stacks), "the group is in the key"


def changed(plan: Plan) -> set[str]:
    """The stages of stacks, and all that rest on them."""
    found = set(plan.stacks)
    for key, stage in plan.stages.items():
        if found & set(stage.parents.values()):
            found.add(key)
    return found


def test_mates_are_alike_but_for_their_seed_and_what_they_rest_on(tmp_path: Path):
    plan = planned(tmp_path, stack=2, seeds=[7, 3, 11, 0, 5])
    groups = set(plan.stacks.values())
    seeds = sorted(tuple(plan.stages[key].inputs["seed"] for key in group) for group in groups)
    assert seeds == [(7, 3), (7, 3), (11, 0), (11, 0)]
    for group in groups:
        alike = [
            {name: value for name, value in plan.stages[key].inputs.items() if name not in ("seed", "parents")}
            for key in group
        ]
        assert all(one == alike[0] for one in alike)
        assert alike[0]["stack"] == {"seeds": [plan.stages[key].inputs["seed"] for key in group]}
        assert {plan.stages[key].kind for key in group} == {"train"}
    assert plan.payload()["stacks"] == {key: list(group) for key, group in plan.stacks.items()}
    assert "stacks" not in planned(tmp_path).payload()


def test_what_cannot_be_stacked_is_planned_as_always_and_told_once(tmp_path: Path):
    plain, plan = planned(tmp_path), planned(tmp_path, stack=5)
    for name in ("plateau", "rigl"):
        keys = [[trial.stages for trial in one.trials if trial.method == name] for one in (plain, plan)]
        assert keys[0] == keys[1]
    assert plan.unstacked == {
        "the rates of a plateau follow each network's own loss": ["plateau, stage 1"],
        "its mask changes during training": ["rigl, stage 1"],
    }
    alone = planned(tmp_path, stack=4, seeds=[3], methods=["chain"])
    assert not alone.stacks
    assert alone.unstacked == {"there is no other seed": ["chain, stage 1", "chain, stage 3"]}


@pytest.mark.parametrize(
    ("stage", "recipe", "plugins", "told"),
    [
        ({}, {}, ["benchbias:core"], None),
        ({}, {"schedule": "plateau"}, ["benchbias:core"], "plateau"),
        ({}, {"channels_last": True}, ["benchbias:core"], "channels_last"),
        ({}, {"epochs": 0}, ["benchbias:core"], "no epochs"),
        ({"prune": "rigl"}, {}, ["benchbias:core"], "mask changes"),
        ({}, {}, ["benchbias:core", "mine"], "'mine'"),
    ],
)
def test_the_reasons(stage: dict[str, str], recipe: dict[str, object], plugins: list[str], told: str | None):
    why = refusal(stage, Recipe(**recipe).model_dump(), plugins)  # type: ignore[arg-type]
    assert (why is None) if told is None else (why is not None and told in why)


def test_a_suite_may_ask_for_it_and_an_option_turns_it_off(tmp_path: Path):
    assert planned(tmp_path, "true").stack == 8
    assert {len(group) for group in planned(tmp_path, "true").stacks.values()} == {5}
    assert not planned(tmp_path, "true", stack=1).stacks
    for stack in (0, -1, 1025):
        with pytest.raises(UsageError, match=f"--stack {stack}: from 1"):
            planned(tmp_path, stack=stack)


def test_chunks_are_a_partition_in_order():
    for count in range(1, 9):
        seeds = list(range(20, 20 + count))
        for size in range(1, 10):
            chunks = [chunk_of(seed, seeds, size) for seed in seeds]
            distinct = [list(one) for one in dict.fromkeys(map(tuple, chunks))]
            assert [seed for chunk in distinct for seed in chunk] == seeds
            assert all(seed in chunk and len(chunk) <= size for seed, chunk in zip(seeds, chunks, strict=True))
            assert all(len(chunk) == size for chunk in distinct[:-1])
