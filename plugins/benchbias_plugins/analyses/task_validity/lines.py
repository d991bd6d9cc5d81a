"""One line of the card, and what all lines need: rows, and accuracies of parts in points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchbias import Skip, part_accuracies

if TYPE_CHECKING:
    from benchbias import Estimate, Measured, Member, Population


@dataclass(frozen=True)
class Line:
    """value: a statistic with its interval, if it has one; answer: what it says."""

    question: str
    quantity: str
    value: Estimate | None
    answer: str


def reference_row(population: Population) -> tuple[Member, ...]:
    """The trials of the suite's reference. Raises Skip where there is none, or several rows."""
    name = population.members[0].record.body["suite"]["reference"]
    found = row_of(population, name)
    if found is None:
        raise Skip(
            f"task_validity: the suite's reference, {name!r}, has not one row in this population "
            f"(rows: {', '.join(population.rows())})"
        )
    return found


def row_of(population: Population, method: str | None) -> tuple[Member, ...] | None:
    """The only row of a method; None where there is none, or where it has several."""
    rows = [members for members in population.rows().values() if members[0].method == method]
    return rows[0] if len(rows) == 1 else None


def in_points(member: Member, name: str, split: str = "test") -> Measured:
    """A trial's accuracy, by the name of a metric, times 100."""
    aligned = member.record.body["group_aligned"]
    groups = range(len(aligned))
    sets = {
        "worst_group_accuracy": [[group] for group in groups],
        "accuracy": [list(groups)],
        "aligned_accuracy": [[group for group in groups if aligned[group]]],
        "conflicting_accuracy": [[group for group in groups if not aligned[group]]],
    }
    return 100.0 * part_accuracies(member.predictions[split], {name: sets[name]})[name]
