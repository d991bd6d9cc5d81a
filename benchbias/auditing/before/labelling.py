"""Labels for the answers that changed alone: where both models answer alike, the harm of an example is 0.

Without any label, harm is at most the share of changed answers: as if each of them were lost. With labels of the
changed answers the numbers of lost and gained examples are complete, and only accuracies stay unknown.
"""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchbias.auditing.groups import grouping_of
from benchbias.auditing.judging import harms_of
from benchbias.auditing.tables.classes import codes_in
from benchbias.auditing.tables.columns import Coded
from benchbias.auditing.tables.reading import read_columns
from benchbias.auditing.values import Answers, Options
from benchbias.errors import DataError, StorageError, UsageError
from benchbias.util.files import storage_errors

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEADER = ("id", "image", "answers", "label")
"""The columns of a sheet. Answers stand in the order of their names, so that nobody learns whose they are."""

BETWEEN = " | "  # two answers
SHOWN = 3  # ids, or labels, that a message tells
NEW_LABELS = "new-labels"  # the stop's name


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
    some). safe: it is below the margin, so that the group is safe whatever the labels are. gated: a pass needs it safe.
    """

    model: str
    group: str
    n: int
    changed: int
    upper: float
    safe: bool
    gated: bool


def changed(answers: Answers) -> NDArray[Any]:
    """Whether any compressed model answers otherwise than the dense one, bool (N,)."""
    return np.asarray(np.any([codes != answers.dense for codes in answers.compressed.values()], axis=0), bool)


def is_labelled(answers: Answers) -> bool:
    """Whether all examples have a label; where not, accuracies and the groups of labels are unknown."""
    return bool((answers.label >= 0).all())


def to_label(answers: Answers) -> tuple[ToLabel, ...]:
    """The changed examples that have no label, in the order of their ids. Raises UsageError where there are no ids."""
    if answers.ids is None:
        raise UsageError("examples to label are named by their ids: say which column has them (--id COLUMN)")
    found = []
    models = (answers.dense, *answers.compressed.values())
    for row in np.nonzero(changed(answers) & (answers.label < 0))[0]:
        given = sorted({answers.classes[codes[row]] for codes in models})
        image = "" if answers.images is None else answers.images[row]
        found.append(ToLabel(answers.ids[row], image, tuple(given)))
    return tuple(sorted(found, key=lambda example: example.id))


def write_sheet(answers: Answers, path: Path) -> int:
    """Write the examples to label as CSV with an empty column `label`, and say how many they are. Makes its folder.

    Raises StorageError where the file is there already, for it may hold labels, or cannot be written.
    """
    examples = to_label(answers)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(HEADER)
    writer.writerows((one.id, one.image, BETWEEN.join(one.answers), "") for one in examples)
    check_free(path)
    with storage_errors(f"{path} cannot be written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="") as file:
            file.write(text.getvalue())
    return len(examples)


def check_free(path: Path) -> None:
    """Raise StorageError where a file is there already."""
    with storage_errors(f"{path} cannot be written"):
        there = path.exists() or path.is_symlink()
    if there:
        raise StorageError(f"{path} is there already, perhaps with labels: give another name")


def read_sheet(answers: Answers, path: Path, allow: Collection[str] = (), *, known: Collection[str] = ()) -> Answers:
    """The answers with the labels of a sheet, whose columns are `id` and `label`; other columns are not read.

    allow: names of stops; with "new-labels" a class that no model answers may be a label. known: further classes that
    may. Raises DataError for other labels, for unknown ids, for ids that stand twice, for a label that contradicts a
    known one, and where changed examples are left without a label.
    """
    if answers.ids is None:
        raise UsageError("labels are joined by ids: say which column has them (--id COLUMN)")
    sheet = read_columns(path, ["id", "label"], identity="id", roles={"id": "ids", "label": "label"})
    ids, given = sheet["id"], sheet["label"]
    place = {text: row for row, text in enumerate(answers.ids)}
    strange = sorted(name for name in ids.names if name not in place)
    if strange:
        raise DataError(f"{path}: {len(strange)} ids are none of the table's ({', '.join(strange[:SHOWN])})")
    rows = np.array([place[name] for name in ids.names], np.int64)[ids.codes]
    new = _new_labels({*answers.classes, *known}, given.names, path)
    if new and NEW_LABELS not in allow:
        raise DataError(f"{new}: mend them (where they are meant: --allow {NEW_LABELS})")
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
        notes=(*answers.notes, *([f"Allowed: {new}."] if new else [])),
    )
    check_flips(found)
    return found


def _new_labels(known: Collection[str], given: tuple[str, ...], path: Path) -> str:
    """The labels of a sheet that no model answers, each with the nearest class, in words; "" where there are none."""
    new = sorted(set(given) - set(known))
    if not new:
        return ""
    told = []
    for name in new[:SHOWN]:
        near = difflib.get_close_matches(name, sorted(known), n=1)
        told.append(f"{name!r:.80}" + (f" (nearest: {near[0]!r:.80})" if near else ""))
    return f"{path}: no model answers the {'label' if len(new) == 1 else 'labels'} {', '.join(told)}" + (
        f" and {len(new) - SHOWN} more" if len(new) > SHOWN else ""
    )


def check_flips(answers: Answers) -> None:
    """Raise DataError where a changed example has no label: lost and gained examples are not known then."""
    rows = np.nonzero(changed(answers) & (answers.label < 0))[0]
    if not len(rows):
        return
    names = [f"row {row + 1}" for row in rows] if answers.ids is None else sorted(answers.ids[row] for row in rows)
    first = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    total = int(changed(answers).sum())
    raise DataError(f"{len(rows)} of {total} changed answers have no label ({first}): label them, and run again")


def churn_bounds(answers: Answers, options: Options) -> tuple[ChurnBound, ...]:
    """The largest harm that changed answers allow, of every group of the audit but those of labels.

    No label is read: each changed answer counts as lost. Raises UsageError as the groups of an audit do.
    """
    bare = replace(answers, label=np.full(len(answers.label), -1))
    grouping = grouping_of(bare, options)
    found = []
    for name, codes in sorted(answers.compressed.items()):
        harms = harms_of(grouping, (codes != answers.dense).astype(np.int64), answers.cluster, options)
        for at, group in enumerate(grouping.groups):
            upper, safe = float(harms.upper[at]), bool(harms.p_safe[at] <= options.level)
            found.append(ChurnBound(name, group.name, group.n, int(harms.lost[at]), upper, safe, group.gated))
    return tuple(found)


def needs_label_groups(answers: Answers, options: Options) -> bool:
    """Whether a pass needs the groups of labels safe. Without labels it is not known which these are."""
    return options.by_label and (options.gate is None or answers.label_name in options.gate)
