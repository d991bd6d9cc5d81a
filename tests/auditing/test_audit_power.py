"""Power is that of full enumeration, and the numbers that an audit names reach it and no more."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from benchbias.auditing.statistics.bounds import no_harm_p, safe_p
from benchbias.auditing.statistics.frontier import all_safe, most_lost, safe_losses
from benchbias.auditing.statistics.power import Planner, detectable, fewest, needed, power_of_pass


def chances(n, discordance, harm):
    """lost, gained and the chance of each pair of counts."""
    b, c = (one.ravel() for one in np.meshgrid(np.arange(n + 1), np.arange(n + 1)))
    b, c = b[b + c <= n], c[b + c <= n]
    counts = np.stack([b, c, n - b - c], axis=-1)
    shares = [(discordance + harm) / 2, (discordance - harm) / 2, 1 - discordance]
    return b, c, stats.multinomial.pmf(counts, n, shares)


def test_the_fewest_examples_are_those_of_the_page_and_the_first_that_no_loss_can_show_safe():
    assert [fewest(margin) for margin in (0.01, 0.02, 0.03, 0.05, 0.1)] == [299, 149, 99, 59, 29]
    for margin, level in itertools.product((0.001, 0.03, 0.3, 0.5), (0.05, 0.0025)):
        n = fewest(margin, level)
        assert safe_p(0, 0, n, margin) <= level * (1 + 1e-9)
        assert safe_p(0, 0, n - 1, margin) > level
    assert fewest(0.5, 0.125) == 3
    assert fewest(1.0) == 1


@pytest.mark.parametrize(
    ("n", "q", "h"), [(60, 0.3, 0.0), (120, 0.02, 0.0), (150, 0.1, 0.02), (99, 0.05, -0.05), (40, 1.0, 0.0)]
)
def test_power_is_that_of_all_counts(n, q, h):
    for margin, level in ((0.03, 0.05), (0.1, 0.05), (0.1, 0.01)):
        b, c, chance = chances(n, q, h)
        expected = chance[safe_p(b, c, n, margin) <= level].sum()
        assert power_of_pass(n, q, h, margin, level) == pytest.approx(expected, abs=1e-9)


def test_power_at_the_margin_is_at_most_the_level():
    for n, q, margin in itertools.product((99, 400, 5000), (0.03, 0.1, 0.5), (0.03,)):
        assert power_of_pass(n, q, margin, margin) <= 0.05 + 1e-6


@pytest.mark.parametrize("margin", [0.005, 0.03, 0.1, 0.3])
@pytest.mark.parametrize("discordance", [0.0, 0.0036, 0.05, 0.3, 1.0])
def test_powers_of_many_sizes_are_the_exact_ones(margin, discordance):
    least = fewest(margin)
    sizes = np.unique(np.geomspace(least, 3 * least, 8).round())
    exact = [power_of_pass(int(n), discordance, 0.0, margin) for n in sizes]
    np.testing.assert_allclose(Planner(margin).powers(sizes, discordance), exact, atol=1e-3)


@pytest.mark.parametrize(
    ("flips", "expected"), [(0.002, 99), (0.02, 231), (0.05, 420), (0.1, 757), (0.2, 1441)], ids=str
)
def test_needed_at_3_points_has_its_power_from_there_on_and_not_before(flips, expected):
    """An approximation by normal counts says 126, 246, 449, 790 and 1,476."""
    n = Planner(0.03).needed(flips)
    assert n == expected
    assert 0.8 <= power_of_pass(n, flips, 0.0, 0.03) <= 0.92
    assert n == fewest(0.03) or power_of_pass(n - 1, flips, 0.0, 0.03) < 0.8
    for later in np.unique(np.linspace(n, 1.3 * n + 60, 9).round()):
        assert power_of_pass(int(later), flips, 0.0, 0.03) >= 0.8 - 1e-3


@pytest.mark.parametrize("margin", [0.01, 0.03, 0.1])
def test_needed_has_power_80_to_92_wherever_counts_are_not_very_few(margin):
    """Teeth are taller where less than about 2 flips are expected at the number needed."""
    planner = Planner(margin)
    for flips in np.geomspace(0.6 * margin, 0.5, 8):
        n = planner.needed(flips)
        assert 0.7995 <= power_of_pass(n, flips, 0.0, margin) <= 0.92


@pytest.mark.parametrize(("margin", "flips"), [(0.03, 1.0), (0.01, 0.4), (0.001, 0.05), (0.001, 1.0), (1e-4, 0.5)])
def test_needed_has_its_power_where_it_is_a_large_number(margin, flips):
    n = Planner(margin).needed(flips)
    assert 0.7995 <= power_of_pass(n, flips, 0.0, margin) <= 0.81


def test_needed_of_counts_adds_a_flip_and_an_example_and_multiplies_by_the_design():
    assert needed(3, 1, 120, 0.03) == Planner(0.03).needed(5 / 121)
    assert needed(3, 1, 120, 0.03, design=2.5) == math.ceil(2.5 * needed(3, 1, 120, 0.03))
    assert needed(0, 0, 100_000, 0.03) == 99
    assert needed(0, 0, 0, 0.03) == Planner(0.03).needed(1.0)
    planner = Planner(0.03)
    assert [needed(b, 1, 200, 0.03, planner=planner) for b in (1, 2, 1)] == [needed(b, 1, 200, 0.03) for b in (1, 2, 1)]
    assert len(planner.known) == 2


def test_needed_falls_with_the_margin_and_rises_with_flips_power_and_a_stricter_level():
    for smaller, larger in (
        (Planner(0.05).needed(0.1), Planner(0.03).needed(0.1)),
        (Planner(0.03).needed(0.1), Planner(0.03).needed(0.12)),
        (Planner(0.03).needed(0.1), Planner(0.03, power=0.9).needed(0.1)),
        (Planner(0.03).needed(0.1), Planner(0.03, level=0.01).needed(0.1)),
    ):
        assert smaller < larger
    assert Planner(1e-7).needed(1.0) is None
    assert needed(1, 1, 10, 1e-7) is None


def found(n, q, harm, level):
    b, c, chance = chances(n, max(q, harm), harm)
    return chance[no_harm_p(b, c) <= level].sum()


@pytest.mark.parametrize(("n", "q", "level"), [(60, 0.3, 0.05), (100, 0.02, 0.05), (150, 0.1, 0.01), (8, 0.5, 0.05)])
def test_the_detectable_harm_has_its_power_and_less_harm_has_less(n, q, level):
    harm = detectable(n, q, level)
    assert found(n, q, harm, level) == pytest.approx(0.8, abs=1e-3)
    assert found(n, q, harm - 0.005, level) < 0.8
    assert detectable(n, q, level, power=0.9) > harm


def test_too_few_examples_detect_nothing():
    assert detectable(0, 0.1) is detectable(4, 0.1) is None
    assert detectable(5, 0.1) == pytest.approx(0.8 ** (1 / 5), abs=1e-3)
    assert detectable(1_000_000, 0.05) == pytest.approx(2.486 * math.sqrt(0.05 / 1e6), rel=0.02)


def test_the_frontier_is_where_safe_p_meets_the_level():
    for margin, level in ((0.03, 0.05), (0.1, 0.01)):
        flips, n = np.arange(0, 60.0), 400.0
        lost = most_lost(flips, n, margin, level)
        assert (safe_p(lost, flips - lost, n, margin) <= level).all()
        short = lost < flips
        more = lost[short] + 1
        assert (safe_p(more, flips[short] - more, n, margin) > level).all()
        start = all_safe(n, margin, level)
        assert safe_p(start, 0, n, margin) == pytest.approx(level, rel=1e-5)
        some = np.linspace(float(start) + 0.01, 300, 20)
        root = safe_losses(some, n, margin, level)
        np.testing.assert_allclose(safe_p(root, some - root, n, margin), level, rtol=1e-5)
    assert most_lost(0, 98, 0.03, 0.05) == -1
    assert most_lost(0, 99, 0.03, 0.05) == 0


@pytest.mark.parametrize(("margin", "level"), [(0.0, 0.05), (-0.1, 0.05), (1.1, 0.05), (0.03, 0.0), (0.03, 1.0)])
def test_impossible_margins_and_levels_are_refused(margin, level):
    for call in (
        lambda: fewest(margin, level),
        lambda: Planner(margin, level),
        lambda: power_of_pass(9, 0.1, 0, margin, level),
    ):
        with pytest.raises(ValueError, match="margin is"):
            call()


@pytest.mark.parametrize(("discordance", "harm"), [(0.1, 0.2), (0.1, -0.2), (1.2, 0.0)])
def test_impossible_worlds_are_refused(discordance, harm):
    with pytest.raises(ValueError, match=r"\|harm\|"):
        power_of_pass(100, discordance, harm, 0.03)
