"""The material of figures: the rows of a suite, the tables of its analyses, and images. No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from benchbias.board.row_trials import Rows, trials_of
from benchbias.board.text import number_text
from benchbias.errors import UsageError
from benchbias.records.analysis import AnalysisRecord
from benchbias.records.trial import TrialRecord
from benchbias.statistics.cells import CellLayout
from benchbias.statistics.estimates import Estimate

if TYPE_CHECKING:
    from numpy.typing import NDArray

Line: TypeAlias = Mapping[str, Any]
"""One line of a table: its cells by column."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """The test split of a task: images, uint8 (N, C, H, W), and labels, integers (N,)."""

    images: NDArray[Any]
    labels: NDArray[Any]


def no_pictures(task: str) -> Pictures:
    """Where nobody can build data sets. Raises UsageError."""
    raise UsageError(f"the images of {task!r} are not in the records: the command `show` makes them from the data set")


@dataclass(frozen=True)
class Material:
    """rows: of a suite. analyses: the records of its analyses. pictures: of a task, raises BenchbiasError."""

    rows: Rows
    analyses: Sequence[AnalysisRecord] = ()
    pictures: Callable[[str], Pictures] = no_pictures

    @staticmethod
    def of(
        records: Sequence[TrialRecord],
        layouts: Mapping[str, CellLayout],
        analyses: Sequence[AnalysisRecord] = (),
        pictures: Callable[[str], Pictures] = no_pictures,
    ) -> Material:
        """Make it from the records of a suite, with the layouts of their test splits."""
        return Material(trials_of(records, layouts), analyses, pictures)

    def tables(self, kinds: Mapping[str, str]) -> list[tuple[AnalysisRecord, list[Line]]]:
        """The analyses whose tables have at least one line and all these columns, name -> kind; in their order."""
        found = [(record, record.table) for record in self.analyses]
        return [
            (record, lines_of(table.columns))
            for record, table in found
            if table is not None
            and all(name in table.columns and table.columns[name][0] == kind for name, kind in kinds.items())
            and any(values for _, _, values in table.columns.values())
        ]


def lines_of(columns: Mapping[str, tuple[str, str, tuple[Any, ...]]]) -> list[Line]:
    """The lines of a table's columns."""
    return [
        dict(zip(columns, cells, strict=True))
        for cells in zip(*(values for _, _, values in columns.values()), strict=True)
    ]


def by_text(lines: Sequence[Line], name: str) -> dict[str, list[Line]]:
    """Lines by the text of one column, in the order of their first appearance."""
    found: dict[str, list[Line]] = {}
    for line in lines:
        found.setdefault(str(line[name]), []).append(line)
    return found


def half(value: Estimate) -> float:
    """Half of the 95 % interval; 0 where there is none, so that nothing is drawn."""
    return value.half_width or 0.0


def band(value: Estimate) -> tuple[float, float]:
    """The bounds of the 95 % interval; twice the mean where there is none, so that nothing is drawn."""
    return (value.mean, value.mean) if value.half_width is None else value.interval()


def told(value: Estimate | None) -> str:
    """An estimate in a line of text."""
    return "–" if value is None else number_text(value)


def colour(number: int) -> tuple[float, float, float, float]:
    """The colour of the number-th row, RGBA from 0 to 1: twenty that differ, then again."""
    from matplotlib import colormaps

    shade: tuple[float, float, float, float] = colormaps["tab20"]((2 * number) % 20 + (2 * number // 20) % 2)
    return shade
