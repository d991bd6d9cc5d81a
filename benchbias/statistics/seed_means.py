"""Means over seeds of many rows at once, each with its own seeds: the same numbers as `spread_over_seeds`. No torch.

A board has ten estimates a row, and a call of numpy costs as much for one row as for a hundred. Rows that are alike
(equal numbers of seeds, equal test splits) are therefore stacked. Sums are over the last axis, so that each row's
are added in the order in which they would be added alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchbias.statistics import behrens_fisher
from benchbias.statistics.bounds import least_variance
from benchbias.statistics.influence import Measured, drawn_clusters, variance_of_draw
from benchbias.statistics.spread import FEWEST_SEEDS, LEVEL

if TYPE_CHECKING:
    from numpy.typing import NDArray

BIAS_ERROR = 0.5  # standard error of the bias of a least, as a share of it: what is found is between half and all
AT_ONCE = 4_000_000  # numbers of influences that are stacked at once


@dataclass(frozen=True)
class SeedMean:
    """A mean over the seeds of one row: the parts of an Estimate that are not the mean itself.

    Names as in `spread.Spread`. half_width: NaN where there is no interval. clusters: None where they are not known.
    """

    sd: float
    standard_error: float
    freedom: float
    from_seeds: float
    example_freedom: float
    half_width: float
    clusters: float | None


def seed_means(rows: Sequence[Sequence[Measured]]) -> list[SeedMean]:
    """The mean over seeds of each row, in the order given; a row has at least one seed, and numbers for values.

    The intervals of a row where a seed has no influence are of seeds alone.
    """
    found: dict[int, SeedMean] = {}
    for places in _alike(rows):
        found |= zip(places, _stacked([rows[at] for at in places]), strict=True)
    return [found[at] for at in range(len(rows))]


def _alike(rows: Sequence[Sequence[Measured]]) -> Iterator[list[int]]:
    """Places of rows that can be stacked, no more at once than memory holds."""
    groups: dict[object, list[int]] = {}
    for place, row in enumerate(rows):
        influences = [one.influence for one in row if one.influence is not None]
        same = [id(one.cluster) for one in influences] if len(influences) == len(row) else []
        groups.setdefault((len(row), row[0].bounds, *same), []).append(place)
    for places in groups.values():
        one = rows[places[0]]
        size = sum(1 if seed.influence is None else len(seed.influence.cluster) for seed in one)
        step = max(1, AT_ONCE // max(1, size))
        yield from (places[start : start + step] for start in range(0, len(places), step))


def _stacked(rows: Sequence[Sequence[Measured]]) -> Iterator[SeedMean]:
    """The means of rows that are alike."""
    import numpy as np

    seeds, bias = len(rows[0]), np.array([[float(one.bias) for one in row] for row in rows])  # (R, S)
    values = np.array([[float(one.value) for one in row] for row in rows]) - bias
    shared, clusters = np.zeros(len(rows)), None
    if all(one.influence is not None for row in rows for one in row):
        clusters = _deciding_clusters(rows)
        doubt = np.square(BIAS_ERROR * (sum(bias.T) / seeds))
        least = [least_variance(rows[0][0].bounds, one) for one in clusters]  # one by one: numpy's squares differ
        shared = _from_examples(rows) + np.array(least) + doubt
    mean = values[:, 0] + (values - values[:, :1]).mean(axis=-1)  # exact where all values are equal
    with np.errstate(divide="ignore", invalid="ignore"):
        between = np.square(values - mean[:, None]).sum(axis=-1) / np.float64(seeds - 1)
        examples = np.full(len(rows), 1.0) if clusters is None else np.where(clusters > 1, clusters - 1, np.nan)
        examples = np.where(shared == 0, np.inf, examples)
        from_seeds = between / seeds if seeds >= FEWEST_SEEDS else np.zeros(len(rows))
        variance = from_seeds + shared
        freedom = _powers(variance) / (
            _powers(from_seeds) / np.float64(max(seeds - 1, 1)) + np.square(shared) / examples
        )
        freedom = np.where(variance == 0, seeds - 1, freedom)
        error = np.sqrt(variance)
        share = from_seeds / _powers(error)
    columns = (np.sqrt(between), error, freedom, from_seeds, examples, share)
    for number, (sd, wide, free, own, images, part) in enumerate(zip(*map(np.ndarray.tolist, columns), strict=True)):
        within = seeds - 1.0 if seeds >= FEWEST_SEEDS else math.inf
        half = behrens_fisher.one_quantile(part, within, images, (1 + LEVEL) / 2) * wide
        yield SeedMean(sd, wide, free, own, images, half, None if clusters is None else float(clusters[number]))


def _powers(values: NDArray[Any]) -> NDArray[Any]:
    """Squares (N,) as Python's `**` gives them, which in one of a thousand differ from `np.square` in the last bit."""
    import numpy as np

    return np.array([value**2 for value in values])


def _from_examples(rows: Sequence[Sequence[Measured]]) -> NDArray[Any]:
    """The variance of each mean from the draw of test examples, (R,), as `influence.example_variance`."""
    import numpy as np

    first = [one.influence for one in rows[0] if one.influence is not None]
    drawn = drawn_clusters(first)
    mean, places = np.zeros((len(rows), len(drawn))), dict[int, Any]()
    for seed, influence in enumerate(first):
        cluster = influence.cluster
        if id(cluster) not in places:
            places[id(cluster)] = np.searchsorted(drawn, cluster) if len(cluster) < len(drawn) else slice(None)
        values = np.array([row[seed].influence.value for row in rows])  # type: ignore[union-attr]
        mean[:, places[id(cluster)]] += values / len(first)
    return variance_of_draw(mean)


def _deciding_clusters(rows: Sequence[Sequence[Measured]]) -> NDArray[Any]:
    """The number of clusters that decide each mean, (R,), as `estimates.deciding_clusters`."""
    import numpy as np

    first = [one.influence for one in rows[0] if one.influence is not None]
    each = sum(len(one.cluster) for one in first) / len(first)
    sizes = [[float(one.influence.clusters) for one in row if one.influence is not None] for row in rows]
    found: NDArray[Any] = np.array(sizes).mean(axis=-1) * len(drawn_clusters(first)) / each
    return found
