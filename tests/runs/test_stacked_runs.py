"""Runs whose seeds are trained at once: the same trials, the same numbers up to rounding, the same bytes each time."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import benchbias.stages.train
from benchbias.engine.base import DAMAGED, FAILED
from benchbias.engine.warm import preload
from benchbias.engine.worker import run_stage
from benchbias.errors import ComponentError
from benchbias.plan.trials import Plan, Selection
from benchbias.runner.workspace import Workspace
from benchbias.store.store import Store
from support.killing import engines, processes, start, survivors
from support.running import tree

OWN = """
schema = 1
[suites.own]
title = "Own"
version = "1"
tasks = ["colored-digits-tiny"]
methods = ["erm", "chain", "jtt", "disent", "rigl"]
seeds = 3
metrics = ["accuracy", "worst_group_accuracy"]
rank_by = "accuracy"
override.jtt = { parameters = { identify_epochs = 1 } }
override.rigl = { parameters = { every = 4 }, sweep = { density = [0.2] } }
[methods.chain]
stages = [{ train = "erm" }, { prune = "magnitude", sparsity = 0.5 }, { train = "erm", recipe = { lr = 1e-3 } }]
"""
slow = pytest.mark.slow


def own(folder: Path) -> Path:
    (folder / "own.toml").write_text(OWN)
    return folder / "own.toml"


def bodies(out: Path) -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text())["body"] for path in (out / "records" / "own").glob("*.json")}


def weights(store: Store, plan: Plan, key: str) -> torch.Tensor:
    product = store.get(key)
    assert product is not None
    return torch.cat([one.flatten().double() for _, one in sorted(store.load_blob(product.blobs["weights"]).items())])


# one stack, in this process


@pytest.fixture
def ready(tmp_path: Path, fast: Path) -> tuple[Plan, Store, dict[str, Any]]:
    """A plan, a store with all that its first train stages rest on, and the plan's payload."""
    preload()
    plan = Workspace.open(own(tmp_path), quiet=True).plan("own", Selection(["erm"], stack=3, limit=120))
    store = Store(fast / "results").create()
    payload = {**plan.payload(), "recompute": False, "provenance": {}}
    for key, stage in plan.stages.items():
        if stage.kind in ("data", "init"):
            assert run_stage(store, payload, key) == 0
    return plan, store, payload


def test_one_that_fails_fails_alone_and_all_others_are_stored_at_once(
    ready: tuple[Plan, Store, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
):
    plan, store, payload = ready
    keys = next(iter(plan.stacks.values()))
    calls: list[int] = []
    real = benchbias.stages.train.check_finite

    def check(*arguments: Any) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise ComponentError("of the second alone")
        real(*arguments)

    monkeypatch.setattr(benchbias.stages.train, "check_finite", check)
    shared: dict[str, Any] = {}
    assert run_stage(store, payload, keys[0], shared=shared) == 0
    assert [store.has(key) for key in keys] == [True, False, True]
    assert [run_stage(store, payload, key, shared=shared) for key in keys] == [0, FAILED, 0]
    assert len(calls) == 3, "the others are computed once"
    assert ["of the second alone" in one["reason"] for one in store.attempts(keys[1])] == [True]
    assert not store.attempts(keys[0])
    shares = {store.measured(keys[number])["seconds"] for number in (0, 2)}
    assert len(shares) == 1, "the time is shared out evenly"
    body = store.get(keys[0]).body  # type: ignore[union-attr]
    assert body["stacked"] == {"together": 3, "why": ""}

    monkeypatch.setattr(benchbias.stages.train, "check_finite", real)
    before = {key: store.object_path(key).read_bytes() for key in (keys[0], keys[2])}
    put: list[str] = []
    real_put = Store.put
    monkeypatch.setattr(Store, "put", lambda self, key, *rest: (put.append(key), real_put(self, key, *rest))[1])
    assert run_stage(store, payload, keys[1], shared={}) == 0, "it is computed with its mates again"
    assert put == [keys[1]], "only what is missing is stored"
    assert {key: store.object_path(key).read_bytes() for key in before} == before
    again = {**payload, "recompute": True}
    shared = {}
    assert [run_stage(store, again, key, shared=shared) for key in keys] == [0, 0, 0]
    assert not store.conflicts()


def test_a_stack_is_not_computed_without_a_parent_that_is_gone_but_without_one_that_has_failed(
    ready: tuple[Plan, Store, dict[str, Any]],
):
    plan, store, payload = ready
    keys = next(iter(plan.stacks.values()))
    gone = plan.stages[keys[1]].parents["init"]
    store.object_path(gone).unlink()
    assert run_stage(store, payload, keys[0], shared={}) == DAMAGED
    assert not any(store.has(key) or store.attempts(key) for key in keys)
    store.put_attempt(gone, {"status": "failed", "kind": "exception", "reason": "no network"})
    assert run_stage(store, payload, keys[0], shared={}) == 0
    assert [store.has(key) for key in keys] == [True, False, True]
    body = store.get(keys[2]).body  # type: ignore[union-attr]
    assert body["stacked"] == {"together": 2, "why": ""}


# whole runs


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, cli: Callable[..., Any]) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("stacked")
    own(folder)
    arguments = {
        "alone": [],
        "stacked": ["--stack", "3"],
        "again": ["--stack", "3", "-j", "3"],
        "two": ["--stack", "2"],
    }
    for name, more in arguments.items():
        done = cli("run", "-s", "own", "--config", "own.toml", "-o", name, *more, "-v", cwd=folder)
        assert done.returncode == 0, done.stderr
        (folder / name / "said").write_text(done.stderr)
    return {name: folder / name for name in arguments}


