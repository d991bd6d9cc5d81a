"""Critical by magnitude: the neurons whose weights have the largest norm, ||z_i||_2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchbias import formerly

from .neurons import Linear, neuron_norms
from .ranking import Order, Scope, ranked
from .removing import AtLeastOne, Count, Fraction, Nearest, most_critical, removed

if TYPE_CHECKING:
    from torch import nn

    from benchbias import Mask, PruneContext, Scores, TrainingData


@formerly(
    criterion="magnitude",
    scope="network",
    linear="units",
    rerank=False,
    pool=256,
    batch=128,
    examples="hardest",
    loss="cross_entropy",
)
def critical_magnitude(
    model: nn.Module,
    data: TrainingData,
    context: PruneContext,
    *,
    count: Count = 0,
    fraction: Fraction = 0.0,
    order: Order = "largest",
    control: bool = False,
    nearest: Nearest = 5,
) -> Scores | Mask:
    """Remove the neurons of the network whose weights have the largest norm.

    count, fraction: remove `count` neurons, or ceil(fraction x N) where that is more. With neither the core cuts units
    to the stage's sparsity, largest first. control: with count or fraction, remove as many others of the same layers
    instead, each drawn from the `nearest` in norm.
    """
    weights = context.prunable(model)
    norms = neuron_norms(weights)
    return most_critical(
        norms, weights, context, count=count, fraction=fraction, order=order, control=control, nearest=nearest
    )


def critical_magnitude_counted(
    model: nn.Module,
    data: TrainingData,
    context: PruneContext,
    *,
    count: AtLeastOne = 1,
    fraction: Fraction = 0.0,
    scope: Scope = "network",
    linear: Linear = "units",
    order: Order = "largest",
    control: bool = False,
    nearest: Nearest = 5,
) -> Mask:
    """Remove so many neurons of largest weight norm, of the network or of each layer, whatever the stage's sparsity.

    count, fraction, control, nearest: as for `critical_magnitude`. scope: where so many are removed. linear: whether
    a linear layer's neurons are its units or its single weights.
    """
    weights = context.prunable(model)
    neurons = ranked(neuron_norms(weights, linear), count, fraction, scope, order)
    return removed(neurons, weights, context, linear=linear, control=control, nearest=nearest)
