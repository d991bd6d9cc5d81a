"""Bounds of one group's harm hold the tests that they contain, other ways to compute them, and their level."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from benchbias.auditing.statistics.bounds import beyond_p, harm_bounds, no_harm_p, safe_p

quick = settings(max_examples=40, deadline=None, derandomize=True)
LEVELS = (0.05, 0.01, 0.0025)

PROTOTYPE = {
    (0, 0, 21): (-0.1329, 0.1329, 1.0, 0.527481, 1.0),
    (0, 0, 99): (-0.0298, 0.0298, 1.0, 0.0490232, 1.0),
    (18, 0, 21): (0.5728, 0.9599, 3.8147e-06, 1.0, 7.09635e-06),
    (1, 0, 30): (-0.0739, 0.1486, 0.5, 0.773075, 0.799477),
    (4, 3, 121): (-0.0379, 0.0552, 0.5, 0.259243, 0.909177),
    (38, 32, 2529): (-0.0035, 0.0083, 0.275206, None, 1.0),
    (64, 9, 507): (0.0801, 0.1374, 1.18944e-11, 1.0, None),
    (70, 16, 879): (0.0434, 0.0799, 1.60319e-09, 0.99942, 0.00132621),
    (144, 75, 6000): (0.0073, 0.0157, 1.81537e-06, None, 1.0),
    (7, 7, 14): (-0.4728, 0.4728, 0.604736, 0.560168, 0.647988),
}
"""lost, gained, n -> lower, upper, p of no harm, p_safe and p_beyond at 3 points, by another program.

Its bounds have 4 digits. Its chances below 1e-5 are left out: it integrates with too few nodes there.
"""


def counts(n):
    b, c = (one.ravel() for one in np.meshgrid(np.arange(n + 1), np.arange(n + 1)))
    return b[b + c <= n], c[b + c <= n]


def quad_above(lost, same, gained, at):
    """P(X - Y > at) for a Dirichlet (X, Z, Y), by adaptive integration over Y; all parameters above 0."""

    def inner(y):
        ratio = (at + y) / (1 - y)
        return stats.beta.pdf(y, gained, lost + same) * (1.0 if ratio <= 0 else stats.beta.sf(ratio, lost, same))

    low, high = max(0.0, -at), (1 - at) / 2
    points = stats.beta.ppf([0.001, 0.1, 0.5, 0.9, 0.999], gained, lost + same)
    found = integrate.quad(inner, low, high, points=points[(points > low) & (points < high)], limit=400, epsabs=1e-13)
    return found[0] + stats.beta.cdf(low, gained, lost + same)


@pytest.mark.parametrize("given_counts", PROTOTYPE, ids=str)
def test_numbers_are_those_of_the_prototype(given_counts):
    b, c, n = given_counts
    lower, upper, p, safe, beyond = PROTOTYPE[given_counts]
    assert harm_bounds(b, c, n) == (pytest.approx(lower, abs=2e-4), pytest.approx(upper, abs=2e-4))
    assert no_harm_p(b, c) == pytest.approx(p, rel=1e-5)
    for found, expected in ((safe_p, safe), (beyond_p, beyond)):
        assert expected is None or found(b, c, n, 0.03) == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize("n", [0, 1, 2, 7, 21, 60])
def test_the_lower_bound_is_above_zero_exactly_where_mcnemar_rejects(n):
    b, c = counts(n)
    exact = np.array(
        [
            stats.binomtest(int(x), int(x + y), alternative="greater").pvalue if x else 1
            for x, y in zip(b, c, strict=True)
        ]
    )
    np.testing.assert_allclose(no_harm_p(b, c), exact, rtol=1e-12)
    for level in (0.05, 2.0**-5) if n == 60 else (*LEVELS, 2.0**-5, 0.5):
        lower, upper = harm_bounds(b, c, n, level)
        assert ((lower > 0) == (no_harm_p(b, c) <= level)).all()
        assert ((upper < 0) == (no_harm_p(c, b) <= level)).all()


def test_a_tie_with_the_level_is_a_rejection():
    """Five losses and no gain have p of exactly 1 / 32."""
    assert no_harm_p(5, 0) == 2.0**-5
    assert 0 < harm_bounds(5, 0, 50, 2.0**-5)[0] < 1e-12
    assert harm_bounds(5, 0, 50, np.nextafter(2.0**-5, 0))[0] <= 0


@pytest.mark.parametrize("n", [1, 21, 60, 1000, 1_000_000])
def test_without_gains_the_upper_bound_is_that_of_clopper_and_pearson(n):
    b = np.unique(np.linspace(0, n, 40).round())
    for level in (*LEVELS, 1e-4):
        upper = harm_bounds(b, 0, n, level)[1]
        exact = [stats.binomtest(int(x), n, alternative="less").proportion_ci(1 - level).high for x in b]
        np.testing.assert_allclose(upper, exact, atol=1e-9)


def test_known_cases_of_the_page():
    lower, upper = harm_bounds([0, 0], [0, 0], [21, 99])
    assert (100 * upper).round(2).tolist() == [13.29, 2.98]
    np.testing.assert_allclose(lower, -upper)
    assert safe_p(0, 0, 99, 0.03) <= 0.05 < safe_p(0, 0, 98, 0.03)
    np.testing.assert_allclose(safe_p(0, 0, 99, 0.03), 0.97**99, rtol=1e-9)


@pytest.mark.parametrize(("b", "c", "n"), [(1, 1, 3), (3, 1, 40), (1, 9, 30), (20, 11, 400), (300, 290, 20_000)])
def test_tails_and_bounds_are_those_of_adaptive_integration(b, c, n):
    for margin in (0.01, 0.03, 0.2):
        assert safe_p(b, c, n, margin) == pytest.approx(quad_above(b + 1, n - b - c, c, margin), abs=1e-9)
        assert beyond_p(b, c, n, margin) == pytest.approx(1 - quad_above(b, n - b - c, c + 1, margin), abs=1e-9)
    for level in (*LEVELS, 1e-4):
        lower, upper = harm_bounds(b, c, n, level)
        assert quad_above(b + 1, n - b - c, c, float(upper)) == pytest.approx(level, rel=1e-6)
        if no_harm_p(b, c) > level and lower < 0:
            assert 1 - quad_above(b, n - b - c, c + 1, float(lower)) == pytest.approx(level, rel=1e-5)


def test_far_tails_and_large_groups_are_those_of_integration_with_40_digits():
    """Made by mpmath's quad and betainc."""
    assert safe_p(144, 75, 6000, 0.03) == pytest.approx(2.665201949679092e-12, rel=1e-8)
    assert beyond_p(64, 9, 507, 0.03) == pytest.approx(4.749950179479206e-07, rel=1e-8)
    assert safe_p(40, 3, 1_000_000, 4.9377187024739417e-05) == pytest.approx(0.05000000000382710, rel=1e-8)
    assert harm_bounds(40, 3, 1_000_000)[1] == pytest.approx(4.93771870e-05, rel=1e-8)


