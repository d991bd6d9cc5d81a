"""A board as readers see it: one entry a row, with its rank, its verdict and its name in words. No torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchbias.board.rows import Row
from benchbias.board.standings import Board
from benchbias.board.verdicts import Verdict
from benchbias.board.words import SECTIONS, in_words, section_of


@dataclass(frozen=True)
class Entry:
    """One line of a board.

    rank: from and to, within its task and track; None where it is not ranked. verdict: on the gap to its control; None
    without one, and below three seeds. control: the label of that row. relative_cost: training FLOPs over those of the
    suite's reference method; None where either is unknown. words: the row's name for readers.
    """

    row: Row
    rank: tuple[int, int] | None
    verdict: Verdict | None

    @property
    def control(self) -> str | None:
        return self.row.control

    @property
    def relative_cost(self) -> float | None:
        return self.row.relative_cost

    @property
    def words(self) -> str:
        return in_words(self.row.method, self.row.swept)

    @property
    def section(self) -> str:
        """The part of the board that it stands in: one of SECTIONS, or `controls`."""
        return section_of(self.row.track) if self.row.ranked else "controls"


def entries_of(board: Board) -> tuple[Entry, ...]:
    """All entries of a board: by task; those with no group labels, validation, training; the rows not ranked last."""
    return tuple(_entries(board))


def _entries(board: Board) -> Iterator[Entry]:
    for task, unranked in board.unranked.items():
        here = [standing for standing in board.standings if standing.task == task]
        for standing in sorted(here, key=lambda one: SECTIONS.index(section_of(one.track))):
            for row, rank in zip(standing.rows, standing.ranks, strict=True):
                yield Entry(row, rank, board.verdicts.get((task, row.label)))
        for row in unranked:
            yield Entry(row, None, board.verdicts.get((task, row.label)))
