"""Timing: rounds by a planted clock, intervals of medians against the binomial distribution, gains only where shown."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from benchbias.finished.timing import LEAST_SECONDS, WARM_UP, interleaved, median_interval, quartiles, ratios
from benchbias.records.latency_claims import is_gain


class Planted:
    """A clock that only calls move. settled: how often a device was waited for."""

    def __init__(self, share: float = 1.0) -> None:
        self.now, self.share, self.settled = 0.0, share, 0
        self.calls: list[str] = []

    def wall(self) -> float:
        return self.now

    def own(self) -> float:
        return self.now * self.share

    def settle(self) -> None:
        self.settled += 1

    def call(self, name: str, seconds: Callable[[], float]) -> Callable[[], None]:
        def made() -> None:
            self.calls.append(name)
            self.now += seconds()

        return made


def test_samples_are_the_seconds_of_one_call_whatever_its_length():
    clock = Planted(share=0.8)
    calls = [clock.call(name, lambda seconds=seconds: seconds) for name, seconds in (("a", 2**-12), ("b", 0.5))]
    found = interleaved(calls, 5, clock)
    assert [len(samples) for samples in found.samples] == [5, 5]
    assert found.samples[0] == pytest.approx([2**-12] * 5)
    assert found.samples[1] == pytest.approx([0.5] * 5)
    assert found.own / found.wall == pytest.approx(0.8)
    counted = Counter(clock.calls)
    assert counted["b"] == WARM_UP + 1 + 5, "a long call is no longer repeated within a sample"
    inner = math.ceil(LEAST_SECONDS / 2**-12)
    assert counted["a"] == WARM_UP + 1 + 5 * inner
    assert found.wall == pytest.approx(5 * (0.5 + inner * 2**-12)), "the warm-up is no part of it"
    assert clock.settled == 2 * (2 + 2 * 5), "a device has done its work before each sample begins and ends"


def test_each_round_has_every_call_once_in_an_order_of_its_own():
    clock = Planted()
    names = "abcdef"
    interleaved([clock.call(name, lambda: 1.0) for name in names], 20, clock)
    timed = clock.calls[len(names) * (WARM_UP + 1) :]
    rounds = [timed[start : start + len(names)] for start in range(0, len(timed), len(names))]
    assert all(sorted(one) == list(names) for one in rounds)
    assert len({tuple(one) for one in rounds}) > 15
    assert len({one[0] for one in rounds}) == len(names), "nobody is always the first"


def test_what_slows_the_machine_for_a_while_leaves_ratios_as_they_are():
    """The clock slows threefold in half of the rounds: ratios round by round are of the calls alone."""
    clock = Planted()
    slow = {"now": 1.0}
    calls = [
        clock.call("dense", lambda: 0.02 * slow["now"]),
        clock.call("slim", lambda: 0.01 * slow["now"]),
    ]
    samples: list[list[float]] = [[], []]
    for number in range(20):
        slow["now"] = 3.0 if number % 2 else 1.0
        found = interleaved(calls, 1, clock)
        for own, more in zip(samples, found.samples, strict=True):
            own += more
    assert median_interval(ratios(samples[1], samples[0])) == pytest.approx((0.5, 0.5, 0.5))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=80))
def test_the_interval_of_a_median_is_the_narrowest_pair_that_holds_it_in_95_of_100(values: list[float]):
    median, lower, upper = median_interval(values)
    ordered, number = sorted(values), len(values)
    assert median == pytest.approx(stats.scoreatpercentile(values, 50))
    shares = [1 - 2 * stats.binom.cdf(place, number, 0.5) for place in range((number + 1) // 2)]
    held = [place for place, share in enumerate(shares) if share >= 0.95]
    place = max(held, default=0)
    assert (lower, upper) == (ordered[place], ordered[number - 1 - place])


def test_the_interval_holds_the_true_median_as_often_as_it_says():
    draw = random.Random(0)
    held = 0
    for _ in range(2000):
        _, lower, upper = median_interval([draw.lognormvariate(0, 1) for _ in range(30)])
        held += lower <= 1 <= upper
    assert 0.945 <= held / 2000 <= 0.985  # 95.7 % by the binomial distribution


def test_quartiles_are_numpys():
    import numpy as np

    values = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0]
    assert quartiles(values) == pytest.approx(tuple(np.percentile(values, [50, 25, 75])))


def test_copies_of_one_call_are_hardly_ever_a_gain():
    """Each has a speed of its own, off by up to 1 %, as a network whose memory lies otherwise has."""
    draw = random.Random(0)
    gains = 0
    for _ in range(500):
        own = [draw.uniform(0.99, 1.01) for _ in range(3)]
        dense, again, masked = ([speed * draw.gauss(1, 0.02) for _ in range(30)] for speed in own)
        gains += is_gain(median_interval(ratios(masked, dense)), median_interval(ratios(again, dense)))
    assert gains / 500 <= 0.01
