"""The pruner: remove the most critical neurons, or others like them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from benchbias import BenchbiasError, Range

from .examples import Hard, Loss, hard_examples, loss_slopes
from .neurons import Linear, Order, Scope, held, matched, neuron_mask, neuron_norms, ranked, reranked

if TYPE_CHECKING:
    from torch import Tensor, nn

    from benchbias import Batch, Mask, PruneContext, Scores, TrainingData


def critical_neurons(
    model: nn.Module,
    data: TrainingData,
    context: PruneContext,
    *,
    criterion: Literal["magnitude", "gradient"] = "magnitude",
    count: Annotated[int, Range(0, 1_000_000)] = 0,
    fraction: Annotated[float, Range(0, 1)] = 0.0,
    scope: Scope = "network",
    linear: Linear = "units",
    order: Order = "largest",
    rerank: bool = False,
    control: bool = False,
    nearest: Annotated[int, Range(1, 1000)] = 5,
    pool: Annotated[int, Range(1, 1_000_000)] = 256,
    batch: Annotated[int, Range(1, 1_000_000)] = 128,
    examples: Hard = "hardest",
    loss: Loss = "cross_entropy",
) -> Scores | Mask:
    """Remove the most critical neurons: the largest by the norm of their weights or of their gradient.

    count, fraction: remove exactly so many, or ceil(fraction x N), of the network or of each layer (scope): a Mask.
    With neither, scores of whole units that the core cuts to the stage's sparsity, most critical first. linear:
    whether units or scalar weights are a linear layer's neurons. rerank: score again after each removal. control:
    remove others of the same layers instead, each drawn from the `nearest` in norm. pool, batch, examples: the
    gradient is of `batch` examples drawn from the `pool` of highest loss.
    """
    weights = context.prunable(model)

    def norms() -> dict[str, Tensor]:
        if criterion == "magnitude":
            return neuron_norms(weights, linear)
        return neuron_norms(held(loss_slopes(model, weights, draw, chosen, loss), context.mask), linear)

    def draw(index: Tensor) -> Batch:
        return data.batch(data.train, index)

    if criterion == "gradient":
        total = len(data.train)
        chosen = hard_examples(model, draw, total, pool, batch, examples, context.generator, context.device)
    if rerank and (not count or order != "largest"):
        raise BenchbiasError("critical_neurons: rerank goes with count and the largest")
    if not count and not fraction:
        if linear == "weights" or control or scope == "layer":
            raise BenchbiasError("critical_neurons: linear, control and scope go with count or fraction")
        sign = -1 if order == "largest" else 1
        return {name: sign * norm for name, norm in norms().items()}
    if rerank:
        neurons = reranked(weights, norms, count, scope, linear)
    else:
        neurons = ranked(norms(), count, fraction, scope, order)
    if control:
        others = matched(neurons, neuron_norms(weights, linear), nearest, context.generator)
        if others is None:
            raise BenchbiasError("critical_neurons: a layer has too few neurons for as many others")
        neurons = others
    mask = neuron_mask(weights, neurons, linear)
    return mask if context.mask is None else mask.intersect(context.mask)
