"""`deterministic = false` reaches the stages that rest on it, the record, and no other stage."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from benchbias.engine import building
from benchbias.engine.planned import lenient
from benchbias.errors import ComponentError
from benchbias.plan.trials import Selection
from benchbias.runner.failures import Failure
from benchbias.runner.recording import make_record
from benchbias.runner.workspace import Workspace
from benchbias.stages.job import Job
from benchbias.store.store import Store
from benchbias.testing.toys.toy import toy_dataset
from benchbias.testing.toys.trial import ToyTrial
from benchbias_plugins.methods.erm import erm


def stages(**tables: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {key: {"inputs": {"kind": key, "parents": {}, **table}} for key, table in tables.items()}


@pytest.mark.parametrize("key", ["train", "predict", "score"])
def test_stages_that_rest_on_a_lenient_recipe_are_lenient_and_no_others(key: str):
    parents = {
        "train": {"parents": {"data": "data", "init": "init", "gone": "in another run"}},
        "predict": {"parents": {"model": "train", "data": "data"}},
        "score": {"parents": {"predict": "predict"}},
    }
    for deterministic in (True, False):
        train = parents["train"] | {"recipe": {"epochs": 1} | ({} if deterministic else {"deterministic": False})}
        found = stages(data={}, init={}, train=train, predict=parents["predict"], score=parents["score"])
        assert lenient(found, key, "cpu") is not deterministic
        assert not lenient(found, "data", "cuda")
        assert not lenient(found, "init", "cpu")
        assert lenient(found, "init", "cuda"), "all recipes share it, and nothing of its forward pass is stored"


def test_the_record_says_so_and_trials_of_other_recipes_keep_their_ids():
    workspace = Workspace.open(quiet=True)
    given = [Selection(["erm"], seeds=1, assignments=list(one)) for one in ((), ("recipe.deterministic=false",))]
    strict, loose = (workspace.plan("smoke", selection) for selection in given)
    assert all("deterministic" not in stage.inputs.get("recipe", {}) for stage in strict.stages.values())
    assert {trial.id for trial in loose.trials}.isdisjoint(trial.id for trial in strict.trials)
    for plan, deterministic in ((strict, True), (loose, False)):
        trial = plan.trials[0]
        failure = Failure("failed", "train erm", "by hand")
        made = make_record(plan, trial, Store(workspace.data), {trial.stages[-1]: failure})
        assert made is not None
        assert made.body["environment"]["deterministic"] is deterministic


def flat(input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(input_shape), num_classes))


def pooled(input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    layers = [nn.Conv2d(input_shape[0], 4, 3, padding=1), nn.AdaptiveAvgPool2d(2), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(16, num_classes))


def test_prepare_tells_of_such_a_network_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    networks = {("model", "pooled"): pooled, ("model", "flat"): flat}
    monkeypatch.setattr(building, "components_of", lambda ref: networks)
    for name, notes in (("pooled", 1), ("flat", 0)):
        spec = {"plugins": [{"name": "p", "kind": "file", "where": "p.py"}], "backbone": None}
        monkeypatch.setattr(building, "PluginRef", lambda **fields: fields)
        building._check_network(spec | {"component": {"name": name, "options": {}}}, toy_dataset(), Path())
        told = capsys.readouterr().out
        assert told.count("note: ") == notes
        assert not notes or "adaptive average pooling to a size other than 1 (layer '1')" in told


def test_on_a_card_such_a_network_is_refused_before_its_first_step(monkeypatch: pytest.MonkeyPatch):
    """The card is made up: everything stays on the CPU."""
    trial, steps = ToyTrial(model=pooled), list[int]()

    def counting(model: nn.Module, data: Any, context: Any) -> None:
        steps.append(1)
        erm(model, data, context)

    trial.train(counting)
    monkeypatch.setattr(Job, "on_card", property(lambda job: True))
    with pytest.raises(ComponentError, match=r"adaptive average pooling .*\(layer '1'\).*deterministic = false"):
        trial.train(counting)
    assert steps == [1]
    key = trial.train(counting, deterministic=False)
    assert torch.isfinite(trial.made[key].blobs["weights"]["0.weight"]).all()
