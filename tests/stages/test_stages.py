"""The train, prune and predict stages on a store of their own: what each is given, from where, and what it leaves."""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor, nn

from benchbias.data.values import BiasedDataset, GroupLabels, LabelledSplit, Split, TrainingData
from benchbias.errors import ComponentError
from benchbias.network.cost import count_cost, layer_flops
from benchbias.sparse.masks import Mask
from benchbias.stages.job import Job
from benchbias.stages.seeding import seed_for
from benchbias.store.store import Store
from benchbias.suite.tables import Recipe, UpdatesTable
from benchbias.training.context import PruneContext, TrainContext
from benchbias.util import canonical
from benchbias_plugins.methods.erm import erm
from benchbias_plugins.methods.gradient import gradient
from benchbias_plugins.methods.magnitude import magnitude
from benchbias_plugins.methods.rigl import rigl
from benchbias_plugins.methods.set_ import set_
from benchbias_plugins.methods.static import static

MEAN, STD = (0.2, 0.4, 0.7), (0.5, 0.25, 2.0)
SIZES = {"train": 43, "val": 17, "test": 23}  # in batches of 8, of which the last is smaller
EPOCHS = 3
WEIGHTS = ["0.weight", "3.weight", "5.weight"]


@pytest.fixture(autouse=True)
def global_random_numbers() -> Iterator[None]:
    """Stages seed the global streams of their own process: put them back."""
    states = random.getstate(), numpy.random.get_state(), torch.random.get_rng_state()
    yield
    random.setstate(states[0])
    numpy.random.set_state(states[1])
    torch.random.set_rng_state(states[2])


def labelled(name: str) -> LabelledSplit:
    count = SIZES[name]
    stream = torch.Generator().manual_seed(count)
    images = torch.randint(0, 256, (count, 3, 6, 6), generator=stream, dtype=torch.uint8)
    labels = torch.randint(0, 2, (count,), generator=stream)
    attributes = torch.randint(0, 3, (count,), generator=stream)
    groups = GroupLabels.of(labels, attributes, labels == attributes, 2, ("red", "green", "blue"))
    return LabelledSplit(Split(images, labels, 2, name), groups, torch.arange(count))


def toy(root: Path, seed: int) -> BiasedDataset:
    """The same data for every seed, with a mean and a deviation of its own in every channel."""
    splits = {name: labelled(name) for name in SIZES}
    return BiasedDataset(splits, MEAN, STD, "made up", "none", ("none", "shift"))


def net(input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(20, num_classes))


class Trial:
    """The stages of one trial, run in this process. Every component may be any function."""

    def __init__(self, folder: Path, seed: int = 0) -> None:
        self.store = Store(folder / "results").create()
        self.seed = seed
        self.inputs: dict[str, Mapping[str, Any]] = {}
        self.data = self.run("data", toy, limit=None)
        self.init = self.run("init", net, data=self.data)

    def run(self, kind: str, component: Callable[..., Any], groups: tuple[str, ...] = (), **rest: Any) -> str:
        """Run a stage and store its product; its key is returned. rest: parents by role, and inputs by name."""
        call = {"name": "component", "options": {}, "groups": list(groups)}
        parents = {role: key for role, key in rest.items() if isinstance(key, str) and role != "split"}
        other = {name: value for name, value in rest.items() if name not in parents}
        components = {(kind, "component"): component for kind in ("dataset", "trainer", "pruner")}
        components |= {("model", "component"): net, ("pruner", "inner"): other.pop("inner", None)}
        inputs = {"kind": kind, "component": call, "seed": self.seed, "parents": parents, **other}
        inputs["number"] = len(self.inputs)  # no two stages are the same
        key = canonical.digest(inputs)
        self.inputs[key] = inputs
        job = Job(self.store, inputs, self.inputs, components, torch.device("cpu"), self.store.root)
        made = importlib.import_module(f"benchbias.stages.{kind}").run(job)
        self.store.put(key, inputs, made.body, {name: self.store.put_blob(blob) for name, blob in made.blobs.items()})
        return key

    def train(
        self,
        trainer: Callable[..., Any] = erm,
        *,
        prune: Callable[..., Any] | None = None,
        recipe: Mapping[str, Any] | None = None,
        cut: Mapping[str, Any] | None = None,
        updates: Mapping[str, Any] | None = None,
        inner_groups: tuple[str, ...] = (),
        **rest: Any,
    ) -> str:
        if prune is not None:
            inner = {"name": "inner", "options": {}, "groups": list(inner_groups)}
            table = UpdatesTable.model_validate({"every": 2, **(updates or {})}).model_dump()
            rest |= {"prune": {"component": inner, "cut": cutting(**(cut or {})), "updates": table}, "inner": prune}
        parents = {"data": self.data, "init": self.init, "start": self.init}
        return self.run("train", trainer, **{**parents, "recipe": recipe_of(**(recipe or {})), **rest})

    def prune(self, pruner: Callable[..., Any] = magnitude, model: str | None = None, **rest: Any) -> str:
        parents = {"data": self.data, "init": self.init, "model": model or self.init}
        cut = cutting(**rest.pop("cut", {}))
        return self.run("prune", pruner, **{**parents, "recipe": recipe_of(), "cut": cut, **rest})

    def predict(self, model: str, **rest: str) -> str:
        parents = {"data": self.data, "init": self.init, "test": self.data, "model": model}
        return self.run("predict", erm, **{**parents, "split": "test", **rest})

    def body(self, key: str) -> Mapping[str, Any]:
        product = self.store.get(key)
        assert product is not None
        return product.body

    def blob(self, key: str, name: str = "weights") -> dict[str, Tensor]:
        product = self.store.get(key)
        assert product is not None
        return self.store.load_blob(product.blobs[name])

    def mask(self, key: str) -> dict[str, Tensor]:
        return {name: tensor.bool() for name, tensor in self.blob(key, "mask").items()}


