"""DFR: retrain the last layer on group-balanced validation data (Kirichenko et al., ICLR 2023)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchbias import hookimpl

from .trainer import dfr

if TYPE_CHECKING:
    from collections.abc import Callable


@hookimpl
def benchbias_trainers() -> dict[str, Callable[..., None]]:
    return {"dfr": dfr}
