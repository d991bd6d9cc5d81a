"""Stage `probe`: one measurement of a trained model. It may see test data and groups; nothing flows back."""

from __future__ import annotations

import functools
from collections.abc import Callable

from torch import nn

from benchbias.data.values import BiasedDataset, LabelledSplit
from benchbias.errors import ComponentError
from benchbias.records.table import Table
from benchbias.sparse.masks import Mask, apply
from benchbias.stages.job import Job, Made, load_weights
from benchbias.stages.seeding import generator
from benchbias.suite.tables import Recipe
from benchbias.training.probe_context import ProbeContext


def run(job: Job) -> Made:
    """The product is the probe's table alone: no weights, no mask, nothing saved."""
    recipe = Recipe.model_validate(job.inputs["recipe"])
    data = _dataset(job)
    mask = job.mask("mask")
    model = job.model("model").eval()
    if mask is not None:
        apply(model, mask)
    selected = job.product("model").body.get("selected_epoch")
    context = ProbeContext(
        device=job.device,
        generator=generator(job.seed, "method"),
        recipe=recipe,
        trained_epochs=int(selected) if selected is not None else recipe.epochs,
        data=data,
        mask=mask,
        checkpoints=_checkpoints(job, mask),
    )
    table = job.call("probe", {"model": model, "data": data, "context": context})
    if not isinstance(table, Table):
        name = job.inputs["component"]["name"]
        raise ComponentError(f"probe {name!r} returned {type(table).__name__}, not a Table")
    if any(kind == "estimate" for kind, _, _ in table.columns.values()):
        raise ComponentError("a probe's table has no column of estimates: a board estimates over seeds itself")
    return Made({"table": table.to_json()})


def _dataset(job: Job) -> BiasedDataset:
    """The method's own data with the task's test split, on the device."""
    body = job.product("data").body
    names = sorted(body["counts"])
    return BiasedDataset(
        {name: _split(job, "test" if name == "test" else "data", name) for name in names},
        tuple(body["mean"]),
        tuple(body["std"]),
        body["source"],
        body["licence"],
        tuple(body["augmentations"]),
    )


def _split(job: Job, role: str, name: str) -> LabelledSplit:
    cluster = job.blob(role, f"{name}-groups", ("cluster",))["cluster"]
    return LabelledSplit(job.split(role, name), job.groups(role, name).to(job.device), cluster.to(job.device))


def _checkpoints(job: Job, mask: Mask | None) -> dict[int, Callable[[], nn.Module]]:
    """How to load the kept epochs of the stage that made the model, and what it began from (epoch 0)."""

    def load(role: str, name: str) -> nn.Module:
        model = job.fresh_model()
        load_weights(model, job.blob(role, name), f"the weights {name} of the {role} stage")
        if mask is not None:
            apply(model, mask)
        return model.eval()

    kept = [name for name in job.product("model").blobs if name.startswith("epoch-")]
    found = {int(name.removeprefix("epoch-")): ("model", name) for name in kept} | {0: ("start", "weights")}
    return {epoch: functools.partial(load, role, name) for epoch, (role, name) in found.items()}
