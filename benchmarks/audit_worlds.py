"""Worlds of `audit_errors.py`: test sets with attributes, and two models of which the truth is known."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """A test set and two models. values: of each attribute, the first k-th value is 1 / k times as frequent.

    n: examples. flips: the share of examples on which the models differ, of each value of the first attribute, whose
    last one stands for further values; harm: the true harm, likewise. cluster: mean examples of a cluster, 1 for none;
    uneven: whether clusters differ in size; within: whether one cluster holds examples of several values; same: how
    many examples of a cluster do what their cluster does.
    """

    name: str
    values: tuple[int, ...]
    n: int
    flips: tuple[float, ...] = (0.05,)
    harm: tuple[float, ...] = (0.0,)
    shares: tuple[float, ...] | None = None
    cluster: int = 1
    uneven: bool = False
    within: bool = False
    same: float = 0.8


@dataclass(frozen=True)
class Drawn:
    """One test set. codes: int (N, A), the value of each attribute; change: int (N,), 1 lost, -1 gained, 0 neither.

    cluster: int (N,), None where each example is one.
    """

    codes: Ints
    change: Ints
    cluster: Ints | None


def draw(world: World, numbers: Generator) -> Drawn:
    """A test set of a world."""
    cluster = _clusters(world, numbers)
    owners = int(cluster[-1]) + 1
    codes = np.stack([_values(world, at, owners, numbers) for at in range(len(world.values))], axis=-1)[cluster]
    if world.within:
        codes = np.stack([_values(world, at, len(cluster), numbers) for at in range(len(world.values))], axis=-1)
    flips, harm = (np.array(one)[np.minimum(codes[:, 0], len(one) - 1)] for one in (world.flips, world.harm))
    chance = np.where(
        numbers.random(len(cluster)) < world.same, numbers.random(owners)[cluster], numbers.random(len(cluster))
    )
    if world.cluster == 1:
        chance = numbers.random(len(cluster))
    change = np.where(chance < (flips + harm) / 2, 1, np.where(chance < flips, -1, 0))
    return Drawn(codes, change.astype(np.int64), None if world.cluster == 1 else cluster)


def _clusters(world: World, numbers: Generator) -> Ints:
    """The cluster of each example, rising."""
    if world.cluster == 1:
        return np.arange(world.n)
    if not world.uneven:
        return np.arange(world.n) // world.cluster
    sizes = numbers.geometric(1 / world.cluster, world.n)
    ends = np.cumsum(sizes)
    return np.searchsorted(ends, np.arange(world.n), side="right").astype(np.int64)


def _values(world: World, attribute: int, number: int, numbers: Generator) -> Ints:
    """Values of one attribute."""
    shares = 1 / np.arange(1.0, world.values[attribute] + 1)
    if attribute == 0 and world.shares is not None:
        shares = np.array(world.shares)
    return numbers.choice(world.values[attribute], number, p=shares / shares.sum())


def groups(values: tuple[int, ...]) -> list[tuple[tuple[int, int], ...]]:
    """All groups to depth 2, as (attribute, value) pairs: all examples, every value, every crossing of two."""
    single = [((at, value),) for at, number in enumerate(values) for value in range(number)]
    crossed = [(*a, *b) for a, b in itertools.combinations(single, 2) if a[0][0] != b[0][0]]
    return [(), *single, *crossed]


def members(drawn: Drawn, group: tuple[tuple[int, int], ...]) -> NDArray[np.bool_]:
    """Whether each example is in the group."""
    found = np.ones(len(drawn.change), dtype=np.bool_)
    for attribute, value in group:
        found &= drawn.codes[:, attribute] == value
    return found


FEW, MANY = (2, 2, 4), (2, 3, 4, 5)  # 29 and 86 groups
CLUSTERED: tuple[dict[str, Any], ...] = (
    {},
    {"cluster": 5},
    {"cluster": 5, "uneven": True},
    {"cluster": 20, "uneven": True, "within": True, "same": 0.5},
)

NO_HARM = tuple(
    World("no harm", values, n, flips=(0.2, 0.02), **more)
    for values in (FEW, MANY)
    for n in (300, 1000, 3000, 10000)
    for more in CLUSTERED
)
"""No group is harmed; the most frequent value flips ten times as often as the others."""

AT_THE_MARGIN = tuple(
    World("one value at the margin", values, n, flips=flips, harm=(0.0, 0.03), shares=(0.8, 0.2), **more)
    for values, n, flips in (
        (FEW[:1], 1000, (0.0, 0.03)),
        (FEW[:1], 3000, (0.005, 0.05)),
        (FEW[:1], 10000, (0.01, 0.1)),
        (FEW, 10000, (0.005, 0.03)),
    )
    for more in CLUSTERED
)
"""One value is harmed by just the margin, 3 points, and all else is nearly certain to be shown safe."""

EVEN = (
    World("alike", (3,), 1000, (0.05,), shares=(1, 1, 1)),
    World("rates of flips 30 to 1", (3,), 1000, (0.3, 0.01), shares=(1, 1, 1)),
    World("a small value", (3,), 2000, (0.05,), shares=(50, 49, 1)),
    World("a small value flips often", (3,), 2000, (0.02, 0.02, 0.4), shares=(50, 49, 1)),
    World("a large value flips often", (3,), 2000, (0.4, 0.02), shares=(50, 49, 1)),
    World("10 values", (10,), 3000, (0.2, 0.01, 0.1, 0.02, 0.3, 0.005)),
    World("3 values of 15", (3,), 45, (0.2,), shares=(1, 1, 1)),
    World("all lose 3 points", (3,), 2000, (0.3, 0.03), (0.03,), shares=(1, 1, 1)),
    World("clusters of 5", (3,), 2000, (0.3, 0.02), shares=(1, 1, 1), cluster=5),
    World("clusters across values", (3,), 3000, (0.3, 0.02), shares=(6, 3, 1), cluster=10, uneven=True, within=True),
)
"""No value of the one attribute loses more than the rest."""


def uneven_world(world: World, extra: float) -> World:
    """The same world, where the first value loses so much more."""
    harm = (world.harm[0] + extra, world.harm[-1])
    return replace(world, harm=harm, flips=(max(world.flips[0], harm[0]), *(world.flips[1:] or world.flips)))
