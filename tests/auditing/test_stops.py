"""Each stop stops its case and no honest one, can be allowed by its name, and tells what to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchbias.auditing.before.class_order import mixed_up
from benchbias.auditing.before.stops import STOPS, chance_accuracy, check, dense_accuracy, least_agreement
from benchbias.auditing.tables.from_arrays import from_arrays
from benchbias.auditing.values import Answers, Warning
from benchbias.errors import BenchbiasError


def answers_of(label: Any, dense: Any, compressed: Any = None, attributes: Any = None, **more: Any) -> Answers:
    compressed = dense if compressed is None else compressed
    return from_arrays(label, dense, {"int8": compressed}, attributes, **more)


def model(accuracy: float, classes: int, n: int, seed: int = 0, labels: Any = None) -> tuple[Any, Any]:
    """Labels, and answers that are right so often and else any other class."""
    generator = np.random.default_rng(seed)
    label = generator.integers(0, classes, n) if labels is None else labels
    other = (label + generator.integers(1, classes, n)) % classes
    return label, np.where(generator.random(n) < accuracy, label, other)


GOOD = model(0.9, 10, 1000)
LABEL, DENSE = GOOD


def stopped(answers: Answers, **options: Any) -> str:
    """The name of the stop, which can be allowed and then warns; "" where there is none."""
    try:
        check(answers, **options)
    except BenchbiasError as error:
        name = str(error).rpartition("--allow ")[2].rstrip(")")
        allowed = {name}
        for _ in STOPS:
            try:
                warnings = check(answers, **options, allow=allowed)
            except BenchbiasError as another:  # one case may be of several stops
                allowed.add(str(another).rpartition("--allow ")[2].rstrip(")"))
            else:
                break
        assert {warning.kind for warning in warnings} >= allowed
        return name
    return ""


CASES: dict[str, tuple[Answers, dict[str, Any]]] = {
    "no-shared-classes": (answers_of(["cat", "dog"] * 50, [0, 1] * 50), {}),
    "constant": (answers_of(LABEL, [4] * 1000), {}),
    "low-accuracy": (answers_of(*model(0.2, 10, 1000)), {}),
    "expected-accuracy": (answers_of(LABEL, DENSE), {"expect_accuracy": 0.97}),
    "class-order": (answers_of(LABEL, np.where(LABEL == 3, 5, DENSE)), {}),
    "empty-attribute": (answers_of(LABEL, DENSE, attributes={"sex": [None] * 1000}), {}),
    "many-values": (answers_of(LABEL, DENSE, attributes={"age": np.arange(1000) / 7}), {}),
    "one-cluster": (answers_of(LABEL, DENSE, cluster=[1] * 1000), {}),
    "two-labels": (
        replace(answers_of(LABEL, DENSE), warnings=(Warning("two-labels", "one image has two labels"),)),
        {},
    ),
}


@pytest.mark.parametrize("name", sorted(STOPS.keys() - {"new-labels"}))  # that one is of sheets: test_labelling.py
def test_each_stop_stops_its_case(name: str):
    answers, options = CASES[name]
    assert stopped(answers, **options) == name


def test_no_examples_stop_and_cannot_be_allowed():
    none = np.zeros(0, int)
    with pytest.raises(BenchbiasError, match="there are no examples"):
        check(Answers(("a", "b"), none, none, {"int8": none}), allow=set(STOPS))


HONEST: dict[str, Answers] = {
    "ten classes": answers_of(*GOOD),
    "a fair model of two classes": answers_of(*model(0.75, 2, 400)),
    "a weak model of ten": answers_of(*model(0.35, 10, 2000)),
    "a thousand classes, three images each": answers_of(*model(0.7, 1000, 3000)),
    "twelve examples": answers_of([0, 1] * 6, [0, 1] * 5 + [1, 0]),
    "a rare class that is found at times": answers_of(
        np.arange(2000) % 20 == 0, (np.arange(2000) % 60 == 0) | (np.arange(2000) % 333 == 7)
    ),
    "ten of a thousand classes": from_arrays(
        np.arange(600) % 10,
        np.eye(1000)[np.where(np.arange(600) % 3 == 0, np.arange(600) % 997, np.arange(600) % 10)],
        DENSE[:600] % 10,
    ),
    "half of one class right": answers_of(LABEL, np.where((LABEL == 3) & (np.arange(1000) % 2 == 0), 5, DENSE)),
}


@pytest.mark.parametrize("case", HONEST)
def test_an_honest_model_is_not_stopped(case: str):
    assert stopped(HONEST[case]) == ""


@pytest.mark.parametrize("classes", [2, 3, 4, 8, 9, 10, 100])
def test_a_dense_model_at_chance_always_stops_and_three_times_chance_passes_from_nine_classes_on(classes: int):
    for seed in range(5):
        label, _ = model(0.5, classes, 3000, seed)
        answers = answers_of(label, np.random.default_rng(seed + 9).integers(0, classes, 3000))
        assert stopped(answers) == "low-accuracy"
    least = 1 / classes + (1 - 1 / classes) * least_agreement(classes)
    assert least == pytest.approx(3 / classes if classes >= 9 else 1 / classes + (1 - 1 / classes) / 4)


def test_a_model_that_answers_the_common_class_is_at_chance_however_accurate():
    """A class of 5 %: 95 % are right without a look at the images."""
    label = np.arange(4000) % 20 == 0
    random = np.random.default_rng(1).random(4000) < 0.01
    answers = answers_of(label, random)
    assert dense_accuracy(answers) > 0.93
    assert dense_accuracy(answers) == pytest.approx(chance_accuracy(answers), abs=0.01)
    assert stopped(answers) == "low-accuracy"


@pytest.mark.parametrize("order", ["all", "two", "shifted", "small"])
def test_a_wrong_order_of_classes_stops(order: str):
    label = np.repeat(np.arange(10), 20 if order == "small" else 200)
    dense = model(0.95 if order == "small" else 0.8, 10, len(label), labels=label)[1]
    table = {
        "all": [8, 7, 6, 5, 4, 3, 2, 1, 0, 9],
        "two": [0, 1, 3, 2, 4, 5, 6, 7, 8, 9],
        "shifted": [*range(1, 10), 0],
    }
    mixed = np.array(table.get(order, table["two"]))[dense]
    assert stopped(answers_of(label, mixed)) in ("low-accuracy", "class-order")
    assert stopped(answers_of(label, dense)) == ""


def thousand(seed: int, n: int) -> tuple[Any, Any]:
    """Labels and answers of a model of a thousand classes, n images each, hard ones and twins among them."""
    generator = np.random.default_rng(seed)
    accuracy = np.clip(generator.beta(4.0, 1.8, 1000), 0.08, 0.98)
    to_twin = generator.beta(1.2, 3.0, 1000)
    for pair in 2 * np.flatnonzero(generator.random(500) < 0.02):  # a missile and a projectile
        accuracy[pair : pair + 2], to_twin[pair : pair + 2] = generator.uniform(0.3, 0.55, 2), 0.8
    label = np.repeat(np.arange(1000), n)
    twin = np.where(generator.random(len(label)) < to_twin[label], label ^ 1, generator.integers(0, 1000, len(label)))
    return label, np.where(generator.random(len(label)) < accuracy[label], label, twin)


@pytest.mark.parametrize("n", [3, 8, 10, 20, 50])
def test_hard_classes_and_twins_among_a_thousand_are_no_wrong_order_and_two_swapped_ones_are(n: int):
    for seed in range(4):
        label, dense = thousand(seed, n)
        assert mixed_up(label, dense, 1000) == []
        swapped = np.arange(1000)
        swapped[[100, 200]] = [200, 100]
        best = np.where(np.isin(label, (100, 200)), label, dense)  # of two classes that are nearly all right
        found = mixed_up(label, swapped[best], 1000)
        assert [(one.label, one.other) for one in found] == ([(100, 200), (200, 100)] if n >= 20 else [])


@pytest.mark.parametrize(("labels", "expected"), [(10, [5]), (1000, [])])
def test_a_class_that_is_half_called_another_is_a_wrong_order_among_few_labels_alone(labels: int, expected: list[int]):
    label = np.repeat(np.arange(labels), 50)
    answer = label.copy()
    answer[250:300] = [5] * 2 + [6] * 28 + [at % 5 for at in range(20)]
    assert [one.label for one in mixed_up(label, answer, labels)] == expected


def test_the_stop_of_a_class_tells_the_confusion():
    with pytest.raises(
        BenchbiasError, match=r"wrong on (\d+) of \1 examples of '3'; it answers '5' to \1 of them: check"
    ):
        check(CASES["class-order"][0])


def test_what_was_expected_within_five_points_does_not_stop_and_far_above_warns():
    accuracy = dense_accuracy(CASES["expected-accuracy"][0])
    assert stopped(answers_of(*GOOD), expect_accuracy=accuracy + 0.049) == ""
    assert stopped(answers_of(*GOOD), expect_accuracy=accuracy + 0.051) == "expected-accuracy"
    assert [w.kind for w in check(answers_of(*GOOD), expect_accuracy=accuracy - 0.1) if "train" in w.text] == [
        "expected-accuracy"
    ]
    with pytest.raises(BenchbiasError, match="6980 %: above 0 and at most 100 is meant"):
        check(answers_of(*GOOD), expect_accuracy=69.8)


def test_unknown_names_of_stops_are_told():
    with pytest.raises(BenchbiasError, match="unknown stop 'low-acuracy'; did you mean 'low-accuracy'"):
        check(answers_of(*GOOD), allow=["low-acuracy"])


def kinds(answers: Answers, **options: Any) -> set[str]:
    return {warning.kind for warning in check(answers, **options)}


FLIPPED = np.where(np.arange(1000) % 50 == 0, (DENSE + 1) % 10, DENSE)


def test_warnings_tell_what_is_odd_and_nothing_else():
    honest = answers_of(LABEL, DENSE, FLIPPED, {"sex": ["f", "m"] * 500}, cluster=np.arange(1000) // 2)
    assert kinds(honest) == set()
    assert kinds(answers_of(LABEL, DENSE)) == {"identical-answers"}
    assert kinds(answers_of(LABEL[:90], DENSE[:90], FLIPPED[:90])) == {"few-examples"}
    assert kinds(answers_of(LABEL[:90], DENSE[:90], FLIPPED[:90]), margin=0.05) == set()
    assert kinds(answers_of(LABEL, DENSE, FLIPPED, {"sex": ["f"] * 1000})) == {"one-value"}
    assert kinds(answers_of(LABEL, DENSE, FLIPPED, {"sex": ["f", "N/A"] * 500})) == {"empty-word"}
    assert kinds(answers_of(LABEL, DENSE, FLIPPED, cluster=np.arange(1000))) == {"single-clusters"}
    assert kinds(answers_of(LABEL, DENSE, FLIPPED, cluster=np.maximum(np.arange(1000), 600))) == {"large-cluster"}
    assert kinds(answers_of(LABEL, DENSE, np.where(DENSE == 3, 4, DENSE))) == {"never-answered"}
    assert kinds(answers_of(LABEL, DENSE, np.where(np.arange(1000) == 3, 11, DENSE))) == {"no-label"}
    assert kinds(answers_of(LABEL, DENSE, (DENSE + 1) % 10)) == {"compressed-at-chance"}


def test_confidence_that_falls_where_answers_stay_is_a_warning():
    logits = 4.1 * np.eye(10)[DENSE]
    for factor, expected in ((0.5, {"confidence", "identical-answers"}), (1.0, {"identical-answers"})):
        assert kinds(from_arrays(LABEL, logits, {"int8": factor * logits})) == expected
    shuffled = 2.1 * np.eye(10)[np.where(np.arange(1000) % 10 == 0, (DENSE + 1) % 10, DENSE)]
    assert kinds(from_arrays(LABEL, logits, {"int8": shuffled})) == set()  # the answers fell as well


def test_answers_without_labels_are_checked_for_what_needs_none():
    label = np.where(np.arange(1000) % 2 == 0, LABEL, -1)
    answers = answers_of(LABEL, DENSE, FLIPPED, {"sex": [None] * 1000})
    partly = Answers(answers.classes, label, answers.dense, answers.compressed, answers.attributes)
    assert stopped(partly) == "empty-attribute"
    bare = Answers(answers.classes, np.full(1000, -1), answers.dense, answers.compressed)
    assert check(bare) == ()
    with pytest.raises(BenchbiasError, match="labels are missing"):
        check(bare, expect_accuracy=0.9)


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_rows_changes_no_stop_and_no_warning(seed: int):
    order = np.random.default_rng(seed).permutation(1000)
    for answers, options in CASES.values():
        if len(answers.label) != 1000:
            continue
        moved = Answers(
            answers.classes,
            answers.label[order],
            answers.dense[order],
            {name: codes[order] for name, codes in answers.compressed.items()},
            {name: type(c)(c.codes[order], c.names) for name, c in answers.attributes.items()},
            None if answers.cluster is None else answers.cluster[order],
            warnings=answers.warnings,
        )
        assert check(moved, **options, allow=set(STOPS)) == check(answers, **options, allow=set(STOPS))


def test_one_class_of_a_test_set_is_audited_with_a_warning():
    assert "one-label" in {warning.kind for warning in check(answers_of([3] * 50, [3] * 40 + [1] * 10))}
    assert "one-label" not in {warning.kind for warning in check(answers_of(*GOOD))}