def test_far_tails_keep_their_relative_precision():
    """log10 of the chance of a beta variable, in closed form: all of n are lost, harm <= 10 points."""
    for n in (10, 100, 300):
        assert math.log10(beyond_p(n, 0, n, 0.1)) == pytest.approx(n * math.log10(0.55), rel=1e-9)
    assert safe_p(0, 0, 10_000, 0.05) == pytest.approx(0.95**10_000, rel=1e-9)


def test_no_p_is_ever_zero():
    tiny = [no_harm_p(5000, 0), safe_p(0, 0, 1_000_000, 0.5), beyond_p(1_000_000, 0, 1_000_000, 0.01)]
    assert all(0 < p < 1e-300 for p in tiny)


@quick
@given(st.integers(0, 400), st.integers(0, 40), st.integers(0, 40), st.sampled_from(LEVELS), st.floats(0.001, 0.9))
def test_order_of_numbers(same, b, c, level, margin):
    """Bounds hold the harm, mirror each other, agree with the p values, and rise with each loss."""
    n = same + b + c
    lower, upper = harm_bounds(b, c, n, level)
    assert -1 <= lower <= upper <= 1
    assert n == 0 or lower <= (b - c) / n <= upper
    assert harm_bounds(c, b, n, level)[0] == pytest.approx(-upper, abs=1e-9)
    assert (safe_p(b, c, n, margin) <= level) == (upper <= margin) or abs(upper - margin) < 1e-9
    assert (beyond_p(b, c, n, margin) <= level) == (lower >= margin) or abs(lower - margin) < 1e-9
    assert beyond_p(b, c, n, margin) >= no_harm_p(b, c) * (1 - 1e-9)
    if same:
        assert (harm_bounds(b + 1, c, n, level) > np.array([lower, upper]) - 1e-12).all()


def test_a_margin_of_zero_gives_mcnemars_p():
    b, c = counts(30)
    np.testing.assert_allclose(beyond_p(b, c, 30, 0.0), no_harm_p(b, c), rtol=1e-8)


def test_no_examples_decide_nothing():
    assert harm_bounds(0, 0, 0) == (-1.0, 1.0)
    assert (no_harm_p(0, 0), safe_p(0, 0, 0, 0.03), beyond_p(0, 0, 0, 0.03)) == (1.0, 1.0, 1.0)


def test_many_groups_at_once_are_the_same_one_by_one():
    numbers = np.random.default_rng(0)
    n = numbers.integers(1, 3000, 60).reshape(3, 20)
    b, c = numbers.binomial(n, 0.1), numbers.binomial(n, 0.05)
    lower, upper = harm_bounds(b, c, n)
    assert lower.shape == upper.shape == safe_p(b, c, n, np.full((3, 1), 0.03)).shape == (3, 20)
    for at in np.ndindex(3, 20):
        assert harm_bounds(b[at], c[at], n[at]) == (
            pytest.approx(lower[at], abs=1e-11),
            pytest.approx(upper[at], abs=1e-11),
        )


@pytest.mark.parametrize(("b", "c", "n"), [(-1, 0, 5), (3, 3, 5), (0, 0, math.inf), (math.nan, 0, 5)])
def test_impossible_counts_are_refused(b, c, n):
    with pytest.raises(ValueError, match="no group has these"):
        harm_bounds(b, c, n)


def test_an_impossible_level_is_refused():
    with pytest.raises(ValueError, match="between 0 and 1"):
        harm_bounds(0, 0, 5, 5)
