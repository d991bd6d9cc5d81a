"""The end of every pruner: a mask without the chosen neurons or others like them, or scores for the core to cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from benchbias import BenchbiasError, Range

from .neurons import Linear, Neuron, matched, neuron_mask, neuron_norms
from .ranking import Order, ranked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from benchbias import Mask, PruneContext, Scores

Count = Annotated[int, Range(0, 1_000_000)]
AtLeastOne = Annotated[int, Range(1, 1_000_000)]
Fraction = Annotated[float, Range(0, 1)]
Nearest = Annotated[int, Range(1, 1000)]


def most_critical(
    norms: Mapping[str, Tensor],
    weights: Mapping[str, Tensor],
    context: PruneContext,
    *,
    count: int,
    fraction: float,
    order: Order,
    control: bool,
    nearest: int,
) -> Scores | Mask:
    """Remove so many of the network's neurons or such a share; where neither is set, leave the cut to the core.

    Raises BenchbiasError for a control of neurons that only the core chooses.
    """
    if count or fraction:
        neurons = ranked(norms, count, fraction, order=order)
        return removed(neurons, weights, context, control=control, nearest=nearest)
    if control:
        raise BenchbiasError("critical neurons: control goes with count or fraction")
    sign = -1 if order == "largest" else 1
    return {name: sign * norm for name, norm in norms.items()}


def removed(
    neurons: Sequence[Neuron],
    weights: Mapping[str, Tensor],
    context: PruneContext,
    *,
    linear: Linear = "units",
    control: bool,
    nearest: int,
) -> Mask:
    """A mask without these neurons or, as their control, without others of the same layers and near norms.

    Raises BenchbiasError where a layer has too few others.
    """
    if control:
        others = matched(neurons, neuron_norms(weights, linear), nearest, context.generator)
        if others is None:
            raise BenchbiasError("critical neurons: a layer has too few neurons for as many others")
        neurons = others
    mask = neuron_mask(weights, neurons, linear)
    return mask if context.mask is None else mask.intersect(context.mask)
