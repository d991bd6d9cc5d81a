"""Who is compared with whom: a row's models with their baselines, and a baseline's models with other seeds'."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchbias import Skip

from .cells import SPLIT, Cells
from .slopes import RightCounts

if TYPE_CHECKING:
    from benchbias import Member, Population

    from .cells import By


@dataclass(frozen=True)
class Twins:
    """before and after: members of the same seeds, in their order. row, control: of the board."""

    row: str
    control: str
    before: tuple[Member, ...]
    after: tuple[Member, ...]

    def answers(self, cells: Cells) -> RightCounts:
        """Right answers of both sides on the cells."""
        return RightCounts(cells, cells.correct(self.before), cells.correct(self.after))

    @property
    def compression(self) -> float | None:
        """All parameters / non-zero parameters after, as realised, the mean over models; None where all are zero."""
        bodies = [member.record.body for member in self.after]
        if not all(body["nonzero_parameters"] for body in bodies):
            return None
        return float(sum(body["parameters"] / body["nonzero_parameters"] for body in bodies)) / len(bodies)


def rows_with_baselines(population: Population) -> list[Twins]:
    """Rows beside their baselines, in the population's order.

    Raises Skip without any or without two seeds, BenchbiasError for other examples.
    """
    found: dict[str, list[tuple[Member, Member]]] = {}
    for baseline, member in population.pairs():
        found.setdefault(member.row, []).append((baseline, member))
    if not found:
        rows = ", ".join(population.rows()) or "none"
        raise Skip(f"recall balance compares a row with its baseline, and no row's baseline is in the task ({rows})")
    if max(map(len, found.values())) < 2:
        raise Skip("recall balance needs at least two seeds of a row and its baseline: this task has one")
    population.require_same_examples(SPLIT)
    return [_twins(row, sorted(pairs, key=lambda pair: pair[1].seed)) for row, pairs in found.items()]


def _twins(row: str, pairs: list[tuple[Member, Member]]) -> Twins:
    before, after = zip(*pairs, strict=True)
    return Twins(row, before[0].row, before, after)


def baselines(population: Population, rows: list[Twins]) -> list[Twins]:
    """The rows that serve as baselines and have two seeds, each as its own twin."""
    members = {row: population.rows()[row] for row in dict.fromkeys(twins.control for twins in rows)}
    return [Twins(row, row, found, found) for row, found in members.items() if len(found) > 1]


def cells_of(rows: list[Twins], by: By) -> Cells:
    """The cells of a population whose members answer the same examples."""
    return Cells.of(rows[0].before[0], by)
