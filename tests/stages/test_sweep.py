"""Sweeps in one process: the same products as stage by stage, and a pruner that is asked once where that is right."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchbias.errors import ComponentError, Skip
from benchbias.sparse import ranking
from benchbias.sparse.masks import Mask
from benchbias.stages import prune
from benchbias.stages.job import Made
from benchbias.testing.toys.trial import MemoryJob, ToyTrial
from benchbias.training.context import PruneContext

LEVELS: list[dict[str, Any]] = [
    {"sparsity": 0.9},
    {"sparsity": 0.1},
    {"density": 0.5},
    {"removed": 7},
    {"sparsity": 1.0},
]


def by_weight(model: nn.Module, data: Any, context: PruneContext) -> Any:
    return {name: weight.abs() for name, weight in context.prunable(model).items()}


def by_unit(model: nn.Module, data: Any, context: PruneContext) -> Any:
    return {name: weight.flatten(1).norm(dim=1) for name, weight in context.prunable(model).items()}


def at_random(model: nn.Module, data: Any, context: PruneContext) -> Any:
    """Draws from the method's stream, from torch's own, and from that of the augmentation."""
    streams = (context.generator, None, data.augment_generator)
    return {
        name: sum(torch.rand(weight.shape, generator=stream) for stream in streams)
        for name, weight in context.prunable(model).items()
    }


def saving(model: nn.Module, data: Any, context: PruneContext) -> Any:
    context.save("drawn", torch.rand(3, generator=context.generator))
    return by_weight(model, data, context)


def training(model: nn.Module, data: Any, context: PruneContext) -> Any:
    context.fit(model, data)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    cross_entropy(model(data.sample), data.train.labels[:1]).backward()
    optimizer.step()
    return by_weight(model, data, context)


def spoiling(model: nn.Module, data: Any, context: PruneContext) -> Any:
    scores = {name: weight.detach().abs() for name, weight in context.prunable(model).items()}
    for weight in model.parameters():
        weight.data.fill_(3)
    return scores


BLIND: list[Callable[..., Any]] = [by_weight, by_unit, at_random, saving, training, spoiling]


def by_density(model: nn.Module, data: Any, context: PruneContext) -> Any:
    density = context.density
    assert density is not None
    return {name: (weight.abs() - density).abs() for name, weight in context.prunable(model).items()}


def by_layer_counts(model: nn.Module, data: Any, context: PruneContext) -> Any:
    kept = context.layer_counts
    return {name: weight.abs() * kept[name] for name, weight in context.prunable(model).items()}


def by_a_copy(model: nn.Module, data: Any, context: PruneContext) -> Any:
    return by_density(model, data, copy.copy(context))


def by_all_fields(model: nn.Module, data: Any, context: PruneContext) -> Any:
    return by_density(model, data, replace(context, step=3))


def by_its_variables(model: nn.Module, data: Any, context: PruneContext) -> Any:
    density = vars(context)["density"]
    return {name: (weight.abs() - density).abs() for name, weight in context.prunable(model).items()}


def as_mask(model: nn.Module, data: Any, context: PruneContext) -> Any:
    return Mask({name: weight > 0 for name, weight in context.prunable(model).items()})


LOOKING: list[Callable[..., Any]] = [by_density, by_layer_counts, by_a_copy, by_all_fields, by_its_variables, as_mask]


class Sweep:
    """Prune stages of one trial that differ in their amount alone; each is planned before the first one runs."""

    def __init__(self, pruner: Callable[..., Any], levels: list[dict[str, Any]], *, force: bool = False, **cut: Any):
        self.asked: list[int] = []
        self.trial = ToyTrial()
        self.pruner = pruner
        parents = {"data": self.trial.data, "init": self.trial.init, "model": self.trial.init}
        if force:
            parents["mask"] = self.trial.prune(at_random, sparsity=0.3)
        recipe = {"epochs": 1, "batch_size": 16}
        component = {"name": "pruner", "options": {}, "groups": []}
        common = {"kind": "prune", "component": component, "seed": 0, "parents": parents, "recipe": recipe}
        self.stages = {
            f"level {number}": {**common, "cut": {"layers": [], "budget": "global", **cut, **level}}
            for number, level in enumerate(levels)
        }

    def run(self, key: str, shared: dict[str, Any]) -> Made:
        def noted(model: nn.Module, data: Any, context: PruneContext) -> Any:
            self.asked.append(1)
            return self.pruner(model, data, context)

        components = {("model", "checked"): self.trial.model, ("pruner", "pruner"): noted}
        planned = {**self.trial.inputs, **self.stages}
        store: Any = None
        made = self.trial.made
        return prune.run(
            MemoryJob(store, self.stages[key], planned, components, torch.device("cpu"), Path(), shared, made=made)
        )


def assert_same(one: Made, other: Made) -> None:
    assert one.body == other.body
    assert one.blobs.keys() == other.blobs.keys()
    for name, blob in one.blobs.items():
        assert list(blob) == list(other.blobs[name])
        assert all(torch.equal(tensor, other.blobs[name][key]) for key, tensor in blob.items())


def products(pruner: Callable[..., Any], shared: bool, **sweep: Any) -> tuple[list[Made], int]:
    """The products of all levels, from one process or from a process each, and how often the pruner was asked."""
    asked, kept = Sweep(pruner, LEVELS, **sweep), dict[str, Any]()
    made = [asked.run(key, kept if shared else {}) for key in asked.stages]
    return made, len(asked.asked)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("pruner", BLIND + LOOKING)
def test_a_sweep_in_one_process_makes_the_products_of_single_stages(pruner: Callable[..., Any], force: bool) -> None:
    together, asked = products(pruner, shared=True, force=force)
    apart, each = products(pruner, shared=False, force=force)
    for one, other in zip(together, apart, strict=True):
        assert_same(one, other)
    assert each == len(LEVELS)
    assert asked == (1 if pruner in BLIND else len(LEVELS))


@pytest.mark.parametrize("budget", ["uniform", "erk"])
def test_a_sweep_with_a_budget_of_each_layer_is_one_question_too(budget: str) -> None:
    together, asked = products(by_weight, shared=True, budget=budget)
    for one, other in zip(together, products(by_weight, shared=False, budget=budget)[0], strict=True):
        assert_same(one, other)
    assert asked == 1


def test_the_levels_of_a_sweep_share_one_ranking(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    plain = ranking._Partitioned.__init__

    def counted(self: Any, *given: Any) -> None:
        made.append(1)
        plain(self, *given)

    monkeypatch.setattr(ranking._Partitioned, "__init__", counted)
    products(by_weight, shared=True)
    assert len(made) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"recipe": {"epochs": 2, "batch_size": 16}},
        {"component": {"name": "pruner", "options": {}, "groups": ["train_groups"]}},
        {"cut": {"layers": ["head"], "budget": "global", "sparsity": 0.2}},
        {"cut": {"layers": [], "budget": "uniform", "sparsity": 0.2}},
    ],
)
def test_a_stage_that_differs_in_more_than_its_amount_asks_anew(change: Mapping[str, Any]) -> None:
    sweep, kept = Sweep(by_weight, [{"sparsity": 0.1}, {"sparsity": 0.2}, {"sparsity": 0.3}]), dict[str, Any]()
    sweep.run("level 0", kept)
    sweep.stages["level 1"].update(change)
    sweep.run("level 1", kept)
    assert len(sweep.asked) == 2


def test_nothing_is_kept_where_no_other_stage_would_take_it() -> None:
    kept: dict[str, Any] = {"blob:x": 1}
    Sweep(by_weight, [{"sparsity": 0.5}]).run("level 0", kept)
    assert list(kept) == ["blob:x"]


def test_only_the_answer_of_the_last_sweep_is_kept() -> None:
    kept: dict[str, Any] = {}
    Sweep(by_weight, LEVELS).run("level 0", kept)
    first = set(kept)
    Sweep(by_weight, LEVELS, layers=["head"]).run("level 0", kept)
    assert len(first) == len(kept) == 1
    assert first != set(kept)


def test_a_level_that_cannot_be_is_skipped_and_the_others_are_made() -> None:
    sweep, kept = Sweep(by_weight, [{"removed": 1}, {"removed": 10**9}, {"removed": 2}]), dict[str, Any]()
    assert sum(sweep.run("level 0", kept).body["kept"].values()) - 1 == sum(
        sweep.run("level 2", kept).body["kept"].values()
    )
    with pytest.raises(Skip, match="1,000,000,000"):
        sweep.run("level 1", kept)


def test_a_stage_without_an_amount_is_refused_in_a_sweep_as_by_itself() -> None:
    sweep, kept = Sweep(by_weight, [{"sparsity": 0.5}, {}]), dict[str, Any]()
    sweep.run("level 0", kept)
    with pytest.raises(ComponentError, match="must set sparsity, density or removed"):
        sweep.run("level 1", kept)


def test_what_a_pruner_saved_and_changes_later_is_saved_as_it_was() -> None:
    own: list[Tensor] = []

    def keeping(model: nn.Module, data: Any, context: PruneContext) -> Any:
        own.append(torch.ones(2))
        context.save("mine", own[0])
        return by_weight(model, data, context)

    sweep, kept = Sweep(keeping, LEVELS), dict[str, Any]()
    sweep.run("level 0", kept)
    own[0].zero_()
    assert sweep.run("level 1", kept).blobs["saved"]["mine"].tolist() == [1, 1]
