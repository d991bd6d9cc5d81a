"""Subsets of test images, chosen by one half of the models and scored by the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import softmax

from .matching import entropy, nearest
from .modes import Modes, Ties, tie_order
from .splits import halves

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from .models import Array, Comparison, Indices

PIE = "PIE"
SMALL = "PIE of quarters"
CHANCE = "A/A PIE of quarters"
SUBSETS = ("all", PIE, "non-PIE", "random", "entropy-matched", "accuracy-matched", SMALL, CHANCE)


@dataclass(frozen=True, eq=False)
class Subset:
    """One subset, in mean over the choices; of arrays (2, ...) the first is of dense models, the second of pruned ones.

    accuracy (2, S): of every seed's models, in %; NaN for a seed that was never scored. weights (N,): the share of each
    image in it. influence (2, N): what each image adds to the mean accuracy, to first order. images, entropy, easy:
    its size, and what the choosing dense models say of it.
    """

    accuracy: Array
    weights: Array
    influence: Array
    images: float
    entropy: float
    easy: float


def cross_fit(twins: Comparison, repeats: int, ties: Ties, numbers: Generator) -> dict[str, Subset]:
    """Every subset, scored by the models that did not choose it. Where there is no PIE, none is scored."""
    seeds, sure = len(twins.dense.seeds), probabilities(twins)
    right = 100 * np.stack([twins.dense.correct, twins.pruned.correct]).astype(float)  # (2, S, N)
    examples = right.shape[2]
    accuracy = np.full((len(SUBSETS), 2 * repeats, 2, seeds), np.nan)
    told = np.full((len(SUBSETS), 2 * repeats, 3), np.nan)
    weights, parts = np.zeros((len(SUBSETS), 1, examples)), np.zeros((len(SUBSETS), 2, examples))
    for repeat in range(repeats):
        one, other = halves(seeds, numbers)
        for way, (choosing, scoring) in enumerate(((one, other), (other, one))):
            run, uncertain, easy = 2 * repeat + way, entropy(sure[choosing]), right[0, choosing].mean(axis=0) / 100
            chosen = _chosen(twins, choosing, uncertain, easy, ties, numbers)
            for place, name in enumerate(SUBSETS):
                items = chosen[name]
                if len(chosen[PIE]) and len(items):
                    scores = right[:, scoring][:, :, items]
                    accuracy[place, run][:, scoring] = scores.mean(axis=2)
                    parts[place][:, items] += scores.mean(axis=1) / len(items)
                    weights[place][:, items] += 1 / len(items)
                    told[place, run] = len(items), uncertain[items].mean(), easy[items].mean()
    runs = np.maximum(weights.sum(axis=2, keepdims=True), 1)  # in which a subset was scored: each adds up to 1
    weights, parts = weights / runs, parts / runs
    influence = parts - weights * parts.sum(axis=2, keepdims=True)
    by_seed, by_subset = _mean_of_runs(accuracy), _mean_of_runs(told)
    return {
        name: Subset(by_seed[place], weights[place, 0], influence[place], *by_subset[place].tolist())
        for place, name in enumerate(SUBSETS)
    }


def _mean_of_runs(values: Array) -> Array:
    """The mean over the second axis, without NaN."""
    with np.errstate(invalid="ignore"):
        found: Array = np.nansum(values, axis=1) / (~np.isnan(values)).sum(axis=1)
    return found


def _chosen(
    twins: Comparison, choosing: Indices, uncertain: Array, easy: Array, ties: Ties, numbers: Generator
) -> dict[str, Indices]:
    order = tie_order(ties, len(easy), twins.dense.classes, numbers)
    pie = Modes.of(twins.dense.only(choosing), twins.pruned.only(choosing), order).pie
    return subsets(pie, uncertain, easy, numbers) | of_quarters(twins, choosing, order)


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
    return np.stack([softmax(member.predictions["test"].logits.numpy(), axis=1) for member in twins.dense_members])
