"""The analysis `pie_subsets`: are PIEs harder, and does pruning cost more on them, than on examples like them?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch

from benchbias import Estimate, Range, Table, estimate

from .matching import entropy, nearest
from .models import comparisons
from .modes import Modes, Ties, tie_order
from .splits import halves

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from benchbias import Population

    from .models import Array, Comparison, Indices

LEAST = 4
PIE = "PIE"
SMALL = "PIE of quarters"
CHANCE = "A/A PIE of quarters"
SUBSETS = ("all", PIE, "non-PIE", "random", "entropy-matched", "accuracy-matched", SMALL, CHANCE)


@dataclass(frozen=True, eq=False)
class Subset:
    """Accuracy on it of every seed's two models, (2, S) in %, dense first; NaN for a seed that was never scored.

    weights (N,): the share of each image in it; images, entropy, easy: its size, and what the choosing dense models
    say of it; all in mean over the choices.
    """

    accuracy: Array
    weights: Array
    images: float
    entropy: float
    easy: float


def pie_subsets(
    population: Population,
    *,
    repeats: Annotated[int, Range(1, 10_000)] = 20,
    ties: Ties = "random",
    seed: int = 0,
) -> Table:
    """Accuracy of dense and of pruned models on PIEs, and on other images beside which PIEs are put.

    The seeds are split in halves at random, `repeats` times. One half (of both rows) chooses the PIEs and what is like
    them, the other half is scored on them, and the other way round: no model is scored on what it helped to choose.
    What is scored is the model: its accuracies are averaged over the splits, and intervals are over models at these
    test images. Twins of one seed are paired. random: as many images of all. entropy-matched: as many other images of
    the nearest entropy of the mean softmax of the choosing dense models. accuracy-matched: of the nearest share of the
    choosing dense models that are right. PIE harder: accuracy on the subset minus that on the PIEs. PIE change beyond:
    pruned minus dense on the PIEs, minus the same on the subset. A/A PIE of quarters: images on which two quarters of
    the dense models differ, which is chance; beside it stand not the PIEs, but those of a dense and a pruned quarter.
    """
    lines = [
        line
        for compared in comparisons(population, LEAST)
        for line in _lines(compared.twins(LEAST), repeats, ties, np.random.default_rng(seed))
    ]
    kinds = {
        "row": ("text", ""),
        "baseline": ("text", ""),
        "subset": ("text", ""),
        "images": ("number", ""),
        "entropy": ("number", "nats"),
        "choosers' accuracy": ("fraction", ""),
        "accuracy dense": ("estimate", "%"),
        "accuracy pruned": ("estimate", "%"),
        "change": ("estimate", "points"),
        "PIE harder, dense": ("estimate", "points"),
        "PIE harder, pruned": ("estimate", "points"),
        "PIE change beyond": ("estimate", "points"),
    }
    columns = {name: (*kind, tuple(line[place] for line in lines)) for place, (name, kind) in enumerate(kinds.items())}
    return Table(
        columns,
        f"PIEs chosen by one half of the models and scored by the other, both ways, over {repeats} random splits. "
        "Intervals are over models (pairs of one seed) at these test images. PIE harder: accuracy on the subset minus "
        "that on the PIEs; PIE change beyond: the change on the PIEs minus that on the subset. A/A PIE of quarters: "
        "images on which two quarters of the dense models differ, beside the PIEs of a dense and a pruned quarter.",
    )


def _lines(twins: Comparison, repeats: int, ties: Ties, numbers: Generator) -> list[list[object]]:
    found = cross_fit(twins, repeats, ties, numbers)
    lines = list[list[object]]()
    for name, subset in found.items():
        dense, pruned = subset.accuracy
        pie = found[SMALL if name == CHANCE else PIE].accuracy
        beside = (dense - pie[0], pruned - pie[1], (pie[1] - pie[0]) - (pruned - dense))
        lines.append(
            [
                *(twins.row, twins.baseline, name, subset.images, subset.entropy, subset.easy),
                *(_over(values) for values in (dense, pruned, pruned - dense)),
                *(_over(values) if name not in (PIE, SMALL) else None for values in beside),
            ]
        )
    return lines


def _over(values: Array) -> Estimate | None:
    return estimate(values[~np.isnan(values)].tolist())


def cross_fit(twins: Comparison, repeats: int, ties: Ties, numbers: Generator) -> dict[str, Subset]:
    """Every subset, scored by the models that did not choose it. Where there is no PIE, none is scored."""
    seeds = len(twins.dense.seeds)
    right = np.stack([twins.dense.correct, twins.pruned.correct])  # (2, S, N)
    sure = probabilities(twins)
    accuracy = np.full((len(SUBSETS), 2 * repeats, 2, seeds), np.nan)
    told = np.full((len(SUBSETS), 2 * repeats, 3), np.nan)
    weights = np.zeros((len(SUBSETS), right.shape[2]))
    for repeat in range(repeats):
        one, other = halves(seeds, numbers)
        for way, (choosing, scoring) in enumerate(((one, other), (other, one))):
            uncertain, easy = entropy(sure[choosing]), right[0, choosing].mean(axis=0)
            order = tie_order(ties, len(easy), twins.dense.classes, numbers)
            pie = Modes.of(twins.dense.only(choosing), twins.pruned.only(choosing), order).pie
            chosen = subsets(pie, uncertain, easy, numbers) | of_quarters(twins, choosing, order)
            for place, name in enumerate(SUBSETS):
                items = chosen[name]
                if pie.any() and len(items):
                    run = 2 * repeat + way
                    accuracy[place, run][:, scoring] = 100 * right[:, scoring][:, :, items].mean(axis=2)
                    weights[place, items] += 1 / len(items)
                    told[place, run] = len(items), uncertain[items].mean(), easy[items].mean()
    by_seed, by_subset = _mean_of_runs(accuracy), _mean_of_runs(told)
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1)  # each choice adds up to 1
    return {
        name: Subset(by_seed[place], weights[place], *by_subset[place].tolist()) for place, name in enumerate(SUBSETS)
    }


def _mean_of_runs(values: Array) -> Array:
    """Over the second axis, without NaN."""
    with np.errstate(invalid="ignore"):
        found: Array = np.nansum(values, axis=1) / (~np.isnan(values)).sum(axis=1)
    return found


def subsets(pie: NDArray[np.bool_], uncertain: Array, easy: Array, numbers: Generator) -> dict[str, Indices]:
    """The images of every subset, by what the choosing models say of all N: each argument is (N,)."""
    pies, others = np.flatnonzero(pie), np.flatnonzero(~pie)
    return {
        "all": np.arange(len(pie)),
        PIE: pies,
        "non-PIE": others,
        "random": numbers.choice(len(pie), len(pies), replace=False),
        "entropy-matched": nearest(uncertain, pies, others, numbers),
        "accuracy-matched": nearest(easy, pies, others, numbers),
    }


def of_quarters(twins: Comparison, choosing: Indices, order: Array) -> dict[str, Indices]:
    """Images on which a quarter of the dense models differs from the other, of the pruned and of the dense ones."""
    size = len(choosing) // 2
    dense, other = twins.dense.only(choosing[:size]), choosing[size : 2 * size]
    return {
        name: np.flatnonzero(Modes.of(dense, models.only(other), order).pie)
        for name, models in ((SMALL, twins.pruned), (CHANCE, twins.dense))
    }


def probabilities(twins: Comparison) -> NDArray[np.float32]:
    """The dense models' softmax, (S, N, K)."""
    found = [torch.softmax(member.predictions["test"].logits, dim=1).numpy() for member in twins.dense_members]
    return np.stack(found)
