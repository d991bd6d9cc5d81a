"""Stage `train`: call a trainer, with a mask held or changing on schedule, and the asked epochs kept."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import nn

from benchbias.data.values import TrainingData
from benchbias.errors import ComponentError
from benchbias.network.cost import count_cost, layer_flops, training_flops
from benchbias.sparse.holding import Holder, Updates, holding
from benchbias.sparse.masks import Mask, with_attached
from benchbias.stages.job import (
    Job,
    Made,
    call_component,
    check_finite,
    check_shapes,
    load_weights,
    mask_blob,
    mask_body,
    shapes_of,
)
from benchbias.stages.make_mask import amount_of, make_mask, search_cost
from benchbias.stages.seeding import generator
from benchbias.suite.tables import Recipe
from benchbias.training.context import PruneContext, TrainContext
from benchbias.training.fit import EpochSelector, FitReport, eval_copy, snapshot, step_count


def run(job: Job) -> Made:
    """Train from the start weights; the product is the weights, the kept epochs, a changed mask, what was saved."""
    recipe = Recipe.model_validate(job.inputs["recipe"])
    data = job.training_data(recipe)
    model = job.model("start")
    shapes = shapes_of(model)
    masking = _Masking(job, recipe, data, model)
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
    )
    given: dict[str, Any] = {"model": model, "data": data, "context": context}
    with holding(masking.holder) if masking.holder is not None else nullcontext():
        job.call("trainer", given | job.label_access(job.inputs["component"]["groups"]))
    selected = selector.finish(model)
    trainer = f"trainer {job.inputs['component']['name']!r}"
    check_shapes(model, shapes, trainer)
    check_finite(model, trainer)
    missed = sorted(set(recipe.keep_epochs) - set(selector.kept))
    if missed:
        raise ComponentError(f"keep_epochs names epochs that this stage does not train: {missed}")
    examples = sum(report.examples for report in context.reports)
    steps = sum(report.steps for report in context.reports)
    sample = _sample(data)
    body: dict[str, Any] = {
        "steps": steps,
        "examples": examples,
        "losses": [loss for report in context.reports for loss in report.losses],
        "selected_epoch": selected,
        "training_flops": masking.flops(model, sample, steps, examples),
        "cost": asdict(count_cost(model, sample)),
    }
    blobs = {"weights": snapshot(model)} | {f"epoch-{epoch}": kept for epoch, kept in selector.kept.items()}
    if "prune" in job.inputs:
        final = masking.final(selected is not None)
        body |= mask_body(final) | {"mask_updates": masking.updates}
        for what, count in search_cost(model, sample, masking.searches, None).items():
            body[what] += count
        blobs["mask"] = mask_blob(final)
    saved = masking.written | context.written
    return Made(body, blobs | ({"saved": saved} if saved else {}))


class _Masking:
    """The mask of one train stage: none, held as it is, or changed by the stage's pruner on its schedule."""

    def __init__(self, job: Job, recipe: Recipe, data: TrainingData, model: nn.Module) -> None:
        self.job, self.recipe, self.model = job, recipe, model
        # a stream of its own: what the pruner draws between the steps changes no later batch
        self.data = replace(data, augment_generator=generator(job.seed, "augment"))
        self.updates = 0
        self.searches: list[FitReport] = []  # what the pruner itself has trained, e.g. the logits of a mask
        self.written: dict[str, torch.Tensor] = {}  # what the pruner saved
        self.dense_steps: list[int] = []  # at which the pruner read dense gradients
        self.selected: Mask | None = None  # the mask in force at the selected epoch
        self.holder: Holder | None = None
        force = job.mask("mask")
        if "prune" not in job.inputs:
            self.holder = Holder(model, force) if force is not None else None
            return
        spec = job.inputs["prune"]
        self.random = generator(job.seed, "method")
        self.earlier = job.earlier()
        self.timing = Updates(**spec["updates"])
        self.total_steps = step_count(data, recipe)  # until the trainer's own fit says better
        mask = self._ask(force, 0, None)
        self.holder = Holder(model, mask, self.timing, lambda step, dense: self._ask(self.mask, step, dense))
        self.holder.begin(self.total_steps)

    @property
    def mask(self) -> Mask | None:
        return self.holder.mask if self.holder is not None else None

    def final(self, selected: bool) -> Mask:
        """The mask of the weights that the stage leaves."""
        mask = self.selected if selected else self.mask
        assert mask is not None
        return mask

    def _ask(self, current: Mask | None, step: int, dense: dict[str, torch.Tensor] | Any) -> Mask:
        """Call the stage's pruner: before the first step, and at each update."""
        job, spec = self.job, self.job.inputs["prune"]
        total = self.holder.total_steps if self.holder is not None else self.total_steps
        context = PruneContext(
            device=job.device,
            generator=self.random,
            recipe=self.recipe,
            data=self.data,
            order=generator(job.seed, "order"),
            layers=spec["cut"]["layers"],
            mask=current,
            auxiliary_mask=job.mask("auxiliary"),
            earlier=self.earlier,
            written=self.written,
            step=step,
            total_steps=total,
            progress=self.timing.progress(step, total),
            dense_gradients=dense,
        )
        amount = amount_of(spec["cut"])
        if self.timing.ramp != "none" and amount:
            target = 1 - amount["sparsity"] if "sparsity" in amount else amount["density"]
            reached = self.timing.progress(step, total) == 1
            amount = amount if reached else {"density": self.timing.density(target, step, total)}
        groups = job.label_access(spec["component"]["groups"])
        component = job.components["pruner", spec["component"]["name"]]
        mask = make_mask(
            spec["component"]["name"],
            lambda copy, context: call_component(
                component, {"model": copy, "data": self.data, "context": context} | groups, spec["component"]["options"]
            ),
            self.model,
            context,
            amount,
            spec["cut"]["budget"],
        )
        self.updates += dense is not None
        self.dense_steps += [step - self.timing.after_step] if context.read_gradients else []
        self.searches += context.reports
        return with_attached(mask, self.model, _sample(self.data))

    def flops(self, model: nn.Module, sample: torch.Tensor, steps: int, examples: int) -> int:
        """Of the whole stage, by `training_flops`."""
        layers = layer_flops(model, sample)
        totals = {name: parameter.numel() for name, parameter in model.named_parameters()}
        if self.holder is None:
            return training_flops(layers, totals, [(0, {})], (), steps, examples)
        dense = self.dense_steps if self.holder.updates.mask_gradients else range(steps)
        return training_flops(layers, totals, self.holder.history, dense, steps, examples)


def _sample(data: TrainingData) -> torch.Tensor:
    """One training image, (1, C, H, W)."""
    return data.batch(data.train, torch.zeros(1, dtype=torch.int64, device=data.train.labels.device)).images


def _selection_kinds(job: Job, recipe: Recipe, data: TrainingData) -> torch.Tensor | None:
    """What the epoch selection takes the worst of, on the validation split: classes, groups, or all as one."""
    if recipe.select == "val_accuracy":
        return torch.zeros_like(data.val.labels.cpu())
    if recipe.select == "val_worst_class":
        return data.val.labels.cpu()
    return job.groups("data", "val").groups if recipe.select == "val_worst_group" else None


def _checkpoints(job: Job, role: str) -> dict[int, Any]:
    def load(name: str) -> nn.Module:
        model = job.fresh_model()
        load_weights(model, job.blob(role, name), f"the weights {name} of the {role} stage")
        return eval_copy(model)

    names = [name for name in job.product(role).blobs if name.startswith("epoch-")]
    return {int(name.removeprefix("epoch-")): lambda name=name: load(name) for name in names}
