"""Labels for the answers that changed alone: where both models answer alike, the harm of an example is 0.

Without any label, harm is at most the share of changed answers: as if each of them were lost. With labels of the
changed answers the numbers of lost and gained examples are complete, and only accuracies stay unknown.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchbias.auditing.statistics.bounds import harm_bounds
from benchbias.auditing.statistics.clusters import clustered_harm
from benchbias.auditing.tables.classes import codes_in
from benchbias.auditing.tables.columns import Coded
from benchbias.auditing.tables.reading import read_columns
from benchbias.auditing.values import ALL, Answers
from benchbias.errors import DataError, StorageError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEADER = ("id", "image", "answers", "label")
"""The columns of a sheet. Answers stand in the order of their names, so that nobody learns whose they are."""

BETWEEN = " | "  # two answers
SHOWN = 3  # ids that a message tells


@dataclass(frozen=True)
class ToLabel:
    """An example whose answer changed. answers: of all models, distinct, sorted; image: its file, "" where unknown."""

    id: str
    image: str
    answers: tuple[str, ...]


@dataclass(frozen=True)
class ChurnBound:
    """The bound of a group's harm without labels. changed: examples with another answer; upper: of the harm.

    upper: one-sided bound, a share (Clopper-Pearson of the share of changed answers, over clusters where there are
    some). safe: it is below the margin, so that the group is safe whatever the labels are.
    """

    model: str
    group: str
    n: int
    changed: int
    upper: float
    safe: bool


def changed(answers: Answers) -> NDArray[Any]:
    """Whether any compressed model answers otherwise than the dense one, bool (N,)."""
    return np.asarray(np.any([codes != answers.dense for codes in answers.compressed.values()], axis=0), bool)


def is_labelled(answers: Answers) -> bool:
    """Whether all examples have a label; where not, accuracies and the groups of labels are unknown."""
    return bool((answers.label >= 0).all())


def to_label(answers: Answers) -> tuple[ToLabel, ...]:
    """The changed examples that have no label, in the order of their ids. Raises UsageError where there are no ids."""
    if answers.ids is None:
        raise UsageError("examples to label are told by their ids: say which column has them (--id COLUMN)")
    found = []
    models = (answers.dense, *answers.compressed.values())
    for row in np.nonzero(changed(answers) & (answers.label < 0))[0]:
        given = sorted({answers.classes[codes[row]] for codes in models})
        image = "" if answers.images is None else answers.images[row]
        found.append(ToLabel(answers.ids[row], image, tuple(given)))
    return tuple(sorted(found, key=lambda example: example.id))


def write_sheet(answers: Answers, path: Path) -> int:
    """Write the examples to label as CSV with an empty column `label`, and say how many they are.

    Raises StorageError where the file is there already, for it may hold labels, or cannot be written.
    """
    examples = to_label(answers)
    try:
        with path.open("x", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(HEADER)
            writer.writerows((one.id, one.image, BETWEEN.join(one.answers), "") for one in examples)
    except FileExistsError:
        raise StorageError(f"{path} is there already, perhaps with labels: give another name") from None
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror}") from None
    return len(examples)


def read_sheet(answers: Answers, path: Path) -> Answers:
    """The answers with the labels of a sheet, whose columns are `id` and `label`; other columns are not read.

    A class that no model answers may be a label. Raises DataError for unknown ids, for ids that stand twice, for a
    label that contradicts a known one, and where changed examples are left without a label.
    """
    if answers.ids is None:
        raise UsageError("labels are joined by ids: say which column has them (--id COLUMN)")
    sheet = read_columns(path, ["id", "label"], identity="id")
    ids, given = sheet["id"], sheet["label"]
    place = {text: row for row, text in enumerate(answers.ids)}
    strange = sorted(name for name in ids.names if name not in place)
    if strange:
        raise DataError(f"{path}: {len(strange)} ids are none of the table's ({', '.join(strange[:SHOWN])})")
    rows = np.array([place[name] for name in ids.names], np.int64)[ids.codes]
    classes = tuple(sorted({*answers.classes, *given.names}))
    label = codes_in(Coded(answers.label, answers.classes), classes)
    codes = codes_in(Coded(given.codes, given.names), classes)
    other = (label[rows] >= 0) & (codes >= 0) & (label[rows] != codes)
    if other.any():
        row, code = rows[other][0], codes[other][0]
        told = f"{classes[label[row]]!r:.80} in the table and {classes[code]!r:.80} in the sheet"
        raise DataError(f"{path}: the label of {answers.ids[row]!r:.80} is {told}")
    label[rows] = np.where(codes >= 0, codes, label[rows])
    found = replace(
        answers,
        classes=classes,
        label=label,
        dense=codes_in(Coded(answers.dense, answers.classes), classes),
        compressed={name: codes_in(Coded(of, answers.classes), classes) for name, of in answers.compressed.items()},
    )
    check_flips(found)
    return found


def check_flips(answers: Answers) -> None:
    """Raise DataError where a changed example has no label: lost and gained examples are not known then."""
    rows = np.nonzero(changed(answers) & (answers.label < 0))[0]
    if not len(rows):
        return
    names = [f"row {row + 1}" for row in rows] if answers.ids is None else sorted(answers.ids[row] for row in rows)
    first = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    total = int(changed(answers).sum())
    raise DataError(f"{len(rows)} of {total} changed answers have no label ({first}): label them, and run again")


def churn_bounds(answers: Answers, *, margin: float = 0.03, level: float = 0.05) -> tuple[ChurnBound, ...]:
    """The largest harm that changed answers allow, of all examples and of each value of each attribute.

    margin: the harm that matters, a share; level: of each bound. No label is read. Groups of labels are not known.
    """
    found = []
    for name, codes in answers.compressed.items():
        other = codes != answers.dense
        for group, member in _groups(answers):
            count, size = int(other[member].sum()), int(member.sum())
            upper = _upper(other[member], None if answers.cluster is None else answers.cluster[member], margin, level)
            found.append(ChurnBound(name, group, size, count, upper, upper < margin))
    return tuple(found)


def _upper(other: NDArray[Any], cluster: NDArray[Any] | None, margin: float, level: float) -> float:
    if cluster is None:
        return float(harm_bounds(int(other.sum()), 0, len(other), level)[1])
    number = np.unique(cluster, return_inverse=True)[1]
    return clustered_harm(np.bincount(number, other).astype(int), np.bincount(number), margin, level).upper


def _groups(answers: Answers) -> Iterator[tuple[str, NDArray[Any]]]:
    yield ALL, np.ones(len(answers.dense), bool)
    for name, column in sorted(answers.attributes.items()):
        for code, value in enumerate(column.names):
            member = column.codes == code
            if member.any():
                yield f"{name}={value}", member
