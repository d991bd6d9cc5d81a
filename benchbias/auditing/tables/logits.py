"""Logits or probabilities of a model: its answers, and how sure it was of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from benchbias.auditing.values import Scores
from benchbias.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SUM = 0.05  # probabilities of a row add up to 1 within this: they may be rounded to two digits
LEAST = 1e-12  # a probability of 0 is taken as this where a logarithm is needed
ROUNDING = 1e-3
CELLS = 4_000_000  # numbers that are turned to float64 at once


@dataclass(frozen=True)
class Answered:
    """The answers of one model. at: int (N,), the column of each; ties: rows whose largest value stands twice."""

    at: NDArray[Any]
    ties: int


def answered(values: NDArray[Any], name: str, row: Callable[[int], str]) -> Answered:
    """The column with the largest value of each row of (N, C); of equal ones the first.

    Raises DataError where a value is infinite or no number.
    """
    at, ties = np.empty(len(values), np.int64), 0
    for part in _parts(values):
        found = values[part]
        wrong = ~np.isfinite(found)
        if wrong.any():
            number, column = (int(v[0]) for v in np.nonzero(wrong))
            told = "is no number" if np.isnan(found[number, column]) else "is infinite"
            raise DataError(f"{row(part.start + number)}: {name}: the value of class {column} {told}")
        at[part] = found.argmax(1)
        ties += int(((found == found.max(1, keepdims=True)).sum(1) > 1).sum())
    return Answered(at, ties)


def is_probabilities(values: NDArray[Any]) -> bool:
    """Whether every row of (N, C) is of probabilities: none below 0 or above 1, their sum 1 but for rounding."""
    return is_shares(values) and all(
        bool((np.abs(values[part].astype(np.float64).sum(1) - 1) <= SUM).all()) for part in _parts(values)
    )


def is_shares(values: NDArray[Any]) -> bool:
    """Whether all of (N, C) are from 0 to 1, as no logits are; a thousandth beyond is rounding."""
    return all(bool(((values[part] >= -ROUNDING) & (values[part] <= 1 + ROUNDING)).all()) for part in _parts(values))


def is_whole(values: NDArray[Any]) -> bool:
    """Whether all of (N, C) are whole numbers: quantised logits, whose scale is unknown."""
    return all(bool((values[part] == np.rint(values[part])).all()) for part in _parts(values))


def scores(values: NDArray[Any], label: NDArray[Any], *, reference: NDArray[Any] | None = None) -> Scores:
    """The probabilities of a model from its finite logits (N, C), by softmax in float64, or from probabilities.

    label: int (N,), the column of each label, -1 where none. reference: the dense model's values (N, C) in the same
    order, for the Kullback-Leibler divergence of these from it; a probability below 1e-12 counts as 1e-12 there.
    """
    confidence, of_label = np.empty(len(values)), np.full(len(values), np.nan)
    divergence = None if reference is None else np.empty(len(values))
    plain = is_probabilities(values)
    dense_plain = reference is not None and is_probabilities(reference)
    for part in _parts(values):
        log = _logarithms(values[part], plain)
        shares = np.exp(log)
        confidence[part] = shares.max(1)
        own = label[part]
        of_label[part] = np.where(own >= 0, np.take_along_axis(shares, np.maximum(own, 0)[:, None], 1)[:, 0], np.nan)
        if reference is not None and divergence is not None:
            dense = _logarithms(reference[part], dense_plain)
            divergence[part] = np.maximum((np.exp(dense) * (dense - log)).sum(1), 0)
    return Scores(np.minimum(confidence, 1), np.minimum(of_label, 1), divergence)


def _logarithms(values: NDArray[Any], plain: bool) -> NDArray[Any]:
    found = values.astype(np.float64)
    if plain:
        found = np.clip(found, 0, 1)
        return np.asarray(np.log(np.maximum(found / found.sum(1, keepdims=True), LEAST)))
    return np.asarray(special.log_softmax(found, axis=1))


def _parts(values: NDArray[Any]) -> Iterator[slice]:
    step = max(1, CELLS // values.shape[1])
    for start in range(0, len(values), step):
        yield slice(start, start + step)
