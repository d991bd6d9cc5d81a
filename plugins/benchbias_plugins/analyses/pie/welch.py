"""Welch's t test of class recalls that are shifted by accuracy (Hooker et al., 2019), and Holm's method."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.stats import ttest_ind

from benchbias import Estimate

if TYPE_CHECKING:
    from .models import Array, Models

Shift = Literal["model", "population_as_published"]
LEVEL = 0.05
ROUNDING = 1e-12  # recalls that differ by less are equal


@dataclass(frozen=True, eq=False)
class Welch:
    """Welch's test of every class, (K,): difference of means, its standard error, degrees of freedom, two-sided p.

    p and freedom are NaN where neither population has any spread (the test does not apply) or the class is empty.
    """

    mean: Array
    error: Array
    freedom: Array
    p: Array
    models: int

    def estimate(self, which: int) -> Estimate | None:
        """The difference of one class in points; without an interval where there is no spread, None where undefined."""
        if np.isnan(self.mean[which]):
            return None
        if np.isnan(self.freedom[which]):
            return Estimate.of(100 * self.mean[which], None, None, self.models)
        return Estimate.of(100 * self.mean[which], 100 * self.error[which], float(self.freedom[which]), self.models)


def welch(dense: Array, pruned: Array) -> Welch:
    """The means of `pruned` (T, K) minus those of `dense` (S, K), over models."""
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # SciPy, of samples without spread
        tested = ttest_ind(pruned, dense, axis=0, equal_var=False)
    flat = (np.ptp(dense, axis=0) <= ROUNDING) & (np.ptp(pruned, axis=0) <= ROUNDING)
    error = np.sqrt(dense.var(axis=0, ddof=1) / len(dense) + pruned.var(axis=0, ddof=1) / len(pruned))
    freedom, p = (np.where(flat, np.nan, value) for value in (tested.df, tested.pvalue))
    return Welch(pruned.mean(axis=0) - dense.mean(axis=0), error, freedom, p, len(dense) + len(pruned))


def shifted(models: Models, shift: Shift) -> Array:
    """Recalls (S, K) minus each model's own accuracy or, as published, minus the mean accuracy of the population."""
    accuracy = models.accuracy
    return models.recalls - (accuracy[:, None] if shift == "model" else accuracy.mean())


def holm(p: Array) -> Array:
    """P-values adjusted for all that are not NaN, (K,) (Holm, 1979)."""
    adjusted = np.full(len(p), np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1)
    return adjusted


def significant(tested: Welch) -> tuple[int, int]:
    """How many classes are significant at 5 %: without and with Holm's method."""
    return int((tested.p <= LEVEL).sum()), int((holm(tested.p) <= LEVEL).sum())
