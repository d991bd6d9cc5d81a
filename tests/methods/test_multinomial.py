"""The multinomial head with an L1 penalty: saga as an oracle, the optimality conditions, closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch.nn import functional

from benchbias_plugins.methods.dfr.multinomial import TOLERANCE, multinomial

Floats = NDArray[np.float64]
Problem = tuple[Floats, NDArray[np.int64]]


def problem(seed: int, classes: int, count: int, width: int, apart: float) -> Problem:
    """Correlated features (N, D) of unequal classes; one feature is constant, two are the same."""
    stream = np.random.default_rng(seed)
    labels = stream.permutation(np.minimum(np.arange(count) % (classes + 1), classes - 1))
    features = stream.normal(size=(count, width)) @ stream.normal(size=(width, width)) / np.sqrt(width)
    features += apart * stream.normal(size=(classes, width))[labels]
    features[:, 0] = 0
    features[:, 1] = features[:, 2]
    return features, labels


def least_useful(features: Floats, labels: NDArray[np.int64], classes: int) -> float:
    """The strength below which no weight pays: one over the loss's steepest slope at W = 0."""
    shares = np.bincount(labels, minlength=classes) / len(labels)
    return 1 / float(np.abs((shares - np.eye(classes)[labels]).T @ features).max())


def objective(features: Floats, labels: NDArray[np.int64], weight: Floats, bias: Floats, c: float) -> float:
    logits = torch.from_numpy(features @ weight.T + bias)
    return float(np.abs(weight).sum() + c * functional.cross_entropy(logits, torch.from_numpy(labels), reduction="sum"))


def saga(features: Floats, labels: NDArray[np.int64], c: float) -> tuple[Floats, Floats]:
    model: Any = LogisticRegression(C=c, l1_ratio=1.0, solver="saga", max_iter=1_000_000, tol=1e-9, random_state=0)
    model.fit(features, labels)
    return model.coef_, model.intercept_


CASES = [  # seed, classes, count, width, how far apart; the last is separable, with fewer examples than features
    (0, 3, 90, 8, 0.5),
    (1, 5, 200, 12, 1.0),
    (2, 4, 60, 20, 0.2),
    (3, 5, 30, 40, 2.0),
]


@pytest.mark.parametrize("times", [1.5, 10.0, 50.0])
@pytest.mark.parametrize("case", CASES)
def test_it_is_as_low_as_saga_goes_and_answers_the_same(case: Any, times: float):
    features, labels = problem(*case)
    classes = case[1]
    c = times * least_useful(features, labels, classes)
    found, wanted = multinomial(features, labels, c, classes), saga(features, labels, c)
    mine, theirs = (objective(features, labels, *head, c) for head in (found, wanted))
    assert mine == pytest.approx(theirs, rel=1e-6)
    mine, theirs = (softmax(features @ weight.T + bias, axis=1) for weight, bias in (found, wanted))
    np.testing.assert_allclose(mine, theirs, atol=2e-4)
    clear = np.diff(np.sort(theirs), axis=1)[:, -1] > 1e-3
    assert clear.mean() > 0.7  # examples that the few weights do not reach tie classes
    assert np.array_equal(mine.argmax(1)[clear], theirs.argmax(1)[clear])


@pytest.mark.parametrize("times", [1.5, 50.0, 5000.0])
@pytest.mark.parametrize("case", CASES)
def test_the_optimality_conditions_hold(case: Any, times: float):
    features, labels = problem(*case)
    c = times * least_useful(features, labels, case[1])
    weight, bias = (torch.from_numpy(part).requires_grad_() for part in multinomial(features, labels, c, case[1]))
    logits = torch.from_numpy(features) @ weight.T + bias
    (c * functional.cross_entropy(logits, torch.from_numpy(labels), reduction="sum")).backward()
    assert weight.grad is not None
    assert bias.grad is not None
    there = weight.detach().abs() > TOLERANCE
    assert there.any()
    slack = 1.01 * TOLERANCE
    assert float((weight.grad + weight.detach().sign())[there].abs().max()) <= slack
    assert float(weight.grad.abs().max()) <= 1 + slack
    assert float(bias.grad.abs().max()) <= slack
    assert float(bias.detach().sum()) == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize("c", [1.0, 0.1])
def test_of_two_classes_it_is_the_binary_fit(c: float):
    """Of W's two rows w / 2 and -w / 2 the penalty is that of w."""
    features, labels = problem(4, 2, 80, 6, 0.5)
    weight, bias = multinomial(features, labels, c, 2)
    wanted, intercept = saga(features, labels, c)
    found = features @ (weight[1] - weight[0]) + bias[1] - bias[0]
    np.testing.assert_allclose(found, features @ wanted[0] + intercept[0], atol=1e-3)
    assert np.ptp(found) > 0.5


def test_below_the_least_useful_strength_only_the_frequencies_are_learnt():
    features, labels = problem(5, 4, 120, 7, 0.7)
    counts, least = np.bincount(labels), least_useful(features, labels, 4)
    assert len(set(counts.tolist())) > 1
    weight, bias = multinomial(features, labels, 0.99 * least, 4)
    assert not weight.any()
    np.testing.assert_allclose(bias, np.log(counts) - np.log(counts).mean(), atol=1e-2)
    weight, _ = multinomial(features, labels, 1.05 * least, 4)
    assert np.count_nonzero(np.abs(weight) > TOLERANCE) == 1


def test_moved_features_and_renamed_classes_change_nothing_else():
    features, labels = problem(6, 3, 90, 6, 0.6)
    weight, bias = multinomial(features, labels, 0.5, 3)
    moved, moved_bias = multinomial(features + 2.0, labels, 0.5, 3)  # the bias is not penalised
    np.testing.assert_allclose(moved, weight, atol=1e-3)
    shift = moved_bias + 2.0 * moved.sum(1) - bias
    np.testing.assert_allclose(shift, shift.mean(), atol=1e-3)
    order = np.array([2, 0, 1])
    renamed, renamed_bias = multinomial(features, order[labels], 0.5, 3)
    np.testing.assert_allclose(renamed[order], weight, atol=1e-3)
    np.testing.assert_allclose(renamed_bias[order], bias, atol=1e-3)


def test_a_class_without_an_example_has_its_row():
    features, labels = problem(7, 3, 60, 5, 0.6)
    weight, bias = multinomial(features, labels, 0.5, 4)
    assert weight.shape == (4, 5)
    assert (features @ weight.T + bias).argmax(1).max() == 2


def test_a_fit_that_is_cut_short_says_so():
    features, labels = problem(0, 3, 90, 8, 0.5)
    with pytest.warns(ConvergenceWarning, match=r"the head of c = 0\.5 is not at its optimum: "):
        multinomial(features, labels, 0.5, 3, most_steps=3)
