"""A trial in memory: the core's own stage functions, one after another, on toy data; only the store is left out."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from benchbias.data.values import BiasedDataset, Predictions, TrainingData
from benchbias.network.weights import load_state
from benchbias.sparse.masks import Mask
from benchbias.stages.job import Job, Made
from benchbias.store.store import Product, Store
from benchbias.suite.tables import Recipe, UpdatesTable
from benchbias.testing.toys.toy import ModelFactory, toy_dataset, toy_model

RECIPE: Mapping[str, Any] = {"epochs": 6, "batch_size": 16, "lr": 0.05}


@dataclass(frozen=True)
class MemoryJob(Job):
    """A stage's job whose parents' products are in memory; it is given copies of their tensors."""

    made: Mapping[str, Made] = field(default_factory=dict)

    def product(self, role: str) -> Product:
        made = self.made[self.parents[role]]
        return Product(made.body, {name: name for name in made.blobs})

    def blob(self, role: str, name: str, tensors: tuple[str, ...] | None = None) -> dict[str, Tensor]:
        found = self.made[self.parents[role]].blobs[name]
        return {key: found[key].detach().clone() for key in tensors or tuple(found)}


class ToyTrial:
    """The stages of one trial. Each method runs a stage; `made[its key]` holds the body and the tensors."""

    def __init__(
        self,
        data: BiasedDataset | None = None,
        model: ModelFactory = toy_model,
        *,
        seed: int = 0,
        device: torch.device | str = "cpu",
        options: Mapping[str, Any] | None = None,
        backbone: bool = False,
        without_test: bool = False,
    ) -> None:
        self.made: dict[str, Made] = {}
        self.inputs: dict[str, dict[str, Any]] = {}
        self.seed, self.device, self.model = seed, torch.device(device), model
        chosen = data if data is not None else toy_dataset()
        self.data = self.dataset(lambda root, seed: chosen)
        if without_test:
            made = self.made[self.data]
            kept = {name: blob for name, blob in made.blobs.items() if not name.startswith("test")}
            self.made[self.data] = Made(made.body, kept)
        more: dict[str, Any] = {"backbone": {"name": "backbone", "options": {}}} if backbone else {}
        self.init = self.run("init", "model", model, options, parents={"data": self.data}, **more)

    def run(
        self,
        stage: str,
        kind: str,
        component: Callable[..., Any] | None,
        options: Mapping[str, Any] | None = None,
        groups: tuple[str, ...] = (),
        *,
        parents: Mapping[str, str],
        more: Mapping[tuple[str, str], Callable[..., Any]] | None = None,
        **inputs: Any,
    ) -> str:
        """Run a stage; its key is returned."""
        key = f"{stage}-{len(self.inputs)}"
        call = {"name": "checked", "options": dict(options or {}), "groups": list(groups)}
        self.inputs[key] = {"component": call, "seed": self.seed, "parents": dict(parents), **inputs}
        components = {("model", "checked"): self.model, ("model", "backbone"): toy_model, **(more or {})}
        if component is not None:
            components[kind, "checked"] = component
        root = Path(os.environ.get("BENCHBIAS_DATA", "data"))
        no_store = cast(Store, None)
        job = MemoryJob(no_store, self.inputs[key], self.inputs, components, self.device, root, made=self.made)
        self.made[key] = importlib.import_module(f"benchbias.stages.{stage}").run(job)
        return key

    def dataset(self, factory: Callable[..., Any], options: Mapping[str, Any] | None = None) -> str:
        """A `data` stage."""
        return self.run("data", "dataset", factory, options, parents={}, limit=None)

    def train(
        self,
        trainer: Callable[..., Any],
        options: Mapping[str, Any] | None = None,
        groups: tuple[str, ...] = (),
        *,
        before: str | None = None,
        mask: str | None = None,
        auxiliary: str | None = None,
        prune: Mapping[str, Any] | None = None,
        pruner: Callable[..., Any] | None = None,
        **recipe: Any,
    ) -> str:
        """A `train` stage from the initial weights. before: the stage whose model is the reference."""
        parents = {"data": self.data, "init": self.init, "start": self.init}
        roles = (("before", before), ("mask", mask), ("auxiliary", auxiliary))
        parents |= {role: key for role, key in roles if key is not None}
        table = Recipe.model_validate({**RECIPE, **recipe}).model_dump()
        extra: dict[str, Any] = {"recipe": table, "parents": parents}
        if prune is not None and pruner is not None:
            extra |= {"prune": prune, "more": {("pruner", "pruner"): pruner}}
        return self.run("train", "trainer", trainer, options, groups, **extra)

    def prune(
        self,
        pruner: Callable[..., Any],
        options: Mapping[str, Any] | None = None,
        groups: tuple[str, ...] = (),
        *,
        sparsity: float = 0.5,
        budget: str = "global",
        mask: str | None = None,
        layers: tuple[str, ...] = (),
    ) -> str:
        """A `prune` stage on the initial weights."""
        parents = {"data": self.data, "init": self.init, "model": self.init}
        parents |= {"mask": mask} if mask is not None else {}
        cut = {"sparsity": sparsity, "budget": budget, "layers": list(layers)}
        recipe = Recipe.model_validate(RECIPE).model_dump()
        return self.run("prune", "pruner", pruner, options, groups, parents=parents, cut=cut, recipe=recipe)

    def probe(
        self,
        probe: Callable[..., Any],
        options: Mapping[str, Any] | None = None,
        *,
        model: str,
        mask: str | None = None,
    ) -> str:
        """A `probe` stage on the model of a train stage, which began from the initial weights."""
        parents = {"data": self.data, "test": self.data, "init": self.init, "start": self.init, "model": model}
        parents |= {"mask": mask} if mask is not None else {}
        return self.run("probe", "probe", probe, options, parents=parents, recipe=self.inputs[model]["recipe"])

    def mask_of(self, key: str) -> Mask:
        """The mask that a stage made."""
        return Mask({name: self.made[key].blobs["mask"][name].bool() for name in self.made[key].body["kept"]})

    def training_data(self) -> TrainingData:
        """The training data that a train or a prune stage of this trial is given."""
        return self._job().training_data(Recipe.model_validate(RECIPE))

    def network(self, key: str | None = None) -> torch.nn.Module:
        """The model of a train stage, or as it is initialised."""
        model = self._job().fresh_model()
        load_state(model, self.made[key or self.init].blobs["weights"])
        return model

    def _job(self) -> MemoryJob:
        parents = {"data": self.data, "init": self.init}
        components = {("model", "checked"): self.model, ("model", "backbone"): toy_model}
        inputs = {"seed": self.seed, "parents": parents}
        return MemoryJob(cast(Store, None), inputs, self.inputs, components, self.device, Path(), made=self.made)


def changing(pruner: Mapping[str, Any], groups: tuple[str, ...], sparsity: float, budget: str) -> dict[str, Any]:
    """The `prune` input of a train stage whose pruner changes the mask every third step."""
    return {
        "component": {"name": "pruner", "options": dict(pruner), "groups": list(groups)},
        "cut": {"sparsity": sparsity, "layers": [], "budget": budget},
        "updates": UpdatesTable(every=3).model_dump(),
    }


def toy_predictions(data: BiasedDataset | None = None, *, equal: bool = False) -> Predictions:
    """Answers on the toy test split: right for five of six examples; equal: the same logits for all."""
    dataset = data if data is not None else toy_dataset()
    test, train = dataset.splits["test"], dataset.splits["train"].groups
    labels = test.split.labels
    wrong = torch.arange(len(labels)) % 6 == 0
    logits = torch.nn.functional.one_hot(torch.where(wrong, 1 - labels, labels), 2).float()
    logits += torch.rand(logits.shape, generator=torch.Generator().manual_seed(1)) / 4
    shares = torch.bincount(train.groups, minlength=len(train.group_names)).float() / len(train.groups)
    return Predictions(
        "test",
        torch.zeros_like(logits) if equal else logits,
        labels,
        test.groups.attributes,
        test.groups.groups,
        test.groups.aligned,
        test.cluster,
        shares,
        train.num_attributes,
    )
