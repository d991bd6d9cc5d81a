"""The mask of a train stage: who holds it, and when its pruner is asked for another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor, nn

from benchbias.data.values import TrainingData
from benchbias.network.cost import layer_flops, training_flops
from benchbias.sparse.holding import Holder, Updates
from benchbias.sparse.masks import Mask, with_attached
from benchbias.stages.job import Job
from benchbias.stages.make_mask import amount_of, ask_pruner, prune_context
from benchbias.stages.seeding import generator
from benchbias.suite.tables import Recipe
from benchbias.training.fit import FitReport, step_count


class Masking:
    """The mask of one train stage: none, held as it is, or changed by the stage's pruner on its schedule."""

    def __init__(self, job: Job, recipe: Recipe, data: TrainingData, model: nn.Module) -> None:
        self.job, self.recipe, self.model = job, recipe, model
        # a stream of its own: what the pruner draws between the steps changes no later batch
        self.data = replace(data, augment_generator=generator(job.seed, "augment"))
        self.updates = 0
        self.searches: list[FitReport] = []  # what the pruner itself has trained, e.g. the logits of a mask
        self.written: dict[str, Tensor] = {}  # what the pruner saved
        self.dense_steps: list[int] = []  # at which the pruner read dense gradients
        self.selected: Mask | None = None  # the mask in force at the selected epoch
        self.holder: Holder | None = None
        force = job.mask("mask")
        if "prune" not in job.inputs:
            self.holder = Holder(model, force) if force is not None else None
            return
        spec = job.inputs["prune"]
        self.random = generator(job.seed, "method")
        self.earlier, self.auxiliary = job.earlier(), job.mask("auxiliary")
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

    def _ask(self, current: Mask | None, step: int, dense: Mapping[str, Tensor] | None) -> Mask:
        """Ask the stage's pruner: before the first step, and at each update."""
        job, spec, timing = self.job, self.job.inputs["prune"], self.timing
        total = self.holder.total_steps if self.holder is not None else self.total_steps
        context = prune_context(
            self.model,
            self.data,
            spec["cut"],
            self._amount(step, total),
            device=job.device,
            generator=self.random,
            recipe=self.recipe,
            order=generator(job.seed, "order"),
            mask=current,
            auxiliary_mask=self.auxiliary,
            earlier=self.earlier,
            written=self.written,
            step=step,
            total_steps=total,
            progress=timing.progress(step, total),
            dense_gradients=dense,
        )
        mask = ask_pruner(job, spec, self.model, context).mask_for(context.amount).to(job.device)
        self.updates += dense is not None
        self.dense_steps += [step - timing.after_step] if context.read_gradients else []
        self.searches += context.reports
        return with_attached(mask, self.model, self.data.sample)

    def _amount(self, step: int, total: int) -> dict[str, float]:
        """The amount that the stage sets, by name; on a ramp, the density reached at this step."""
        amount = amount_of(self.job.inputs["prune"]["cut"])
        if self.timing.ramp == "none" or not amount or self.timing.progress(step, total) == 1:
            return amount
        target = 1 - amount["sparsity"] if "sparsity" in amount else amount["density"]
        return {"density": self.timing.density(target, step, total)}

    def flops(self, model: nn.Module, sample: Tensor, steps: int, examples: int) -> int:
        """Training FLOPs of the whole stage, by `training_flops`."""
        layers = layer_flops(model, sample)
        totals = {name: parameter.numel() for name, parameter in model.named_parameters()}
        if self.holder is None:
            return training_flops(layers, totals, [(0, {})], (), steps, examples)
        dense = self.dense_steps if self.holder.updates.mask_gradients else range(steps)
        return training_flops(layers, totals, self.holder.history, dense, steps, examples)
