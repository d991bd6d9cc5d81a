"""Task validity: its statistics are those of the literature's own example, of scipy and of sums by hand."""

from __future__ import annotations

import importlib.util
import math
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from benchbias import BenchbiasError, Measured, Skip, estimate
from benchbias.records.table import Table
from benchbias_plugins.analyses.task_validity.card import task_validity
from benchbias_plugins.analyses.task_validity.failure import fails
from benchbias_plugins.analyses.task_validity.separation import halves_agree, intraclass, resolved
from benchbias_plugins.analyses.task_validity.shortcut import follows_shortcut
from support import ROOT
from support.populations import answers, member, population, predictions

SHROUT_FLEISS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]


def value(table, quantity):
    at = [text.startswith(quantity) for text in table.columns["quantity"][2]].index(True)
    return table.columns["value"][2][at], table.columns["answer"][2][at]


def made(numbers, aligned, conflicting, *, shortcut=None, size=400, split="test"):
    """Binary answers; a wrong one is the shortcut's, as with two classes it must be, unless a share is given."""
    labels = torch.arange(size) % 2
    attributes = torch.arange(size) // 2 % 2
    chance = np.where(labels == attributes, aligned, conflicting)
    predicted = torch.where(torch.from_numpy(numbers.random(size) < chance), labels, 1 - labels)
    if shortcut is not None:
        predicted = torch.where(torch.from_numpy(numbers.random(size) < shortcut), attributes, predicted)
    return predictions(answers(predicted, 2), labels, attributes, split=split)


def task(rows, *, seeds=6, start=0, **of_all):
    """Rows by name: (aligned, conflicting) accuracy; `ceiling` and controls are unranked."""
    suite = {"name": "made", "reference": "erm", "ceiling": "ceiling", "rank_by": "conflicting_accuracy"}
    members = []
    for at, (name, (aligned, conflicting)) in enumerate(rows.items()):
        for seed in range(seeds):
            numbers = np.random.default_rng([start, at, seed])
            own = conflicting + np.random.default_rng([start, 99, seed]).normal(0, 0.02)
            found = {"test": made(numbers, aligned, own), "train": made(numbers, 1.0, own, split="train")}
            ranked = name not in ("ceiling", "erm-ft")
            members.append(member(name, seed, found, suite=suite, ranked=ranked, **of_all))
    return population(members)


BIASED = {"erm": (0.97, 0.3), "better": (0.95, 0.5), "best": (0.93, 0.75), "ceiling": (0.95, 0.95)}


# --- does plain training fail?


def test_a_task_on_which_plain_training_fails_says_so():
    table = task_validity(task(BIASED))
    accuracy = {}
    for one in task(BIASED).rows()["erm"]:
        test = one.predictions["test"]
        right = test.correct.double()
        by_group = [float(right[test.groups == group].mean()) for group in range(4)]
        accuracy[one.seed] = (float(right[test.aligned].mean()), float(right[~test.aligned].mean()), by_group)
    gap, answer = value(table, "aligned less conflicting")
    assert gap.mean == pytest.approx(100 * np.mean([a - c for a, c, _ in accuracy.values()]))
    assert answer == "yes"
    worst, answer = value(table, "worst group accuracy less chance")
    counted = 100 * np.mean([min(groups) for *_, groups in accuracy.values()]) - 50
    assert counted <= worst.mean < counted + 3, "the bias of a least is taken off"
    assert answer == "yes: worse than guessing"
    short, answer = value(table, "average less worst")
    counted = 100 * np.mean([np.mean(groups) - min(groups) for *_, groups in accuracy.values()])
    assert counted - 3 < short.mean <= counted
    assert answer == "yes"
    assert value(table, "ceiling's less its worst")[1] == "yes: there is room for methods"


def test_a_task_without_a_shortcut_says_no():
    fair = dict.fromkeys(("erm", "one", "two", "ceiling"), (0.99, 0.99))
    table = task_validity(task(fair, seeds=10))
    assert value(table, "aligned less conflicting")[1] == "no"
    assert value(table, "worst group accuracy less chance")[1] == "better than guessing"
    assert value(table, "conflicting examples: shortcut's less true class")[1].startswith("no")
    assert value(table, "training accuracy, aligned less conflicting")[1] == "no"


def test_a_worst_group_near_chance_is_not_told_from_guessing():
    near = {"erm": (0.97, 0.5), "one": (0.97, 0.6), "ceiling": (0.95, 0.95)}
    over, answer = value(task_validity(task(near, seeds=3)), "worst group accuracy less chance")
    assert abs(over.mean) < over.half_width
    assert answer == "not settled"


def test_the_answer_is_the_interval_s():
    assert fails(estimate([10.0, 11.0, 12.0]), 3.0) == "yes"
    assert fails(estimate([0.0, 0.1, -0.1]), 3.0) == "no"
    assert fails(estimate([2.0, 4.0, 8.0]), 3.0) == "not settled"
    assert fails(estimate([50.0]), 3.0) == fails(None, 3.0) == "not known"


