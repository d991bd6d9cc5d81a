"""The overlap of the two criteria: how many neurons both find, against chance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

from benchbias import Range, Table

from ...methods.critical_neurons.examples import Loss
from ...methods.critical_neurons.neurons import Linear
from ...methods.critical_neurons.ranking import ranked
from .network import Network
from .rankings import Ranking, ranking_examples

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from benchbias import BiasedDataset, ProbeContext

GRADIENTS: tuple[Ranking, ...] = ("gradient", "group gradient")


def criteria_overlap(
    model: nn.Module,
    data: BiasedDataset,
    context: ProbeContext,
    *,
    fractions: tuple[float, ...] = (0.01, 0.05, 0.1),
    within: tuple[str, ...] = ("!head",),
    linear: Linear = "units",
    split: str = "test",
    pool: Annotated[int, Range(1, 1_000_000)] = 256,
    batch: Annotated[int, Range(1, 1_000_000)] = 128,
    loss: Loss = "cross_entropy",
) -> Table:
    """Count the top neurons by magnitude that are also the top ones by gradient, against chance.

    Chance: two sets of that size drawn from all neurons (hypergeometric), or layer by layer with each criterion's own
    numbers. Criteria that merely prefer the same layers agree by the first and not by the second. p: of at least as
    many.
    """
    network = Network.of(model, context, within, split, linear, loss)
    magnitude = network.scores(None)
    total = sum(len(score) for score in magnitude.values())
    rows: list[tuple[str, str, int, int, float, float, float, float]] = []
    for ranking in GRADIENTS:
        for group, examples in ranking_examples(ranking, network, split, None, pool, batch).items():
            slopes = network.scores(examples)
            name = "hard training examples" if group is None else network.before.group_names[group]
            rows += [(name, f"{100 * share:g} %", *overlap(magnitude, slopes, share)) for share in fractions]
    kinds = {"gradient of": "text", "top": "text", "neurons": "count", "shared": "count"}
    kinds |= dict.fromkeys(("expected", "p", "expected by layers", "p by layers"), "number")
    columns = zip(*rows, strict=True) if rows else [()] * len(kinds)
    table = {name: (kind, "", tuple(values)) for (name, kind), values in zip(kinds.items(), columns, strict=True)}
    return Table(table, f"Top neurons by magnitude that are also top by gradient, of {total}. Split: {split}.")


def overlap(
    one: Mapping[str, Tensor], other: Mapping[str, Tensor], fraction: float
) -> tuple[int, int, float, float, float, float]:
    """Neurons in the top fraction, those that both scores have there, and (expected, p) by network and by layers."""
    ones, others = (set(ranked(scores, 0, fraction)) for scores in (one, other))
    shared = len(ones & others)
    layered = [
        (len(score), sum(name == layer for name, _ in ones), sum(name == layer for name, _ in others))
        for layer, score in one.items()
    ]
    total = sum(len(score) for score in one.values())
    whole = chance([(total, len(ones), len(others))], shared)
    return len(ones), shared, *whole, *chance(layered, shared)


def chance(parts: Sequence[tuple[int, int, int]], shared: int) -> tuple[float, float]:
    """(expected, P(at least `shared`)) of the overlap of two random sets, drawn part by part.

    parts: (neurons, those in one set, those in the other) of each; the overlap of one part is hypergeometric.
    """
    import numpy as np
    from scipy.stats import hypergeom

    density = np.ones(1)
    for total, one, other in parts:
        density = np.convolve(density, hypergeom.pmf(np.arange(min(one, other) + 1), total, one, other))
    expected = math.fsum(one * other / total for total, one, other in parts)
    return expected, float(min(1.0, density[shared:].sum()))
