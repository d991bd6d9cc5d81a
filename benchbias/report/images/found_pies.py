"""Where the PIEs of a suite's rows are known from: stored predictions, a table of an analysis, or counts of records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchbias.board.row_trials import Rows, Trials, twin
from benchbias.errors import UsageError
from benchbias.figures.material import Line, by_text
from benchbias.figures.pie_sheet import KINDS
from benchbias.report.gathering.source import Source
from benchbias.report.images.answers import Answers, answers_of
from benchbias.report.images.pies import Pie, Pies, pies_of_counts, pies_of_predictions, pies_of_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchbias.report.gathering.task_data import LabelledImages, TaskData

LEAST_MODELS = 2


def pairs_of(rows: Rows, task: str) -> list[tuple[Trials, Trials]]:
    """(row, control) of every row of a task whose control is there, the most pruned first."""
    found = [(row, twin(row, row.first["baseline"], rows)) for row in rows if row.first["task"] == task]
    known = [(row, control) for row, control in found if control is not None]
    return sorted(
        known, key=lambda pair: (-float(pair[0].records[min(pair[0].records)].body["sparsity"]), pair[0].label)
    )


def found_pies(source: Source, task: str, data: TaskData | None) -> list[Pies]:
    """The PIEs of every row of a task that has a control and at least one PIE.

    data: None where it cannot be had; then records' counts name no image. Raises UsageError where an image of a table
    is none of the task's.
    """
    tables, answers = _tables(source, task), dict[str, Answers | None]()
    test = None if data is None else data.splits["test"]
    found = []
    for row, control in pairs_of(source.rows, task):
        for trials in (control, row):
            if trials.label not in answers:
                answers[trials.label] = answers_of(source, trials)
        right = None if data is None else _right(source, row, control, data)
        one = _by_answers(row, control, answers[row.label], answers[control.label], test)
        if one is None and row.label in tables:
            one = _by_table(row, control, tables[row.label], right, test)
        if one is None and right is not None and test is not None:
            one = _by_counts(row, control, right, test)
        found += [one] if one is not None and one.found else []
    return found


def _pies(row: Trials, control: Trials, found: Sequence[Pie], by: str) -> Pies:
    models = (len(control.records), len(row.records))
    return Pies(row.first["task"], row.label, control.label, models, found, by)


def _by_answers(
    row: Trials, control: Trials, pruned: Answers | None, dense: Answers | None, test: LabelledImages | None
) -> Pies | None:
    if dense is None or pruned is None or min(len(dense.predicted), len(pruned.predicted)) < LEAST_MODELS:
        return None
    if not _alike(dense.labels, pruned.labels) or (test is not None and not _alike(dense.labels, test.labels)):
        return None
    found = pies_of_predictions(dense.predicted, pruned.predicted, dense.labels, dense.classes)
    return _pies(row, control, found, "predictions")


def _alike(one: NDArray[Any], other: NDArray[Any]) -> bool:
    return one.shape == other.shape and bool((one == other).all())


def _tables(source: Source, task: str) -> dict[str, list[Line]]:
    """The lines of tables of PIEs, by the row that they are of."""
    found: dict[str, list[Line]] = {}
    for record, lines in source.tables(KINDS):
        if record.task == task:
            found |= by_text(lines, "row")
    return found


Right = tuple["NDArray[Any]", "NDArray[Any]"]


def _by_table(
    row: Trials, control: Trials, lines: Sequence[Line], right: Right | None, test: LabelledImages | None
) -> Pies:
    found = pies_of_table(lines, (len(control.records), len(row.records)))
    if test is not None:
        for pie, line in zip(found, lines, strict=True):
            if pie.image >= len(test.labels) or str(int(test.labels[pie.image])) != line["label"]:
                task = row.first["task"]
                raise UsageError(f"{task}: test image {pie.image} is not the one that the analysis saw: run it again")
    if right is not None:
        counts = [(int(right[0][pie.image]), int(right[1][pie.image])) for pie in found]
        found = [replace(pie, right=one, exact=(True, True)) for pie, one in zip(found, counts, strict=True)]
    return _pies(row, control, found, "table")


def _by_counts(row: Trials, control: Trials, right: Right, test: LabelledImages) -> Pies | None:
    models, classes = (len(control.records), len(row.records)), row.first.get("num_classes")
    if min(models) < LEAST_MODELS or not classes:
        return None
    return _pies(row, control, pies_of_counts(right, models, test.labels, int(classes)), "counts")


def _right(source: Source, row: Trials, control: Trials, data: TaskData) -> Right | None:
    """How many models of the control and of a row are right on each test image, (N,) each; None where unknown."""
    import numpy as np

    one, other = (_right_in_cells(trials, data.layout) for trials in (control, row))
    if one is None or other is None or data.layout not in source.layouts:
        return None
    layout, test = source.layouts[data.layout], data.splits["test"]
    many = int(layout.group.max()) + 1
    cell = np.searchsorted(layout.cluster * many + layout.group, test.cluster * many + test.groups)
    return one[cell], other[cell]


def _right_in_cells(row: Trials, layout: str) -> NDArray[Any] | None:
    """How many models of a row are right in each cell (M,); None where a cell is no single image of this test split."""
    cells = [one for one in row.cells.values() if one is not None]
    if len(cells) < len(row.cells) or any(one.layout != layout for one in cells) or cells[0].total.max() > 1:
        return None
    right: NDArray[Any] = sum((one.correct for one in cells[1:]), start=cells[0].correct)
    return right