def test_without_a_ceiling_or_training_answers_those_lines_are_missing():
    members = [one for one in task(BIASED).members if one.method != "ceiling"]
    bare = [replace(one, predictions={"test": one.predictions["test"]}) for one in members]
    quantities = task_validity(population(bare)).columns["quantity"][2]
    assert not any(text.startswith(("ceiling", "training")) for text in quantities)
    assert len(quantities) == 7


# --- do methods separate?


def test_the_intraclass_correlation_is_that_of_shrout_and_fleiss():
    """Their Table 4, ICC(3,1) = .71; the interval as R's psych and pingouin print it for the same data."""
    share, low, high = intraclass(np.array(SHROUT_FLEISS, dtype=float))
    assert (share, low, high) == pytest.approx((0.715, 0.342, 0.946), abs=0.005)


def test_what_a_seed_adds_to_all_rows_does_not_change_it():
    values = np.random.default_rng(0).normal(size=(7, 5))
    shifted = 3 + 2 * (values + np.arange(5) * 10)
    assert intraclass(shifted) == pytest.approx(intraclass(values))
    assert all(math.isnan(part) for part in intraclass(np.ones((3, 4))))
    assert intraclass(np.arange(3.0)[:, None] + np.zeros((3, 4))) == (1.0, 1.0, 1.0)


def test_its_interval_holds_the_true_share():
    numbers = np.random.default_rng(0)
    held = 0
    for _ in range(1000):
        values = numbers.normal(0, 2, (8, 1)) + numbers.normal(0, 1, (1, 5)) + numbers.normal(0, 1, (8, 5))
        _, low, high = intraclass(values)
        held += low <= 4 / 5 <= high
    assert stats.binomtest(held, 1000, 0.95).pvalue > 0.01


def test_rows_that_differ_are_resolved_and_rows_that_do_not_are_not():
    table = task_validity(task(BIASED))
    share, answer = value(table, "share of pairs")
    assert (share.mean, answer) == (1.0, "3 of 3, after Holm")
    assert share.half_width is None
    wrong = 0
    for start in range(60):
        same = dict.fromkeys(("erm", "one", "two", "three"), (0.95, 0.6))
        share, _ = value(task_validity(task(same, seeds=4, start=start)), "share of pairs")
        wrong += share.mean > 0
    assert wrong <= 6  # 5 % of 60 are 3; 7 or more have a chance of 4 %


def test_pairs_are_resolved_by_the_board_s_paired_interval_after_holm():
    scores = [[60.0, 61.0, 62.0], [61.0, 62.1, 62.9], [80.0, 70.0, 75.0]]
    raw = [stats.ttest_rel(scores[i], scores[j]).pvalue for i, j in ((0, 1), (0, 2), (1, 2))]
    adjusted = 3 * min(raw), sorted(raw)[1] * 2
    assert adjusted[0] < 0.05 < adjusted[1]
    measured = [[Measured(one) for one in row] for row in scores]
    assert resolved(measured, 0.0) == (1, 3)
    assert resolved(measured, 2.0) == (0, 3), "a gap of one point is none where two are asked for"


def test_halves_of_the_seeds_agree_as_scipy_s_tau_says():
    numbers = np.random.default_rng(0)
    values = numbers.normal(size=(6, 4))
    taus = halves_agree(values, 200, numbers)
    expected = [
        stats.kendalltau(
            values[:, list(half)].mean(axis=1), values[:, [s for s in range(4) if s not in half]].mean(axis=1)
        )
        for half in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
    ]
    assert taus == pytest.approx([one.statistic for one in expected])
    assert len(halves_agree(numbers.normal(size=(6, 12)), 50, numbers)) == 50
    ordered = np.arange(6.0)[:, None] + numbers.normal(0, 0.01, (6, 5))
    assert halves_agree(ordered, 200, numbers) == pytest.approx([1.0] * 10)
    noise = [np.mean(halves_agree(numbers.normal(size=(6, 4)), 200, numbers)) for _ in range(200)]
    assert abs(np.mean(noise)) < 3 * np.std(noise) / math.sqrt(200)


def test_only_ranked_rows_and_common_seeds_count():
    whole = task({**BIASED, "erm-ft": (0.97, 0.3)})
    assert value(task_validity(whole), "share of pairs")[1].startswith("3 of 3")
    some = population([one for one in whole.members if (one.method, one.seed) != ("best", 5)])
    fewer = population([one for one in whole.members if one.seed != 5])
    for quantity in ("share of pairs", "intraclass", "Kendall"):
        assert value(task_validity(some), quantity) == value(task_validity(fewer), quantity)
    alone = population([one for one in whole.members if one.method in ("erm", "ceiling")])
    assert value(task_validity(alone), "ranked rows")[1] == "not known: 1 rows over 6 common seeds"


