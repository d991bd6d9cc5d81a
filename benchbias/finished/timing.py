"""Calls timed in rounds, one after another: what slows the machine for a while slows all of them."""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

LEAST_SECONDS = 0.004  # of one sample: shorter calls are repeated within it
WARM_UP = 3  # calls before anything is timed
LEVEL = 0.95


class Clock(Protocol):
    """Seconds that have passed, seconds that this process was at work, and waiting for a device."""

    def wall(self) -> float: ...

    def own(self) -> float: ...

    def settle(self) -> None: ...


class ProcessClock:
    """The clock of this process. settle: waits until the device has done its work."""

    def __init__(self, settle: Callable[[], None] = lambda: None) -> None:
        self._settle = settle

    def wall(self) -> float:
        return time.perf_counter()

    def own(self) -> float:
        return time.process_time()

    def settle(self) -> None:
        self._settle()


@dataclass(frozen=True)
class Timed:
    """Seconds a call, by call and round; seconds in all that passed and that the process was at work."""

    samples: tuple[tuple[float, ...], ...]
    wall: float
    own: float


def interleaved(calls: Sequence[Callable[[], object]], rounds: int, clock: Clock) -> Timed:
    """Time each call once a round, in another random order each round. One sample is several calls of a short one."""
    inner = [_inner(call, clock) for call in calls]
    samples: list[list[float]] = [[] for _ in calls]
    order, draw, wall, own = list(range(len(calls))), random.Random(0), 0.0, 0.0
    for _ in range(rounds):
        draw.shuffle(order)
        for number in order:
            call, count = calls[number], inner[number]
            clock.settle()
            began, worked = clock.wall(), clock.own()
            for _ in range(count):
                call()
            clock.settle()
            took = clock.wall() - began
            wall, own = wall + took, own + clock.own() - worked
            samples[number].append(took / count)
    return Timed(tuple(tuple(one) for one in samples), wall, own)


def _inner(call: Callable[[], object], clock: Clock) -> int:
    """How often a call is repeated in one sample, after a warm-up."""
    for _ in range(WARM_UP):
        call()
    clock.settle()
    began = clock.wall()
    call()
    clock.settle()
    return max(1, math.ceil(LEAST_SECONDS / max(clock.wall() - began, 1e-7)))


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """(median, lower quartile, upper quartile) of two values or more."""
    lower, middle, upper = statistics.quantiles(values, n=4, method="inclusive")
    return middle, lower, upper


def median_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """(median, lower, upper): the 95 % interval of a median by order statistics, whatever the distribution is.

    With fewer than six values, which no such interval can be had of, it is of the least and the largest.
    """
    ordered, number = sorted(values), len(values)
    outside, place = 0.0, 0  # how likely the median lies below the value at this place
    while place < (number - 1) // 2:
        more = outside + math.comb(number, place) / 2**number
        if 2 * more > 1 - LEVEL:
            break
        outside, place = more, place + 1
    least = max(place - 1, 0)
    return statistics.median(ordered), ordered[least], ordered[number - 1 - least]


def ratios(samples: Sequence[float], dense: Sequence[float]) -> list[float]:
    """Round by round, a call's time over that of another."""
    return [one / other for one, other in zip(samples, dense, strict=True)]
