"""Columns with their roles to the answers of an audit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from benchbias.auditing.tables.classes import BITS, TRUTH, codes_in, on_one_scale, order_of
from benchbias.auditing.tables.columns import Coded, Matrix, Values
from benchbias.auditing.tables.logits import answered, is_probabilities, is_shares, is_whole, scores
from benchbias.auditing.tables.table import counted
from benchbias.auditing.values import DENSE, Answers, Column, Scores
from benchbias.errors import DataError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHOWN = 3  # rows that a message names


@dataclass(frozen=True)
class Parts:
    """The columns of an audit by their roles. row: the place of a row, for messages. classes: in their order."""

    label: Coded
    dense_name: str
    dense: Values
    compressed: Mapping[str, Values]
    attributes: Mapping[str, Coded]
    row: Callable[[int], str]
    cluster: Coded | None = None
    ids: Coded | None = None
    images: Coded | None = None
    classes: tuple[str, ...] | None = None
    notes: tuple[str, ...] = field(default=())


def assemble(parts: Parts, *, unlabelled: bool) -> Answers:
    """The answers of an audit. unlabelled: labels may be missing (-1). Raises DataError for what cannot be compared."""
    if not parts.compressed:
        raise UsageError("no compressed model is named: its answers are compared with the dense model's")
    if DENSE in parts.compressed:
        raise UsageError(
            f"a compressed model is called {DENSE!r}, as the dense one is: give it another name (NAME=COLUMN)"
        )
    if parts.dense_name in parts.compressed:
        told = f"two models are called {parts.dense_name!r:.80}"
        raise UsageError(f"{told}: give one of them another name (NAME=COLUMN)")
    if "label" in parts.attributes:
        raise UsageError("an attribute is called 'label', as the groups of one label are: rename its column")
    models: dict[str, Values] = {DENSE: parts.dense} | {
        name: parts.compressed[name] for name in sorted(parts.compressed)
    }
    _check_missing(parts, models, unlabelled=unlabelled)
    shown = {DENSE: parts.dense_name} | {name: name for name in parts.compressed}
    order = order_of(parts.label, {shown[key]: values for key, values in models.items()}, parts.classes)
    notes = list(parts.notes)
    texts = {"label": parts.label}
    for key, values in models.items():
        texts[f"answers of {key}"] = (
            values if isinstance(values, Coded) else _of_logits(shown[key], values, order, parts, notes)
        )
    texts = on_one_scale(texts, parts.classes)
    if order == BITS and any(column.names and set(column.names) <= set(TRUTH) for column in texts.values()):
        order = TRUTH
    classes = tuple(sorted({name for column in texts.values() for name in column.names} | set(order)))
    codes = {what: codes_in(column, classes) for what, column in texts.items()}
    found = {name: codes[f"answers of {name}"] for name in models}
    return Answers(
        classes=classes,
        label=codes["label"],
        dense=found.pop(DENSE),
        compressed=found,
        attributes={name: Column(column.codes, column.names) for name, column in sorted(parts.attributes.items())},
        cluster=None if parts.cluster is None else parts.cluster.codes,
        ids=_texts(parts.ids),
        images=_texts(parts.images),
        scores=_scores(models, codes_in(texts["label"], order) if order else None, shown, notes),
        dense_name=parts.dense_name,
        notes=tuple(notes),
    )


def _check_missing(parts: Parts, models: Mapping[str, Values], *, unlabelled: bool) -> None:
    needed: dict[str, Coded | None] = {} if unlabelled else {"label": parts.label}
    for key, values in models.items():
        needed[f"answer of {parts.dense_name if key == DENSE else key}"] = values if isinstance(values, Coded) else None
    needed["cluster"] = parts.cluster
    for what, column in needed.items():
        if column is not None and (column.codes < 0).any():
            rows = np.nonzero(column.codes < 0)[0]
            first = "; ".join(parts.row(int(number)) for number in rows[:SHOWN])
            remedy = "fill the cells, or take the rows out"
            if what == "label":
                remedy += ", or have the changed answers labelled alone (--label-only-flips of the command line)"
            raise DataError(f"no {what:.80} in {counted(len(rows), 'row')} of {len(column.codes)} ({first}): {remedy}")


def _of_logits(name: str, values: Matrix, order: tuple[str, ...], parts: Parts, notes: list[str]) -> Coded:
    found = answered(values.values, name, parts.row)
    if found.ties:
        told = f"{counted(found.ties, 'row')} of {name} with a tie of the largest value"
        notes.append(f"{told}: the first of the tied classes is the answer.")
    place = sorted(range(len(order)), key=order.__getitem__)
    code = np.empty(len(order), np.int64)
    code[place] = np.arange(len(order))
    return Coded(code[found.at], tuple(order[at] for at in place))


def _scores(
    models: Mapping[str, Values], label: NDArray[Any] | None, shown: Mapping[str, str], notes: list[str]
) -> dict[str, Scores]:
    """The probabilities of the models that have logits. label: int (N,), the column of each label in the logits."""
    found: dict[str, Scores] = {}
    if label is None:
        return found
    dense: Matrix | None = None
    for key, values in models.items():
        if not isinstance(values, Matrix):
            continue
        if is_whole(values.values) and not is_probabilities(values.values):
            notes.append(f"The logits of {shown[key]} are whole numbers of unknown scale: they give no probabilities.")
            continue
        if is_shares(values.values) and not is_probabilities(values.values):
            notes.append(
                f"The values of {shown[key]} are from 0 to 1 and do not add up to 1: they give no probabilities."
            )
            continue
        dense = values if key == DENSE else dense
        reference = dense.values if dense is not None and key != DENSE else None
        found[key] = scores(values.values, label, reference=reference)
    return found


def _texts(column: Coded | None) -> tuple[str, ...] | None:
    if column is None:
        return None
    names = np.array([*column.names, ""], object)
    return tuple(names[column.codes].tolist())
