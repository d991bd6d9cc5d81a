"""The analysis `pie_corrupted`: does pruning cost more on corrupted test images than on clean ones?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchbias import Estimate, Skip, Table, estimate

from .models import comparisons, models_of

if TYPE_CHECKING:
    from benchbias import Population

    from .models import Array, Comparison

FURTHER = "test-"


def pie_corrupted(population: Population) -> Table:
    """The cost of pruning on every further test split (`test-...`), beyond its cost on the clean one.

    Each number compares the two models of one seed and is averaged over seeds; intervals are over seeds at these test
    images. drop: the row's accuracy on the clean split minus that on this one. relative change: (A_t - A_0) / A_0 on
    this split (Hooker et al., 2019), t of the row and 0 of its baseline. beyond clean: the same minus the
    relative change on the clean split. drop beyond the baseline's: drop minus that of the baseline, in points.
    """
    splits = sorted({name for member in population.members for name in member.predictions if name.startswith(FURTHER)})
    if not splits:
        raise Skip(f"no further test split was predicted: name one, {FURTHER}..., in the task's `predict`")
    for split in splits:
        population.require_same_examples(split)
    found = [
        (compared, split, _estimates(compared, split))
        for compared in (each.twins(1) for each in comparisons(population, 1))
        for split in splits
    ]
    names = {
        "accuracy dense": "%",
        "accuracy pruned": "%",
        "drop": "points",
        "relative change": "%",
        "relative change beyond clean": "points",
        "drop beyond the baseline's": "points",
    }
    columns = {
        "row": ("text", "", tuple(compared.row for compared, _, _ in found)),
        "baseline": ("text", "", tuple(compared.baseline for compared, _, _ in found)),
        "split": ("text", "", tuple(split for _, split, _ in found)),
        **{
            name: ("estimate", unit, tuple(estimates[place] for _, _, estimates in found))
            for place, (name, unit) in enumerate(names.items())
        },
    }
    return Table(
        columns,
        "Further test splits. Dense: the baseline; pruned: the row. Drop: from the clean split, of the row. Relative "
        "change: (pruned - dense) / dense on the split. Intervals are over seeds, paired, at these test images.",
    )


def _estimates(twins: Comparison, split: str) -> list[Estimate | None]:
    dense, pruned = (100 * models.accuracy for models in (twins.dense, twins.pruned))  # (S,)
    members = (twins.dense_members, twins.pruned_members)
    dense_there, pruned_there = (100 * models_of(found, split).accuracy for found in members)
    relative = _relative(dense_there, pruned_there)
    values = (
        dense_there,
        pruned_there,
        pruned - pruned_there,
        relative,
        relative - _relative(dense, pruned),
        (pruned - pruned_there) - (dense - dense_there),
    )
    return [None if np.isnan(one).any() else estimate(one.tolist()) for one in values]


def _relative(dense: Array, pruned: Array) -> Array:
    """The relative change in %; NaN where a dense model is never right."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(dense > 0, 100 * (pruned - dense) / dense, np.nan)
