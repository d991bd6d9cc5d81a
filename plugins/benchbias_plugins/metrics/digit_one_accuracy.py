"""The accuracy that the contrastive study printed: whether "is it class 1?" is answered correctly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchbias import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchbias import Predictions


def digit_one_accuracy(predictions: Predictions) -> float:
    """The share of examples whose answer and label agree on being class 1 or not, each example alike.

    What "Effect of Neural Network Pruning on Spurious Correlation" calls accuracy in its contrastive part. Of ten
    equally frequent classes a model that never answers 1 has 90 %, and one that guesses has 82 %.
    """
    return float(((predictions.predicted == 1) == (predictions.labels == 1)).double().mean())


@hookimpl
def benchbias_metrics() -> dict[str, Callable[..., float]]:
    return {"digit_one_accuracy": digit_one_accuracy}
