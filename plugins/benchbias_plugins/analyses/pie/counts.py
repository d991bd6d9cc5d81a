"""The analysis `pie_counts`: how many PIEs and significant classes there are, beside what chance alone gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np

from benchbias import Estimate, Range, Table

from .chance import ESTIMATED, Counted, Counting, excess, exchange_p, over_blocks
from .models import comparisons
from .modes import Ties
from .splits import halves
from .welch import Shift

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchbias import Population

    from .models import Comparison

LEAST = 4  # models: two halves of two
NUMBERS = {"PIEs": "pies", "pruned right": "pruned_right", "dense right": "dense_right", "neither": "neither"}


@dataclass(frozen=True)
class Line:
    """A line of the table: the models of one side, all counts (None where they are differences), estimates, p."""

    compared: str
    models: int
    counts: Counted | None
    estimates: Sequence[Estimate]
    p: Sequence[float | None] = (None, None)

    @staticmethod
    def mean(compared: str, models: int, found: Sequence[Counted], p: Sequence[float | None] = (None, None)) -> Line:
        """The mean of several splits, without an interval."""
        mean = Counted(*(float(value) for value in np.mean(found, axis=0)))
        return Line(compared, models, mean, [Estimate.of(getattr(mean, one), None, None, 1) for one in ESTIMATED], p)


def pie_counts(
    population: Population,
    *,
    repeats: Annotated[int, Range(1, 10_000)] = 20,
    block: Annotated[int, Range(4, 1000)] = 6,
    exchanges: Annotated[int, Range(0, 100_000)] = 200,
    ties: Ties = "random",
    shift: Shift = "model",
    seed: int = 0,
) -> Table:
    """Counts of test images that are PIEs and of classes that are significant, and how many of each are chance.

    all models: as published. halves: one half of the baseline's seeds against the other half of the row's. A/A halves:
    the same halves, both of the baseline, where all that is found is chance. Both are means over `repeats` random
    splits, which share their models: they have no interval. beyond A/A: in each of disjoint blocks of `block` seeds,
    one half of the row's against the baseline's other half, minus the A/A of the block, in mean over blocks: blocks
    are independent, so this has an interval, a wide one. Models of one seed stand on both sides in `all models` only.
    p: how often as many or more are found after the two models of each seed were exchanged at random, in `exchanges`
    trials: of classes, of their shifted recalls. ties: of modes, at random but alike in both populations, or to the
    largest class as published. shift: see `pie_classes`.
    """
    found = []
    for compared in comparisons(population, LEAST):
        counting = Counting(ties, shift, np.random.default_rng(seed))
        found += [(compared, line) for line in _lines(compared, repeats, block, exchanges, counting)]
    lines = [line for _, line in found]
    columns = {
        "row": ("text", "", tuple(compared.row for compared, _ in found)),
        "baseline": ("text", "", tuple(compared.baseline for compared, _ in found)),
        "compared": ("text", "", tuple(line.compared for line in lines)),
        "models": ("count", "", tuple(line.models for line in lines)),
        "PIE share": ("estimate", "%", tuple(line.estimates[0] for line in lines)),
        "p of PIEs": ("number", "", tuple(line.p[0] for line in lines)),
        **{name: ("number", "", _counts(lines, field)) for name, field in NUMBERS.items()},
        "classes tested": ("number", "", _counts(lines, "tested")),
        "significant classes": ("estimate", "", tuple(line.estimates[1] for line in lines)),
        "significant, Holm": ("estimate", "", tuple(line.estimates[2] for line in lines)),
        "p of classes": ("number", "", tuple(line.p[1] for line in lines)),
    }
    return Table(
        columns,
        f"PIEs: images whose modal labels differ; models: of each side. Halves: means over {repeats} random splits, "
        "which are not independent (no interval). Beyond A/A: differences from the baseline against itself, over "
        f"blocks of {block} seeds, in points and in classes; intervals over blocks at these test images. p: of as many "
        f"or more, of {exchanges} exchanges of the two models of each seed.",
    )


def _counts(lines: Sequence[Line], name: str) -> tuple[float | None, ...]:
    return tuple(None if line.counts is None else float(getattr(line.counts, name)) for line in lines)


def _lines(compared: Comparison, repeats: int, block: int, exchanges: int, counting: Counting) -> list[Line]:
    twins, both, chance = compared.twins(LEAST), [], []
    seeds = len(twins.dense.seeds)
    for _ in range(repeats):
        one, other = halves(seeds, counting.numbers)
        both.append(counting.count(twins.dense.only(one), twins.pruned.only(other)))
        chance.append(counting.count(twins.dense.only(one), twins.dense.only(other)))
    every = counting.count(compared.dense, compared.pruned)
    size = min(len(compared.dense.seeds), len(compared.pruned.seeds))
    lines = [
        Line.mean("all models", size, [every], exchange_p(twins, exchanges, counting)),
        Line.mean("halves", seeds // 2, both),
        Line.mean("A/A halves", seeds // 2, chance),
    ]
    half = block // 2
    if seeds // (2 * half) >= 2:
        beyond = [excess(twins, block, counting) for _ in range(repeats)]
        lines.append(Line("beyond A/A", half, None, over_blocks(np.array(beyond))))
    return lines
