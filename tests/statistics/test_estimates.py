"""Estimates: the example variance is the bootstrap's, tests are scipy's, intervals are bounded and have a width."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from benchbias.statistics.bounds import least_variance
from benchbias.statistics.estimates import (
    Estimate,
    difference,
    equivalence_p_value,
    estimate,
    over_seeds,
    p_value,
)
from benchbias.statistics.influence import Measured, example_variance, measure, measure_group
from benchbias.statistics.spread import spread
from support.cell_tables import bootstrap_means, drawn, table

quick = settings(max_examples=60, deadline=None, derandomize=True)
fractions = st.floats(0, 1)
any_seed = st.integers(0, 10**6)

ALIGNED = (True, False, False, True)
SHARES = {
    "worst_group_accuracy": lambda y, t: (y / t).min(axis=-1),
    "mean_group_accuracy": lambda y, t: (y / t).mean(axis=-1),
    "accuracy": lambda y, t: y.sum(axis=-1) / t.sum(axis=-1),
    "aligned_accuracy": lambda y, t: y[..., [0, 3]].sum(axis=-1) / t[..., [0, 3]].sum(axis=-1),
    "conflicting_accuracy": lambda y, t: y[..., [1, 2]].sum(axis=-1) / t[..., [1, 2]].sum(axis=-1),
}
"""Each metric as a function of correct and total (..., G): written anew, for the tests."""

RNG = np.random.default_rng


def counts(cells, groups=4):
    return (np.bincount(cells.group, column, groups) for column in (cells.correct, cells.total))


def measured(metric, row):
    return [measure(metric, cells, ALIGNED) for cells in row]


def by_seed(metric, row):
    return dict(enumerate(measured(metric, row)))


# --- metrics of cells


@quick
@given(any_seed, st.sampled_from(sorted(SHARES)))
def test_a_metric_is_a_function_of_group_counts_and_its_influence_sums_to_zero(seed, metric):
    (cells,) = drawn(RNG(seed), RNG(seed).uniform(0.2, 0.9, 4), seeds=1)
    found = measure(metric, cells, ALIGNED)
    assert found.value == pytest.approx(SHARES[metric](*counts(cells)))
    assert found.influence.value.sum() == pytest.approx(0, abs=1e-12)
    assert len(found.influence.value) == len(found.influence.cluster) == 60


@quick
@given(any_seed, st.sampled_from(sorted(SHARES)))
def test_influence_is_the_derivative_in_the_weight_of_a_cluster(seed, metric):
    """Up to the worst group: no group is near it here, so a small weight does not change which it is."""
    (cells,) = drawn(RNG(seed), [0.9, 0.3, 0.6, 0.8], seeds=1, copies=3, clusters=40)
    found = measure(metric, cells, ALIGNED).influence
    step = 1e-6
    for cluster in (0, 17):
        weight = np.where(cells.cluster == cluster, 1 + step, 1)
        moved = table(cells.cluster, cells.group, weight * cells.total, weight * cells.correct)
        slope = (SHARES[metric](*counts(moved)) - SHARES[metric](*counts(cells))) / step
        assert found.value[found.cluster == cluster] == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize("metric", ["digit_one_accuracy", "anything"])
def test_another_metric_is_not_measured_from_cells(metric):
    assert measure(metric, drawn(RNG(0), [0.5] * 4, seeds=1)[0], ALIGNED, 2, [1] * 4) is None


@quick
@given(any_seed)
def test_metrics_of_classes_and_of_training_shares_are_functions_of_group_counts(seed):
    (cells,) = drawn(RNG(seed), RNG(seed).uniform(0.2, 0.9, 4), seeds=1)
    correct, total = counts(cells)
    by_class = correct.reshape(2, 2).sum(1) / total.reshape(2, 2).sum(1)
    assert measure("worst_class_accuracy", cells, ALIGNED, 2).value == pytest.approx(by_class.min())
    trained = np.array([7, 0, 2, 1])
    shares = (trained / trained.sum() * correct / total).sum()
    assert measure("accuracy_train_weighted", cells, ALIGNED, 2, trained.tolist()).value == pytest.approx(shares)
    as_the_attribute = correct[[0, 3]].sum() + (total - correct)[[1, 2]].sum()
    spurious = measure("spurious_attribute_accuracy", cells, ALIGNED, 2)
    assert spurious.value == pytest.approx(as_the_attribute / total.sum())
    assert spurious.bounds == (0, 1)
    assert spurious.influence.value.sum() == pytest.approx(0, abs=1e-12)


def test_an_attribute_that_is_aligned_with_no_class_is_left_out_of_the_shortcut():
    cells = table([0, 1, 2, 3], [0, 1, 2, 3], [4] * 4, [1, 3, 2, 4])
    found = measure("spurious_attribute_accuracy", cells, (True, False, False, False), 2)
    assert found.value == pytest.approx((1 + 4 - 2) / 8)
    assert measure("spurious_attribute_accuracy", cells, (True, False, True, False), 2) is None, "aligned with both"


def test_of_tied_groups_the_first_is_the_worst():
    cells = table([0, 1, 2, 3], [0, 1, 0, 1], [4] * 4, [1, 0, 3, 4])
    found = measure("worst_group_accuracy", cells, (True, False)).influence
    assert found.value.tolist() == [-0.125, 0, 0.125, 0]


@pytest.mark.parametrize("metric", ["worst_group_accuracy", "mean_group_accuracy", "conflicting_accuracy"])
def test_a_metric_of_a_group_without_an_example_is_undefined_and_so_is_its_row(metric):
    cells = table([0, 1], [0, 0], [4, 4], [1, 2])
    assert np.isnan(measure(metric, cells, (True, False)).value)
    assert over_seeds([measure(metric, cells, (True, False))] * 3) is None
    assert over_seeds([measure("accuracy", cells, (True, False))] * 3).mean == pytest.approx(3 / 8)


def test_many_trials_are_measured_at_once():
    row = drawn(RNG(3), [0.9, 0.3, 0.4, 0.8], seeds=6)
    stacked = table(row[0].cluster, row[0].group, row[0].total, np.stack([cells.correct for cells in row]))
    for metric in SHARES:
        together, alone = measure(metric, stacked, ALIGNED), measured(metric, row)
        assert together.value == pytest.approx([one.value for one in alone])
        assert np.allclose(together.influence.value, [one.influence.value for one in alone])


# --- the draw of test examples


def test_with_one_seed_and_one_example_a_cluster_it_is_the_variance_of_a_mean():
    """p (1 - p) / (n - 1), in closed form."""
    correct = np.arange(50) < 35
    cells = table(np.arange(50), np.zeros(50, int), np.ones(50, int), correct)
    variance, clusters = example_variance([measure("accuracy", cells, (True,)).influence])
    assert (variance, clusters) == (pytest.approx(0.7 * 0.3 / 49, rel=1e-12), 50)


@pytest.mark.parametrize("both", [True, False], ids=["clusters in all groups", "clusters in one group"])
@pytest.mark.parametrize("metric", SHARES)
def test_it_is_the_variance_of_a_cluster_bootstrap(metric, both):
    row = drawn(RNG(1), [0.9, 0.3, 0.6, 0.8], clusters=400, both=both)
    variance, clusters = example_variance([one.influence for one in measured(metric, row)])
    means = bootstrap_means([row], SHARES[metric], RNG(2))[:, 0]
    assert clusters == 400
    assert variance == pytest.approx(means.var(), rel=0.1)  # 4000 repetitions: 2 %; ratios bend: a few more


@pytest.mark.parametrize("metric", ["worst_group_accuracy", "conflicting_accuracy"])
def test_of_folds_it_is_the_variance_of_a_bootstrap_over_all_folds(metric):
    """Five folds tested by two seeds each: every cluster is drawn once for the two seeds that test it."""
    accuracy = [0.9, 0.3, 0.6, 0.8]
    folds = [drawn(RNG(fold), accuracy, clusters=120, seeds=2, first=120 * fold) for fold in range(5)]
    row = [cells for fold in folds for cells in fold]
    variance, clusters = example_variance([one.influence for one in measured(metric, row)])
    assert clusters == 600
    assert variance == pytest.approx(bootstrap_means([row], SHARES[metric], RNG(3))[:, 0].var(), rel=0.1)


@pytest.mark.parametrize("metric", SHARES)
def test_of_a_difference_it_is_the_variance_of_a_bootstrap_that_both_rows_share(metric):
    """Rows on the same images: their difficulties cancel, which unpaired variances miss."""
    one = drawn(RNG(4), [0.9, 0.3, 0.6, 0.8], clusters=400, copies=1)
    other = [
        table(c.cluster, c.group, c.total, np.maximum(c.correct - RNG(s).binomial(1, 0.1, len(c.correct)), 0))
        for s, c in enumerate(one)
    ]
    gap = difference(by_seed(metric, one), by_seed(metric, other))
    means = bootstrap_means([one, other], SHARES[metric], RNG(5))
    values = [one.value - two.value for one, two in zip(*(measured(metric, row) for row in (one, other)), strict=True)]
    variance = gap.standard_error**2 - gap.sd**2 / gap.n - least_variance((-1, 1), gap.clusters)
    assert gap.mean == pytest.approx(np.mean(values), abs=0.01), "up to the bias of a least"
    assert variance == pytest.approx((means[:, 0] - means[:, 1]).var(), rel=0.1)
    assert variance < 0.5 * means.var(axis=0).sum()


@quick
@given(any_seed, st.sampled_from(sorted(SHARES)), st.randoms(use_true_random=False))
def test_neither_the_order_of_seeds_nor_names_of_clusters_nor_more_draws_change_an_estimate(seed, metric, random):
    row = drawn(RNG(seed), [0.9, 0.3, 0.6, 0.8], seeds=4, clusters=30)
    found = over_seeds(measured(metric, row))
    changes = {
        "seeds in another order": random.sample(row, 4),
        "every draw thrice": [table(c.cluster, c.group, 3 * c.total, 3 * c.correct) for c in row],
        "other numbers": [table(7 * c.cluster + 3, c.group, c.total, c.correct) for c in row],
    }
    order = np.argsort(-row[0].cluster, kind="stable")  # the clusters that come first get the highest numbers
    changes["clusters in another order"] = [
        table(c.cluster.max() - c.cluster[order], c.group[order], c.total[order], c.correct[order]) for c in row
    ]
    for change, changed in changes.items():
        other = over_seeds(measured(metric, changed))
        for name in ("mean", "sd", "half_width", "standard_error", "freedom"):
            assert getattr(other, name) == pytest.approx(getattr(found, name), rel=1e-9), f"{change}: {name}"


def test_a_group_is_measured_on_its_own_cells():
    (cells,) = drawn(RNG(6), [0.9, 0.3, 0.6, 0.8], seeds=1)
    alone = table(*(column[cells.group == 2] for column in (cells.cluster, cells.group, cells.total, cells.correct)))
    assert measure_group(2, cells).value == measure("accuracy", alone, ALIGNED).value


# --- intervals


@quick
@given(st.lists(fractions, min_size=2, max_size=12))
def test_without_example_variance_it_is_scipys_t_interval(values):
    found = estimate(values)
    assert (found.mean, found.n) == (pytest.approx(np.mean(values)), len(values))
    if len(values) < 3:
        assert found.half_width is None, "two seeds say too little"
    elif found.sd > 1e-9:
        assert found.freedom == pytest.approx(len(values) - 1)
        low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        bounds = found.mean - found.half_width, found.mean + found.half_width
        assert bounds == (pytest.approx(low), pytest.approx(high))
        assert found.standard_error == pytest.approx(stats.sem(values))


@quick
@given(any_seed, st.integers(3, 12), st.integers(2, 50))
def test_the_degrees_of_freedom_of_two_variances_are_welchs(seed, seeds, clusters):
    """A mean over seeds and a mean over clusters are two samples: Welch's test has the same standard error."""
    values, examples = RNG(seed).random(seeds), RNG(seed + 1).random(clusters)
    found = spread(values, examples.var(ddof=1) / clusters, clusters)
    test = stats.ttest_ind(values, examples, equal_var=False)
    assert found.freedom == pytest.approx(test.df)
    assert found.standard_error == pytest.approx(abs(values.mean() - examples.mean()) / abs(test.statistic))
    low, high = test.confidence_interval(0.95)
    assert found.half_width > 0.97 * (high - low) / 2, "Welch's interval is the shorter one, as a rule"


