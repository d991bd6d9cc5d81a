"""The Behrens-Fisher distribution is the sum of two t variables: by convolution, at its ends, and in tests."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from benchbias.statistics import behrens_fisher
from benchbias.statistics.estimates import Estimate, p_value

quick = settings(max_examples=30, deadline=None, derandomize=True)
freedoms = st.sampled_from([2.0, 4.0, 9.0, 29.0, 500.0])


def by_convolution(distance, share, seeds, images):
    """The tail as one integral over the seeds' error, by scipy."""
    one, other = math.sqrt(share), math.sqrt(1 - share)

    def above(error):
        return stats.t.pdf(error, seeds) * stats.t.sf((distance - one * error) / other, images)

    edges = sorted({-np.inf, -40.0, 0.0, distance, distance / one, 80.0 + distance / one, np.inf})
    return sum(
        integrate.quad(above, low, high, epsabs=0, epsrel=1e-9, limit=300)[0] for low, high in itertools.pairwise(edges)
    )


@quick
@given(st.floats(0.03, 0.97), freedoms, freedoms, st.floats(0.5, 8))
def test_a_tail_is_the_convolution_of_two_t_densities(share, seeds, images, distance):
    found = behrens_fisher.tail(distance, share, seeds, images)
    assert found == pytest.approx(by_convolution(distance, share, seeds, images), rel=1e-3)


@quick
@given(freedoms, freedoms, st.floats(0, 9))
def test_with_one_error_alone_it_is_that_t(seeds, images, distance):
    assert behrens_fisher.tail(distance, 1.0, seeds, images) == pytest.approx(stats.t.sf(distance, seeds))
    assert behrens_fisher.tail(distance, 0.0, seeds, images) == pytest.approx(stats.t.sf(distance, images))
    assert behrens_fisher.tail(distance, 0.0, seeds, math.inf) == pytest.approx(stats.norm.sf(distance), rel=1e-4)


@quick
@given(st.floats(0, 1), freedoms, freedoms, st.sampled_from([0.8, 0.975, 1 - 0.025 / 78]))
def test_a_quantile_is_where_the_tail_is_what_is_left(share, seeds, images, probability):
    at = float(behrens_fisher.quantile(share, seeds, images, probability))
    assert behrens_fisher.tail(at, share, seeds, images) == pytest.approx(1 - probability, rel=0.06)


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("ratio", [0.25, 1.0, 4.0])
def test_a_null_is_rejected_at_most_as_often_as_said_in_the_tail_too(seeds, ratio):
    """A million null gaps: at 0.05 / 78 Satterthwaite's t rejects too many, and this does not."""
    numbers, level = np.random.default_rng(1), 0.05 / 78
    draws = math.sqrt(ratio * seeds) * numbers.standard_normal((200_000, seeds)) + numbers.standard_normal((200_000, 1))
    mean, from_seeds = draws.mean(axis=1), draws.var(axis=1, ddof=1) / seeds
    error = np.sqrt(from_seeds + 1)
    freedom = error**4 / (from_seeds**2 / (seeds - 1))
    extreme = np.flatnonzero(2 * stats.t.sf(abs(mean) / error, freedom) < 3 * level)
    found = [
        p_value(Estimate(mean[at], None, seeds, 1.0, error[at], freedom[at], float(from_seeds[at] / error[at] ** 2)))
        for at in extreme
    ]
    allowed = stats.binom.ppf(0.999, 200_000, level)
    assert sum(p <= level for p in found) <= allowed
    if ratio == 1.0:
        assert (2 * stats.t.sf(abs(mean) / error, freedom) <= level).sum() > allowed, "so the test can fail"


def test_the_share_of_the_seeds_is_kept_in_an_estimates_parts():
    """A table of an analysis keeps four numbers: they give the seeds' share back where examples are many."""
    for share in (0.1, 0.5, 0.9, 1.0):
        freedom = 1 / (share**2 / 4)
        assert Estimate.of(0.1, 0.03, freedom, 5).seed_share == pytest.approx(share)