def test_the_metric_is_the_suite_s_unless_it_is_given():
    same = {"erm": (0.99, 0.6), "one": (0.7, 0.6), "ceiling": (0.95, 0.95)}
    assert value(task_validity(task(same)), "share of pairs")[0].mean == 0
    assert "by conflicting_accuracy" in task_validity(task(same)).caption
    assert value(task_validity(task(same), metric="accuracy"), "share of pairs")[0].mean == 1
    assert "by accuracy" in task_validity(task(same), metric="accuracy").caption


# --- is the shortcut easier?


def test_an_answer_is_the_shortcut_s_where_it_is_the_class_of_the_attribute():
    labels, attributes = torch.tensor([0, 1, 2, 0, 1, 2, 0]), torch.tensor([0, 1, 2, 1, 2, 3, 2])
    found = predictions(answers(torch.tensor([0, 1, 2, 1, 0, 0, 2]), 3), labels, attributes, num_attributes=4)
    assert follows_shortcut(found).correct.tolist() == [True, True, True, True, False, False, True]


def test_of_two_classes_what_is_not_right_is_the_shortcut_s():
    pull, answer = value(task_validity(task(BIASED)), "conflicting examples: shortcut's less true class")
    right = [float(one.predictions["test"].correct[~one.predictions["test"].aligned].double().mean())
             for one in task(BIASED).rows()["erm"]]  # fmt: skip
    assert pull.mean == pytest.approx(100 * np.mean([1 - 2 * share for share in right]))
    assert answer.startswith("yes")
    fit, answer = value(task_validity(task(BIASED)), "training accuracy")
    assert fit.mean == pytest.approx(100 * (1 - np.mean([
        float(one.predictions["train"].correct[~one.predictions["train"].aligned].double().mean())
        for one in task(BIASED).rows()["erm"]
    ])))  # fmt: skip
    assert answer == "yes"


# --- refusals


def test_a_population_without_its_reference_or_a_margin_is_refused():
    members = [one for one in task(BIASED).members if one.method != "erm"]
    with pytest.raises(Skip, match="reference, 'erm'"):
        task_validity(population(members))
    with pytest.raises(BenchbiasError, match="margin"):
        task_validity(task(BIASED), margin=-1.0)


def test_a_table_can_be_kept_as_a_record_keeps_it():
    table = task_validity(task(BIASED))
    assert isinstance(table, Table)
    assert Table.from_json(table.to_json()).to_json() == table.to_json()


def test_one_seed_settles_nothing():
    table = task_validity(task(BIASED, seeds=1))
    assert not any(one is not None and one.over_seeds for one in table.columns["value"][2])
    assert set(table.columns["answer"][2]) == {"not known", "not known: 3 rows over 1 common seeds"}


# --- do tasks agree?


@pytest.fixture(scope="module")
def agreement():
    """benchmarks/task_agreement.py."""
    spec = importlib.util.spec_from_file_location("task_agreement", ROOT / "benchmarks/task_agreement.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_agreement_is_scipy_s_tau_of_the_means_with_its_exact_p_value(agreement):
    numbers = np.random.default_rng(0)
    one, other = numbers.normal(size=(8, 5)), numbers.normal(size=(8, 3))
    found = agreement.agreement(one, other, 200, numbers)
    expected = stats.kendalltau(one.mean(axis=1), other.mean(axis=1), method="exact")
    assert (found.tau, found.p) == pytest.approx((expected.statistic, expected.pvalue))
    assert found.low <= found.high
    assert agreement.agreement(one, 2 * one + 1, 200, numbers).tau == pytest.approx(1)
    assert agreement.agreement(one, -one, 200, numbers).tau == pytest.approx(-1)
    back = agreement.agreement(other, one, 200, numbers)
    assert (back.tau, back.p) == pytest.approx((found.tau, found.p))


def test_seeds_that_do_not_matter_leave_an_interval_of_no_width(agreement):
    numbers = np.random.default_rng(0)
    one = np.repeat(numbers.normal(size=(8, 1)), 5, axis=1)
    other = numbers.permutation(one)
    found = agreement.agreement(one, other, 200, numbers)
    assert (found.low, found.high) == pytest.approx((found.tau, found.tau))


def test_the_published_suites_share_rows_and_the_page_shows_what_is_printed(agreement, capsys):
    agreement.main(["spurious-small", "spuco-mnist", "--records", str(ROOT / "leaderboard")])
    printed = capsys.readouterr().out
    page = (ROOT / "docs/analyses/task-validity.md").read_text()
    shown = [line for line in printed.splitlines() if line.startswith("| ")]
    assert len(shown) > 10
    assert all(line in page for line in shown)