def test_a_row_adds_both_variances():
    row = drawn(RNG(8), [0.9, 0.3, 0.6, 0.8])
    one = measured("worst_group_accuracy", row)
    found = over_seeds(one)
    values = [float(m.value) - float(m.bias) for m in one]
    variance, _ = example_variance([m.influence for m in one])
    assert found.mean == pytest.approx(np.mean(values))
    assert found.sd == pytest.approx(np.std(values, ddof=1))
    assert found.standard_error**2 == pytest.approx(np.var(values, ddof=1) / 5 + variance)
    assert 4 < found.freedom < 4 + 59


@quick
@given(fractions | st.sampled_from([0.1, 0.7]), st.integers(2, 12))
def test_equal_values_have_no_interval(value, seeds):
    """Not one of a width of 1e-17, by which two equal rows would differ significantly, nor one of none."""
    found = estimate([value] * seeds)
    assert found.mean == pytest.approx(value)
    assert (found.sd, found.half_width, found.lower, found.upper) == (0, None, None, None)


@quick
@given(st.lists(fractions, min_size=2, max_size=12), st.randoms(use_true_random=False))
def test_a_mean_is_rounded_once_whatever_the_order(values, random):
    found = estimate(values)
    assert found.mean == statistics.fmean(values) == estimate(random.sample(values, len(values))).mean


