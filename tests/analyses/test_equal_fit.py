"""equal_fit: matches are where they should be, a planted harm is found, and what cannot be matched is not said."""

from __future__ import annotations

import importlib
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchbias import BenchbiasError
from support.populations import answers, member, population, predictions

plugin = importlib.import_module("benchbias_plugins.analyses.equal_fit")
LABELS = torch.arange(8) % 2
FOUND = predictions(answers(LABELS, 2), LABELS, LABELS)
SEEDS = 12


def one(method, seed, *, fit, harm=0.0, epochs=None, steps=100, weights=900, flops=None, alike=True):
    """A member whose worst group is a fixed function of its fit, less its own harm."""
    accuracy = 0.3 + 0.6 * fit - harm
    groups = [90, 10, 10, 90] if alike else [50, 50, 50, 50]
    return member(
        method,
        seed,
        FOUND,
        swept={} if epochs is None else {"epochs": epochs},
        metrics={"worst_group_accuracy": accuracy},
        train_conflicting_accuracy=fit,
        training_steps=steps,
        training_flops=steps * 1000 if flops is None else flops,
        nonzero_weights=weights,
        train_group_total=groups,
        group_total=[100] * 4,
        group_correct=[95, round(100 * accuracy), round(100 * accuracy), 95],
    )


def whole(*, harm=0.0, fit=0.4, noise=0.0, steps=400, weights=180, extra=()):
    """A dense family whose fit grows with its length, and a sparse row of four times the steps and a low fit."""
    stream = np.random.default_rng(0)
    members = []
    for seed in range(SEEDS):
        shift = noise * stream.standard_normal()
        for epochs in (1, 2, 4, 8):
            grown = min(1.0, 0.1 + 0.12 * epochs + shift)
            members.append(one("dense", seed, fit=grown, epochs=epochs, steps=100 * epochs))
        members.append(one("small", seed, fit=fit, steps=400, weights=185))
        own = harm + noise * stream.standard_normal() / 10
        members.append(one("sparse", seed, fit=fit + shift, harm=own, steps=steps, weights=weights, flops=steps * 250))
    return population([*members, *extra])


def table(found, **options):
    return plugin.equal_fit(found, family="dense", **options).to_frame().set_index(["row", "matched in"])


def test_a_row_whose_only_fault_is_a_low_fit_has_no_harm_at_equal_fit():
    found = table(whole(noise=0.02))
    assert found.loc[("sparse", "steps"), "harm"] == pytest.approx(-60 * (0.58 - 0.4), abs=0.2)
    assert abs(found.loc[("sparse", "fit of conflicting"), "harm"]) < 0.2
    assert found["outside"].tolist().count(0) == len(found)
    assert "dense" not in {row.partition("[")[0] for row, _ in found.index}


@pytest.mark.parametrize("harm", [0.05, -0.05, 0.2])
def test_a_planted_harm_is_found_at_equal_fit(harm):
    found = table(whole(harm=harm, noise=0.02))
    line = found.loc[("sparse", "fit of conflicting")]
    assert line["harm"] == pytest.approx(-100 * harm, abs=0.3)
    assert line["own"] - line["matched"] == pytest.approx(line["harm"] / 100)


def test_steps_and_flops_are_matched_on_a_logarithmic_scale():
    found = table(whole(steps=200 * 2**0.5))  # halfway between 200 and 400 steps
    dense = [0.3 + 0.6 * (0.1 + 0.12 * epochs) for epochs in (1, 2, 4, 8)]
    own = 0.3 + 0.6 * 0.4
    assert found.loc[("sparse", "steps"), "matched"] == pytest.approx((dense[1] + dense[2]) / 2)
    flops = table(whole(steps=800))  # a quarter of the FLOPs of a dense step: those of 200 steps
    assert flops.loc[("sparse", "training FLOPs"), "matched"] == pytest.approx(dense[1])
    assert flops.loc[("sparse", "training FLOPs"), "harm"] == pytest.approx(100 * (own - dense[1]))


def test_average_accuracy_is_weighted_as_training_is():
    body = one("m", 0, fit=0.5).record.body
    assert plugin.average_accuracy(body) == pytest.approx((180 * 0.95 + 20 * 0.6) / 200)
    found = table(whole(fit=0.34))
    assert found.loc[("sparse", "accuracy"), "matched"] == pytest.approx(0.3 + 0.6 * 0.34, abs=0.01)


