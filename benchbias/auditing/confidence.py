"""Columns from probabilities: how far confidence fell, and how well it is calibrated. They decide nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchbias.auditing.groups import Crossing, Grouping
from benchbias.auditing.values import DENSE, Answers, Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 15  # of confidence, of equal width (Guo et al., ICML 2017)
STEPS = 2.0**24  # in 1: sums of multiples of its inverse are exact, so that the order of rows changes no digit


@dataclass(frozen=True)
class Confidence:
    """Columns of every group, float (G,) each. fell: the mean fall of the label's probability, from -1 to 1.

    before, after: the expected calibration error of the dense and of the compressed model. divergence: mean, in nats.
    """

    fell: NDArray[Any]
    before: NDArray[Any]
    after: NDArray[Any]
    divergence: NDArray[Any] | None

    def of_group(self, at: int) -> tuple[float | None, tuple[float, float] | None, float | None]:
        """The fall, the calibration errors and the divergence of one group; None where one is unknown."""
        fell, before, after = (float(column[at]) for column in (self.fell, self.before, self.after))
        divergence = None if self.divergence is None else float(self.divergence[at])
        return _known(fell), None if np.isnan(before + after) else (before, after), _known(divergence)


def confidence_of(answers: Answers, model: str, grouping: Grouping) -> Confidence | None:
    """The columns of one compressed model; None where its probabilities or the dense model's are unknown."""
    dense, compressed = (answers.scores.get(name) for name in (DENSE, model))
    if dense is None or compressed is None:
        return None
    n = grouping.sums()
    fell = grouping.sums(_stepped(dense.of_label - compressed.of_label)) / n
    errors = [
        grouping.gathered([_calibration(crossing, scores, answers.label == given) for crossing in grouping.crossings])
        for scores, given in ((dense, answers.dense), (compressed, answers.compressed[model]))
    ]
    divergence = None if compressed.divergence is None else grouping.sums(_stepped(compressed.divergence)) / n
    return Confidence(fell, errors[0], errors[1], divergence)


def _calibration(crossing: Crossing, scores: Scores, right: NDArray[Any]) -> NDArray[Any]:
    """The expected calibration error of every cell, (number,); NaN where a probability is unknown."""
    bins = np.clip((np.nan_to_num(scores.confidence) * BINS).astype(np.int64), 0, BINS - 1)
    gaps = np.bincount(
        crossing.cells * BINS + bins, _stepped(right - scores.confidence), minlength=crossing.number * BINS
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.abs(gaps.reshape(-1, BINS)).sum(axis=1) / crossing.sums())


def _stepped(values: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.round(values * STEPS) / STEPS)


def _known(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else value
