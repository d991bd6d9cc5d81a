"""DFR: retrain the last layer on group-balanced validation data (Kirichenko et al., ICLR 2023)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchbias import hookimpl

from .trainer import dfr

if TYPE_CHECKING:
    from collections.abc import Callable

IMPORTED_WHEN_CALLED = (
    "scipy.optimize",
    "scipy.special",
    "sklearn.exceptions",
    "sklearn.linear_model",
    "sklearn.multiclass",
    "sklearn.preprocessing",
)
"""Modules that its functions import, for an engine that does so once for all stages."""


@hookimpl
def benchbias_trainers() -> dict[str, Callable[..., None]]:
    return {"dfr": dfr}
