"""Do the two criteria find the same neurons? Their overlap against chance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

from benchbias import Range, Table

from .examples import Loss
from .network import Network, Ranking, ranking_examples
from .neurons import Linear, ranked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

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
    """How many of the top neurons by magnitude are also the top ones by gradient, against chance.

    Chance: two sets of that size drawn from all neurons (hypergeometric), or layer by layer with each criterion's own
    numbers: criteria that merely prefer the same layers agree by the first and not by the second. p: of at least as
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
            for fraction in fractions:
                one, other = (set(ranked(score, 0, fraction, "network")) for score in (magnitude, slopes))
                shared = len(one & other)
                layered = [
                    (len(score), sum(n == layer for n, _ in one), sum(n == layer for n, _ in other))
                    for layer, score in magnitude.items()
                ]
                chances = [chance([(total, len(one), len(other))], shared), chance(layered, shared)]
                rows.append((name, f"{100 * fraction:g} %", len(one), shared, *chances[0], *chances[1]))
    kinds = {"gradient of": "text", "top": "text", "neurons": "count", "shared": "count"}
    kinds |= dict.fromkeys(("expected", "p", "expected by layers", "p by layers"), "number")
    columns = zip(*rows, strict=True) if rows else [()] * len(kinds)
    table = {name: (kind, "", tuple(values)) for (name, kind), values in zip(kinds.items(), columns, strict=True)}
    return Table(table, f"Top neurons by magnitude that are also top by gradient, of {total}. Split: {split}.")


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
