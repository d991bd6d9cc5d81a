"""Accuracies: over all examples, by group, by class, and of the shortcut itself. NaN where undefined."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from benchbias import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from benchbias import Predictions


def accuracy(predictions: Predictions) -> float:
    """The share of correct predictions over the test split, each example alike."""
    return _mean(predictions.correct)


def accuracy_train_weighted(predictions: Predictions) -> float:
    """Group accuracies weighted by the groups' shares in training (Sagawa et al., 2020: Waterbirds' "average").

    Undefined where a group that occurs in training has no test example.
    """
    shares = predictions.train_group_shares.double()
    present = shares > 0
    by_group = _by(predictions.correct, predictions.groups, len(shares))
    return float((shares[present] * by_group[present]).sum())


def worst_group_accuracy(predictions: Predictions) -> float:
    """The lowest accuracy among the groups (label, attribute). Undefined where a group has no test example."""
    return float(_group_accuracies(predictions).min())


def mean_group_accuracy(predictions: Predictions) -> float:
    """The mean of the groups' accuracies. Undefined where a group has no test example."""
    return float(_group_accuracies(predictions).mean())


def worst_class_accuracy(predictions: Predictions) -> float:
    """The lowest recall among the classes. Undefined where a class has no test example."""
    return float(_by(predictions.correct, predictions.labels, predictions.logits.shape[1]).min())


def aligned_accuracy(predictions: Predictions) -> float:
    """Accuracy on the bias-aligned test examples, each example alike."""
    return _mean(predictions.correct[predictions.aligned])


def conflicting_accuracy(predictions: Predictions) -> float:
    """Accuracy on the bias-conflicting test examples, each example alike."""
    return _mean(predictions.correct[~predictions.aligned])


def spurious_attribute_accuracy(predictions: Predictions) -> float:
    """The share of examples answered as the spurious attribute alone would: 1 is a model that reads only it.

    It counts test examples whose predicted class is aligned with their attribute; examples whose attribute is
    aligned with no class are left out (SpuCo, Joshi et al., 2023). Chance on a balanced test split is one over
    the number of classes.
    """
    aligned = torch.zeros((predictions.num_attributes, predictions.logits.shape[1]), dtype=torch.bool)
    aligned[predictions.attributes[predictions.aligned], predictions.labels[predictions.aligned]] = True
    answers = aligned[predictions.attributes, predictions.predicted]
    return _mean(answers[aligned.any(dim=1)[predictions.attributes]])


def _group_accuracies(predictions: Predictions) -> Tensor:
    return _by(predictions.correct, predictions.groups, len(predictions.train_group_shares))


def _by(correct: Tensor, kinds: Tensor, number: int) -> Tensor:
    """Accuracy of each kind, float64 (number,); NaN where a kind has no example."""
    total = torch.bincount(kinds, minlength=number)
    return torch.bincount(kinds, weights=correct.double(), minlength=number) / total


def _mean(flags: Tensor) -> float:
    return float(flags.double().mean())


@hookimpl
def benchbias_metrics() -> dict[str, Callable[..., float]]:
    metrics = (
        accuracy,
        accuracy_train_weighted,
        worst_group_accuracy,
        mean_group_accuracy,
        worst_class_accuracy,
        aligned_accuracy,
        conflicting_accuracy,
        spurious_attribute_accuracy,
    )
    return {metric.__name__: metric for metric in metrics}
