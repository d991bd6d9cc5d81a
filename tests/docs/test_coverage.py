"""Short forms of benchmarks/interval_coverage.py: without the correction, tail, floor or bounds one of them fails."""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest

from benchbias.statistics.estimates import over_seeds, p_value
from support import BENCHMARKS

MODULES = ("coverage", "draws", "families", "gaps", "moderated", "rows", "scenarios", "worlds")
PAGE = BENCHMARKS.parent / "docs/coverage.md"

pytestmark = pytest.mark.slow  # simulations


@pytest.fixture(scope="module")
def scripts():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        found = {name: import_module(f"interval_{name}") for name in MODULES}
    finally:
        sys.path.remove(str(BENCHMARKS))
    return SimpleNamespace(**found)


def row_of(scripts, name):
    return next(one for one in scripts.worlds.ROWS if one.name == name)


def pair_of(scripts, name):
    return next(one for one in scripts.worlds.PAIRS if one.first.name == name)


def test_many_estimates_at_once_are_those_of_the_board_one_by_one(scripts):
    scenario = row_of(scripts, "4 groups of 20 at 99 %")
    (row,) = scripts.scenarios.draw(scenario, 30, np.random.default_rng(0))
    measured = scripts.draws.worst(row, 4)[:4]
    for at, found in enumerate(scripts.draws.estimates(measured)):
        alone = over_seeds([scripts.draws.repetition(one, at) for one in measured])
        assert (found.n, found.bounds, found.half_width is None) == (4, alone.bounds, alone.half_width is None)
        assert found.mean == pytest.approx(alone.mean, abs=1e-12)
        assert found.interval() == pytest.approx(alone.interval(), abs=1e-9)
        assert p_value(found) == pytest.approx(p_value(alone), abs=1e-9)


@pytest.mark.parametrize("name", ["4 tied groups of 20", "25 tied groups of 20"])
def test_a_row_of_tied_groups_holds_its_truth_by_the_correction_alone(scripts, name):
    found = scripts.rows.simulate_row(row_of(scripts, name), 100, np.random.default_rng(0))
    for one in found.values():
        assert one.mean_least.held >= 0.93
        assert one.least_mean.held >= 0.9
        assert abs(one.mean_least.bias) < 0.02
        assert one.old.bias < -0.05
    assert found[10].old.held < 0.8


@pytest.mark.parametrize("name", ["4 groups of 20 at 99 %", "4 groups of 20, the worst two at 1 and 2 %"])
def test_a_row_near_a_bound_holds_its_truth_and_stays_inside(scripts, name):
    scenario = row_of(scripts, name)
    (row,) = scripts.scenarios.draw(scenario, 300, np.random.default_rng(0))
    true = scripts.scenarios.truth(scenario, scenario.logits, np.random.default_rng(0)).mean_least
    found = scripts.draws.estimates(scripts.draws.worst(row, 4)[:5])
    assert all(one.half_width is not None for one in found), "also where nothing varies"
    bounds = np.array([one.interval() for one in found])
    assert bounds.min() >= 0
    assert bounds.max() <= 1
    assert scripts.draws.told(found, true).held >= 0.93


@pytest.mark.slow
def test_a_row_of_many_small_groups_holds_its_truth_by_the_doubt_about_its_bias_alone(scripts):
    scenario = row_of(scripts, "100 groups of 20, 20 tied worst")
    (row,) = scripts.scenarios.draw(scenario, 80, np.random.default_rng(0))
    true = scripts.scenarios.truth(scenario, scenario.logits, np.random.default_rng(0)).mean_least
    measured = scripts.draws.worst(row, scenario.groups)
    certain = [replace(one, value=one.value - one.bias, bias=0 * one.bias) for one in measured]
    assert scripts.draws.told(scripts.draws.estimates(measured), true).held >= 0.87
    assert scripts.draws.told(scripts.draws.estimates(certain), true).held < 0.87


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_the_tail_expects_at_most_one_false_finding_in_twenty_families_of_any_size(scripts, seeds):
    ours, before = scripts.gaps.tail_of(seeds, 0.9, 180, 200_000, np.random.default_rng(seeds))
    assert [family * one for family, one in zip((1, 78), ours, strict=False)] <= [0.052, 0.09]
    assert 2415 * ours[2] <= 0.15, "expected 10 draws of 200,000 at most: 0.05 is 4"
    assert before[2] > 3 * ours[2]


