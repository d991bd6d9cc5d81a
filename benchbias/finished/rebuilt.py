"""The finished network of a trial, rebuilt from the products of its stages, with its mask applied."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchbias.data.reading.raw_files import data_folder
from benchbias.data.values import Split, TrainingData
from benchbias.errors import BenchbiasError, ComponentError, Skip, UsageError, first_line
from benchbias.keys.environment import THREADS
from benchbias.plugin.loading import PluginRef, components_of
from benchbias.sparse.masks import Mask, apply
from benchbias.stages.job import Components, Job, placed
from benchbias.stages.predict import batch_size
from benchbias.store.store import Store


@dataclass(frozen=True, eq=False)
class Finished:
    """The finished network of a trial: the job of its predict stage, what was asked for, and its mask.

    trial, suite, provenance: as JSON, see `asking`. plugin: that of the network.
    """

    trial: Mapping[str, Any]
    suite: Mapping[str, Any]
    provenance: Mapping[str, Any]
    job: Job
    predict: str
    plugin: Mapping[str, Any]

    @property
    def label(self) -> str:
        return str(self.trial["label"])

    @property
    def init(self) -> Mapping[str, Any]:
        """The inputs of the stage that made the network: its component and that of its backbone."""
        return self.job.all_inputs[self.job.parents["init"]]

    @property
    def data(self) -> Mapping[str, Any]:
        """The body of the trial's data: shapes, classes, normalisation."""
        return self.job.product("data").body

    @property
    def mask(self) -> Mask | None:
        return self.job.mask("mask")

    def network(self) -> nn.Module:
        """The network in eval mode with removed weights at zero. Raises ComponentError where it cannot be made."""
        model = _tried(self.label, lambda: self.job.model("model"))
        mask = self.mask
        if mask is not None:
            apply(model, mask)
        return model.eval()

    def dense(self) -> nn.Module:
        """The network as its factory makes it, with nothing removed, in eval mode."""
        return _tried(self.label, self.job.fresh_model).eval()

    def scored(self) -> tuple[TrainingData, Split]:
        """The images of the split that the trial was scored on, with what normalises them and makes batches."""
        name = self.job.inputs["split"]
        images = placed(self.job.blob("test", name, ("images",))["images"], self.job.device)
        labels = torch.zeros(len(images), dtype=torch.int64, device=self.job.device)
        split = Split(images, labels, int(self.data["num_classes"]), name)
        means = tuple(self.data["mean"]), tuple(self.data["std"])
        return TrainingData(split, split, *means, batch_size(self.data["input_shape"])), split

    def stored(self) -> Tensor:
        """The answers that the trial was scored by, float32 (N, K). Raises UsageError where they are gone."""
        product = self.job.store.get(self.predict)
        if product is None:
            raise UsageError(f"{self.label}: its answers are gone from {self.job.store.root}: run it again")
        name = self.job.inputs["split"]
        return self.job.store.load_blob(product.blobs["logits"], (name,))[name]


def finished(request: Mapping[str, Any], trial: Mapping[str, Any]) -> Finished:
    """The finished network of a trial of a request. Raises UsageError where the trial is not done."""
    plan, store = request["plan"], Store(Path(request["out"]))
    stages = plan["stages"]
    if not trial["stages"] or not store.has(trial["stages"][-1]):
        raise UsageError(f"{trial['label']} is not done in {store.root}: there is no finished network")
    predict = stages[trial["stages"][-1]]["inputs"]["parents"]["predict"]
    inputs = {key: stage["inputs"] for key, stage in stages.items()}
    init = stages[inputs[predict]["parents"]["init"]]
    refs = {name: plan["plugins"][name]["ref"] for name in init["plugins"]}
    offered = {name: components_from({name: ref}) for name, ref in refs.items()}
    made = ("model", init["inputs"]["component"]["name"])
    home = next(refs[name] for name, components in offered.items() if made in components)
    components = {called: one for found in offered.values() for called, one in found.items()}
    job = Job(store, inputs[predict], inputs, components, torch.device(plan["device"]), data_folder())
    return Finished(trial, request["suite"], request["provenance"], job, predict, home)


def components_from(refs: Mapping[str, Mapping[str, Any]]) -> Components:
    """The components of plugins, by kind and name. Raises UsageError."""
    found: dict[tuple[str, str], Callable[..., Any]] = {}
    for ref in refs.values():
        found |= components_of(PluginRef(**ref))
    return found


def prepare_torch() -> None:
    """Set torch as workers have it, but for the operations that it may choose from: the threads of a stage."""
    torch.set_num_threads(THREADS)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def _tried(label: str, build: Callable[[], nn.Module]) -> nn.Module:
    try:
        return build()
    except (BenchbiasError, Skip, MemoryError):
        raise
    except Exception as error:  # whatever a factory raises
        told = f"{type(error).__name__}: {first_line(error)}"
        raise ComponentError(f"{label}: its network cannot be made again ({told})") from None
