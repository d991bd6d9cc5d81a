"""Critical by gradient: the neurons whose gradient on hard examples has the largest norm, ||dL/dz_i||_2."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from benchbias import formerly

from .examples import Hard, Loss, gradient_norms, hard_examples
from .neurons import Linear
from .ranking import Order, Reranked, Scope, ranked, reranked
from .removing import AtLeastOne, Count, Fraction, Nearest, most_critical, removed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor, nn

    from benchbias import Mask, PruneContext, Scores, TrainingData


@formerly(criterion="gradient", scope="network", linear="units", rerank=False)
def critical_gradient(
    model: nn.Module,
    data: TrainingData,
    context: PruneContext,
    *,
    count: Count = 0,
    fraction: Fraction = 0.0,
    order: Order = "largest",
    control: bool = False,
    nearest: Nearest = 5,
    pool: AtLeastOne = 256,
    batch: AtLeastOne = 128,
    examples: Hard = "hardest",
    loss: Loss = "cross_entropy",
) -> Scores | Mask:
    """Remove the neurons of the network whose gradient on hard training examples has the largest norm.

    count, fraction, control, nearest: as for `critical_magnitude`. pool, batch, examples: the gradient is taken on
    `batch` examples drawn from the `pool` of highest loss.
    """
    weights = context.prunable(model)
    norms = scoring(model, data, context, weights, pool, batch, examples, loss)
    return most_critical(
        norms(), weights, context, count=count, fraction=fraction, order=order, control=control, nearest=nearest
    )


def critical_gradient_counted(
    model: nn.Module,
    data: TrainingData,
    context: PruneContext,
    *,
    count: AtLeastOne = 1,
    fraction: Fraction = 0.0,
    scope: Scope = "network",
    linear: Linear = "units",
    order: Reranked = "largest",
    control: bool = False,
    nearest: Nearest = 5,
    pool: AtLeastOne = 256,
    batch: AtLeastOne = 128,
    examples: Hard = "hardest",
    loss: Loss = "cross_entropy",
) -> Mask:
    """Remove so many neurons of largest gradient, of the network or of each layer, whatever the stage's sparsity.

    scope, linear: as for `critical_magnitude_counted`. order: `reranked` scores again after each neuron, with those
    taken at zero. All others: as for `critical_gradient`.
    """
    weights = context.prunable(model)
    norms = scoring(model, data, context, weights, pool, batch, examples, loss, linear)
    if order == "reranked":
        neurons = reranked(weights, norms, count, fraction, scope, linear)
    else:
        neurons = ranked(norms(), count, fraction, scope, order)
    return removed(neurons, weights, context, linear=linear, control=control, nearest=nearest)


def scoring(
    model: nn.Module,
    data: TrainingData,
    context: PruneContext,
    weights: Mapping[str, Tensor],
    pool: int,
    batch: int,
    examples: Hard,
    loss: Loss,
    linear: Linear = "units",
) -> Callable[[], dict[str, Tensor]]:
    """Draw the hard examples once; each call then gives the norms on them, with the weights as they are by then."""
    draw = functools.partial(data.batch, data.train)
    hard = hard_examples(model, draw, len(data.train), pool, batch, examples, context.generator, context.device)
    return functools.partial(gradient_norms, model, weights, draw, hard, loss=loss, linear=linear, mask=context.mask)
