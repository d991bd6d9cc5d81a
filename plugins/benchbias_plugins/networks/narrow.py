"""The task's network at the width at which it has a wanted number of weights: the dense control of a sparse one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import torch
from torch import nn

from benchbias import BenchbiasError, Range, hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable

GRID = 10_000  # widths are whole numbers of its parts, so that they can be written down
NARROWEST, WIDEST = 10, 80_000  # in these parts: 0.001 and 8


def narrow(
    input_shape: tuple[int, int, int],
    num_classes: int,
    backbone: Callable[..., nn.Module],
    *,
    share: Annotated[float, Range(1e-5, 1)] = 1.0,
    weights: Annotated[int | None, Range(1, 10**12)] = None,
    within: Annotated[float, Range(0, 1)] = 0.05,
) -> nn.Module:
    """The task's model, dense, made narrow: with as many convolution and linear weights as a density keeps of it.

    share: that density, of the task's weights; 1 is that model itself. weights: their number, instead. within: how far,
    as a fraction of the wanted number, the nearest width may be from it. The task's model needs an option `width`.
    """
    if weights is not None and share != 1:
        raise BenchbiasError("narrow: share or weights, not both")
    if weights is None and share == 1:
        return backbone()
    wanted = weights if weights is not None else share * weight_count(backbone)
    width, count = nearest_width(lambda width: weight_count(backbone, width=width), wanted)
    if abs(count - wanted) > within * wanted:
        raise BenchbiasError(
            f"narrow: the nearest to {wanted:,.0f} weights is {count:,}, at width = {width:g}: more than "
            f"{100 * within:g} % off (option `within`)"
        )
    return backbone(width=width)


def weight_count(backbone: Callable[..., nn.Module], **changes: float) -> int:
    """The convolution and linear weights of a model, which is built without its values and without random numbers."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        model = backbone(**changes)
    layers = (module for module in model.modules() if isinstance(module, nn.Linear | nn.modules.conv._ConvNd))
    return sum(module.weight.numel() for module in layers)


def nearest_width(count: Callable[[float], int], wanted: float) -> tuple[float, int]:
    """The width, to four decimals, whose count is nearest to the wanted one, and that count.

    By bisection: the count grows with the width, in steps. Of two that are as near, the smaller.
    """
    low, high = NARROWEST, WIDEST
    while high - low > 1:
        middle = (low + high) // 2
        if count(middle / GRID) <= wanted:
            low = middle
        else:
            high = middle
    return min(((part / GRID, count(part / GRID)) for part in (low, high)), key=lambda found: abs(found[1] - wanted))


@hookimpl
def benchbias_models() -> dict[str, Callable[..., nn.Module]]:
    return {"narrow": narrow}
