"""A run whose workers have slots of cards gives the bytes of a run without; each worker sees its own card.

The cards are pretended: the stages compute on the CPU, and say which card they were given.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchbias.engine.local import LocalEngine
from benchbias.plan.trials import Selection
from benchbias.runner.launch import RunOptions, launch, write_payload
from benchbias.runner.loop import compute
from benchbias.runner.reporter import Silent
from benchbias.runner.workspace import Workspace
from benchbias.store.store import Store
from support.running import tree

TOML = """
schema = 1
[suites.carded]
title = "Cards"
version = "1"
tasks = ["colored-digits-tiny"]
methods = ["erm", "levels", "telling"]
seeds = 2
metrics = ["accuracy"]
rank_by = "accuracy"
[methods.levels]
stages = [{ train = "erm" }, { prune = "magnitude", sparsity = "$sparsity" }]
sweep = { sparsity = [0.3, 0.6, 0.9] }
[methods.telling]
stages = [{ train = "telling" }]
"""
TELLING = """
import os
from benchbias import hookimpl

def telling(model, data, context):
    print("card", os.environ["CUDA_VISIBLE_DEVICES"] if "CUDA_VISIBLE_DEVICES" in os.environ else "none")

@hookimpl
def benchbias_trainers():
    return {"telling": telling}
"""


@pytest.mark.slow
def test_a_run_on_slots_of_cards_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    (tmp_path / "own.toml").write_text(TOML)
    (tmp_path / "telling.py").write_text(TELLING)
    workspace = Workspace.open(tmp_path / "own.toml", [tmp_path / "telling.py"], quiet=True)
    plan = workspace.plan("carded", Selection())
    plain, carded = Store(tmp_path / "plain"), Store(tmp_path / "carded").create()
    launch(workspace, plan, RunOptions(out=plain.root, jobs=1), Silent())

    def start() -> LocalEngine:
        payload = write_payload(plan, carded, recompute=False)
        settings = workspace.worker_settings
        return LocalEngine(carded.root, payload, timeout=600, settings=settings, cards=("3", "GPU-7a"), per_card=1)

    computed = compute(plan, carded, start, Silent(), jobs=3)  # one more than there are slots: it waits
    assert (computed.failures, computed.computed) == ({}, len(plan.stages))
    was, now = tree(plain.root), tree(carded.root)
    made = {name for name in was if name.startswith(("objects", "blobs"))}
    assert made == {name for name in now if name.startswith(("objects", "blobs"))}
    assert len(made) > 20
    assert all(now[name] == was[name] for name in made)
    told = {store: cards(store) for store in (plain, carded)}
    assert told == {plain: {"none"}, carded: told[carded]}
    assert {"3", "GPU-7a"} >= told[carded] != set()


def cards(store: Store) -> set[str]:
    return {
        line.split()[1]
        for path in (store.root / "attempts").glob("*.log")
        for line in path.read_text().splitlines()
        if re.match("card ", line)
    }
