"""Critical neurons (You, Dai, Min et al., 2025, "The Silent Majority"): found, pruned, and put to the question.

A neuron is critical by the norm of its weights, ||z_i||_2, or of their gradient, ||dL/dz_i||_2.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from benchbias import hookimpl

from .overlap import criteria_overlap
from .probe import critical
from .pruner import critical_neurons
from .rewinding import layer_rewinding

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchbias import Mask, Scores, Table


@hookimpl
def benchbias_pruners() -> dict[str, Callable[..., Scores | Mask]]:
    return {
        "critical_magnitude": functools.partial(critical_neurons, criterion="magnitude"),
        "critical_gradient": functools.partial(critical_neurons, criterion="gradient"),
    }


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
