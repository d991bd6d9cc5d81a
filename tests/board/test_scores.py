"""Scores: intervals are scipy's, differences are paired by seed, and a row never depends on the order of records."""

from __future__ import annotations

import contextlib
import math
import random
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from benchbias.board.markdown.details import details_page
from benchbias.board.rows import score
from benchbias.errors import BenchbiasError
from benchbias.statistics.estimates import estimate
from support.made_records import failure, record

quick = settings(max_examples=60, deadline=None, derandomize=True)


def by_label(records):
    return {row.label: row for row in score(records)}


fractions = st.floats(0, 1)


# --- one row


@quick
@given(st.lists(fractions, min_size=2, max_size=12))
def test_an_estimate_is_numpys_mean_and_sd_and_scipys_t_interval(values):
    found = estimate(values)
    assert found.mean == pytest.approx(np.mean(values))
    assert found.sd == pytest.approx(np.std(values, ddof=1), abs=1e-12)
    assert found.n == len(values)
    if found.sd > 1e-9 and len(values) > 2:
        low, high = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))
        assert (found.mean - found.half_width, found.mean + found.half_width) == (
            pytest.approx(low),
            pytest.approx(high),
        )


def test_equal_values_have_no_interval():
    assert (estimate([0.3] * 5).sd, estimate([0.3] * 5).half_width) == (0, None)


def test_one_value_has_a_mean_and_no_interval():
    found = estimate([0.3])
    assert (found.mean, found.n, found.sd, found.half_width) == (0.3, 1, None, None)


def test_no_value_has_no_estimate():
    assert estimate([]) is None


@quick
@given(st.lists(fractions, min_size=1, max_size=8))
def test_a_row_is_the_estimate_over_its_seeds(values):
    (row,) = score([record(seed=seed, value=value) for seed, value in enumerate(values)])
    assert row.metrics["accuracy"] == row.metrics["worst_group_accuracy"]
    assert row.metrics["accuracy"].parts == estimate(values).parts
    assert row.metrics["accuracy"].bounds == (0, 1)
    assert row.as_counted == pytest.approx(np.mean(values))
    assert row.seeds == tuple(range(len(values)))


def test_a_metric_that_is_undefined_in_one_seed_is_undefined_in_its_row_and_no_other_is():
    values = [{"accuracy": 0.5, "worst_group_accuracy": worst} for worst in (0.1, None, 0.3)]
    (row,) = score([record(seed=seed, metrics=metrics) for seed, metrics in enumerate(values)])
    assert row.metrics["worst_group_accuracy"] is None
    assert row.metrics["accuracy"].parts == estimate([0.5] * 3).parts


def test_a_trial_without_a_score_counts_in_no_mean():
    (row,) = score(
        [record(seed=0, value=0.2), failure(seed=1), failure(seed=2, status="skipped"), record(seed=3, value=0.4)]
    )
    assert row.seeds == (0, 3)
    assert row.metrics["accuracy"].mean == pytest.approx(0.3)


def test_each_setting_of_a_sweep_and_each_task_is_a_row_of_its_own():
    records = [
        record(swept={"sparsity": sparsity}, task=task, seed=seed)
        for sparsity in (0.5, 0.9)
        for task in ("toy", "other")
        for seed in (0, 1)
    ]
    rows = score(records)
    assert {(row.task, row.label) for row in rows} == {
        (task, f"plain[sparsity={sparsity}]") for task in ("toy", "other") for sparsity in (0.5, 0.9)
    }
    assert all(row.seeds == (0, 1) for row in rows)


@pytest.mark.parametrize("differs", ["settings", "stages"])
def test_no_row_averages_one_seed_at_two_settings(differs):
    """`--set` of what is not swept makes other trials of the same method and seed: two rows, or an error."""
    values = {"settings": ({"k": 1}, {"k": 2}), "stages": (["key one"], ["key two"])}[differs]
    records = [record(seed=seed, value=i / 2, **{differs: value}) for seed in (0, 1) for i, value in enumerate(values)]
    with contextlib.suppress(BenchbiasError):
        for row in score(records):
            assert len(set(row.seeds)) == len(row.seeds)


# --- differences


@quick
@given(st.integers(0, 10**6), st.integers(3, 12))
def test_a_gap_is_the_interval_of_scipys_paired_t_test(seed, number):
    numbers = np.random.default_rng(seed)
    ours, theirs = numbers.random(number), numbers.random(number)
    records = [record("cut", s, v, baseline="plain") for s, v in enumerate(ours)]
    records += [record("plain", s, v) for s, v in enumerate(theirs)]
    gap = by_label(records)["cut"].to_baseline
    low, high = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    assert (gap.mean - gap.half_width, gap.mean + gap.half_width) == (pytest.approx(low), pytest.approx(high))
    assert gap.n == number


def test_gaps_are_paired_by_seed_and_not_by_place():
    ours = [record("cut", seed, 0.1 * seed + 0.2, baseline="plain") for seed in (5, 1, 3)]
    theirs = [record("plain", seed, 0.1 * seed) for seed in (3, 5, 1, 2)]
    gap = by_label(ours + theirs)["cut"].to_baseline
    assert (gap.mean, gap.sd, gap.n) == (pytest.approx(0.2), pytest.approx(0, abs=1e-12), 3)


