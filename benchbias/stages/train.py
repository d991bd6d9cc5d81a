"""Stage `train`: call a trainer, with the mask in force held and the asked epochs kept."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch

from benchbias.context import TrainContext
from benchbias.data import TrainingData
from benchbias.errors import ComponentError
from benchbias.evaluation import count_cost
from benchbias.masks import enforced
from benchbias.seeding import generator
from benchbias.stages.common import Job, Made, check_finite
from benchbias.suite import Recipe
from benchbias.training import EpochSelector, eval_copy, snapshot


def run(job: Job) -> Made:
    """Train from the start weights; the product is the weights, the kept epochs and what was saved."""
    recipe = Recipe.model_validate(job.inputs["recipe"])
    data = job.training_data(recipe)
    model = job.model("start")
    mask = job.mask("mask")
    before = "before" if "before" in job.parents else "start"
    selector = EpochSelector(recipe, data, _selection_kinds(job, recipe, data))
    context = TrainContext(
        device=job.device,
        generator=generator(job.seed, "method"),
        recipe=recipe,
        data=data,
        order=generator(job.seed, "order"),
        mask=mask,
        auxiliary_mask=job.mask("auxiliary"),
        earlier=job.earlier(),
        after_epoch=selector.after_epoch,
        reference=eval_copy(job.model(before)) if job.parents[before] != job.parents["init"] else None,
        checkpoints=_checkpoints(job, before),
    )
    given: dict[str, Any] = {"model": model, "data": data, "context": context} | job.label_access()
    with enforced(model, mask):
        job.call("trainer", given)
    selected = selector.finish(model)
    check_finite(model, f"trainer {job.inputs['component']['name']!r}")
    missed = sorted(set(recipe.keep_epochs) - set(selector.kept))
    if missed:
        raise ComponentError(f"keep_epochs names epochs that this stage does not train: {missed}")
    sample = data.batch(data.train, torch.zeros(1, dtype=torch.int64, device=job.device)).images
    cost = count_cost(model, sample)
    examples = sum(report.examples for report in context.reports)
    density = cost.sparse_flops / cost.flops if cost.flops and mask is not None else 1.0
    body = {
        "steps": sum(report.steps for report in context.reports),
        "examples": examples,
        "losses": [loss for report in context.reports for loss in report.losses],
        "selected_epoch": selected,
        # three times the forward pass an example (flops.md): forward, input gradients, weight gradients
        "training_flops": round(3 * cost.flops * density * examples),
        "cost": asdict(cost),
    }
    blobs = {"weights": snapshot(model)} | {f"epoch-{epoch}": kept for epoch, kept in selector.kept.items()}
    return Made(body, blobs | ({"saved": context.written} if context.written else {}))


def _selection_kinds(job: Job, recipe: Recipe, data: TrainingData) -> torch.Tensor | None:
    """What the epoch selection takes the worst of, on the validation split: classes or groups."""
    if recipe.select == "val_worst_class":
        return data.val.labels.cpu()
    return job.groups("data", "val").groups if recipe.select == "val_worst_group" else None


def _checkpoints(job: Job, role: str) -> dict[int, Any]:
    def load(name: str) -> torch.nn.Module:
        model = job.fresh_model()
        model.load_state_dict(job.blob(role, name))
        return eval_copy(model)

    names = [name for name in job.product(role).blobs if name.startswith("epoch-")]
    return {int(name.removeprefix("epoch-")): lambda name=name: load(name) for name in names}