def test_the_least_variance_of_a_difference_keeps_rows_near_a_bound_from_being_told_apart(scripts):
    pair = pair_of(scripts, "4 groups of 20, tied at 2 % against one there")
    found = scripts.gaps.simulate_pair(pair, 300, np.random.default_rng(0))
    for gaps in found.values():
        assert np.mean([p_value(one) <= 0.05 for one in gaps]) <= 0.05


def test_the_p_value_of_a_difference_is_that_of_its_interval(scripts):
    pair = pair_of(scripts, "a loss of 8 points, 4 groups of 180")
    (found, *_) = scripts.gaps.simulate_pair(pair, 60, np.random.default_rng(0)).values()
    for one in found:
        low, high = one.interval()
        assert (p_value(one) <= 0.05) == (not low <= 0 <= high)


def test_tied_groups_in_one_row_alone_are_rarely_told_from_one_worst_group(scripts):
    pair = pair_of(scripts, "4 tied groups of 180 against one worst")
    found = scripts.gaps.simulate_pair(pair, 300, np.random.default_rng(0))
    for gaps in found.values():
        assert scripts.draws.told(gaps, 0.0).held >= 0.93
        assert abs(scripts.draws.told(gaps, 0.0).bias) < 0.015


def test_boards_of_equal_rows_rarely_say_better_and_a_wrong_one_is_seen(scripts):
    family = replace(scripts.families.BOARDS[2], examples=50)
    found = scripts.families.boards(family, 20, np.random.default_rng(0), scripts.families.PAIRS)
    wrong = [scripts.families.judged(family, gaps)[0] for seeds in (3, 5, 10) for gaps in found[seeds]]
    assert sum(wrong) <= 3
    apart = {pair: replace(gap, mean=1.0) for pair, gap in found[10][0].items()}
    assert scripts.families.judged(family, apart)[0]
    ordered = replace(family, least=tuple(np.linspace(0.9, 0.1, 13)), tied=())
    assert scripts.families.judged(ordered, apart) == (False, 1.0)


def test_claims_are_judged_by_the_truth(scripts):
    claims = scripts.families.stated(scripts.families.FILES[0])
    assert len(claims) == scripts.families.CLAIMS
    sizes = sorted(round(100 * abs(one.true)) for one in claims)
    assert sizes == [0] * 12 + [3] * 12 + [8] * 12
    for one in claims:
        expects, size, sign = one.claim.expects, round(100 * abs(one.true)), np.sign(one.true)
        assert one.wrong("equivalent") == (size > 0 and expects != "equivalent")
        assert not one.wrong("unresolved")
        if expects == "equivalent":
            assert (one.wrong("supported"), one.wrong("refuted")) == (size > 0, size < 8)
        else:
            asked = 1 if expects == "higher" else -1
            assert (one.wrong("supported"), one.wrong("refuted")) == (sign != asked, sign != -asked)


def test_claims_files_are_rarely_wrong(scripts):
    family = scripts.families.FILES[0]
    claims = scripts.families.stated(family)
    pairs = tuple(one.pair for one in claims)
    found = scripts.families.boards(family, 15, np.random.default_rng(0), pairs)
    wrong = [scripts.families.file_judged(claims, gaps)[0] for seeds in (3, 5, 10) for gaps in found[seeds]]
    assert sum(wrong) <= 3
    exact = {one.pair: replace(found[10][0][one.pair], mean=-one.true, standard_error=1e-4) for one in claims}
    assert scripts.families.file_judged(claims, exact)[0], "differences of the other sign are all told, and wrong"


def test_a_moderated_variance_lies_between_its_own_and_the_common_one(scripts):
    numbers = np.random.default_rng(0)
    equal, freedom = scripts.moderated.moderated(numbers.chisquare(4, 4000) / 4, 4)
    assert freedom > 100, "equal variances are pooled"
    assert equal == pytest.approx(np.ones(4000), abs=0.15)
    common = 10 / numbers.chisquare(10, 4000)
    drawn = common * numbers.chisquare(4, 4000) / 4
    found, freedom = scripts.moderated.moderated(drawn, 4)
    assert freedom - 4 == pytest.approx(10, rel=0.2), "the degrees of freedom that they were drawn with"
    assert np.ptp(np.log(found)) < np.ptp(np.log(drawn))


