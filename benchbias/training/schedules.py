"""Learning rates of a recipe's schedule, step by step: the very floats of torch's schedulers, without their cost."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchbias.suite.tables import Recipe

WARM_UP = 0.2  # fraction of the steps in which onecycle raises the learning rate
HALVINGS = (0.4, 0.6, 0.8)  # fractions of the steps after which `halving` halves it (DisEnt: 20, 30, 40 of 50 thousand)
FIRST = 25.0  # the peak over the first rate of onecycle, as torch has it
LAST = 1e4  # and the first over the last


def learning_rates(recipe: Recipe, steps: int) -> Iterator[float]:
    """The rate of each of `steps` optimizer steps, at least one; of `plateau` that of the first epoch, for ever.

    Each is made by the same operations as in torch.optim.lr_scheduler, in the same order: cosine and drops go from
    rate to rate, onecycle has a closed form.
    """
    if recipe.schedule == "cosine":
        return _cosine(recipe.lr, steps)
    if recipe.schedule == "onecycle":
        return _one_cycle(recipe.lr, steps)
    if recipe.schedule == "halving":
        return _dropping(recipe.lr, steps, HALVINGS, 0.5)
    if recipe.schedule == "steps":
        return _dropping(recipe.lr, steps, recipe.drops, recipe.drop_factor)
    return itertools.repeat(recipe.lr)


def _cosine(rate: float, steps: int) -> Iterator[float]:
    yield rate
    before = 1 + math.cos(0.0)
    for step in range(1, steps):
        now = 1 + math.cos(math.pi * step / steps)
        rate = now / before * rate
        before = now
        yield rate


def _dropping(rate: float, steps: int, drops: Iterable[float], factor: float) -> Iterator[float]:
    """A rate that is multiplied by the factor after each of these fractions of the steps."""
    times = Counter(round(at * steps) for at in drops)
    for step in range(steps):
        if step in times:
            rate *= factor ** times[step]
        yield rate


def _one_cycle(peak: float, steps: int) -> Iterator[float]:
    """A rise by half a cosine, and a fall by another to almost nothing (Smith and Topin, 2017)."""
    total = steps + 1  # one more than there are: torch's scheduler is stepped once after the last step
    warm_up = max(WARM_UP, 1.5 / total)  # torch divides by zero where the warm-up is exactly one step
    first = peak / FIRST
    last = first / LAST
    top = float(warm_up * total) - 1
    for step in range(steps):
        if step <= top:
            yield _between(first, peak, step / top)
        else:
            yield _between(peak, last, (step - top) / (total - 1 - top))


def _between(start: float, end: float, gone: float) -> float:
    return end + (start - end) / 2.0 * (math.cos(math.pi * gone) + 1)
