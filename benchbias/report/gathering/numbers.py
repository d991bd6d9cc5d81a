"""Estimates and other values as JSON that JavaScript reads."""

from __future__ import annotations

import math
from typing import Any

from benchbias.statistics.estimates import Estimate

DECIMALS = 9


def rounded(value: float | None) -> float | None:
    """A number with at most nine decimals; None for none, and for what JSON has no number for."""
    return None if value is None or not math.isfinite(value) else round(float(value), DECIMALS)


def estimate_json(value: Estimate | None) -> dict[str, Any] | None:
    """An estimate: mean, n, and the bounds of its 95 % interval where it has one.

    examplesOnly: fewer than three seeds, so that the interval is of the test examples alone, for these networks.
    """
    if value is None:
        return None
    known = value.half_width is not None
    return {
        "mean": rounded(value.mean),
        "low": rounded(value.lower),
        "high": rounded(value.upper),
        "n": value.n,
        "examplesOnly": known and not value.over_seeds,
    }
