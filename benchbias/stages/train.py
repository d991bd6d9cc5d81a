"""Stage `train`: call a trainer, with a mask held or changing on schedule, and the asked epochs kept."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import nn

from benchbias.data.values import TrainingData
from benchbias.errors import ComponentError
from benchbias.network.cost import count_cost
from benchbias.network.counting import WorkCounter, counted_work
from benchbias.network.determinism import refuse_without_deterministic_form
from benchbias.sparse.holding import holding
from benchbias.stages.job import (
    Job,
    Made,
    changed,
    check_finite,
    check_shapes,
    load_weights,
    mask_blob,
    mask_body,
    shapes_of,
)
from benchbias.stages.make_mask import search_cost
from benchbias.stages.masking import Masking
from benchbias.stages.seeding import generator
from benchbias.suite.tables import GROUP_SELECTIONS, Recipe
from benchbias.training.context import TrainContext, train_alone
from benchbias.training.fit import EpochSelector, FitReport, eval_copy, snapshot


def run(job: Job) -> Made:
    """Train from the start weights; the product is the weights, the kept epochs, a changed mask, what was saved."""
    recipe = Recipe.model_validate(job.inputs["recipe"])
    data = job.training_data(recipe)
    model = job.model("start")
    if job.on_card and recipe.deterministic:
        refuse_without_deterministic_form(model, data.sample)
    start = snapshot(model)
    shapes = shapes_of(model)
    masking = Masking(job, recipe, data, model)
    selector = EpochSelector(recipe, data, _selection_kinds(job, recipe, data))
    before = "before" if "before" in job.parents else "start"

    def after_epoch(epoch: int, model: nn.Module) -> None:
        best = selector.best
        selector.after_epoch(epoch, model)
        if selector.best is not best:
            masking.selected = masking.mask

    context = TrainContext(
        device=job.device,
        generator=generator(job.seed, "method"),
        recipe=recipe,
        data=data,
        order=generator(job.seed, "order"),
        mask=masking.mask,
        auxiliary_mask=job.mask("auxiliary"),
        earlier=job.earlier(),
        after_epoch=after_epoch,
        holder=masking.holder,
        reference=eval_copy(job.model(before)) if job.parents[before] != job.parents["init"] else None,
        checkpoints=_checkpoints(job, before),
        train=train_alone if job.together is None else job.together.fit,
    )
    given: dict[str, Any] = {"model": model, "data": data, "context": context}
    with holding(masking.holder) if masking.holder is not None else nullcontext(), counted_work() as work:
        job.call("trainer", given | job.label_access(job.inputs["component"]["groups"]))
    selected = selector.finish(model)
    trainer = f"trainer {job.inputs['component']['name']!r}"
    check_shapes(model, shapes, trainer)
    check_finite(model, start, trainer)
    missed = sorted(set(recipe.keep_epochs) - set(selector.kept))
    if missed:
        raise ComponentError(f"keep_epochs names epochs that this stage does not train: {missed}")
    sample = data.sample
    body = _told(context.reports, work, masking, model, sample)
    counted = body["training_flops"] or any(report.steps for report in context.reports)
    if not counted and changed(model, start, masking.mask):
        body["training_flops"] = None  # a closed form, its own code, changes without gradients: nothing tells the cost
    body |= {"selected_epoch": selected, "cost": count_cost(model, sample).to_json(), **_stacked(job)}
    blobs = {"weights": snapshot(model)} | {f"epoch-{epoch}": kept for epoch, kept in selector.kept.items()}
    if "prune" in job.inputs:
        final = masking.final(selected is not None).to("cpu")
        body |= mask_body(final) | {"mask_updates": masking.updates}
        for what, count in search_cost(model, sample, masking.searches, None).items():
            body[what] = None if body[what] is None else body[what] + count
        blobs["mask"] = mask_blob(final)
    saved = masking.written | context.written
    return Made(body, blobs | ({"saved": saved} if saved else {}))


def _told(
    reports: Sequence[FitReport], work: WorkCounter, masking: Masking, model: nn.Module, sample: torch.Tensor
) -> dict[str, Any]:
    """Steps, examples, losses and FLOPs of all training: by fit, and in loops of the trainer's own."""
    steps, examples = sum(report.steps for report in reports), sum(report.examples for report in reports)
    return {
        "steps": steps + work.steps,
        "examples": examples,
        "losses": [loss for report in reports for loss in report.losses],
        "training_flops": masking.flops(model, sample, steps, examples) + work.flops,
    }


def _stacked(job: Job) -> dict[str, Any]:
    """Tell of a stage of a stack how many were trained at once, and why a training was done alone."""
    return {} if job.together is None else {"stacked": {"together": job.together.most, "why": job.together.why}}


def _selection_kinds(job: Job, recipe: Recipe, data: TrainingData) -> torch.Tensor | None:
    """The part of each validation example, int64 (N,), for the worst of which an epoch is selected; None for `last`."""
    if recipe.select == "val_accuracy":
        return torch.zeros_like(data.val.labels.cpu())
    if recipe.select == "val_worst_class":
        return data.val.labels.cpu()
    if recipe.select not in GROUP_SELECTIONS:
        return None
    groups = job.groups("data", "val")
    return groups.groups if recipe.select == "val_worst_group" else groups.aligned.long()


def _checkpoints(job: Job, role: str) -> dict[int, Any]:
    def load(name: str) -> nn.Module:
        model = job.fresh_model()
        load_weights(model, job.blob(role, name), f"the weights {name} of the {role} stage")
        return eval_copy(model)

    names = [name for name in job.product(role).blobs if name.startswith("epoch-")]
    return {int(name.removeprefix("epoch-")): lambda name=name: load(name) for name in names}
