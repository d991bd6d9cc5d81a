"""Probes of critical neurons (You, Dai, Min et al., 2025, "The Silent Majority"): which groups a modification hurts.

Which neurons are critical, and by which norms, the pruners of the same name say.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from benchbias import hookimpl

from .overlap import criteria_overlap
from .probe import critical
from .rewinding import layer_rewinding

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchbias import Table


@hookimpl
def benchbias_probes() -> dict[str, Callable[..., Table]]:
    return {
        "critical_zero": functools.partial(critical, modification="zero"),
        "critical_init": functools.partial(critical, modification="init", sigma=(0.02, 0.15, 0.1)),
        "critical_noise": functools.partial(critical, modification="noise", sigma=(0.02, 0.01, 0.005)),
        "critical_layers": functools.partial(critical, modification="zero", scope="layer"),
        "layer_rewinding": layer_rewinding,
        "criteria_overlap": criteria_overlap,
    }
