"""Adjusted p values are those of the definitions, one test at a time, and never less than they may be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from benchbias.auditing.statistics.bounds import no_harm_p
from benchbias.auditing.statistics.jointly import attainable, discrete_holm, tarone_holm

quick = settings(max_examples=50, deadline=None, derandomize=True)
families = st.lists(
    st.integers(0, 40).flatmap(lambda m: st.tuples(st.integers(0, m), st.just(m))), min_size=1, max_size=30
)


def holm(p):
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(np.minimum(1, p[order] * np.arange(len(p), 0, -1)))
    found = np.empty(len(p))
    found[order] = stepped
    return found


def slowly(lost, discordant):
    """The definition of the discrete form: each step looks at all p values that every test could have had."""
    p = no_harm_p(lost, discordant - lost)
    order, found, largest = np.argsort(p, kind="stable"), np.ones(len(p)), 0.0
    for step, at in enumerate(order):
        total = 0.0
        for m in discordant[order[step:]]:
            could = stats.binom.sf(np.arange(m + 1) - 1, m, 0.5)
            total += max((one for one in could if one <= p[at] * (1 + 1e-9)), default=0.0)
        largest = max(largest, min(1.0, total))
        found[at] = largest
    return found


@quick
@given(families)
def test_discrete_holm_is_its_definition_and_lies_between_the_p_and_holms(family):
    lost, discordant = np.array(family).T
    found, p = discrete_holm(lost, discordant), no_harm_p(lost, discordant - lost)
    np.testing.assert_allclose(found, slowly(lost, discordant), rtol=1e-9)
    assert (found >= p * (1 - 1e-12)).all()
    assert (found <= holm(p) * (1 + 1e-9)).all()


@quick
@given(families, st.randoms(use_true_random=False))
def test_the_order_of_tests_changes_no_digit_and_rank_is_kept(family, random):
    lost, discordant = np.array(family).T
    mixed = np.array(random.sample(range(len(family)), len(family)))
    p = no_harm_p(lost, discordant - lost)
    for adjust in (
        lambda at: discrete_holm(lost[at], discordant[at]),
        lambda at: tarone_holm(p[at], 0.5 ** discordant[at]),
    ):
        found = adjust(np.arange(len(family)))
        assert (adjust(mixed) == found[mixed]).all()
        assert (np.diff(found[np.argsort(p, kind="stable")]) >= 0).all()


@quick
@given(families)
def test_tarones_form_is_its_definition_and_at_most_holms(family):
    lost, discordant = np.array(family).T
    p, least = no_harm_p(lost, discordant - lost), 0.5 ** discordant.astype(float)
    found = tarone_holm(p, least)
    largest, order = 0.0, np.argsort(p, kind="stable")
    for step, at in enumerate(order):
        able = max(1, (least[order[step:]] <= p[at] * (1 + 1e-9)).sum())
        largest = max(largest, min(1.0, p[at] * able))
        assert found[at] == pytest.approx(largest, rel=1e-12)
    assert (found <= holm(p)).all()
    np.testing.assert_allclose(tarone_holm(p, np.zeros(len(p))), holm(p), rtol=1e-12)


def test_groups_with_too_few_flips_cost_nothing():
    """Six losses of six (p 1/64) hold at 5 % beside a thousand groups of five flips, which cannot reach 1/64."""
    alone, beside = discrete_holm([6], [6]), discrete_holm([6] + [2] * 1000, [6] + [5] * 1000)
    assert alone[0] == beside[0] == 1 / 64
    assert discrete_holm([6] + [3] * 1000, [6] + [6] * 1000)[0] == 1


def test_numbers_are_those_of_the_prototype():
    lost, gained = np.array([18, 9, 3, 1, 0, 6, 12, 2]), np.array([0, 1, 0, 0, 4, 5, 11, 2])
    assert discrete_holm(lost, lost + gained).round(6).tolist() == [7e-06, 0.021913, 0.468301, 1, 1, 1, 1, 1]
    adjusted = tarone_holm(no_harm_p(lost, gained), 0.5 ** (lost + gained))
    assert adjusted.round(6).tolist() == [8e-06, 0.032227, 0.625, 1, 1, 1, 1, 1]


def test_what_a_test_can_attain():
    p = np.array([1e-9, 0.02, 1 / 32, 0.2, 0.5, 1.0])
    assert attainable(5, p).tolist() == [0, 0, 1 / 32, 6 / 32, 0.5, 1]
    assert attainable(0, p).tolist() == [0, 0, 0, 0, 0, 1]
    for m in (1, 40, 3000, 100_001):
        some = no_harm_p(
            np.arange(m // 2, min(m, m // 2 + 900) + 1.0), m - np.arange(m // 2, min(m, m // 2 + 900) + 1.0)
        )
        np.testing.assert_allclose(attainable(m, some[some > 1e-250]), some[some > 1e-250], rtol=1e-9)


def test_no_tests_are_no_error():
    assert discrete_holm([], []).shape == tarone_holm([], []).shape == (0,)
