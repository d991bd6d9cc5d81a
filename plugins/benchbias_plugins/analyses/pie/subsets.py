"""The analysis `pie_subsets`: are PIEs harder, and does pruning cost more on them, than on images like them?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np

from benchbias import Estimate, Range, Table

from .crossfit import CHANCE, PIE, SMALL, cross_fit
from .models import comparisons
from .modes import Ties

if TYPE_CHECKING:
    from numpy.random import Generator

    from benchbias import Population

    from .crossfit import Subset
    from .models import Array, Comparison, Indices

LEAST = 4
KINDS = {
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


def pie_subsets(
    population: Population,
    *,
    repeats: Annotated[int, Range(1, 10_000)] = 20,
    ties: Ties = "random",
    seed: int = 0,
) -> Table:
    """Accuracy of dense and of pruned models on PIEs, and on other images that PIEs are compared with.

    The seeds are split in halves at random, `repeats` times. One half (of both rows) chooses the PIEs and what is like
    them, the other half is scored on them, and the other way round: no model is scored on what it helped to choose.
    Every model's accuracy is averaged over the splits that scored it, twins of one seed are paired, and intervals are
    over models and images, for with other models other images would be PIEs. random: as many images of all.
    entropy-matched: as many other images of the nearest entropy of the mean softmax of the choosing dense models.
    accuracy-matched: of the nearest share of the choosing dense models that are right. PIE harder: accuracy on the
    subset minus that on the PIEs. PIE change beyond: pruned minus dense on the PIEs, minus the same on the subset. A/A
    PIE of quarters: images on which two quarters of the dense models differ, which is chance; beside it stand not the
    PIEs, but those of a dense and a pruned quarter.
    """
    lines = [
        line
        for compared in comparisons(population, LEAST)
        for line in _lines(compared.twins(LEAST), repeats, ties, np.random.default_rng(seed))
    ]
    columns = {name: (*kind, tuple(line[place] for line in lines)) for place, (name, kind) in enumerate(KINDS.items())}
    return Table(
        columns,
        f"PIEs chosen by one half of the models and scored by the other, both ways, over {repeats} random splits. "
        "Intervals are over models (pairs of one seed) and test images. PIE harder: accuracy on the subset minus that "
        "on the PIEs; PIE change beyond: the change on the PIEs minus that on the subset. A/A PIE of quarters: images "
        "on which two quarters of the dense models differ, beside the PIEs of a dense and a pruned quarter.",
    )


def _lines(twins: Comparison, repeats: int, ties: Ties, numbers: Generator) -> list[list[object]]:
    found = cross_fit(twins, repeats, ties, numbers)
    cluster = twins.dense_members[0].predictions["test"].cluster.numpy()
    lines = list[list[object]]()
    for name, subset in found.items():
        beside: list[Estimate | None] = [None] * 3
        if name not in (PIE, SMALL):
            pie = found[SMALL if name == CHANCE else PIE]
            signs = ((1.0, 0.0), (0.0, 1.0), (1.0, -1.0))  # of the subset's dense and pruned accuracy, minus the PIEs'
            beside = [over_models_and_images(((subset, one), (pie, _minus(one))), cluster) for one in signs]
        own = [over_models_and_images(((subset, one),), cluster) for one in ((1.0, 0.0), (0.0, 1.0), (-1.0, 1.0))]
        told = (subset.images, subset.entropy, subset.easy)
        lines.append([twins.row, twins.baseline, name, *told, *own, *beside])
    return lines


Signs = tuple[float, float]


def _minus(signs: Signs) -> Signs:
    return -signs[0], -signs[1]


def over_models_and_images(parts: tuple[tuple[Subset, Signs], ...], cluster: Indices) -> Estimate | None:
    """The sum of accuracies on subsets, dense and pruned, each times its sign; cluster (N,): of the images.

    The variance is s^2 / S + v: s^2 between models (pairs of one seed), v from the draw of image clusters at these
    models, as of a ratio; Student's t with Satterthwaite's degrees of freedom. It is conservative: what is of one model
    and one image counts in both. None if no model was scored on one of the subsets.
    """
    values: Array = sum((np.array(signs) @ subset.accuracy for subset, signs in parts), start=np.zeros(1))  # (S,)
    values = values[~np.isnan(values)]
    if len(values) == 0:
        return None
    influence: Array = sum((np.array(signs) @ subset.influence for subset, signs in parts), start=np.zeros(1))  # (N,)
    used = np.any([subset.weights > 0 for subset, _ in parts], axis=0)
    _, which = np.unique(cluster[used], return_inverse=True)
    by_cluster = np.bincount(which, influence[used])
    models, clusters = len(values), len(by_cluster)
    if models < 2 or clusters < 2:
        return Estimate.of(float(values.mean()), None, None, models)
    over_models = values.var(ddof=1) / models
    over_images = clusters / (clusters - 1) * float(np.square(by_cluster).sum())
    variance = over_models + over_images
    spread = over_models**2 / (models - 1) + over_images**2 / (clusters - 1)
    freedom = variance**2 / spread if spread > 0 else models - 1
    return Estimate.of(float(values.mean()), float(np.sqrt(variance)), float(freedom), models)
