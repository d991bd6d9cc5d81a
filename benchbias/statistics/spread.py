"""Means over seeds of many rows at once, with the spread of the seeds and of the test examples. No torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchbias.statistics import behrens_fisher

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEVEL = 0.95
FEWEST_SEEDS = 3  # of an interval over seeds, a p-value, a rank


@dataclass(frozen=True, eq=False)
class Spread:
    """An Estimate for many rows at once: arrays of one shape (...); clusters: None where they are not known."""

    mean: NDArray[Any]
    sd: NDArray[Any]
    standard_error: NDArray[Any]
    freedom: NDArray[Any]
    from_seeds: NDArray[Any]
    seeds: int
    example_freedom: NDArray[Any] | float
    clusters: NDArray[Any] | None = None

    @property
    def half_width(self) -> NDArray[Any]:
        """Half the width of the 95 % interval; NaN where there is none."""
        import numpy as np

        with np.errstate(divide="ignore", invalid="ignore"):
            share = self.from_seeds / self.standard_error**2
        seeds = self.seeds - 1.0 if self.seeds >= FEWEST_SEEDS else math.inf
        critical = behrens_fisher.quantile(share, seeds, self.example_freedom, (1 + LEVEL) / 2)
        half: NDArray[Any] = critical * self.standard_error
        return half


def spread(
    values: NDArray[Any], from_examples: float | NDArray[Any] = 0.0, clusters: float | NDArray[Any] = 2
) -> Spread:
    """Means over the last axis, (..., S) -> (...), with their intervals.

    The variance is s^2 / S + v: s^2 between seeds (S - 1), v = from_examples, a number or (...), the variance from
    the draw of test examples, estimated from so many clusters. The degrees of freedom are Satterthwaite's (1946);
    intervals add both errors as they are. The sum is conservative: seeds with disjoint test examples (the folds of a
    cross-fitting) differ by their examples too, which s^2 holds already. Below three seeds v alone counts. Without
    any variance there is no interval.
    """
    import numpy as np

    first, seeds = values[..., :1], values.shape[-1]
    mean = first[..., 0] + (values - first).mean(axis=-1)  # exact where all values are equal
    with np.errstate(divide="ignore", invalid="ignore"):
        between = np.square(values - mean[..., None]).sum(axis=-1) / np.float64(seeds - 1)
        shared = np.asarray(from_examples, dtype=float)
        examples = np.where(np.asarray(clusters) > 1, np.asarray(clusters, dtype=float) - 1, np.nan)
        examples = np.where(shared == 0, np.inf, examples)
        from_seeds = between / seeds if seeds >= FEWEST_SEEDS else np.zeros_like(mean)
        variance = from_seeds + shared
        freedom = variance**2 / (from_seeds**2 / np.float64(max(seeds - 1, 1)) + shared**2 / examples)
    error = np.sqrt(variance)
    freedom = np.where(variance == 0, seeds - 1, freedom)
    return Spread(mean, np.sqrt(between), error, freedom, from_seeds, seeds, examples)
