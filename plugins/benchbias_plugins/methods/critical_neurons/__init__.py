"""Critical neurons (You, Dai, Min et al., 2025, "The Silent Majority"): found by two criteria, and removed.

A neuron is critical by the norm of its weights, ||z_i||_2, or of their gradient, ||dL/dz_i||_2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchbias import hookimpl

from .gradient import critical_gradient, critical_gradient_counted
from .magnitude import critical_magnitude, critical_magnitude_counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchbias import Mask, Scores


@hookimpl
def benchbias_pruners() -> dict[str, Callable[..., Scores | Mask]]:
    return {
        "critical_magnitude": critical_magnitude,
        "critical_magnitude_counted": critical_magnitude_counted,
        "critical_gradient": critical_gradient,
        "critical_gradient_counted": critical_gradient_counted,
    }