@slow
def test_trials_are_the_same_and_numbers_up_to_rounding(runs: dict[str, Path]):
    alone, stacked = bodies(runs["alone"]), bodies(runs["stacked"])
    assert set(alone) == set(stacked)
    for trial, body in alone.items():
        for name, value in body["metrics"].items():
            assert stacked[trial]["metrics"][name] == pytest.approx(value, abs=0.02), body["method"]
    told = {(body["method"], body["environment"].get("stacked")) for body in stacked.values()}
    assert told == {("erm", 3), ("chain", 3), ("jtt", 3), ("disent", None), ("rigl", None)}
    assert all("stacked" not in body["environment"] for body in alone.values())
    rigl = [trial for trial, body in alone.items() if body["method"] == "rigl"]
    assert [alone[trial] for trial in rigl] == [stacked[trial] for trial in rigl]


@slow
def test_weights_are_those_of_networks_trained_alone_up_to_rounding(runs: dict[str, Path]):
    workspace = Workspace.open(runs["alone"].parent / "own.toml", quiet=True)
    plans = [workspace.plan("own", Selection(["erm"], stack=stack)) for stack in (1, 3)]
    stores = [Store(runs[name]) for name in ("alone", "stacked")]
    for one, other in zip(*(plan.trials for plan in plans), strict=True):
        keys = [
            next(k for k in t.stages if p.stages[k].kind == "train") for t, p in zip((one, other), plans, strict=True)
        ]
        assert keys[0] != keys[1]
        found = [weights(store, plan, key) for store, plan, key in zip(stores, plans, keys, strict=True)]
        assert not torch.equal(*found), "this compares a thing with itself"
        assert (found[0] - found[1]).abs().max() < 0.02 * found[0].abs().max()


@slow
def test_a_second_run_with_other_jobs_gives_the_same_bytes_and_other_stacks_have_other_keys(runs: dict[str, Path]):
    assert tree(runs["stacked"]) == tree(runs["again"])
    keys = {
        name: {key for body in bodies(runs[name]).values() if body["method"] == "erm" for key in body["stages"]}
        for name in ("alone", "stacked", "two")
    }
    with_none, with_two = keys["alone"] & keys["stacked"], keys["alone"] & keys["two"]
    assert len(keys["alone"]) == 3 * 5, "data, init, train, predict, score"
    assert len(with_none) == 3 * 2, "data, init"
    assert keys["stacked"] & keys["two"] == with_none
    assert with_none < with_two
    assert len(with_two) == 3 * 2 + 3, "the third seed of groups of two is alone"


@slow
def test_a_run_says_what_is_not_stacked_and_boards_mark_what_is(runs: dict[str, Path]):
    said = (runs["stacked"] / "said").read_text()
    assert "--stack 3: not stacked: rigl, stage 1: its mask changes during training" in said
    assert said.count("note: disent: a training of it is not stacked: its loss is neither cross-entropy nor that") == 1
    assert "≡" in (runs["stacked"] / "leaderboards" / "own.md").read_text()
    assert "trained stacked with 3 seeds" in (runs["stacked"] / "leaderboards" / "details" / "own.md").read_text()
    assert "≡" not in (runs["alone"] / "leaderboards" / "own.md").read_text()


@slow
def test_computed_again_it_does_not_differ_and_readers_take_the_stack_from_the_last_run(
    runs: dict[str, Path], cli: Callable[..., Any]
):
    folder = runs["stacked"].parent
    told = cli("status", "-s", "own", "--config", "own.toml", "-o", "stacked", cwd=folder)
    assert "--stack 3" in told.stderr
    assert "15 done" in told.stdout
    others = cli("status", "-s", "own", "--config", "own.toml", "-o", "stacked", "--stack", "1", cwd=folder)
    assert "15 done" not in others.stdout, "other stages, which are not there"
    done = cli("run", "-s", "own", "--config", "own.toml", "-o", "again", "--stack", "3", "--rerun", "all", cwd=folder)
    assert done.returncode == 0, done.stderr


@slow
@pytest.mark.parametrize("seed", range(3))
def test_a_run_that_is_killed_goes_on_to_the_same_bytes(runs: dict[str, Path], tmp_path: Path, seed: int, cli: Any):
    own(tmp_path)
    out = tmp_path / "results"
    arguments = ["--config", str(tmp_path / "own.toml"), "--stack", "3"]
    command = start(out, *arguments, "-s", "own")
    draw = random.Random(seed)
    wanted = draw.randrange(8, 40)
    while command.poll() is None and len(list((out / "objects").rglob("*.json"))) < wanted:
        time.sleep(0.01)
    victims = engines(out)
    os.kill(draw.choice(victims) if victims else command.pid, signal.SIGKILL)
    command.kill()
    command.communicate()
    assert survivors(out) == {}
    assert not processes(out)
    done = cli("run", "-s", "own", *arguments, "-o", str(out), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert tree(out) == tree(runs["stacked"])
