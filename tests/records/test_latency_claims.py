"""Claims on ratios of times: each is made where its interval shows it, on the scale of ratios."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbias.records.latency_claims import LEAST_GAIN, Interval, claim, is_gain

CLOSE: Interval = (1.0, 0.99, 1.01)


@pytest.mark.parametrize(
    ("interval", "again", "gain"),
    [
        ((0.4, 0.35, 0.45), (1.0, 0.5, 2.0), True),  # a copy twice as slow is as far off as one twice as fast
        ((0.4, 0.35, 0.55), (1.0, 0.9, 2.0), False),
        ((0.3, 0.25, 0.3), (1.2, 0.9, 3.0), True),
        ((0.5, 0.4, 0.6), (1.0, 0.99, 1.01), True),
        ((0.9, 0.8, 1.0), (1.0, 1.0, 1.0), False),
        ((0.9, 0.8, 1.1), (1.0, 0.99, 1.01), False),
        ((0.97, 0.96, 0.98), (1.03, 1.02, 1.04), False),  # two copies of one network differ by more
        ((0.97, 0.96, 0.98), (0.97, 0.96, 0.98), False),
        ((0.9, 0.88, 0.92), (1.03, 1.02, 1.04), True),
        ((1.5, 1.4, 1.6), (1.0, 0.99, 1.01), False),
    ],
)
def test_a_gain_is_claimed_where_its_interval_shows_one(interval: Interval, again: Interval, gain: bool):
    assert is_gain(interval, again) is gain


@pytest.mark.parametrize(
    ("interval", "again", "said"),
    [
        ((1.0, 0.985, 1.01), CLOSE, "not shown"),  # the first copy may be the faster one
        ((1.0, 0.995, 1.01), (1.0, 1.0, 1.0), "no gain"),
        ((1.5, 1.4, 1.6), CLOSE, "no gain"),
        ((1.0, 0.9, 1.1), CLOSE, "not shown"),
        ((0.9, 0.7, 1.05), CLOSE, "not shown"),
        ((0.97, 0.96, 0.979), (1.0, 1.0, 1.0), "gain"),
        ((0.985, 0.981, 0.99), (1.0, 1.0, 1.0), "no gain"),  # less than is worth the name
        ((1.0, 0.99, 1.01), (1.1, 1.08, 1.12), "not shown"),  # over the slower copy it may be one
    ],
)
def test_no_gain_is_a_claim_too(interval: Interval, again: Interval, said: str):
    assert claim(interval, again, busy=False) == said
    assert claim(interval, again, busy=True) == "not shown"


BOUNDS = st.lists(st.floats(0.01, 100), min_size=3, max_size=3).map(sorted)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(BOUNDS, BOUNDS)
def test_a_claim_holds_for_both_copies_and_all_that_the_intervals_hold(ratio: list[float], copy: list[float]):
    """A gain lies below one over either copy; where there is said to be none, no such gain is within the interval."""
    (lower, median, upper), (again_low, again, again_high) = ratio, copy
    said = claim((median, lower, upper), (again, again_low, again_high), busy=False)
    if said == "gain":
        assert upper < 1 - LEAST_GAIN
        assert upper < again_low
        assert upper * again_high < 1
    if said == "no gain":
        assert lower > 1 - LEAST_GAIN
        assert lower / again_high > 1 - LEAST_GAIN