def test_with_little_seed_noise_an_interval_of_seeds_alone_is_too_short(scripts):
    scenario = replace(scripts.worlds.DIGITS, logits=(3.5, 3.5, -0.3, 2.0), seed_spread=0.05, example_spread=4.0)
    (row,) = scripts.scenarios.draw(scenario, 400, np.random.default_rng(0))
    true = scripts.scenarios.truth(scenario, scenario.logits, np.random.default_rng(0)).mean_least
    measured = scripts.draws.worst(row, 4)[:5]
    alone = [replace(one, influence=None, bias=0.0) for one in measured]
    assert scripts.draws.told(scripts.draws.estimates(measured), true).held >= 0.93
    assert scripts.draws.told(scripts.draws.estimates(alone), true).held < 0.8


@pytest.mark.parametrize("collapse", [0.0, 0.1])
def test_the_truth_is_that_of_many_draws(scripts, collapse):
    """A huge test set and many seeds: the estimates are the truth."""
    scenario = replace(scripts.worlds.DIGITS, examples=(4000,) * 4, seeds=400, collapse=collapse)
    (row,) = scripts.scenarios.draw(scenario, 1, np.random.default_rng(1))
    accuracy = np.array([[cells.correct[0, cells.group == g].mean() for g in range(4)] for cells in row])
    true = scripts.scenarios.truth(scenario, scenario.logits, np.random.default_rng(2))
    assert accuracy.mean(axis=0).min() == pytest.approx(true.least_mean, abs=0.03)
    assert accuracy.min(axis=1).mean() == pytest.approx(true.mean_least, abs=0.03)


def test_rows_that_are_said_to_be_equal_are_equal(scripts):
    for pair in scripts.worlds.PAIRS:
        sides = (pair.first.logits, pair.second)
        one, other = (scripts.scenarios.truth(pair.first, side, np.random.default_rng(0)) for side in sides)
        assert (abs(one.mean_least - other.mean_least) < 1e-3) == pair.null, pair.first.name


def test_folds_test_every_example_once_a_repetition(scripts):
    (row,) = scripts.scenarios.draw(scripts.worlds.FOLDS, 1, np.random.default_rng(1))
    for repetition in (row[:5], row[5:]):
        tested = np.concatenate([np.unique(cells.cluster) for cells in repetition])
        assert sorted(tested) == list(range(1800))
    assert {len(cells.cluster) for cells in row} == {720}
    assert not np.array_equal(row[0].cluster, row[5].cluster)


def test_the_page_has_every_section_and_every_world(scripts):
    page = PAGE.read_text()
    for section in scripts.coverage.SECTIONS.values():
        assert f"## {section.title}\n\n{section.legend}\n" in page
    names = [one.name for one in scripts.worlds.ROWS] + [one.first.name for one in scripts.worlds.PAIRS]
    assert all(f"| {name}, {seeds} seeds |" in page for name in names for seeds in scripts.worlds.SEEDS)
    kinds = (*scripts.families.BOARDS, *scripts.families.FILES)
    assert all(f"| {one.name} |" in page for one in kinds)


@pytest.mark.slow
def test_the_page_is_what_the_script_prints(scripts):
    """A part of it: every table's lines have random numbers of their own."""
    page, numbers = PAGE.read_text(), np.random.default_rng
    lines = [
        *scripts.rows.row_lines(scripts.worlds.ROWS[8], 1000, numbers([0, 1, 8])),
        *scripts.gaps.pair_lines(scripts.worlds.PAIRS[7], 1000, numbers([0, 4, 7])),
        scripts.families.board_line(2, 400, 0),
        scripts.families.file_line(0, 300, 0),
        *scripts.moderated.moderated_lines(3, 1000, 0)[:1],
    ]
    whole = [line for name in ("collapse", "bootstraps", "tail") for line in scripts.coverage.section(name, 1000, 0)]
    for line in [*whole, *(f"| {' | '.join(cells)} |" for cells in lines)]:
        assert f"{line}\n" in page
