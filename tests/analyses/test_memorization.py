"""Memorisation: the method card's invariants, the jackknife over models, and its coverage."""

from __future__ import annotations

import math
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from benchbias import BenchbiasError, Skip
from benchbias_plugins.analyses.memorization import Trials, memorization, memorized_items, over_models, summary
from support import BENCHMARKS
from support.populations import answers, member, population, predictions

CLASSES = 4


@pytest.fixture(scope="module")
def worlds():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import pie_worlds
    finally:
        sys.path.remove(str(BENCHMARKS))
    return pie_worlds


def masks(numbers, models: int, items: int, share: float = 0.7) -> np.ndarray:
    """Random subsets, (T, n)."""
    return np.stack([numbers.permutation(items) < round(share * items) for _ in range(models)])


def trials_with(rule, inside: np.ndarray) -> Trials:
    """rule: the answer of a model, right or wrong for each item (n,), from what it was trained on (n,)."""
    return Trials(inside, np.stack([rule(row) for row in inside]).astype(float))


def whole(trials: Trials):
    return over_models(trials, (~np.isnan(trials.memorization), 1.0))


def members_of(predicted: np.ndarray, labels, inside: np.ndarray, attributes=None, method: str = "erm") -> list:
    """Members with predictions of `train-all` from predicted classes (T, n)."""
    target = torch.from_numpy(np.asarray(labels))
    ground = None if attributes is None else torch.from_numpy(attributes)
    made = []
    for seed, (row, mask) in enumerate(zip(predicted, inside, strict=True)):
        found = predictions(answers(torch.from_numpy(row), CLASSES), target, ground, split="train-all")
        test = predictions(answers(target, CLASSES), target)
        one = member(method, seed, {"test": test, "train-all": found})
        made.append(replace(one, trained_on=torch.from_numpy(mask)))
    return made


def lines(table) -> list[dict]:
    names = list(table.columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*(table.columns[n][2] for n in names), strict=True)]


# the estimate


def test_four_items_by_hand():
    inside = np.array([[1, 1, 0, 0], [1, 0, 1, 0], [0, 1, 1, 0]], dtype=bool)
    right = np.array([[1, 1, 0, 1], [1, 0, 1, 1], [0, 1, 0, 1]], dtype=float)
    trials = Trials(inside, right)
    assert trials.memorization[:3].tolist() == [1.0, 1.0, 0.5]
    assert math.isnan(trials.memorization[3]), "no model was trained on it"
    assert whole(trials).mean == pytest.approx(100 * 2.5 / 3)
    found = summary(trials, np.ones(4, dtype=bool), 0.75)
    assert (found["items"], found["one-armed"], found["share memorised"]) == (3, 1, pytest.approx(2 / 3))
    assert (found["accuracy in"], found["accuracy out"]) == (pytest.approx(2.5 / 3), 0)
    assert found["trained on"] == pytest.approx(2 / 3)


def test_an_item_that_every_model_had_has_no_value():
    inside = np.array([[1, 1], [1, 0], [1, 1]], dtype=bool)
    trials = Trials(inside, np.ones((3, 2)))
    assert math.isnan(trials.memorization[0])
    assert trials.memorization[1] == 0
    assert summary(trials, np.array([True, False]), 0.25)["memorisation"] is None


def test_a_constant_model_memorises_nothing():
    inside = masks(np.random.default_rng(0), 30, 100)
    right = np.arange(100) % CLASSES == 0
    trials = trials_with(lambda _: right, inside)
    assert (trials.memorization == 0).all()
    assert (whole(trials).mean, whole(trials).standard_error) == (0, 0)


def test_a_model_that_looks_labels_up_memorises_random_labels_wholly():
    numbers = np.random.default_rng(1)
    inside = masks(numbers, 300, 200)
    trials = trials_with(lambda row: row | (numbers.random(200) < 1 / CLASSES), inside)
    found = whole(trials)
    assert abs(found.mean - 100 * (1 - 1 / CLASSES)) < 3 * found.standard_error
    assert found.standard_error < 1


def test_a_copy_in_the_training_set_lowers_the_memorisation_of_both():
    numbers = np.random.default_rng(2)
    inside = masks(numbers, 300, 200)

    def looked_up(row: np.ndarray) -> np.ndarray:
        either = row.copy()
        either[:100] = np.tile(row[:50] | row[50:100], 2)  # the first hundred are fifty items twice
        return either

    value = trials_with(looked_up, inside).memorization
    assert (value[100:] == 1).all()
    assert value[:100].mean() == pytest.approx(0.3, abs=0.02), "of models without one copy, 0.7 have the other"


