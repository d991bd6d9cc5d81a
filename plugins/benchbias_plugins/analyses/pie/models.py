"""A row's models as arrays of answers, beside those of its baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchbias import Skip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from benchbias import Member, Population

    Array = NDArray[np.float64]
    Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Models:
    """Models of one row, trained independently: their seeds, and their answers (S, N) to N examples, labels (N,)."""

    seeds: tuple[int, ...]
    predicted: Indices
    labels: Indices
    classes: int

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether each model answers each example correctly, bool (S, N)."""
        found: NDArray[np.bool_] = self.predicted == self.labels
        return found

    @property
    def accuracy(self) -> Array:
        """The accuracy of every model, float (S,)."""
        found: Array = self.correct.mean(axis=1)
        return found

    @property
    def recalls(self) -> Array:
        """The recall of every model and class, float (S, K); NaN for a class without examples."""
        member = self.labels[:, None] == np.arange(self.classes)  # (N, K)
        with np.errstate(invalid="ignore"):
            found: Array = self.correct.astype(float) @ member / member.sum(axis=0)
        return found

    def only(self, which: Indices | Sequence[int]) -> Models:
        """The models at some positions (s,)."""
        return Models(tuple(self.seeds[i] for i in which), self.predicted[which], self.labels, self.classes)


@dataclass(frozen=True, eq=False)
class Comparison:
    """A row beside its baseline: the members and their models, each in the order of seeds."""

    row: str
    baseline: str
    dense_members: tuple[Member, ...]
    pruned_members: tuple[Member, ...]
    dense: Models
    pruned: Models

    def twins(self, least: int) -> Comparison:
        """Both rows in their common seeds alone. Raises Skip for fewer than `least`."""
        common = sorted(set(self.dense.seeds) & set(self.pruned.seeds))
        if len(common) < least:
            raise Skip(
                f"{self.row} and its baseline {self.baseline} have {len(common)} seeds in common: this analysis needs "
                f"{least} or more"
            )
        dense, pruned = ([models.seeds.index(seed) for seed in common] for models in (self.dense, self.pruned))
        return Comparison(
            self.row,
            self.baseline,
            tuple(self.dense_members[i] for i in dense),
            tuple(self.pruned_members[i] for i in pruned),
            self.dense.only(dense),
            self.pruned.only(pruned),
        )


def models_of(members: Sequence[Member], split: str = "test") -> Models:
    """The answers of a row's members to a split."""
    found = [member.predictions[split] for member in members]
    return Models(
        tuple(member.seed for member in members),
        np.stack([one.predicted.numpy() for one in found]),
        found[0].labels.numpy(),
        found[0].logits.shape[1],
    )


def comparisons(population: Population, least: int = 2) -> list[Comparison]:
    """Every row whose baseline is there, with all seeds of both.

    Raises Skip without such a row or for fewer than `least` models in one, BenchbiasError if the models answer
    different test examples.
    """
    population.require_same_examples()
    rows = population.rows()
    found = []
    for row, members in rows.items():
        name = _baseline(row, members, population, rows)
        if name is not None:
            ours, theirs = models_of(members), models_of(rows[name])
            if min(len(ours.seeds), len(theirs.seeds)) < least:
                raise Skip(
                    f"{row} has {len(ours.seeds)} seeds and its baseline {name} has {len(theirs.seeds)}: this analysis "
                    f"needs {least} or more of each"
                )
            found.append(Comparison(row, name, rows[name], members, theirs, ours))
    if not found:
        raise Skip(f"no row stands beside its baseline; rows: {', '.join(rows) or 'none'}")
    return found


def _baseline(
    row: str, members: Sequence[Member], population: Population, rows: dict[str, tuple[Member, ...]]
) -> str | None:
    """The row of the baseline: that of a twin, or, without common seeds, the only row of the baseline's method."""
    twins = {dense.row for dense, pruned in population.pairs() if pruned.row == row}
    named = members[0].record.body["baseline"]
    others = {name for name, found in rows.items() if found[0].method == named and name != row}
    candidates = twins or others
    return next(iter(candidates)) if len(candidates) == 1 else None
