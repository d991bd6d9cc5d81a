"""The records of a suite with everything that its boards say of them, worked out once. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchbias.board.entries import Entry, entries_of
from benchbias.board.row_trials import Rows, trials_of
from benchbias.board.standings import Board, board_from
from benchbias.records.analysis import AnalysisRecord
from benchbias.records.trial import TrialRecord, sorted_records
from benchbias.statistics.cells import CellLayout


@dataclass(frozen=True, eq=False)
class Scored:
    """A suite's records in their order, with the layouts of their test splits, its analyses, rows and board."""

    records: tuple[TrialRecord, ...]
    layouts: Mapping[str, CellLayout]
    analyses: tuple[AnalysisRecord, ...]
    rows: Rows
    board: Board
    entries: tuple[Entry, ...]

    @staticmethod
    def of(
        records: Sequence[TrialRecord],
        layouts: Mapping[str, CellLayout],
        analyses: Sequence[AnalysisRecord] = (),
    ) -> Scored:
        """Make it. layouts: the cells of the test splits, by digest. Raises UsageError for records that contradict."""
        ordered = tuple(sorted_records(records))
        rows = trials_of(ordered, layouts)
        board = board_from(rows)
        return Scored(ordered, layouts, tuple(analyses), rows, board, entries_of(board))

    @property
    def suite(self) -> Mapping[str, Any]:
        """The head of the suite, as its records have it; there must be one."""
        found: Mapping[str, Any] = self.records[0].body["suite"]
        return found