def test_what_does_not_change_a_value_and_what_turns_its_sign():
    numbers = np.random.default_rng(3)
    inside, score = masks(numbers, 25, 60, 0.5), numbers.random((25, 60))
    trials, order = Trials(inside, score), numbers.permutation(25)
    assert Trials(inside[order], score[order]).memorization == pytest.approx(trials.memorization)
    assert whole(Trials(inside[order], score[order])).standard_error == pytest.approx(whole(trials).standard_error)
    opposite = Trials(~inside, score)
    assert opposite.memorization == pytest.approx(-trials.memorization)
    assert whole(opposite).standard_error == pytest.approx(whole(trials).standard_error)
    assert (np.abs(trials.memorization) <= 1).all()
    within, (trained, _) = trials.means[0], trials.counts
    assert (within * trained).sum() / trained.sum() == pytest.approx(score[inside].mean())


# the interval


def test_the_standard_error_is_the_jackknifes():
    numbers = np.random.default_rng(4)
    inside = masks(numbers, 20, 50)
    inside[:2], inside[2:4] = True, False  # without one model, no item is one-armed yet
    score = (numbers.random((20, 50)) < 0.4 + 0.4 * inside).astype(float)
    trials, few = Trials(inside, score), np.arange(50) < 10
    left_out = [Trials(np.delete(inside, k, 0), np.delete(score, k, 0)).memorization for k in range(20)]
    for parts in ([(few, 1.0)], [(few, 1.0), (~few, -1.0)]):
        found = over_models(trials, *parts)
        values = 100 * np.array([sum(w * one[part].mean() for part, w in parts) for one in left_out])
        assert found.standard_error == pytest.approx(math.sqrt(np.square(values - found.mean).sum()))
        assert found.mean == pytest.approx(values.mean())
        assert (found.freedom, found.n) == (19, 20)


def test_intervals_over_models_hold_the_truth(worlds):
    numbers = np.random.default_rng(5)
    for spread, help_, models in ((0.7, 0.3, 20), (0.0, 0.0, 50)):
        training = worlds.Training.of(120, 20, spread, help_, numbers)
        drawn = [training.trials(models, 0.7, numbers) for _ in range(400)]
        for few in (training.conflicting, np.ones(120, dtype=bool)):
            estimates = [over_models(one, (few & ~np.isnan(one.memorization), 1.0)) for one in drawn]
            true = np.mean([one.mean for one in estimates])
            held = sum(one.interval()[0] <= true <= one.interval()[1] for one in estimates)
            assert binomtest(held, 400, 0.95).pvalue > 0.001, held / 400


def test_the_mean_is_the_difference_of_chances(worlds):
    numbers = np.random.default_rng(6)
    training = worlds.Training.of(120, 20, 0.0, 0.0, numbers)
    chance = [1 / (1 + np.exp(-logits)) for logits in (training.within, training.without)]
    found = whole(training.trials(2000, 0.7, numbers))
    assert abs(found.mean - 100 * (chance[0] - chance[1]).mean()) < 3 * found.standard_error


def test_the_noise_of_an_item_is_its_spread_over_repetitions(worlds):
    numbers = np.random.default_rng(7)
    training = worlds.Training.of(60, 20, 0.0, 0.0, numbers)
    drawn = [training.trials(60, 0.7, numbers) for _ in range(200)]
    spread = 100 * math.sqrt(np.var([one.memorization for one in drawn], axis=0).mean())
    told = np.mean([summary(one, np.ones(60, dtype=bool), 0.25)["item noise"] for one in drawn])
    assert told == pytest.approx(spread, rel=0.06)


# the tables


@pytest.fixture(scope="module")
def two_rows():
    """Two rows of 20 models: one looks conflicting examples up and knows the aligned ones, one knows them all."""
    numbers = np.random.default_rng(8)
    labels = np.arange(80) % 2
    attributes = np.where(np.arange(80) < 20, 1 - labels, labels)
    inside = masks(numbers, 20, 80)
    conflicting = labels != attributes
    looked_up = np.where(conflicting & ~inside, 1 - labels, labels)
    members = members_of(looked_up, labels, inside, attributes)
    return population([*members, *members_of(np.tile(labels, (20, 1)), labels, inside, attributes, "knows")])