def test_where_a_seed_has_no_influence_the_interval_is_of_seeds_alone():
    one = measured("accuracy", drawn(RNG(9), [0.5] * 4))
    found, alone = over_seeds([*one[:4], Measured(one[4].value)]), estimate([float(m.value) for m in one])
    assert found.parts == alone.parts
    assert (found.seed_share, found.half_width) == (1, alone.half_width)


def test_one_seed_has_a_mean_and_no_interval_and_none_has_nothing():
    (one,) = measured("accuracy", drawn(RNG(9), [0.5] * 4, seeds=1))
    found = over_seeds([Measured(one.value)])
    assert found == Estimate(float(one.value), None, 1, None)
    assert over_seeds([]) is None
    assert p_value(found) == equivalence_p_value(found, 0.1) == 1


@pytest.mark.parametrize("seeds", [1, 2])
def test_below_three_seeds_the_test_examples_speak_alone(seeds):
    row = measured("accuracy", drawn(RNG(9), [0.5] * 4, seeds=seeds, clusters=400))
    found = over_seeds(row)
    variance, _ = example_variance([one.influence for one in row])
    assert not found.over_seeds
    assert found.error == pytest.approx(math.sqrt(variance))
    assert found.half_width == pytest.approx(float(stats.t.ppf(0.975, found.example_freedom)) * found.error, rel=1e-5)
    assert p_value(found) == equivalence_p_value(found, 0.5) == 1, "nothing is concluded"


