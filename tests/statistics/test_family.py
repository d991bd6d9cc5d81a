"""A family of comparisons says of every pair what the pair alone says, and Holm's procedure tells the same ones."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbias.statistics import behrens_fisher, family
from benchbias.statistics.cells import Cells
from benchbias.statistics.estimates import LEVEL, difference, estimate, p_value
from benchbias.statistics.family import Gaps, PValues
from benchbias.statistics.influence import Measured, measure
from benchbias.statistics.ranking import holm, resolution, resolved_pairs
from benchbias.statistics.seeds import seeds_needed

quick = settings(max_examples=5, deadline=None, derandomize=True)


def cells_of(seed, share, clusters, layout):
    """Two groups of two classes: each cluster has one example of every group; rights are drawn."""
    numbers = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(clusters), 2) + 1000 * layout
    group = np.tile([0, 1], clusters) + 2 * (np.repeat(np.arange(clusters), 2) % 2)
    total = np.full(2 * clusters, 3)
    return Cells(cluster, group, total, numbers.binomial(3, share, 2 * clusters), f"layout {layout}")


def rows_of(numbers, metric):
    """Rows of unlike kinds: other seeds, other test splits, counts unknown, equal rows, an undefined seed."""
    found = []
    for number in range(6):
        seeds = sorted(numbers.choice(6, size=int(numbers.integers(2, 6)), replace=False).tolist())
        share = float(numbers.uniform(0.1, 0.95))
        layout = int(numbers.integers(2))  # of half of the seeds
        found.append(
            {
                seed: measure(metric, cells_of([number, seed], share, 12, layout * (seed % 2)), [True, False] * 2, 2)
                for seed in seeds
            }
        )
    found.append(dict(found[0]))
    found.append({seed: Measured(float(one.value), bounds=(0.0, 1.0)) for seed, one in found[1].items()})
    found.append({seed: None if seed == 1 else one for seed, one in found[2].items()})
    found.append({seed: Measured(0.25) for seed in range(6)})
    found.append({seed: Measured(0.5) for seed in range(6)})
    found.append({9: Measured(0.5)})
    return found


def by_pairs(rows):
    """The estimate of every pair, one by one."""

    def one_pair(one, other):
        common = one.keys() & other.keys()
        if any(side[seed] is None for side in (one, other) for seed in common):
            return None
        return difference(*({seed: side[seed] for seed in common} for side in (one, other)))

    return {pair: one_pair(*(rows[at] for at in pair)) for pair in itertools.combinations(range(len(rows)), 2)}


def columns(gaps):
    """Every pair's numbers, by (lower, higher) row; the sign of its mean is that of lower - higher."""
    turned = np.where(gaps.one < gaps.other, 1, -1)
    keys = zip(np.minimum(gaps.one, gaps.other).tolist(), np.maximum(gaps.one, gaps.other).tolist(), strict=True)
    values = (turned * gaps.mean, gaps.error, gaps.seed_share, gaps.example_freedom, gaps.seeds, gaps.still)
    return dict(zip(keys, zip(*(value.tolist() for value in values), strict=True), strict=True))


@quick
@given(st.integers(0, 10**6), st.sampled_from(["accuracy", "worst_group_accuracy"]), st.sampled_from([20, 10**6]))
def test_a_family_says_of_each_pair_what_the_pair_alone_says(seed, metric, at_once):
    rows = rows_of(np.random.default_rng(seed), metric)
    alone = by_pairs(rows)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(family, "AT_ONCE", at_once)
        together, expected = Gaps.between(rows), Gaps.of(alone)
    assert len(together) == len(expected) == len(rows) * (len(rows) - 1) // 2
    found, wanted = columns(together), columns(expected)
    assert found.keys() == wanted.keys()
    for pair, numbers in wanted.items():
        mean, error, share, freedom, seeds, still = found[pair]
        assert mean == pytest.approx(numbers[0], abs=1e-12, nan_ok=True)
        assert error == pytest.approx(numbers[1], rel=1e-9, nan_ok=True)
        if not math.isnan(error):
            assert (share, freedom) == (pytest.approx(numbers[2], rel=1e-9), pytest.approx(numbers[3]))
        if not math.isnan(mean):
            assert (seeds, still) == numbers[4:]


@quick
@given(st.integers(0, 10**6), st.sampled_from(["accuracy", "worst_group_accuracy"]))
def test_what_is_resolved_is_holms_procedure_on_all_p_values(seed, metric):
    rows = rows_of(np.random.default_rng(seed), metric)
    alone = by_pairs(rows)
    adjusted = holm([p_value(gap) for gap in alone.values()])
    told = {
        pair if gap.mean > 0 else pair[::-1]
        for (pair, gap), p in zip(alone.items(), adjusted, strict=True)
        if gap is not None and p <= 1 - LEVEL
    }
    assert resolved_pairs(Gaps.between(rows)) == resolved_pairs(Gaps.of(alone)) == told


