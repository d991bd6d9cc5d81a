"""The melded test is that of drawn confidence distributions, finds what was planted, and depends on no order."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from benchbias.auditing.statistics.uneven import uneven_p


def examples(numbers, n, values, rates, extra=0.0):
    """harm and codes: value k flips at rates[k]; the first loses `extra` more."""
    codes = numbers.integers(0, values, n)
    flips = np.asarray(rates)[codes] + extra * (codes == 0)
    chance = numbers.random(n)
    lost = flips / 2 + extra / 2 * (codes == 0)
    return np.where(chance < lost, 1, np.where(chance < flips, -1, 0)), codes


def drawn(harm, size, worst, generator, draws):
    weight = generator.standard_exponential((draws, len(size) + 1))
    extra = np.square(size).sum() / size.sum()
    return weight @ np.append(harm, worst * extra) / (weight @ np.append(size, extra))


def melded(harm, codes, values, cluster, draws=20_000):
    """The p of every value by draws, from the definition."""
    found = []
    generator = np.random.default_rng(1)
    for value in range(values):
        sides = []
        for inside, worst in ((codes == value, -1.0), (codes != value, 1.0)):
            number = np.unique(cluster[inside], return_inverse=True)[1]
            sides.append(drawn(np.bincount(number, harm[inside]), np.bincount(number), worst, generator, draws))
        found.append((sides[0] <= sides[1]).mean())
    return np.array(found)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("clusters", [False, True])
def test_p_is_that_of_drawn_confidence_distributions(seed, clusters):
    numbers = np.random.default_rng(seed)
    n, values = (60, 250)[seed % 2], 2 + seed % 3
    harm, codes = examples(numbers, n, values, numbers.uniform(0.02, 0.4, values), 0.05)
    cluster = numbers.integers(0, n // 3, n) if clusters else np.arange(n)
    by_value = melded(harm, codes, values, cluster)
    p, worst = uneven_p(harm, codes, values, cluster if clusters else None)
    expected = min(1.0, values * by_value.min())
    if p < 1:
        assert p == pytest.approx(expected, abs=5 * values * 0.5 / np.sqrt(20_000))
        assert by_value[worst] == pytest.approx(by_value.min(), abs=0.02)
    else:
        assert expected > 0.9


def test_a_value_without_losses_is_held_against_gains_of_few_others():
    """The bound of the value is at most 0 for sure, and that of the others passes 0 with a chance that counts."""
    harm, codes = np.repeat([0, -1, 0], [40, 7, 3]), np.repeat([0, 1, 1], [40, 7, 3])
    by_value = melded(harm, codes, 2, np.arange(50), draws=200_000)
    p, worst = uneven_p(harm, codes, 2)
    assert worst == 0
    assert p == pytest.approx(2 * by_value[0], rel=0.1)


def test_clusters_of_one_example_are_no_clusters():
    harm, codes = examples(np.random.default_rng(3), 400, 3, [0.1, 0.02, 0.3], 0.06)
    assert uneven_p(harm, codes, 3, np.arange(400)[::-1]) == pytest.approx(uneven_p(harm, codes, 3), rel=1e-9)


def test_a_planted_harm_is_found_and_copies_weaken_it():
    harm, codes = examples(np.random.default_rng(0), 3000, 4, [0.05] * 4, 0.1)
    p, worst = uneven_p(harm, codes, 4)
    assert p < 1e-9
    assert worst == 0
    copied, _ = uneven_p(np.repeat(harm, 5), np.repeat(codes, 5), 4, np.repeat(np.arange(3000), 5))
    assert copied == pytest.approx(p, rel=1e-6)
    assert uneven_p(np.repeat(harm, 5), np.repeat(codes, 5), 4)[0] < p


@pytest.mark.parametrize("clusters", [False, True])
def test_the_order_of_rows_and_the_names_of_clusters_change_no_bit(clusters):
    numbers = np.random.default_rng(5)
    harm, codes = examples(numbers, 500, 3, [0.3, 0.1, 0.05], 0.03)
    cluster = numbers.integers(0, 150, 500) if clusters else None
    mixed = numbers.permutation(500)
    renamed = None if cluster is None else numbers.permutation(1000)[cluster][mixed] - 17
    assert uneven_p(harm[mixed], codes[mixed], 3, renamed) == uneven_p(harm, codes, 3, cluster)


def test_the_order_of_values_changes_the_code_alone():
    harm, codes = examples(np.random.default_rng(6), 500, 3, [0.3, 0.1, 0.05], 0.05)
    p, worst = uneven_p(harm, codes, 3)
    turned, other = uneven_p(harm, (codes + 1) % 3, 3)
    assert turned == p
    assert other == (worst + 1) % 3


def test_values_without_examples_and_other_codes_are_left_out():
    harm, codes = examples(np.random.default_rng(7), 300, 3, [0.2] * 3, 0.1)
    gaps = np.array([1, 4, 6])[codes]
    p, worst = uneven_p(harm, codes, 3)
    assert uneven_p(np.append(harm, [1] * 50), np.append(gaps, [-1] * 50), 8) == (p, [1, 4, 6][worst])


def test_too_few_values_or_examples_say_nothing():
    assert uneven_p([], [], 3) == (1.0, -1)
    assert uneven_p([1, 1, 1], [2, 2, 2], 3) == (1.0, 2)
    assert uneven_p([1, 0], [0, 1], 2)[0] > 0.5
    assert uneven_p([0] * 100, [0, 1] * 50, 2)[0] == 1


def test_far_tails_are_told_and_never_zero():
    p, worst = uneven_p([1] * 5000 + [-1] * 5000, [1] * 5000 + [0] * 5000, 2)
    assert worst == 1
    assert 0 < p < 1e-300
    exact = integrate.quad(lambda u: ((1 + u) / 2) ** 300 * stats.beta.pdf(u, 1, 3000), 0, 0.1, epsabs=0, epsrel=1e-10)
    p = uneven_p([1] * 300 + [0] * 3000, [1] * 300 + [0] * 3000, 2)[0]
    assert p == pytest.approx(2 * exact[0], rel=1e-6)
