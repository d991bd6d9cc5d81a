"""Call a pruner on a copy of the model and make a mask of its answer: in a prune stage and during training."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import torch
from torch import Tensor, nn

from benchbias.errors import ComponentError, Skip
from benchbias.network.cost import layer_flops, training_flops
from benchbias.sparse.cutting import Budget, budget_counts, cut
from benchbias.sparse.masks import Mask
from benchbias.training.context import PruneContext
from benchbias.training.fit import FitReport

Call = Callable[[nn.Module, PruneContext], Any]


def amount_of(cutting: Mapping[str, Any]) -> dict[str, float]:
    """What a stage sets of sparsity, density and removed: at most one of them."""
    return {name: float(cutting[name]) for name in ("sparsity", "density", "removed") if name in cutting}


def fraction_of(amount: Mapping[str, float], weights: Mapping[str, Tensor]) -> dict[str, float]:
    """An amount as a sparsity or a density: a number of removed weights is a sparsity of these weights.

    Raises Skip where there are fewer weights: in a sweep over layers some are too small.
    """
    if "removed" not in amount:
        return dict(amount)
    removed, total = int(amount["removed"]), sum(weight.numel() for weight in weights.values())
    if removed > total:
        raise Skip(f"removed = {removed:,}, but the stage's `layers` admit only {total:,} weights")
    return {"sparsity": min((removed + 0.5) / total, 1.0)}  # the half: floor(sparsity * total) is `removed`, exactly


def density_of(amount: Mapping[str, float]) -> float | None:
    """The density that an amount means, in decimal arithmetic; None where none is set."""
    if "density" in amount:
        return amount["density"]
    return float(1 - Decimal(str(amount["sparsity"]))) if "sparsity" in amount else None


def make_mask(
    name: str, call: Call, model: nn.Module, context: PruneContext, amount: Mapping[str, float], budget: Budget
) -> Mask:
    """Ask a pruner for a mask of `model`, which it cannot change, nor torch's random numbers. Raises ComponentError.

    Scores are cut to `amount` and never revive what context.mask has removed; a Mask is taken as it is.
    """
    weights = {key: weight.detach().clone() for key, weight in context.prunable(model).items()}
    amount = fraction_of(amount, weights)
    context.density = density_of(amount)
    context.amount, context.weights, context.budget = dict(amount), weights, budget
    if amount and budget != "global":
        context.counts = budget_counts(weights, amount, budget)
    cards = sorted({weight.device for weight in weights.values() if weight.device.type == "cuda"}, key=str)
    with torch.random.fork_rng(devices=cards):
        answer = call(copy.deepcopy(model).requires_grad_(True), context)
    return _checked(name, answer, weights, context.mask, amount, budget)


def search_cost(model: nn.Module, images: Tensor, reports: Sequence[FitReport], force: Mask | None) -> dict[str, Any]:
    """What a pruner that trains has cost, as a train stage says it; {} for one that does not.

    Training by `training_flops` with the mask in force and dense gradients otherwise: the logits of a mask (MRM) need
    the gradient of every weight. images: one example, (1, C, H, W).
    """
    steps, examples = sum(report.steps for report in reports), sum(report.examples for report in reports)
    if not steps:
        return {}
    totals = {name: parameter.numel() for name, parameter in model.named_parameters()}
    held = force.counts() if force is not None else {}
    flops = training_flops(layer_flops(model, images), totals, [(0, held)], range(steps), steps, examples)
    losses = [loss for report in reports for loss in report.losses]
    return {"steps": steps, "examples": examples, "losses": losses, "training_flops": flops}


def _checked(
    name: str,
    answer: Any,
    weights: Mapping[str, Tensor],
    force: Mask | None,
    amount: Mapping[str, float],
    budget: Budget,
) -> Mask:
    held = force.tensors if force is not None else {}
    try:
        if isinstance(answer, Mask):
            kept = {n: t.cpu() for n, t in answer.tensors.items()}
            return _with_held(Mask(kept, answer.units).check({**held, **weights}), force)
        if not isinstance(answer, Mapping):
            raise TypeError(f"a pruner returns scores or a Mask, not {type(answer).__name__}")
        if not amount:
            raise ValueError("it returns scores, so the stage must set sparsity, density or removed")
        return _with_held(cut(answer, weights, **amount, budget=budget, force=force), force)
    except (TypeError, ValueError) as error:
        raise ComponentError(f"pruner {name!r}: {error}") from None


def _with_held(mask: Mask, force: Mask | None) -> Mask:
    """The mask, and that in force where the pruner said nothing: of layers that the stage does not admit."""
    if force is None:
        return mask
    return Mask({**force.tensors, **mask.tensors}, mask.units or force.units, force.attached)