def recipe_of(**changes: Any) -> dict[str, Any]:
    plain = {"epochs": EPOCHS, "batch_size": 8, "lr": 0.05, "weight_decay": 0.01, "optimizer": "adamw"}
    return Recipe.model_validate({**plain, **changes}).model_dump()


def cutting(**changes: Any) -> dict[str, Any]:
    amount = {} if {"sparsity", "density"} & set(changes) else {"density": 0.4}
    return {"layers": [], "budget": "global", **amount, **changes}


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(tmp_path)


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def state(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


class Seen(SimpleNamespace):
    """What a component was given: as a trainer that trains nothing, and as a pruner that takes `mask`."""

    def trainer(self, model: nn.Module, data: TrainingData, context: TrainContext) -> None:
        self.note(model, data, context)

    def pruner(self, model: nn.Module, data: TrainingData, context: PruneContext) -> Mask:
        self.note(model, data, context)
        return static(model, data, context)

    def note(self, model: nn.Module, data: TrainingData, context: Any) -> None:
        self.weights, self.training, self.data, self.context = state(model), model.training, data, context


# --- from which weights a stage goes on


def test_training_goes_on_from_the_weights_of_its_start(trial: Trial):
    trained = trial.train()
    assert not same(trial.blob(trained), trial.blob(trial.init))
    for start in (trained, trial.init):
        assert same(trial.blob(trial.train(recipe={"epochs": 0}, start=start)), trial.blob(start))


def test_fine_tuning_goes_on_from_the_pruned_weights(trial: Trial):
    trained = trial.train()
    pruned = trial.prune(model=trained)
    kept = trial.mask(pruned)
    expected = {name: tensor * kept.get(name, True) for name, tensor in trial.blob(trained).items()}
    seen = Seen()
    trial.train(seen.trainer, start=trained, mask=pruned)
    assert same(seen.weights, expected)
    assert same(dict(seen.context.mask.tensors), kept)
    assert sum(int((~tensor).sum()) for tensor in kept.values()) > 100


def test_a_mask_in_force_holds_through_training_and_is_paid_for(trial: Trial):
    pruned = trial.prune()
    tuned = trial.train(mask=pruned)
    kept, weights = trial.mask(pruned), trial.blob(tuned)
    assert all(torch.equal(weights[name] != 0, kept[name]) for name in WEIGHTS)
    flops = layer_flops(net((3, 6, 6), 2), torch.zeros(1, 3, 6, 6))
    held = sum(cost * int(kept[name].sum()) / kept[name].numel() for name, cost in flops.items())
    assert trial.body(tuned)["examples"] == EPOCHS * SIZES["train"]
    assert trial.body(tuned)["training_flops"] == pytest.approx(3 * held * EPOCHS * SIZES["train"], abs=1)
    assert trial.body(trial.train())["training_flops"] == 3 * sum(flops.values()) * EPOCHS * SIZES["train"]


def test_a_pruner_is_given_the_model_of_its_stage_in_eval_mode_without_what_is_removed(trial: Trial):
    trained = trial.train()
    seen = Seen()
    trial.prune(seen.pruner, trained)
    assert same(seen.weights, trial.blob(trained))
    assert not seen.training
    force = trial.prune(model=trained)
    kept = trial.mask(force)
    trial.prune(seen.pruner, trained, mask=force)
    assert same(seen.weights, {name: t * kept.get(name, True) for name, t in trial.blob(trained).items()})
    assert same(dict(seen.context.mask.tensors), kept)


def test_the_reference_is_the_stage_before_frozen_in_eval_mode(trial: Trial):
    trained = trial.train(recipe={"keep_epochs": [1, 2]})
    for roles in ({"start": trained}, {"start": trial.init, "before": trained}):
        seen = Seen()
        trial.train(seen.trainer, **roles)
        reference = seen.context.reference
        assert same(state(reference), trial.blob(trained))
        assert not any(module.training for module in reference.modules())
        assert not any(parameter.requires_grad for parameter in reference.parameters())
        assert [same(state(seen.context.checkpoint(n)), trial.blob(trained, f"epoch-{n}")) for n in (1, 2)] == [
            True
        ] * 2
    seen = Seen()
    trial.train(seen.trainer)
    assert seen.context.reference is None


# --- a mask in force


def everything(model: nn.Module, data: TrainingData, context: PruneContext) -> Mask:
    """A pruner that would revive all."""
    return Mask({name: torch.ones_like(weight, dtype=torch.bool) for name, weight in context.prunable(model).items()})


@pytest.mark.parametrize("pruner", [everything, magnitude, gradient])
def test_a_prune_stage_revives_nothing_whatever_its_pruner_says(trial: Trial, pruner: Callable[..., Any]):
    force = trial.prune(cut={"sparsity": 0.3})
    before = trial.mask(force)
    after = trial.mask(trial.prune(pruner, mask=force, cut={"sparsity": 0.5}))
    assert after.keys() == before.keys()
    assert all(not bool((after[name] & ~before[name]).any()) for name in before)
    assert same(after, before) == (pruner is everything)


def test_layers_that_a_later_stage_does_not_admit_stay_as_they_are(trial: Trial):
    force = trial.prune(cut={"sparsity": 0.5})
    later = trial.mask(trial.prune(mask=force, cut={"sparsity": 0.9, "layers": ["!head"]}))
    assert torch.equal(later["5.weight"], trial.mask(force)["5.weight"])
    assert sum(int((~later[n]).sum()) for n in WEIGHTS[:2]) == int(0.9 * sum(later[n].numel() for n in WEIGHTS[:2]))


def test_a_pruner_inside_training_starts_from_the_mask_in_force(trial: Trial):
    force = trial.prune(cut={"sparsity": 0.5})
    for pruner in (rigl, set_, static):
        tuned = trial.train(prune=pruner, mask=force, updates={"every": 1000})
        assert same(trial.mask(tuned), trial.mask(force))
    ramp = {"every": 2, "ramp": "cubic"}
    tuned = trial.train(prune=magnitude, mask=force, cut={"sparsity": 0.8}, updates=ramp)
    assert all(not bool((trial.mask(tuned)[name] & ~trial.mask(force)[name]).any()) for name in WEIGHTS)


@pytest.mark.parametrize("pruner", [magnitude, rigl, static])
def test_a_pruner_inside_training_leaves_layers_that_it_is_not_admitted_to_as_masked_before(
    trial: Trial, pruner: Callable[..., Any]
):
    force = trial.prune(cut={"sparsity": 0.5, "budget": "uniform"})
    tuned = trial.train(prune=pruner, mask=force, cut={"sparsity": 0.6, "layers": ["!head"]})
    head = trial.mask(force)["5.weight"]
    assert bool((~head).any())
    assert torch.equal(trial.mask(tuned)["5.weight"], head)
    assert torch.equal(trial.blob(tuned)["5.weight"] != 0, head)


@pytest.mark.parametrize("times", [1, 3])
def test_the_updates_end_by_the_steps_that_the_trainer_makes_of_its_sampling(trial: Trial, times: int):
    holders = []

    def repeats(model: nn.Module, data: TrainingData, context: TrainContext) -> None:
        context.fit(model, data, sampling=torch.arange(SIZES["train"]).repeat(times))
        holders.append(context.holder)

    key = trial.train(repeats, prune=rigl, updates={"every": 1, "until": 0.5})
    end = trial.body(key)["steps"] // 2
    assert [step for step, _ in holders[0].history] == list(range(end + 1))


def test_an_auxiliary_mask_is_shown_and_not_in_force(trial: Trial):
    trained = trial.train()
    auxiliary = trial.prune(model=trained)
    for run in (trial.train, trial.prune):
        seen = Seen()
        run(seen.trainer if run == trial.train else seen.pruner, auxiliary=auxiliary)
        assert same(dict(seen.context.auxiliary_mask.tensors), trial.mask(auxiliary))
        assert seen.context.mask is None
        assert same(seen.weights, trial.blob(trial.init))


def units(model: nn.Module, data: TrainingData, context: PruneContext) -> dict[str, Tensor]:
    return {name: weight.flatten(1).norm(dim=1) for name, weight in context.prunable(model).items()}


def test_units_go_with_their_biases_and_norms_in_a_prune_stage_and_while_training(trial: Trial):
    cut = {"sparsity": 0.5, "layers": ["0", "3"], "budget": "uniform"}
    names = {"0.bias", "1.weight", "1.bias", "3.bias"}
    pruned = trial.prune(units, trial.train(), cut=cut)
    for key in (pruned, trial.train(prune=units, cut=cut)):
        assert set(trial.body(key)["attached"]) == names
        mask = trial.mask(key)
        assert torch.equal(mask["0.weight"].flatten(1).any(1), mask["1.bias"])
    weights = trial.blob(trial.train(start=trial.train(), mask=pruned))
    kept = trial.mask(pruned)
    assert all(int(weights[name][~kept[name]].count_nonzero()) == 0 for name in names)
    assert all(bool((~kept[name]).any()) for name in names)


# --- seeds


@pytest.mark.parametrize("pruner", [rigl, set_, static])
def test_every_seed_draws_a_mask_of_its_own(tmp_path: Path, pruner: Callable[..., Any]):
    def first(seed: int) -> dict[str, Tensor]:
        trial = Trial(tmp_path / f"{seed}-{len(list(tmp_path.iterdir()))}", seed)
        return trial.mask(trial.train(prune=pruner, recipe={"epochs": 0}))

    masks = [first(seed) for seed in (0, 1, 2)]
    assert same(first(1), masks[1])
    assert not any(same(masks[one], masks[other]) for one, other in ((0, 1), (0, 2), (1, 2)))


@pytest.mark.parametrize("seed", [0, 3])
def test_every_random_stream_has_the_seed_of_its_role(tmp_path: Path, seed: int):
    """And each component has streams of its own: none moves another's."""
    trial = Trial(tmp_path, seed)
    torch.manual_seed(seed_for(seed, "init"))
    assert same(trial.blob(trial.init), state(net((3, 6, 6), 2)))
    trainer, inner, pruner = Seen(), Seen(), Seen()
    at_start: list[int] = []

    def train(model: nn.Module, data: TrainingData, context: TrainContext) -> None:
        at_start.append(torch.initial_seed())
        trainer.note(model, data, context)

    trial.train(train, prune=inner.pruner)
    trial.prune(pruner.pruner)
    assert at_start == [seed_for(seed, "torch")]
    streams = []
    for seen in (trainer, inner, pruner):
        found = {"method": seen.context.generator, "order": seen.context.order, "augment": seen.data.augment_generator}
        assert {role: stream.initial_seed() for role, stream in found.items()} == {
            role: seed_for(seed, role) for role in found
        }
        streams += found.values()
    assert len({id(stream) for stream in streams}) == len(streams)


def curious(model: nn.Module, data: TrainingData, context: PruneContext) -> Mask:
    """Static, but it draws from every stream that it is given, at each call."""
    data.batch(data.train, torch.arange(3), augment=True)
    context.data.batch(data.train, torch.arange(3), augment=True)
    for stream in (context.generator, context.order, None):
        torch.rand(3, generator=stream)
    return static(model, data, context)


def test_what_a_pruner_draws_between_the_steps_changes_no_later_batch(trial: Trial):
    augmented = {"augment": "shift"}
    plain = trial.blob(trial.train(prune=static, recipe=augmented, cut={"density": 1.0}))
    assert same(plain, trial.blob(trial.train(recipe=augmented)))
    assert same(trial.blob(trial.train(prune=curious, recipe=augmented, cut={"density": 1.0})), plain)
    every = {"ramp": "cubic", "every": 1}
    dense = trial.train(prune=gradient, recipe=augmented, cut={"sparsity": 0.0}, updates=every)
    assert trial.body(dense)["mask_updates"] > 5
    assert same(trial.blob(dense), plain)
    assert not same(trial.blob(trial.train()), plain), "the augmentation shows"


# --- data


def normalised(name: str) -> Tensor:
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    return (labelled(name).split.images / 255 - mean) / std


@pytest.mark.parametrize("kind", ["train", "inner", "prune"])
def test_components_see_training_and_validation_normalised_as_the_data_set_says(trial: Trial, kind: str):
    seen = Seen()
    if kind == "prune":
        trial.prune(seen.pruner)
    else:
        trial.train(seen.trainer if kind == "train" else erm, prune=seen.pruner if kind == "inner" else None)
    for data in (seen.data, seen.context.data):
        assert data.batch_size == 8
        for name, part in (("train", data.train), ("val", data.val)):
            assert torch.equal(part.images, labelled(name).split.images)
            assert torch.equal(part.labels, labelled(name).split.labels)
            found = torch.cat([batch.images for batch in data.batches(part)])
            torch.testing.assert_close(found, normalised(name))


@pytest.mark.parametrize("masked", [False, True])
def test_predictions_are_the_masked_models_on_normalised_images_in_eval_mode(trial: Trial, masked: bool):
    trained = trial.train()
    pruned = trial.prune(model=trained)
    key = trial.predict(trained, **({"mask": pruned} if masked else {}))
    kept = trial.mask(pruned) if masked else {}
    model = net((3, 6, 6), 2)
    model.load_state_dict({name: tensor * kept.get(name, True) for name, tensor in trial.blob(trained).items()})
    model.eval()
    for name, logits in trial.blob(key, "logits").items():
        with torch.no_grad():
            torch.testing.assert_close(logits, model(normalised(name)))
    assert set(trial.blob(key, "logits")) == {"train", "test"}
    assert trial.body(key)["cost"] == count_cost(model, torch.zeros(1, 3, 6, 6)).to_json()


@pytest.mark.parametrize("kind", ["train", "inner", "prune"])
@pytest.mark.parametrize("split", ["train", "val"])
def test_declared_group_labels_are_those_of_their_split(trial: Trial, split: str, kind: str):
    given = []

    def with_train(model: nn.Module, data: TrainingData, context: Any, train_groups: GroupLabels) -> Any:
        given.append(train_groups)
        return static(model, data, context) if kind != "train" else None

    def with_val(model: nn.Module, data: TrainingData, context: Any, val_groups: GroupLabels) -> Any:
        given.append(val_groups)
        return static(model, data, context) if kind != "train" else None

    component, groups = with_train if split == "train" else with_val, (f"{split}_groups",)
    if kind == "inner":
        trial.train(prune=component, inner_groups=groups)
    else:
        (trial.train if kind == "train" else trial.prune)(component, groups=groups)
    real = labelled(split).groups
    assert vars(given[0]).keys() == vars(real).keys()
    for name, value in vars(real).items():
        assert torch.equal(value, vars(given[0])[name]) if isinstance(value, Tensor) else value == vars(given[0])[name]


# --- which epoch


@pytest.mark.parametrize("select", ["val_worst_class", "val_worst_group", "val_conflicting"])
@pytest.mark.parametrize("lr", [0.05, 0.3])
def test_the_selected_epoch_is_the_first_with_the_best_worst_kind_of_validation(trial: Trial, select: str, lr: float):
    """Of those that are alike in their worst kind, the one of the highest accuracy."""
    recipe = {"epochs": 8, "keep_epochs": list(range(1, 9)), "lr": lr}
    key = trial.train(recipe={**recipe, "select": select})
    part = labelled("val")
    parts = {"val_worst_class": part.split.labels, "val_worst_group": part.groups.groups}
    kinds = parts.get(select, part.groups.aligned.long())
    values = []
    for epoch in range(1, 9):
        model = net((3, 6, 6), 2)
        model.load_state_dict(trial.blob(key, f"epoch-{epoch}"))
        right = model.eval()(normalised("val")).argmax(1) == part.split.labels
        worst = min(float(right[kinds == kind].double().mean()) for kind in kinds.unique())
        values.append((worst, float(right.double().mean())))
    assert trial.body(key)["selected_epoch"] == values.index(max(values)) + 1
    assert same(trial.blob(key), trial.blob(key, f"epoch-{values.index(max(values)) + 1}"))


def twice(model: nn.Module, data: TrainingData, context: TrainContext) -> None:
    """Two phases of training: epochs are counted from 1 in both."""
    context.fit(model, data)
    context.fit(model, data)


@pytest.mark.parametrize("trainer", [erm, twice])
def test_the_mask_is_that_of_the_selected_weights_however_often_the_trainer_fits(
    trial: Trial, trainer: Callable[..., Any]
):
    """At this rate no epoch is better than the first; in two phases the mask is sparser at the second's first."""
    recipe = {"select": "val_worst_class", "lr": 1e-6, "optimizer": "sgd"}
    ramp = {"ramp": "cubic", "every": 1, "until": 1.0}
    key = trial.train(trainer, prune=magnitude, cut={"sparsity": 0.9}, updates=ramp, recipe=recipe)
    assert trial.body(key)["selected_epoch"] == 1
    kept, weights = trial.mask(key), trial.blob(key)
    assert all(torch.equal(weights[name] != 0, kept[name]) for name in WEIGHTS)
    assert sum(int(tensor.sum()) for tensor in kept.values()) > 0.2 * sum(tensor.numel() for tensor in kept.values())


# --- what is saved


def note(value: float) -> Callable[..., Any]:
    """A trainer, and a pruner, that saves a number."""

    def saves(model: nn.Module, data: TrainingData, context: Any) -> Mask | None:
        context.save("note", torch.tensor(value))
        return static(model, data, context) if isinstance(context, PruneContext) else None

    return saves


@pytest.mark.parametrize("writer", ["trainer", "inner", "prune"])
def test_what_any_component_saved_every_later_one_reads(trial: Trial, writer: str):
    trained = trial.train(note(3.0) if writer == "trainer" else erm, prune=note(3.0) if writer == "inner" else None)
    roles = {"mask": trial.prune(note(3.0), trained)} if writer == "prune" else {}
    read: list[float] = []

    def reads(model: nn.Module, data: TrainingData, context: Any) -> Mask | None:
        read.append(float(context.saved("note")))
        return static(model, data, context) if isinstance(context, PruneContext) else erm(model, data, context)

    trial.prune(reads, trained, **roles)
    assert read == [3.0]
    key = trial.train(reads, prune=reads, start=trained, **roles)
    assert read == [3.0] * (3 + trial.body(key)["mask_updates"])
    assert trial.body(key)["mask_updates"] > 2


def test_a_later_stages_note_stands_over_an_earlier_ones(trial: Trial):
    first = trial.train(note(1.0))
    second = trial.train(note(2.0), start=first)
    seen = Seen()
    trial.train(seen.trainer, start=first, before=second)
    assert seen.context.saved("note") == 2


# --- the end of a ramp


@pytest.mark.parametrize("tenths", range(1, 10))
def test_a_ramp_ends_at_the_very_count_that_a_cut_to_the_same_sparsity_keeps(trial: Trial, tenths: int):
    """In layers of 180 and 40 weights every tenth is a whole number, which 1 - s in binary may miss."""
    cut = {"sparsity": tenths / 10, "budget": "uniform"}
    ramped = trial.body(trial.train(prune=magnitude, cut=cut, updates={"ramp": "cubic"}, recipe={"epochs": 1}))
    assert ramped["kept"] == trial.body(trial.prune(cut=cut))["kept"]
    assert (ramped["kept"]["3.weight"], ramped["kept"]["5.weight"]) == (18 * (10 - tenths), 4 * (10 - tenths))


# --- what is refused


def diverges(model: nn.Module, data: TrainingData, context: TrainContext) -> None:
    model.get_parameter("3.weight").data[0, 0, 0, 0] = float("nan")


def refusals(trial: Trial) -> dict[str, Callable[[], Any]]:
    other = trial.run("data", toy, limit=10)
    parents = {"data": trial.data, "init": trial.init, "model": trial.init}
    return {
        "augment = 'flip-crop' does not fit": lambda: trial.train(recipe={"augment": "flip-crop"}),
        r"epochs that this stage does not train: \[4, 9\]": lambda: trial.train(recipe={"keep_epochs": [2, 9, 4]}),
        r"weights that are not finite: 3\.weight": lambda: trial.train(diverges),
        "another test split": lambda: trial.run("predict", erm, test=other, **parents),
    }


@pytest.mark.parametrize("number", range(4))
def test_a_stage_refuses_what_it_cannot_answer_for(trial: Trial, number: int):
    reason, run = list(refusals(trial).items())[number]
    with pytest.raises(ComponentError, match=reason):
        run()
