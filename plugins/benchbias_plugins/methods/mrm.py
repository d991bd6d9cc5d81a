"""Modular risk minimisation, MRM: learn which weights of a trained model matter, rewind, retrain (Zhang et al., 2021).

Stage 1 is a train stage. Stage 2 is this pruner: mask logits on frozen weights, trained by the prune stage's own
recipe. Stage 3 is a train stage with `start = "init"` under the mask.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from benchbias import BenchbiasError, Mask, Range, hookimpl, logits_under, sample_mask

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from benchbias import Batch, PruneContext, Scores, TrainingData

Penalty = Literal["logits", "probabilities"]
Logits = dict[str, torch.Tensor]


def mrm(
    model: nn.Module,
    data: TrainingData,
    context: PruneContext,
    *,
    alpha: Annotated[float, Range(0, 1e6)] = 1e-5,
    penalty: Penalty = "logits",
    initial: float = 1.5,
    temperature: Annotated[float, Range(0.01, 100)] = 1.0,
    double_sigmoid: bool = False,
    keep_at_zero: bool = False,
    lowest: Annotated[float, Range(1e-12, 1e6)] = 1e-8,
    highest: Annotated[float, Range(1e-12, 1e6)] = 1.0,
    tolerance: Annotated[float, Range(0, 1)] = 0.02,
    runs: Annotated[int, Range(1, 100)] = 32,
) -> Scores | Mask:
    """Keep the weights whose logit pi ends above 0, minimising CE(m w) + alpha sum(pi) over pi alone.

    m is drawn anew for every batch, one for all of its examples, and keeps a weight with probability sigmoid(pi).
    Sparsity is an outcome of alpha. Where the stage sets sparsity or density, alpha is only the first guess: the
    penalty weight is searched between `lowest` and `highest` by bisection of its logarithm, in at most `runs` runs
    on the same batches and draws, until the density is within `tolerance`; then the logits are cut exactly.

    penalty: `logits`: sum(pi), unbounded below (REST, Eq. 8); `probabilities`: sum(sigmoid(pi)). initial: pi at
    first. double_sigmoid: the keep probability is sigmoid(sigmoid(pi)), never below 1/2, as in DCWP's code;
    keep_at_zero: pi = 0 is kept too. Raises BenchbiasError where the search finds no such density.
    """
    shape = Shape(penalty, initial, temperature, double_sigmoid)
    model.requires_grad_(False)

    def learn(weight: float) -> tuple[Logits, Mask]:
        logits = learned_logits(model, data, context, weight, shape)
        mask = Mask({name: (pi >= 0 if keep_at_zero else pi > 0).cpu() for name, pi in logits.items()})
        return logits, mask if context.mask is None else mask.intersect(context.mask)

    if context.density is None:
        return learn(alpha)[1]
    if context.density in (0.0, 1.0):  # all or none: there is nothing to learn
        return {name: torch.zeros_like(weight) for name, weight in context.prunable(model).items()}
    if not lowest < highest:
        raise BenchbiasError(f"mrm: lowest ({lowest:g}) must be below highest ({highest:g})")
    return searched(learn, context, alpha or lowest, (lowest, highest), tolerance, runs)


@dataclass(frozen=True)
class Shape:
    """The objective of the logits, but for the weight of the penalty."""

    penalty: Penalty
    initial: float
    temperature: float
    double_sigmoid: bool

    def drawn(self, logits: Tensor, generator: torch.Generator) -> Tensor:
        """A mask drawn from logits, float, exactly 0 or 1."""
        seen = torch.sigmoid(logits) if self.double_sigmoid else logits
        return sample_mask(seen, generator, temperature=self.temperature)

    def cost(self, logits: Mapping[str, Tensor]) -> Tensor:
        """The penalty before its weight, summed over all logits, shape ()."""
        parts = logits.values() if self.penalty == "logits" else map(torch.sigmoid, logits.values())
        return torch.stack([part.sum() for part in parts]).sum()


def learned_logits(model: nn.Module, data: TrainingData, context: PruneContext, alpha: float, shape: Shape) -> Logits:
    """Stage 2: the logits of the prunable weights, trained by the stage's recipe; every call sees the same batches."""
    weights = context.prunable(model)
    logits = {name: nn.Parameter(torch.full_like(weight, shape.initial)) for name, weight in weights.items()}

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        masked = {name: weight * shape.drawn(logits[name], context.generator) for name, weight in weights.items()}
        error = cross_entropy(logits_under(model, masked, batch.images), batch.labels)
        return error + alpha * shape.cost(logits)

    with context.replayed():
        context.fit(model, data, loss=loss, parameters=logits.values())
    return {name: pi.detach() for name, pi in logits.items()}


def searched(
    learn: Callable[[float], tuple[Logits, Mask]],
    context: PruneContext,
    first: float,
    bounds: tuple[float, float],
    tolerance: float,
    runs: int,
) -> Logits:
    """The logits of the first penalty weight whose mask has the stage's density, within the tolerance.

    What was tried is saved with the stage as `penalties`, float64 (runs, 2): the weight, the density.
    """
    target = context.density
    assert target is not None
    low, high = (math.log(bound) for bound in bounds)
    at = min(max(math.log(first), low), high)
    tried: list[tuple[float, float]] = []
    for _ in range(runs):
        logits, mask = learn(math.exp(at))
        kept = sum(int(mask.tensors[name].sum()) for name in logits)
        density = kept / sum(pi.numel() for pi in logits.values())
        tried.append((math.exp(at), density))
        if abs(density - target) <= tolerance:
            context.save("penalties", torch.tensor(tried, dtype=torch.float64))
            return logits
        low, high = (at, high) if density > target else (low, at)  # a larger penalty keeps fewer
        at = (low + high) / 2
    nearest = sorted(sorted(tried, key=lambda run: abs(run[1] - target))[:2])
    told = " and ".join(f"{weight:.7g} keeps {density:.4f}" for weight, density in nearest)
    raise BenchbiasError(
        f"mrm: no penalty weight from {bounds[0]:g} to {bounds[1]:g} was found that keeps {target:g} of the weights "
        f"within {tolerance:g}; the nearest of {len(tried)} runs: {told}"
    )


@hookimpl
def benchbias_pruners() -> dict[str, Callable[..., Scores | Mask]]:
    return {"mrm": mrm}
