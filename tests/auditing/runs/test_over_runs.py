"""Audits over training runs: planted harm is found, none is found where there is none, and no order matters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchbias.auditing.runs.over_runs import audit_runs, in_runs
from benchbias.auditing.values import Answers, Column, Options
from benchbias.errors import UsageError


def runs(seed: int, number: int = 5, n: int = 1200, *, worse: float = 0.0, spread: float = 0.0) -> list[Answers]:
    """Runs on the same examples: as many answers are lost as gained, and sex = f is lost by `worse` on average."""
    generator = np.random.default_rng(seed)
    label, sex = generator.integers(0, 2, n), generator.integers(0, 2, n)
    found = []
    for _ in range(number):
        dense = np.where(generator.random(n) < 0.92, label, 1 - label)
        change = generator.random(n) < np.where(dense == label, 0.02, 0.02 * 0.92 / 0.08)
        lost = (generator.random(n) < max(0.0, worse + spread * generator.standard_normal())) & (sex == 0)
        compressed = np.where(lost & (dense == label), 1 - label, np.where(change, 1 - dense, dense))
        found.append(Answers(("0", "1"), label, dense, {"small": compressed}, {"sex": Column(sex, ("f", "m"))}))
    return found


def test_a_harm_in_every_run_is_found_where_it_is():
    audit = audit_runs(runs(0, worse=0.12), Options())
    lines = {line.group.name: line for line in audit.models[0].lines}
    assert audit.verdict == "harmed"
    assert audit.pairs == 5
    assert lines["sex=f"].verdict == "harmed"
    assert lines["sex=f"].beyond_margin
    assert lines["sex=m"].verdict != "harmed"
    assert {one.attribute: one.value for one in audit.models[0].uneven}["sex"] == "f"


def test_sums_are_over_runs_and_harm_is_their_mean():
    pairs = runs(1)
    whole = audit_runs(pairs, Options()).models[0].lines[0]
    harms = [((a.dense == a.label).sum() - (a.compressed["small"] == a.label).sum()) / 1200 for a in pairs]
    assert whole.harm == pytest.approx(np.mean(harms))
    assert (whole.lost - whole.gained) / (5 * whole.group.n) == pytest.approx(whole.harm)
    assert whole.lower < whole.harm < whole.upper


def test_a_harm_of_one_run_alone_is_no_harm_of_the_method():
    """One run of five loses 60 points of a group: with it, the method is not shown to lose."""
    pairs = runs(2)
    bad = runs(2, worse=0.6)[0]
    found = audit_runs([*pairs[:4], bad], Options())
    lines = {line.group.name: line for line in found.models[0].lines}
    assert lines["sex=f"].verdict == "undecided"
    assert lines["sex=f"].upper > 0.2


def null_run(generator: np.random.Generator, sex: np.ndarray) -> Answers:
    """A run whose harm is drawn around zero, with 3 points of spread, for each sex."""
    n = len(sex)
    label = np.ones(n, int)
    dense = (generator.random(n) < 0.8).astype(int)
    shift = 0.04 * np.clip(generator.standard_normal(2), -5, 5)[sex]
    lost = (dense == 1) & (generator.random(n) < 0.03 + np.maximum(shift, 0))
    gained = (dense == 0) & (generator.random(n) < 4 * (0.03 + np.maximum(-shift, 0)))
    compressed = np.where(lost, 0, np.where(gained, 1, dense))
    return Answers(("0", "1"), label, dense, {"small": compressed}, {"sex": Column(sex, ("f", "m"))})


@pytest.mark.slow
def test_without_a_mean_harm_a_group_is_found_harmed_in_five_percent_at_most():
    draws, found = 600, 0
    for seed in range(draws):
        generator = np.random.default_rng(seed)
        sex = generator.integers(0, 2, 400)
        pairs = [null_run(generator, sex) for _ in range(4)]
        found += audit_runs(pairs, Options(by_label=False)).verdict == "harmed"
    assert found <= draws * 0.05 + 2 * np.sqrt(draws * 0.05 * 0.95)


def test_the_order_of_rows_and_of_runs_changes_nothing_but_rounding():
    pairs = runs(3, worse=0.05)
    order = np.random.default_rng(0).permutation(1200)
    mixed = [
        replace(
            a,
            label=a.label[order],
            dense=a.dense[order],
            compressed={"small": a.compressed["small"][order]},
            attributes={"sex": Column(a.attributes["sex"].codes[order], ("f", "m"))},
        )
        for a in pairs
    ]
    one, other = audit_runs(pairs, Options()), audit_runs(mixed, Options())
    for before, after in zip(one.models[0].lines, other.models[0].lines, strict=True):
        assert before.group == after.group
        assert (before.verdict, before.lost) == (after.verdict, after.lost)
        assert before.upper == pytest.approx(after.upper, abs=1e-12)


def test_two_runs_say_that_they_say_nothing_of_others():
    audit = audit_runs(runs(4, 2), Options())
    assert any("3 pairs or more" in note for note in audit.notes)
    assert not any("3 pairs or more" in note for note in audit_runs(runs(4, 3), Options()).notes)


def test_pairs_of_a_table_are_runs_of_one_model():
    pairs = [
        replace(a, compressed={f"c{at}": a.compressed["small"]}, dense_name=f"d{at}") for at, a in enumerate(runs(5))
    ]
    found = in_runs(pairs)
    assert {name for a in found for name in a.compressed} == {"c0 and 4 more"}
    assert {a.dense_name for a in found} == {"d0 and 4 more"}


def test_runs_with_other_models_or_groups_are_one_message():
    pairs = runs(6, 2)
    with pytest.raises(UsageError, match="not the same compressed models"):
        audit_runs([pairs[0], replace(pairs[1], compressed={"other": pairs[1].dense})], Options())
    odd = replace(pairs[1], attributes={"sex": Column(pairs[1].attributes["sex"].codes, ("f", "x"))})
    with pytest.raises(UsageError, match="not the same groups"):
        audit_runs([pairs[0], odd], Options())


def test_runs_that_agree_show_no_more_than_one_run():
    """Nothing is lost among 90 examples: 99 are needed to be safe, however many equal runs there are."""
    label = np.ones(90, int)
    answers = Answers(("0", "1"), label, label, {"small": label})
    found = audit_runs([answers] * 3, Options(by_label=False))
    whole = found.models[0].lines[0]
    assert whole.verdict == "too small"
    assert whole.upper >= 1 - 0.05 ** (1 / 90) - 1e-9
    assert [warning.kind for warning in found.warnings] == ["equal-runs"]


def test_bounds_over_runs_are_never_tighter_than_those_of_the_examples():
    pairs = runs(7, 3, n=400)
    for line in audit_runs(pairs, Options()).models[0].lines:
        assert line.lower <= line.harm <= line.upper
        assert (line.p <= 0.05) <= (line.lower > 0)