def test_one_cluster_says_nothing_of_others():
    cells = [table([3], [0], [10], [correct]) for correct in (4, 5)]
    found = over_seeds([measure("accuracy", one, (True,)) for one in cells])
    assert (found.mean, found.half_width, p_value(found)) == (pytest.approx(0.45), None, 1)


@pytest.mark.parametrize("seeds", [1, 3, 5])
def test_a_worst_group_of_one_cluster_has_no_interval_and_breaks_nothing(seeds):
    cells = [table([0, 1, 2], [0, 1, 1], [10, 10, 10], [seed % 3, 9, 8]) for seed in range(seeds)]
    found = over_seeds([measure("worst_group_accuracy", one, (True, False)) for one in cells])
    assert found.half_width is None
    assert p_value(found) == 1


# --- differences


def test_a_difference_is_over_common_seeds_and_paired_by_seed():
    ones = {5: Measured(0.9), 1: Measured(0.5), 3: Measured(0.7)}
    others = {3: Measured(0.4), 5: Measured(0.7), 2: Measured(0.0), 1: Measured(0.3)}
    found = difference(ones, others)
    low, high = stats.ttest_rel([0.9, 0.5, 0.7], [0.7, 0.3, 0.4]).confidence_interval()
    assert found.n == 3
    assert 2 * found.half_width == pytest.approx(high - low)
    assert difference(ones, {8: Measured(0.1)}) is None


def test_on_other_test_splits_only_seeds_are_paired():
    one, other = drawn(RNG(1), [0.7] * 4), drawn(RNG(2), [0.7] * 4)
    moved = [table(c.cluster, c.group, c.total, c.correct, "another split") for c in other[:1]] + other[1:]
    values = [
        float(a.value - b.value) for a, b in zip(*(measured("accuracy", row) for row in (one, other)), strict=True)
    ]
    assert difference(by_seed("accuracy", one), by_seed("accuracy", moved)).parts == estimate(values).parts
    assert difference(by_seed("accuracy", one), by_seed("accuracy", other)).parts != estimate(values).parts


