"""A pruner called on a copy of the model, and a mask made of its answer: in a prune stage and during training."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import torch
from torch import Tensor, nn

from benchbias.data.values import TrainingData
from benchbias.errors import ComponentError, Skip
from benchbias.network.cost import layer_flops, training_flops
from benchbias.network.counting import counted_work
from benchbias.network.weights import layer_weights
from benchbias.sparse.copies import Copies, shapes
from benchbias.sparse.cutting import Cut, budget_counts, ranked_cut
from benchbias.sparse.masks import Mask
from benchbias.stages.job import Job, call_component
from benchbias.training.context import PruneContext, prunable_weights
from benchbias.training.fit import FitReport

Call = Callable[[nn.Module, PruneContext], Any]
AMOUNTS = ("sparsity", "density", "removed")
PRUNED = "linear, convolution, recurrent or attention"


def amount_of(cutting: Mapping[str, Any]) -> dict[str, float]:
    """The amount that a stage sets, by name: sparsity, density, removed or none."""
    return {name: float(cutting[name]) for name in AMOUNTS if name in cutting}


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


def prune_context(
    model: nn.Module, data: TrainingData, cutting: Mapping[str, Any], amount: Mapping[str, float], **given: Any
) -> PruneContext:
    """All that a pruner is told, in one frozen value.

    cutting: the core's keys of the stage. amount: what it sets of sparsity, density and removed, or what the ramp has
    reached. given: the other fields of the context. Raises Skip, see `fraction_of`, and ComponentError where the model
    has nothing to prune.
    """
    prunable = prunable_weights(model, cutting["layers"], data.sample)
    if not prunable:
        raise ComponentError(f"the model has no weight that can be pruned: it has no {PRUNED} layer")
    sizes = shapes(prunable)
    share, budget = fraction_of(amount, sizes), cutting["budget"]
    return PruneContext(
        data=data,
        layers=cutting["layers"],
        density=density_of(share),
        counts=budget_counts(sizes, share, budget) if share and budget != "global" else None,
        amount=share,
        weights=Copies(prunable),
        budget=budget,
        **given,
    )


def ask_pruner(job: Job, spec: Mapping[str, Any], model: nn.Module, context: PruneContext) -> Answer:
    """Ask the pruner that `spec` names about `model`. Raises ComponentError."""
    called = spec["component"]
    pruner = job.components["pruner", called["name"]]

    def call(copied: nn.Module, context: PruneContext) -> Any:
        given = {"model": copied, "data": context.data, "context": context} | job.label_access(called["groups"])
        return call_component(pruner, given, called["options"])

    return ask(called["name"], call, model, context)


@dataclass(frozen=True)
class Answer:
    """A pruner's checked answer: a mask as it is, or scores that are ranked, to be cut to any amount.

    shapes: the weights that the stage admits, without memory. for_all_amounts: whether it never read the amount.
    """

    pruner: str
    mask: Mask | None
    cut: Cut | None
    shapes: Mapping[str, Tensor]
    force: Mask | None
    for_all_amounts: bool

    def mask_for(self, amount: Mapping[str, float]) -> Mask:
        """The mask for an amount as a fraction (`fraction_of`). Raises ComponentError for scores without one."""
        if self.cut is None:
            assert self.mask is not None
            return self.mask
        if not amount:
            raise ComponentError(
                f"pruner {self.pruner!r}: it returns scores, so the stage must set sparsity, density or removed"
            )
        try:
            return _with_held(self.cut(amount), self.force)
        except ValueError as error:
            raise ComponentError(f"pruner {self.pruner!r}: {error}") from None


def make_mask(name: str, call: Call, model: nn.Module, context: PruneContext) -> Mask:
    """A mask of a pruner's answer to `ask`: scores are cut to the context's amount, a Mask is taken as it is."""
    return ask(name, call, model, context).mask_for(context.amount)


def ask(name: str, call: Call, model: nn.Module, context: PruneContext) -> Answer:
    """Ask a pruner about a copy of the model: it can change neither the model nor torch's random numbers.

    What it says never revives what the context's mask has removed. Raises ComponentError.
    """
    cards = sorted({weight.device for weight in model.parameters() if weight.device.type == "cuda"}, key=str)
    copied = copy.deepcopy(model).requires_grad_(True)
    with torch.random.fork_rng(devices=cards), counted_work(in_step=context.dense_gradients is not None) as work:
        answer = call(copied, context)
    blind = not context.amount_reads
    if work.flops and (work.steps or _moved(copied, model)):  # else it only read gradients
        context.reports.append(FitReport(work.steps, 0, (), work.flops))
    return _checked(name, answer, context, [n for n, w in layer_weights(model).items() if not w.rows], blind)


def search_cost(model: nn.Module, images: Tensor, reports: Sequence[FitReport], force: Mask | None) -> dict[str, Any]:
    """The cost of a pruner that trains, with the keys of a train stage; {} for one that does not.

    FLOPs by `training_flops` with the mask in force and dense gradients otherwise: the logits of a mask (MRM) need
    the gradient of every weight. Those of a loop of its own as they were counted. images: one example, (1, C, H, W).
    """
    if not any(report.steps or report.flops for report in reports):
        return {}
    fitted = [report for report in reports if not report.flops]
    steps, examples = sum(report.steps for report in fitted), sum(report.examples for report in fitted)
    own = [report for report in reports if report.flops]
    totals = {name: parameter.numel() for name, parameter in model.named_parameters()}
    held = force.counts() if force is not None else {}
    flops = training_flops(layer_flops(model, images), totals, [(0, held)], range(steps), steps, examples)
    losses = [loss for report in fitted for loss in report.losses]
    return {
        "steps": steps + sum(report.steps for report in own),
        "examples": examples,
        "losses": losses,
        "training_flops": flops + sum(report.flops for report in own),
    }


def _moved(copied: nn.Module, model: nn.Module) -> bool:
    pairs = zip(copied.parameters(), model.parameters(), strict=True)
    return any(not torch.equal(one.detach(), other.detach()) for one, other in pairs)


def _checked(name: str, answer: Any, context: PruneContext, unitless: Sequence[str], blind: bool) -> Answer:
    """unitless: the weights whose rows are no output units. blind: whether the pruner did not read the amount."""
    force, weights = context.mask, shapes(context.weights)
    held = force.tensors if force is not None else {}
    try:
        if isinstance(answer, Mask):
            mask = Mask(answer.tensors, answer.units).check({**held, **weights})
            return Answer(name, _with_held(mask, force), None, weights, force, False)
        if not isinstance(answer, Mapping):
            raise TypeError(f"a pruner returns scores or a Mask, not {type(answer).__name__}")
        if not context.amount:
            raise ValueError("it returns scores, so the stage must set sparsity, density or removed")
        _refuse_unit_scores(answer, weights, unitless)
        cut = ranked_cut(answer, weights, budget=context.budget, force=force)
        return Answer(name, None, cut, weights, force, blind)
    except (TypeError, ValueError) as error:
        raise ComponentError(f"pruner {name!r}: {error}") from None


def _refuse_unit_scores(scores: Mapping[str, Any], weights: Mapping[str, Tensor], unitless: Sequence[str]) -> None:
    """Raises ValueError for scores of whole units of weights whose rows are no units."""
    scored = [(score, weights[name]) for name, score in scores.items() if name in weights]
    by_unit = any(isinstance(score, Tensor) and score.ndim < weight.ndim for score, weight in scored)
    odd = [name for name in weights if name in unitless] if by_unit else []
    if odd:
        raise ValueError(
            f"it scores whole units, and the rows of {', '.join(odd)} are no output units (transposed convolution, "
            'recurrent layer or attention): exclude them, as layers = "!NAME"'
        )


def _with_held(mask: Mask, force: Mask | None) -> Mask:
    """The mask, and that in force where the pruner said nothing: of layers that the stage does not admit."""
    if force is None:
        return mask
    return Mask({**force.tensors, **mask.tensors}, mask.units or force.units, force.attached)
