"""The answers of a row's models to the images of the test split, from the products of a results folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchbias.errors import StorageError
from benchbias.report.gathering.source import Source
from benchbias.runner.results import stored_predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchbias.board.row_trials import Trials
    from benchbias.data.values import Predictions


@dataclass(frozen=True, eq=False)
class Answers:
    """Predicted classes (S, N) of a row's models, in the order of seeds; labels and groups (N,) of the images."""

    predicted: NDArray[Any]
    labels: NDArray[Any]
    groups: NDArray[Any]
    classes: int


def answers_of(source: Source, row: Trials) -> Answers | None:
    """The answers of all models of a row; None where the folder lacks some, or where seeds test different images."""
    import numpy as np

    found = [_stored(source, str(record.id)) for record in row.records.values()]
    whole = [one for one in found if one is not None]
    if len(whole) < len(found) or not whole or not all(_same_images(one, whole[0]) for one in whole[1:]):
        return None
    first = whole[0]
    predicted = np.stack([one.predicted.numpy() for one in whole])
    return Answers(predicted, first.labels.numpy(), first.groups.numpy(), int(first.logits.shape[1]))


def _stored(source: Source, trial_id: str) -> Predictions | None:
    if source.plan is None or source.store is None:
        return None
    trial = next((trial for trial in source.plan.trials if trial.id == trial_id), None)
    if trial is None or not trial.stages:
        return None
    try:
        return stored_predictions(source.plan, trial, source.store)
    except StorageError:
        return None  # `clean` removes products and leaves records


def _same_images(one: Predictions, other: Predictions) -> bool:
    return all(getattr(one, name).equal(getattr(other, name)) for name in ("labels", "groups", "cluster"))
