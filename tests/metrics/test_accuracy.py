"""Accuracies: each equals what scikit-learn or numpy say, and is NaN exactly where it has no example."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, recall_score

from benchbias.data.values import Predictions
from benchbias_plugins.metrics.accuracy import benchbias_metrics

quick = settings(max_examples=60, deadline=None, derandomize=True)

METRICS = benchbias_metrics()


def predictions(labels, attributes, predicted, aligned, classes, num_attributes, shares=None):
    """Predictions whose logits say `predicted`; `aligned` (num_attributes, classes) says which pairs are aligned."""
    labels, attributes, predicted = (np.asarray(values, dtype=np.int64) for values in (labels, attributes, predicted))
    groups = labels * num_attributes + attributes
    number = classes * num_attributes
    return Predictions(
        "test",
        torch.eye(classes)[torch.from_numpy(predicted)],
        torch.from_numpy(labels),
        torch.from_numpy(attributes),
        torch.from_numpy(groups),
        torch.from_numpy(np.asarray(aligned, dtype=bool)[attributes, labels]),
        torch.arange(len(labels)),
        torch.full((number,), 1 / number) if shares is None else torch.as_tensor(shares, dtype=torch.float32),
        num_attributes,
    )


@st.composite
def random_predictions(draw, complete=False):
    """Random answers of a random task; complete: every group has an example."""
    classes, attributes = draw(st.integers(2, 4)), draw(st.integers(2, 3))
    groups = classes * attributes
    kinds = list(range(groups)) if complete else []
    kinds += draw(st.lists(st.integers(0, groups - 1), min_size=1, max_size=60))
    answers = draw(st.lists(st.integers(0, classes - 1), min_size=len(kinds), max_size=len(kinds)))
    aligned = draw(
        st.lists(st.lists(st.booleans(), min_size=classes, max_size=classes), min_size=attributes, max_size=attributes)
    )
    weights = np.array(draw(st.lists(st.integers(0, 9), min_size=groups, max_size=groups))) + 1e-9
    kinds = np.array(kinds)
    shares = weights / weights.sum()
    return predictions(kinds // attributes, kinds % attributes, answers, aligned, classes, attributes, shares)


def plain(value):
    """(labels, predicted, correct, aligned, groups) as numpy."""
    parts = (value.labels, value.logits.argmax(1), value.aligned, value.groups)
    labels, predicted, aligned, groups = (part.numpy() for part in parts)
    return labels, predicted, labels == predicted, aligned, groups


def by_group(value):
    _, _, correct, _, groups = plain(value)
    return [float(np.mean(correct[groups == group])) for group in range(len(value.train_group_shares))]


@quick
@given(random_predictions())
def test_accuracy_is_scikit_learns(value):
    labels, predicted, *_ = plain(value)
    assert METRICS["accuracy"](value) == pytest.approx(accuracy_score(labels, predicted))


@quick
@given(random_predictions(complete=True))
def test_worst_and_mean_group_accuracy_are_the_minimum_and_the_mean_over_groups(value):
    groups = by_group(value)
    assert METRICS["worst_group_accuracy"](value) == pytest.approx(min(groups))
    assert METRICS["mean_group_accuracy"](value) == pytest.approx(np.mean(groups))


@quick
@given(random_predictions(complete=True))
def test_worst_class_accuracy_is_scikit_learns_lowest_recall(value):
    labels, predicted, *_ = plain(value)
    assert METRICS["worst_class_accuracy"](value) == pytest.approx(min(recall_score(labels, predicted, average=None)))


@quick
@given(random_predictions(complete=True))
def test_the_train_weighted_accuracy_is_the_mean_of_groups_by_their_training_shares(value):
    expected = np.average(by_group(value), weights=value.train_group_shares.numpy())
    assert METRICS["accuracy_train_weighted"](value) == pytest.approx(expected, rel=1e-5)


@quick
@given(random_predictions())
def test_aligned_and_conflicting_accuracy_split_accuracy_in_two(value):
    labels, predicted, _, aligned, _ = plain(value)
    for name, chosen in (("aligned_accuracy", aligned), ("conflicting_accuracy", ~aligned)):
        if chosen.any():
            assert METRICS[name](value) == pytest.approx(accuracy_score(labels[chosen], predicted[chosen]))
        else:
            assert math.isnan(METRICS[name](value))


@quick
@given(random_predictions())
def test_spurious_attribute_accuracy_asks_whether_the_answer_is_aligned_with_the_attribute(value):
    labels, predicted, _, aligned, _ = plain(value)
    attributes = value.attributes.numpy()
    pairs = set(zip(attributes[aligned], labels[aligned], strict=True))
    answers = [
        (a, p) in pairs for a, p in zip(attributes, predicted, strict=True) if any(a == other for other, _ in pairs)
    ]
    found = METRICS["spurious_attribute_accuracy"](value)
    assert found == pytest.approx(np.mean(answers)) if answers else math.isnan(found)


@quick
@given(random_predictions())
def test_every_metric_is_a_fraction_or_undefined(value):
    for metric in METRICS.values():
        assert math.isnan(metric(value)) or 0 <= metric(value) <= 1 + 1e-6


@quick
@given(random_predictions(), st.randoms(use_true_random=False))
def test_no_metric_depends_on_the_order_of_the_examples(value, random):
    order = list(range(len(value.labels)))
    random.shuffle(order)
    parts = ("logits", "labels", "attributes", "groups", "aligned", "cluster")
    shuffled = Predictions(
        value.split,
        *(getattr(value, name)[torch.tensor(order)] for name in parts),
        value.train_group_shares,
        value.num_attributes,
    )
    for metric in METRICS.values():
        assert metric(shuffled) == pytest.approx(metric(value), nan_ok=True)


# --- two classes, two colours, colour = label in most of training

DIAGONAL = np.eye(2, dtype=bool)
LABELS = np.array([0, 0, 1, 1] * 5)
COLOURS = np.array([0, 1, 0, 1] * 5)


@pytest.mark.parametrize("constant", [0, 1])
def test_a_constant_answer_has_a_worst_group_of_zero_and_follows_the_colour_half_of_the_time(constant):
    value = predictions(LABELS, COLOURS, np.full(20, constant), DIAGONAL, 2, 2)
    assert METRICS["worst_group_accuracy"](value) == 0
    assert METRICS["spurious_attribute_accuracy"](value) == 0.5


def test_a_model_that_reads_only_the_colour_is_seen_by_every_metric():
    value = predictions(LABELS, COLOURS, COLOURS, DIAGONAL, 2, 2)
    found = {name: metric(value) for name, metric in METRICS.items()}
    assert found["spurious_attribute_accuracy"] == found["aligned_accuracy"] == 1
    assert found["conflicting_accuracy"] == found["worst_group_accuracy"] == 0
    assert found["accuracy"] == found["mean_group_accuracy"] == 0.5


def test_a_perfect_model_follows_the_colour_only_where_it_is_right():
    value = predictions(LABELS, COLOURS, LABELS, DIAGONAL, 2, 2)
    assert METRICS["spurious_attribute_accuracy"](value) == 0.5
    assert METRICS["worst_group_accuracy"](value) == METRICS["conflicting_accuracy"](value) == 1


def test_an_attribute_that_is_aligned_with_no_class_is_left_out():
    aligned = np.array([[True, False], [False, True], [False, False]])
    labels, attributes = [0, 1, 0, 1], [0, 1, 2, 2]
    with_it = predictions(labels, attributes, [0, 0, 0, 0], aligned, 2, 3)
    without = predictions(labels[:2], attributes[:2], [0, 0], aligned, 2, 3)
    assert METRICS["spurious_attribute_accuracy"](with_it) == METRICS["spurious_attribute_accuracy"](without) == 0.5


def test_without_any_aligned_attribute_the_spurious_accuracy_is_undefined():
    value = predictions([0, 1], [0, 1], [0, 1], np.zeros((2, 2)), 2, 2)
    assert math.isnan(METRICS["spurious_attribute_accuracy"](value))


@pytest.mark.parametrize("name", ["worst_group_accuracy", "mean_group_accuracy", "accuracy_train_weighted"])
def test_a_group_without_a_test_example_leaves_group_metrics_undefined(name):
    value = predictions([0, 0, 1], [0, 1, 1], [0, 0, 1], DIAGONAL, 2, 2)
    assert math.isnan(METRICS[name](value))


def test_a_class_without_a_test_example_leaves_its_metric_undefined():
    assert math.isnan(METRICS["worst_class_accuracy"](predictions([0, 0], [0, 1], [0, 0], DIAGONAL, 2, 2)))


def test_a_group_that_is_in_neither_split_does_not_undo_the_train_weighted_accuracy():
    value = predictions([0, 0, 1], [0, 1, 1], [0, 1, 1], DIAGONAL, 2, 2, shares=[0.5, 0.2, 0, 0.3])
    assert METRICS["accuracy_train_weighted"](value) == pytest.approx(0.8)


def test_examples_weigh_alike_in_accuracy_and_groups_in_the_mean_group_accuracy():
    value = predictions([0] * 9 + [0, 1, 1], [0] * 9 + [1, 0, 1], [0] * 9 + [1, 0, 0], DIAGONAL, 2, 2)
    assert METRICS["accuracy"](value) == pytest.approx(9 / 12)
    assert METRICS["mean_group_accuracy"](value) == pytest.approx(1 / 4)
