"""All trials of a task with their predictions: what an analysis is given. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchbias.errors import BenchbiasError
from benchbias.records.row_name import row_name
from benchbias.records.trial import TrialRecord

if TYPE_CHECKING:
    from torch import Tensor

    from benchbias.data.values import Predictions


@dataclass(frozen=True)
class Member:
    """One trial of a population: its method, swept values and seed, its record, its predictions by split.

    predictions: of the scored split (`test`), of `train`, and of the splits that the task's `predict` names.
    trained_on: where the task has a `train_fraction`, which items of the split `train-all` this member was trained
    on, bool (n,); else None.
    """

    method: str
    swept: Mapping[str, Any]
    seed: int
    record: TrialRecord
    predictions: Mapping[str, Predictions]
    trained_on: Tensor | None = None

    @property
    def row(self) -> str:
        """The row of the board that it belongs to: `method[name=value]`."""
        return row_name(self.method, self.swept)


@dataclass(frozen=True)
class Population:
    """All trials of one task that are done: what an analysis is given, in the order of the suite's rows and seeds."""

    members: tuple[Member, ...]

    def rows(self) -> dict[str, tuple[Member, ...]]:
        """The members of every row, by the row's name, in the order of seeds."""
        found: dict[str, list[Member]] = {}
        for member in self.members:
            found.setdefault(member.row, []).append(member)
        return {row: tuple(sorted(members, key=lambda member: member.seed)) for row, members in found.items()}

    def pairs(self) -> list[tuple[Member, Member]]:
        """(baseline, member) of one seed, for every member whose method names a baseline that is there.

        Of a baseline with swept values it is the one whose values the member shares.
        """
        by_method: dict[tuple[str, int], list[Member]] = {}
        for member in self.members:
            by_method.setdefault((member.method, member.seed), []).append(member)
        found = []
        for member in self.members:
            baseline = member.record.body["baseline"]
            others = by_method.get((baseline, member.seed), []) if baseline != member.method else []
            twins = [other for other in others if _shares_values(other, member)]
            found += [(twins[0], member)] if len(twins) == 1 else []
        return found

    def require_same_examples(self, split: str = "test") -> None:
        """Raises BenchbiasError unless all members answer the same examples of a split, in the same order."""
        kept = [member.predictions[split] for member in self.members if split in member.predictions]
        if len(kept) < len(self.members):
            raise BenchbiasError(f"split {split!r} was not predicted by every trial: name it in the task's `predict`")
        for one in kept[1:]:
            same = all(getattr(one, n).equal(getattr(kept[0], n)) for n in ("labels", "groups", "cluster"))
            if not same:
                raise BenchbiasError(
                    f"the trials answer different examples of {split!r}: a population needs one data set; fix its seed "
                    "in the task (dataset = { ..., seed = 0 })"
                )


def _shares_values(other: Member, member: Member) -> bool:
    """Whether a member has every swept value of another that is its own too."""
    return all(member.swept.get(name, value) == value for name, value in other.swept.items())
