"""Worlds of `interval_coverage.py`: test sets, accuracies of groups and spreads of seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from interval_scenarios import Scenario, logit_of

HARD = 1.5  # the spread of examples' difficulties, in logits
SEEDS = (3, 5, 10)  # the first so many of the drawn ones


def world(
    name: str, accuracies: Sequence[float], examples: int | Sequence[int], spread: float, **more: Any
) -> Scenario:
    """A scenario whose groups have these accuracies in mean over seeds and examples; spread: of seeds, in logits."""
    sizes = (examples,) * len(accuracies) if isinstance(examples, int) else tuple(examples)
    return Scenario(name, logits(accuracies, spread), sizes, SEEDS[-1], spread, HARD, **more)


def logits(accuracies: Sequence[float], spread: float) -> tuple[float, ...]:
    """The groups' logits that give these accuracies in mean over seeds and examples."""
    found = {accuracy: logit_of(accuracy, math.hypot(HARD, spread)) for accuracy in set(accuracies)}
    return tuple(found[accuracy] for accuracy in accuracies)


def evenly(low: float, high: float, number: int) -> tuple[float, ...]:
    """Accuracies at equal distances."""
    return tuple(low + (high - low) * at / (number - 1) for at in range(number))


WORST = (0.6, 0.8, 0.9, 0.95)
DIGITS = Scenario("4 groups of 200, 2 tied worst", (3.5, 3.5, -0.3, -0.3), (200,) * 4, 10, 0.5, HARD)
STILL = replace(DIGITS, name="4 tied groups of 200, little seed noise", logits=(2.0,) * 4, seed_spread=0.15)
FEW = Scenario("180 examples in the worst of 4 groups", (3.0, 3.0, 1.0, 0.8), (2000, 1500, 600, 180), 10, 0.2, 2.0)
FOLDS = replace(
    DIGITS,
    name="5 folds twice, 4 copies of an example in 2 groups",
    logits=(3.5, -0.3, -0.3, 3.5),
    examples=(900, 0, 900, 0),
    folds=5,
    in_groups=2,
    copies=4,
)
COLLAPSE = world("one seed in ten collapses, 4 groups of 180", WORST, 180, 0.25, collapse=0.1)

ROWS = (
    DIGITS,
    STILL,
    FEW,
    world("one worst of 4 groups of 180", WORST, 180, 0.25),
    world("one worst of 4 groups of 20", (0.5, 0.8, 0.9, 0.95), 20, 0.15),
    world("4 tied groups of 20", (0.7,) * 4, 20, 0.15),
    world("4 groups of 20 at 99 %", (0.99,) * 4, 20, 0.15),
    world("4 groups of 180 at 99.5 to 99.9 %", (0.995, 0.997, 0.999, 0.999), 180, 0.15),
    world("4 groups of 20, the worst two at 1 and 2 %", (0.01, 0.02, 0.99, 0.99), 20, 0.15),
    world("4 groups of 180, the worst two at 1 and 1.5 %", (0.01, 0.015, 0.99, 0.99), 180, 0.15),
    world("25 tied groups of 20", (0.7,) * 25, 20, 0.15),
    world("25 tied groups of 200", (0.7,) * 25, 200, 0.08),
    world("25 groups of 100, 5 tied worst", (0.65,) * 5 + evenly(0.7, 0.98, 20), 100, 0.25),
    world("25 groups of 100, seeds differ in their worst", evenly(0.5, 0.98, 25), 100, 1.2, common=0.1),
    world("100 tied groups of 20", (0.7,) * 100, 20, 0.1, common=1.0),
    world("100 groups of 20 from 50 to 99 %", evenly(0.5, 0.99, 100), 20, 0.15),
    world("100 groups of 20, 20 tied worst", (0.5,) * 20 + evenly(0.6, 0.99, 80), 20, 0.15),
    world("100 tied groups of 100 at 95 %", (0.95,) * 100, 100, 0.15),
    FOLDS,
    COLLAPSE,
    world("100 groups of 20, one worst", (0.7, *(0.95,) * 99), 20, 0.1, common=1.0),
)


@dataclass(frozen=True)
class Pair:
    """Two rows: the scenario of the first, and the groups' logits of the second; null: whether they are truly equal."""

    first: Scenario
    second: tuple[float, ...]
    null: bool = True

    @property
    def change(self) -> tuple[float, ...]:
        """The second row's logits minus the first's."""
        return tuple(b - a for a, b in zip(self.first.logits, self.second, strict=True))


def pair(name: str, one: Sequence[float], other: Sequence[float], examples: int, spread: float, **more: Any) -> Pair:
    """Two rows of these accuracies; their seeds' effects are common to all groups, so that the least is known."""
    first = world(name, one, examples, spread, common=1.0, **more)
    return Pair(first, logits(other, spread), min(one) == min(other))


def _against_one(accuracy: float, groups: int, rest: float = 0.95) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return (accuracy,) * groups, (accuracy, *(rest,) * (groups - 1))


PAIRS = (
    pair("one worst of 4 groups of 180 in both rows", WORST, WORST, 180, 0.25),
    pair("the same, other images are hard", WORST, WORST, 180, 0.25, example_correlation=0.0),
    pair("4 tied groups of 180 in both", (0.7,) * 4, (0.7,) * 4, 180, 0.1),
    pair("4 tied groups of 180 against one worst", *_against_one(0.7, 4), 180, 0.1),
    pair("4 tied groups of 20 in both", (0.7,) * 4, (0.7,) * 4, 20, 0.1),
    pair("4 tied groups of 20 against one worst", *_against_one(0.7, 4), 20, 0.1),
    pair("4 groups of 20, tied at 98 % against one there", *_against_one(0.98, 4, 0.999), 20, 0.1),
    pair("4 groups of 20, tied at 2 % against one there", *_against_one(0.02, 4), 20, 0.1),
    pair("25 tied groups of 20 in both", (0.7,) * 25, (0.7,) * 25, 20, 0.1),
    pair("25 tied groups of 20 against one worst", *_against_one(0.7, 25), 20, 0.1),
    pair("25 tied groups of 100 against one worst", *_against_one(0.7, 25), 100, 0.1),
    pair("100 tied groups of 20 in both", (0.7,) * 100, (0.7,) * 100, 20, 0.1),
    pair("100 tied groups of 20 against one worst", *_against_one(0.7, 100), 20, 0.1),
    pair("one seed in ten collapses in both, 4 groups of 180", WORST, WORST, 180, 0.25, collapse=0.1),
    Pair(replace(FOLDS, correlation=0.7), FOLDS.logits),
    pair("a loss of 8 points, 4 groups of 180", WORST, (0.52, 0.8, 0.9, 0.95), 180, 0.25),
    pair("a loss of 8 points, 4 groups of 1000", WORST, (0.52, 0.8, 0.9, 0.95), 1000, 0.25),
)