def test_a_row_does_not_differ_from_itself_but_its_images_are_few():
    """Bonett and Price's two more clusters: rows that agree on 21 examples are not shown to be equivalent."""
    row = by_seed("accuracy", drawn(RNG(1), [0.7] * 4, clusters=21))
    gap = difference(row, row)
    assert (gap.mean, p_value(gap)) == (0, 1)
    assert gap.half_width > 0.06
    assert equivalence_p_value(gap, 0.03) > 0.05
    many = by_seed("accuracy", drawn(RNG(1), [0.7] * 4, clusters=2000))
    assert equivalence_p_value(difference(many, many), 0.03) < 0.001


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_a_difference_that_is_the_same_everywhere_is_as_sure_as_a_sign_test(seeds):
    values = [Measured(seed / 16) for seed in range(seeds)]
    gap = difference(dict(enumerate(values)), {seed: Measured(v.value - 0.125) for seed, v in enumerate(values)})
    assert (gap.mean, gap.half_width) == (0.125, None)
    assert p_value(gap) == pytest.approx(stats.binomtest(seeds, seeds).pvalue)


def test_all_right_on_few_examples_is_not_certain():
    """The exact bound on the errors of 21 that are all right is 16 % (Clopper and Pearson)."""
    row = [measure("accuracy", table(range(21), [0] * 21, [1] * 21, [1] * 21), (True,)) for _ in range(5)]
    found = over_seeds(row)
    low, high = found.interval()
    assert (found.mean, high) == (1, 1)
    assert 1 - low == pytest.approx(1 - 0.025 ** (1 / 21), abs=0.03)
    assert p_value(found) > 0
    (single,) = (over_seeds(row[:1]),)
    assert single.interval()[0] == pytest.approx(low, abs=1e-3), "one seed's examples say as much"
    wrong = [measure("accuracy", table(range(21), [0] * 21, [1] * 21, [1] * 20 + [0]), (True,)), *row[1:]]
    low, high = over_seeds(wrong).interval()
    assert 0.7 < low < 0.95
    assert 0.99 < high < 1


@quick
@given(any_seed, st.floats(0, 1), st.integers(3, 10), st.integers(5, 40))
def test_an_interval_of_a_share_lies_inside_0_and_1_and_holds_its_mean(seed, accuracy, seeds, clusters):
    row = measured("accuracy", drawn(RNG(seed), [accuracy] * 4, seeds=seeds, clusters=clusters))
    found = over_seeds(row)
    low, high = found.interval()
    if found.half_width is not None:
        assert 0 <= low <= found.mean <= high <= 1
        assert low < high


@quick
@given(any_seed, st.integers(3, 6))
def test_an_interval_of_a_difference_lies_inside_minus_1_and_1(seed, seeds):
    ones, others = (
        drawn(RNG(seed), [0.97] * 4, clusters=8, seeds=seeds),
        drawn(RNG(seed), [0.03] * 4, clusters=8, seeds=seeds),
    )
    gap = difference(by_seed("accuracy", ones), by_seed("accuracy", others))
    low, high = gap.interval()
    assert -1 <= low < high <= 1
    assert gap.half_width > 0


@quick
@given(any_seed, st.integers(3, 12))
def test_a_p_value_is_that_of_scipys_paired_test(seed, seeds):
    ones, others = RNG(seed).random((2, seeds))
    gap = difference(*({s: Measured(v) for s, v in enumerate(values)} for values in (ones, others)))
    assert p_value(gap) == pytest.approx(stats.ttest_rel(ones, others).pvalue)


@quick
@given(any_seed, st.integers(3, 12), st.floats(0.01, 1))
def test_equivalence_is_the_worse_of_two_one_sided_tests(seed, seeds, margin):
    values = RNG(seed).normal(0, 0.3, seeds)
    above = stats.ttest_1samp(values, -margin, alternative="greater").pvalue
    below = stats.ttest_1samp(values, margin, alternative="less").pvalue
    assert equivalence_p_value(estimate(list(values)), margin) == pytest.approx(max(above, below))


def test_equivalence_is_not_shown_without_spread():
    assert [equivalence_p_value(estimate([0.25] * 3), margin) for margin in (0.2, 0.25, 0.3)] == [1, 1, 1]
    assert equivalence_p_value(None, 0.1) == p_value(None) == 1


@pytest.mark.parametrize("margin", [0, -0.1, math.nan])
def test_a_margin_is_positive(margin):
    with pytest.raises(ValueError, match="margin"):
        equivalence_p_value(estimate([0.1, 0.2]), margin)