def test_only_seeds_that_both_have_are_in_a_gap():
    records = [record("cut", seed, 0.7, baseline="plain") for seed in range(4)]
    records += [record("plain", 2, 0.4), failure("plain", 3), record("plain", 9, 0.0)]
    gap = by_label(records)["cut"].to_baseline
    assert (gap.mean, gap.n, gap.half_width) == (pytest.approx(0.3), 1, None)


def test_a_gap_is_in_the_metric_that_ranks():
    suite = {"rank_by": "-accuracy"}
    records = [
        record("cut", metrics={"accuracy": 0.9, "worst_group_accuracy": 0.1}, baseline="plain", suite=suite),
        record("plain", metrics={"accuracy": 0.5, "worst_group_accuracy": 0.6}, suite=suite),
    ]
    assert by_label(records)["cut"].to_baseline.mean == pytest.approx(0.4)


def test_a_baseline_with_the_same_sweep_is_compared_at_the_same_value():
    levels = (0.5, 0.8, 0.9)
    records = [record("cut", value=s, swept={"sparsity": s}, baseline="chance") for s in levels]
    records += [record("chance", value=s**2, swept={"sparsity": s}) for s in levels[::-1]]
    for label, row in by_label(records).items():
        if row.method == "cut":
            sparsity = row.swept["sparsity"]
            assert row.to_baseline.mean == pytest.approx(sparsity - sparsity**2), label


def test_a_baseline_without_the_setting_is_no_baseline():
    records = [record("cut", swept={"sparsity": 0.7}, baseline="chance"), record("chance", swept={"sparsity": 0.5})]
    assert by_label(records)["cut[sparsity=0.7]"].to_baseline is None


def test_a_baseline_of_another_task_is_no_baseline():
    records = [record("cut", baseline="plain"), record("plain", task="other")]
    assert by_label(records)["cut"].to_baseline is None


def test_every_row_but_the_reference_has_a_gap_to_the_reference():
    suite = {"reference": "plain"}
    records = [record(m, s, v, suite=suite) for m, v in (("plain", 0.5), ("cut", 0.4), ("fine", 0.8)) for s in (0, 1)]
    gaps = {label: row.to_reference and row.to_reference.mean for label, row in by_label(records).items()}
    assert gaps == {"plain": None, "cut": pytest.approx(-0.1), "fine": pytest.approx(0.3)}


# --- order


@quick
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.none() | fractions), max_size=12),
    st.integers(0, 9),
)
def test_rows_do_not_depend_on_the_order_of_the_records(drawn, seed):
    chosen = {(method, s): value for method, s, value in drawn}
    records = [record(m, s, v, baseline="a", suite={"reference": "b"}) for (m, s), v in chosen.items()]
    shuffled = list(records)
    random.Random(seed).shuffle(shuffled)
    assert score(shuffled) == score(records)


@pytest.mark.parametrize(("rank_by", "expected"), [("accuracy", ["b", "c", "a"]), ("-accuracy", ["a", "c", "b"])])
def test_the_best_row_stands_first_and_a_row_without_a_value_last(rank_by, expected):
    suite = {"rank_by": rank_by}
    records = [record(m, value=v, suite=suite) for m, v in (("a", 0.1), ("b", 0.9), ("c", 0.5), ("none", None))]
    assert [row.method for row in score(records)] == [*expected, "none"]


def test_rows_of_one_task_stand_together():
    records = [record(m, value=v, task=t) for t in ("y", "x") for m, v in (("a", 0.1), ("b", 0.9))]
    assert [(row.task, row.method) for row in score(records)] == [("x", "b"), ("x", "a"), ("y", "b"), ("y", "a")]


def test_costs_are_averaged_over_seeds():
    records = [record(seed=s, sparsity=s / 10, sparse_flops=1000 * s, training_flops=10 * s) for s in (1, 2, 6)]
    (row,) = score(records)
    assert math.isclose(row.sparsity, 0.3)
    assert (row.sparse_flops, row.training_flops) == (3000, 30)


@pytest.mark.parametrize("unknown", [(1,), (1, 2, 6)])
def test_a_cost_that_some_seed_does_not_know_is_unknown_and_says_so(unknown):
    made = [record(seed=s, training_flops=None if s in unknown else 10 * s) for s in (1, 2, 6)]
    (row,) = score(made)
    assert row.training_flops is None
    text = details_page(made, {}, "x")
    assert re.search(r"\| 1,000 +\| [^|]* / [^|]* \| – +\|\n", text)
    assert "**training FLOPs –**" in text
    assert "**training FLOPs –**" not in details_page([record(seed=1)], {}, "x")


@pytest.mark.parametrize(
    ("weights", "matrices", "shown"),
    [
        *((500, None, "0.500"), (500, 500, "0.500"), (870, 1000, "0.500 of 87 %"), (999, 1000, "0.500 of 99.9 %")),
        *((9999, 10000, "0.500 of 99.9 %"), (64, 7490, "0.500 of 0.8 %"), (0, 10, "0.500 of 0 %")),
    ],
)
def test_a_sparsity_says_what_share_of_all_matrices_it_is_of(weights, matrices, shown):
    counts = {"weights": weights} | ({} if matrices is None else {"matrix_weights": matrices})
    text = details_page([record(seed=1, sparsity=0.5, **counts)], {}, "x")
    assert f"| {shown} |" in re.sub(r" +", " ", text)
    assert ("**sparsity of N %**" in text) == ("of" in shown)