def test_the_groups_and_the_contrast_of_each_row(two_rows):
    table = memorization(two_rows)
    found = {(line["row"], line["group"]): line for line in lines(table)}
    assert [group for row, group in found if row == "erm"][:3] == ["all", "aligned", "conflicting"]
    assert [found["erm", group]["memorisation"].mean for group in ("all", "aligned", "conflicting")] == [25, 0, 100]
    assert found["erm", "conflicting - aligned"]["memorisation"].mean == 100
    assert found["erm", "conflicting"]["share memorised"] == 1
    assert found["erm", "conflicting"]["accuracy out"] == 0
    assert {found["knows", group]["memorisation"].mean for group in ("all", "conflicting")} == {0}
    by_group = {f"group {number}": found["erm", f"group {number}"] for number in range(4)}
    assert [line["items"] for line in by_group.values()] == [30, 10, 10, 30]
    assert [line["memorisation"].mean for line in by_group.values()] == [0, 100, 100, 0]
    assert found["erm", "all"]["trained on"] == pytest.approx(0.7)
    assert found["erm", "group 5"]["memorisation"] is None, "a group without examples"


def test_the_threshold_is_reached_by_what_equals_it():
    inside = np.array([[1], [1], [0], [0], [0], [0]], dtype=bool)
    trials = Trials(inside, np.array([[1.0], [1], [1], [1], [1], [0]]))
    whole_set = np.ones(1, dtype=bool)
    assert summary(trials, whole_set, 0.25)["share memorised"] == 1
    assert summary(trials, whole_set, 0.26)["share memorised"] == 0


def test_confidence_is_the_probability_of_the_true_class(two_rows):
    """Logits are 1 for the predicted class and 0 for three others."""
    sure, unsure = (math.exp(logit) / (math.e + 3) for logit in (1, 0))
    found = {(line["row"], line["group"]): line for line in lines(memorization(two_rows, confidence=True))}
    assert found["erm", "conflicting"]["memorisation"].mean == pytest.approx(100 * (sure - unsure))
    assert found["erm", "aligned"]["accuracy in"] == pytest.approx(sure)
    assert found["erm", "aligned"]["memorisation"].mean == pytest.approx(0)


def test_the_most_memorised_items_stand_first():
    inside = np.array([[1, 0, 1, 1], [0, 1, 1, 0], [1, 1, 1, 0], [0, 0, 1, 1]], dtype=bool)
    predicted = np.array([[0, 0, 2, 3], [1, 1, 2, 0], [0, 1, 2, 3], [1, 0, 2, 3]])
    given = population(members_of(predicted, np.arange(4), inside, np.zeros(4, dtype=int)))
    table = memorized_items(given, top=2)
    assert table.columns["image"][2] == (0, 1)
    assert table.columns["image"][0] == "image"
    assert table.columns["memorisation"][2] == (100, 100)
    assert table.columns["label"][2] == ("0", "1")
    assert table.columns["group"][2] == ("group 0", "group 2")
    every = memorized_items(given)
    assert every.columns["image"][2] == (0, 1, 3), "the third has no value: every model had it"
    assert every.columns["memorisation"][2][2] == pytest.approx(50)
    assert (every.columns["models in"][2][2], every.columns["models out"][2][2]) == (2, 2)
    with pytest.raises(BenchbiasError, match="no row 'other'; rows: erm"):
        memorized_items(given, row="other")


def test_the_list_is_of_the_named_row(two_rows):
    assert memorized_items(two_rows).columns["row"][2][0] == "erm"
    assert set(memorized_items(two_rows, row="knows").columns["memorisation"][2]) == {0}


def test_what_is_wrong_with_a_population_is_said(two_rows):
    one, *others = two_rows.members
    for analysis in (memorization, memorized_items):
        with pytest.raises(Skip, match="train_fraction"):
            analysis(population([replace(one, trained_on=None), *others]))
        with pytest.raises(BenchbiasError, match="erm, seed 0: trained_on"):
            analysis(population([replace(one, trained_on=torch.ones(3, dtype=torch.bool)), *others]))
        with pytest.raises(Skip, match="2 seeds"):
            analysis(population(two_rows.members[:2]))
        without = replace(one, predictions={"test": one.predictions["test"]})
        with pytest.raises(BenchbiasError, match="train-all"):
            analysis(population([without, *others]))
