"""Percentile bootstraps of the mean over seeds of the least group accuracy: what the board does not use, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from benchbias.statistics.cells import Cells

    Weights = NDArray[np.float32]


def nested(rows: list[list[Cells]], draws: int, numbers: Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw seeds, and for each drawn seed its own test examples, the same for both rows of a pair."""
    seeds, first = len(rows[0]), rows[0][0]
    drawn_seeds = numbers.integers(0, seeds, (draws, seeds))
    slots = []
    for slot in range(seeds):
        weights = _weights(first, draws, numbers)  # (B, K): by the place of an example in its seed's test set
        accuracy = [np.stack([_accuracies(cells, weights, _places(cells)) for cells in row]) for row in rows]
        slots.append([_least_of(values, drawn_seeds[:, slot]) for values in accuracy])
    return _bounds([np.mean(values, axis=0) for values in zip(*slots, strict=True)])


def crossed(rows: list[list[Cells]], draws: int, numbers: Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw seeds, and one set of test examples for all seeds and rows."""
    seeds = len(rows[0])
    drawn_seeds = numbers.integers(0, seeds, (draws, seeds))
    weights = _weights_of_all(rows[0], draws, numbers)  # (B, C): by example
    means = []
    for row in rows:
        accuracy = np.stack([_accuracies(cells, weights, cells.cluster) for cells in row])
        means.append(np.mean([_least_of(accuracy, drawn_seeds[:, slot]) for slot in range(seeds)], axis=0))
    return _bounds(means)


def _bounds(means: list[NDArray[np.float64]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """95 % percentile bounds (R,) of means (B, R): of the only row, or of the second minus the first."""
    lower, upper = np.percentile(means[-1] - means[0] if len(means) > 1 else means[0], [2.5, 97.5], axis=0)
    return lower, upper


def _least_of(accuracy: NDArray[np.float64], drawn: NDArray[np.int64]) -> NDArray[np.float64]:
    """accuracy (S, B, R, G), drawn (B,) -> the least group accuracy (B, R) of the seed that each draw has."""
    least: NDArray[np.float64] = accuracy[drawn, np.arange(len(drawn))].min(axis=-1)
    return least


def _accuracies(cells: Cells, weights: Weights, example: NDArray[np.int64]) -> NDArray[np.float64]:
    """Group accuracies (B, R, G) with examples weighted; example (M,): the column of weights of every cell."""
    found = []
    for group in range(int(cells.group.max()) + 1):
        inside = cells.group == group
        weight = weights[:, example[inside]]
        correct = cells.correct[:, inside].astype(np.float32)
        found.append((weight @ correct.T) / (weight @ cells.total[inside].astype(np.float32))[:, None])
    return np.stack(found, axis=-1)


def _places(cells: Cells) -> NDArray[np.int64]:
    """The place of every cell's example in the test set."""
    place: NDArray[np.int64] = np.unique(cells.cluster, return_inverse=True)[1]
    return place


def _weights(cells: Cells, draws: int, numbers: Generator) -> Weights:
    """How often each example of a test set is drawn, (B, K): with replacement, within the groups."""
    _, first = np.unique(cells.cluster, return_index=True)
    return _resampled(cells.group[first], draws, numbers)


def _weights_of_all(row: list[Cells], draws: int, numbers: Generator) -> Weights:
    """The same as _weights, over the examples of all seeds, (B, C)."""
    clusters = np.concatenate([cells.cluster for cells in row])
    _, first = np.unique(clusters, return_index=True)
    return _resampled(np.concatenate([cells.group for cells in row])[first], draws, numbers)


def _resampled(stratum: NDArray[np.int64], draws: int, numbers: Generator) -> Weights:
    weights = np.zeros((draws, len(stratum)), dtype=np.float32)
    for one in np.unique(stratum):
        members = np.flatnonzero(stratum == one)
        weights[:, members] = numbers.multinomial(len(members), np.full(len(members), 1 / len(members)), draws)
    return weights
