"""Accuracies of parts of a split, as values that analyses subtract, average and weight."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from benchbias.statistics.cells import Cells
from benchbias.statistics.influence import Measured, measure_least

if TYPE_CHECKING:
    from benchbias.data.values import Predictions


def part_accuracies(predictions: Predictions, parts: Mapping[str, Sequence[Collection[int]]]) -> dict[str, Measured]:
    """Accuracies of parts of a split, each with its influence: `estimate` then counts the draw of examples too.

    parts: by name, sets of groups by number, no group in two of them: the least accuracy of the sets, or the accuracy
    of the only one. [[0], [1], [2], [3]] gives worst_group_accuracy, [[0, 1]] the accuracy of groups 0 and 1 together.
    NaN where a set has no example.
    """
    cells = cells_of(predictions)
    return {name: measure_least(sets, cells) for name, sets in parts.items()}


def cells_of(predictions: Predictions) -> Cells:
    """Correct predictions counted in the cells of their split, as a trial's record has them."""
    import numpy as np
    import torch

    from benchbias.network.cost import ExampleCells

    layout = ExampleCells.of(predictions.cluster, predictions.groups)
    correct = torch.bincount(layout.cell[predictions.correct], minlength=len(layout.total))
    columns = (layout.cluster, layout.group, layout.total, correct)
    cluster, group, total, right = (np.asarray(column.cpu()) for column in columns)
    return Cells(cluster, group, total, right, layout.digest)