def test_weights_are_matched_by_the_small_family_and_by_no_other():
    found = table(whole(fit=0.5), small="small")
    assert found.loc[("sparse", "weights"), "harm"] == pytest.approx(0.0)
    assert ("small", "weights") not in found.index
    assert table(whole(weights=100), small="small").loc[("sparse", "weights")].isna()["harm"]
    assert "weights" not in {name for _, name in table(whole()).index}


def test_what_the_family_does_not_reach_is_counted():
    found = table(whole(fit=0.01))
    line = found.loc[("sparse", "fit of conflicting")]
    assert line["outside"] == SEEDS
    assert line["matched"] == pytest.approx(0.3 + 0.6 * 0.22)


def test_a_row_trained_on_other_data_is_left_out_and_a_row_without_twins_says_nothing():
    extra = [one("ceiling", seed, fit=0.9, alike=False) for seed in range(SEEDS)] + [one("lone", 99, fit=0.5)]
    found = table(whole(extra=extra))
    assert "ceiling" not in {row for row, _ in found.index}
    assert found.loc["lone"]["harm"].isna().all()


def test_mistakes_are_named():
    with pytest.raises(BenchbiasError, match=r"no trial of the method 'dens' \(known: dense, small, sparse\)"):
        plugin.equal_fit(whole(), family="dens")
    with pytest.raises(BenchbiasError, match="no metric 'accuracy' in this suite"):
        plugin.equal_fit(whole(), family="dense", metric="accuracy")


SHARES = st.floats(0, 1, allow_subnormal=False)


@given(st.lists(st.tuples(SHARES, SHARES), min_size=2, max_size=6), SHARES)
def test_a_match_lies_on_the_curve(points, amount):
    found = plugin.interpolated(points, amount)
    last = plugin.interpolated(points[::-1], amount)
    assert last.inside == found.inside
    amounts, values = zip(*points, strict=True)
    assert found.inside == (min(amounts) <= amount <= max(amounts))
    assert min(values) - 1e-12 <= found.value <= max(values) + 1e-12
    if sorted(amounts) == list(amounts) and len(set(amounts)) == len(amounts) and found.inside:
        assert found.value == pytest.approx(float(np.interp(amount, amounts, values)), abs=1e-9)
        assert last.value == pytest.approx(found.value, abs=1e-9)  # a curve that rises has one match


def test_a_curve_that_comes_back_has_a_first_match_and_a_last_one():
    """The dense fit rises to 0.6, falls to 0.2 and rises again; the metric rises with the length all the while."""
    members = []
    for seed in range(SEEDS):
        for epochs, fit, harm in ((1, 0.2, 0.0), (2, 0.6, 0.0), (3, 0.2, -0.3), (4, 0.6, -0.3)):
            members.append(one("dense", seed, fit=fit, harm=harm, epochs=epochs, steps=100 * epochs))
        members.append(one("sparse", seed, fit=0.4, steps=400))
    line = table(population(members)).loc[("sparse", "fit of conflicting")]
    assert line["harm"] == pytest.approx(0.0, abs=1e-9)
    assert line["harm at the last match"] == pytest.approx(-30.0)
    assert line["matched"] == pytest.approx(0.3 + 0.6 * 0.4)
    assert line["outside"] == 0


def test_where_the_amount_is_the_same_for_long_the_first_match_is_the_shortest_and_the_last_the_longest():
    points = [(0.5, 0.1), (1.0, 0.2), (1.0, 0.3), (1.0, 0.4)]
    assert plugin.interpolated(points, 1.0).value == 0.2
    assert plugin.interpolated(points[::-1], 1.0).value == 0.4


def test_nothing_is_matched_with_nothing():
    assert plugin.interpolated([], 0.5) is None
    assert plugin.interpolated([(0.1, 0.2), (0.3, 0.4)], math.nan) is None
    assert plugin.interpolated([(0.1, math.nan), (0.3, 0.4)], 0.2) is None


def test_the_interval_covers_the_harm_that_is_there():
    rng, hits = np.random.default_rng(5), 0
    for _ in range(300):
        gaps = rng.normal(-5, 4, 8)
        members = []
        for seed, gap in enumerate(gaps):
            members += [one("dense", seed, fit=fit, epochs=n, steps=100 * n) for n, fit in ((1, 0.2), (2, 0.6))]
            members.append(one("sparse", seed, fit=0.4, harm=-gap / 100, steps=150))
        frame = table(population(members)).loc[("sparse", "fit of conflicting")]
        half = 2.3646 * frame["harm.standard_error"]
        hits += frame["harm"] - half <= -5 <= frame["harm"] + half
    assert 0.91 <= hits / 300 <= 0.985
