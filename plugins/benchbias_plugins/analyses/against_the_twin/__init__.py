"""Against the twin: what a sparse or debiased row changes against its control of the same seed, by part of the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchbias import hookimpl

from .breaking import breaking_sparsity
from .changes import twin_changes
from .fairness import fairness
from .slope import disparity_slope

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchbias import Table


@hookimpl
def benchbias_analyses() -> dict[str, Callable[..., Table]]:
    return {
        "twin_changes": twin_changes,
        "breaking_sparsity": breaking_sparsity,
        "disparity_slope": disparity_slope,
        "fairness": fairness,
    }
