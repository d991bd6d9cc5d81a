"""Stage `prune`: call a pruner on a copy of the model; its scores are cut exactly, its mask is checked."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from torch import nn

from benchbias.context import PruneContext
from benchbias.errors import ComponentError
from benchbias.masks import Mask, apply, budget_counts, cut, with_attached
from benchbias.seeding import generator
from benchbias.stages.common import Job, Made
from benchbias.suite import Recipe
from benchbias.training import eval_copy


def run(job: Job) -> Made:
    """The product is a mask: never one that revives what the mask in force has removed."""
    recipe = Recipe.model_validate(job.inputs["recipe"])
    data = job.training_data(recipe)
    force = job.mask("mask")
    model = job.model("model")
    if force is not None:
        apply(model, force)
    stage = job.inputs["cut"]
    context = PruneContext(
        device=job.device,
        generator=generator(job.seed, "method"),
        recipe=recipe,
        data=data,
        order=generator(job.seed, "order"),
        layers=stage["layers"],
        mask=force,
        auxiliary_mask=job.mask("auxiliary"),
        earlier=job.earlier(),
        density=_density(stage),
    )
    weights = {name: weight.detach() for name, weight in context.prunable(model).items()}
    if context.density is not None and stage["budget"] != "global":
        context.counts = budget_counts(weights, _amount(stage), stage["budget"])
    copy = eval_copy(model).requires_grad_(True)
    answer = job.call("pruner", {"model": copy, "data": data, "context": context} | job.label_access())
    mask = _to_mask(job, answer, model, weights, force, stage)
    sample = next(iter(data.batches(data.train))).images[:1]
    mask = with_attached(mask, model, sample)
    blobs = {"mask": {**mask.tensors, **mask.attached}}
    body = {
        "units": mask.units,
        "attached": sorted(mask.attached),
        "kept": mask.counts(),
        "total": {name: tensor.numel() for name, tensor in mask.tensors.items()},
    }
    return Made(body, blobs | ({"saved": context.written} if context.written else {}))


def _amount(stage: Mapping[str, Any]) -> dict[str, float]:
    return {name: stage[name] for name in ("sparsity", "density") if name in stage}


def _density(stage: Mapping[str, Any]) -> float | None:
    if "density" in stage:
        return float(stage["density"])
    return float(1 - Decimal(str(stage["sparsity"]))) if "sparsity" in stage else None


def _to_mask(
    job: Job,
    answer: Any,
    model: nn.Module,
    weights: Mapping[str, Any],
    force: Mask | None,
    stage: Mapping[str, Any],
) -> Mask:
    who = f"pruner {job.inputs['component']['name']!r}"
    try:
        if isinstance(answer, Mask):
            mask = Mask({n: t.cpu() for n, t in answer.tensors.items()}, answer.units).check(weights)
            return mask.intersect(force) if force is not None else mask
        if not isinstance(answer, Mapping):
            raise TypeError(f"a pruner returns scores or a Mask, not {type(answer).__name__}")
        if not _amount(stage):
            raise ValueError("it returns scores, so the stage must set sparsity or density")
        return cut(answer, weights, **_amount(stage), budget=stage["budget"], force=force)
    except (TypeError, ValueError) as error:
        raise ComponentError(f"{who}: {error}") from None
