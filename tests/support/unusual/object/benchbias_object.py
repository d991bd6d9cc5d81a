"""Hooks that are methods of an object; its component is an object, too."""

from __future__ import annotations

from typing import Literal

from benchbias import hookimpl


class Sized:
    """Score every weight by a power of its size: a callable object."""

    def __init__(self, power: float) -> None:
        self.power = power

    def __call__(self, model, data, context, *, sign: Literal["both", "plus"] = "both"):
        weights = {name: weight.detach() for name, weight in context.prunable(model).items()}
        return {name: (w.abs() if sign == "both" else w.clamp(min=0)) ** self.power for name, w in weights.items()}


class Plugin:
    """Holds what the components share."""

    def __init__(self, power: float) -> None:
        self.held = Sized(power)

    @hookimpl
    def benchbias_pruners(self):
        return {"held": self.held}


PLUGIN = Plugin(2.0)