def test_many_rows_resolve_some_pairs_and_the_last_of_them_is_where_holm_stops():
    """Hundreds of comparisons of which a part is resolved: the rounds end where the step-down procedure does."""
    numbers = np.random.default_rng(5)
    rows = [
        {seed: Measured(float(value)) for seed, value in enumerate(mean + numbers.normal(0, 0.03, 6))}
        for mean in numbers.uniform(0.2, 0.9, 40)
    ]
    alone = by_pairs(rows)
    adjusted = dict(zip(alone, holm([p_value(gap) for gap in alone.values()]), strict=True))
    told = {tuple(sorted(pair)) for pair in resolved_pairs(Gaps.between(rows))}
    assert told == {pair for pair, p in adjusted.items() if p <= 1 - LEVEL}
    assert 100 < len(told) < len(alone) - 100


def test_p_values_are_compared_with_levels_as_they_are():
    gaps = {(0, at): estimate(list(np.random.default_rng(at).normal(0.04, 0.05, 5))) for at in range(1, 60)}
    p_values = np.array([p_value(gap) for gap in gaps.values()])
    for level in (1e-4, 0.003, 0.05, 0.4):
        assert (PValues(Gaps.of(gaps)).at_most(level) == (p_values <= level)).all()
    assert 0 < (p_values <= 0.003).sum() < len(p_values)


def test_many_p_values_are_told_apart_by_few_nodes_first(monkeypatch):
    numbers = np.random.default_rng(4)
    rows = [
        {
            seed: measure("worst_group_accuracy", cells_of([row, seed], share, 12, 0), [True, False] * 2, 2)
            for seed in range(4 + row % 2)
        }
        for row, share in enumerate(numbers.uniform(0.1, 0.95, 24))
    ]
    gaps, computed = Gaps.between(rows), []
    alone = {frozenset(pair): p_value(gap) for pair, gap in by_pairs(rows).items()}
    p_values = np.array([alone[frozenset(pair)] for pair in zip(gaps.one.tolist(), gaps.other.tolist(), strict=True)])
    monkeypatch.setattr(family, "FEW", 0)
    exact = behrens_fisher.tail
    monkeypatch.setattr(behrens_fisher, "tail", lambda *of: computed.append(of) or exact(*of))
    for level in (0.05, 1e-3, 1e-4, 0.4):
        computed.clear()
        assert (PValues(gaps).at_most(level) == (p_values <= level)).all()
        assert len(computed) < len(gaps) / 2
    assert 10 < (p_values <= 0.05).sum() < len(p_values) - 10


def test_rough_probabilities_are_within_their_factor():
    numbers = np.random.default_rng(0)
    for seeds in (2.0, 4.0, 9.0, 99.0):
        share, images = np.sin(numbers.uniform(0, np.pi / 2, 60)) ** 2, numbers.uniform(3, 900, 60)
        images[:5], share[5:8] = np.inf, [0, 1, 0.5]
        distance = numbers.uniform(0.5, 8, 60)
        exact = [behrens_fisher.tail(*one) for one in zip(distance, share, [seeds] * 60, images, strict=True)]
        ratio = behrens_fisher.rough_tails(distance, share, seeds, images) / exact
        assert ratio.max() < behrens_fisher.ROUGH
        assert ratio.min() > 1 / behrens_fisher.ROUGH


def test_medians_are_of_the_pairs():
    rows = rows_of(np.random.default_rng(3), "accuracy")
    together, alone = Gaps.between(rows), Gaps.of(by_pairs(rows))
    assert resolution(together).difference == pytest.approx(resolution(alone).difference)
    assert seeds_needed([together]) == seeds_needed([alone])


@quick
@given(st.integers(0, 10**6), st.sampled_from([2.0, 4.0, 9.0]), st.sampled_from([0.8, 0.975, 1 - 0.025 / 78]))
def test_a_quantile_between_degrees_of_freedom_is_that_of_its_own(seed, seeds, probability):
    numbers = np.random.default_rng(seed)
    share, images = numbers.uniform(0, 1, 40), numbers.uniform(9, 400, 40)
    together = behrens_fisher.quantile(share, seeds, images, probability)
    alone = [float(behrens_fisher.quantile(share[at], seeds, images[at], probability)) for at in range(8)]
    assert together[:8] == pytest.approx(alone, rel=1e-6)
