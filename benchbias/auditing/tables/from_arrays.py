"""Arrays of a program, read to the values of an audit: lists, numpy, pandas, torch, whatever numpy takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchbias.auditing.tables.array_tables import as_array, check_lengths, values_of
from benchbias.auditing.tables.assembling import Parts, assemble
from benchbias.auditing.tables.classes import class_names
from benchbias.auditing.tables.columns import Coded, Values
from benchbias.auditing.tables.table import check_names
from benchbias.auditing.values import DENSE, Answers
from benchbias.data.reading.cells import normalised
from benchbias.errors import DataError, UsageError

COMPRESSED = "compressed"
"""The name of a compressed model that has none."""


def from_arrays(
    label: Any,
    dense: Any,
    compressed: Any,
    attributes: Any = None,
    *,
    cluster: Any = None,
    identity: Any = None,
    image: Any = None,
    classes: Sequence[str] | Path | None = None,
    unlabelled: bool = False,
    dense_name: str = DENSE,
) -> Answers:
    """The answers in arrays: each (N,) of classes, or (N, C) of logits or probabilities for a model.

    An array is a list, an array of numpy, a series of pandas, a tensor of torch, or what numpy takes for one.
    compressed: one array, or a mapping of the names of several models; a table of pandas is one array (N, C).
    attributes: a mapping of names, or a table of pandas. Rows go by their order: pandas' indices must be equal.
    classes: the names of the classes in the order of the logits. The rest is as in `read_answers`. Raises DataError and
    UsageError.
    """
    models = {DENSE: dense} | _compressed(compressed)
    given = {"label": label} | {f"answers of {name}": values for name, values in models.items()}
    named = _named({} if attributes is None else attributes, "")
    given |= {f"attribute {name}": values for name, values in named.items()}
    extra = {"cluster": cluster, "identity": identity, "image": image}
    given |= {name: values for name, values in extra.items() if values is not None}
    arrays = {name: as_array(values, name) for name, values in given.items()}
    check_lengths("the arrays", arrays)
    check_index(given)
    order = class_names(classes)
    check_columns(models, order)
    read = {name: _values(name, array) for name, array in arrays.items()}

    def coded(name: str) -> Coded | None:
        column = read.get(name)
        assert column is None or isinstance(column, Coded)
        return column

    columns = {name: coded(f"attribute {name}") for name in named}
    ids, labels = coded("identity"), coded("label")
    if ids is not None and (len(ids.names) < len(ids.codes)):
        raise DataError("identity: an id is empty or stands twice; copies of one example are named by cluster instead")
    assert labels is not None
    return assemble(
        Parts(
            label=labels,
            dense_name=dense_name,
            dense=read[f"answers of {DENSE}"],
            compressed={name: read[f"answers of {name}"] for name in models if name != DENSE},
            attributes={normalised(name): column for name, column in columns.items() if column is not None},
            row=lambda number: f"row {number} (counted from 0)",
            cluster=coded("cluster"),
            ids=ids,
            images=coded("image"),
            classes=order,
        ),
        unlabelled=unlabelled,
    )


def _compressed(given: Any) -> dict[str, Any]:
    """The compressed models by name. Raises UsageError where one is called as the dense one is."""
    found = {COMPRESSED: given} if is_frame(given) else _named(given, COMPRESSED)
    if DENSE in found:
        raise UsageError(f"a compressed model is called {DENSE!r}, as the dense one is: give it another name")
    return found


def _values(name: str, array: Any) -> Values:
    many = name.startswith("answers of ") and array.ndim == 2 and array.shape[1] != 1
    return values_of(array, name, name, "list" if many else "text")


def _named(values: Any, alone: str) -> dict[str, Any]:
    """A mapping of names, of a mapping or a table of pandas; one array is called `alone`.

    Raises DataError for two names that are one text, such as 1 and "1", and UsageError for what has no names.
    """
    if isinstance(values, Mapping) or is_frame(values):
        keys = list(values.columns if is_frame(values) else values)
        check_names("the arrays", [str(name) for name in keys])
        return {str(name): values[name] for name in keys}
    if alone:
        return {alone: values}
    if hasattr(values, "name") and isinstance(values.name, str):
        return {values.name: values}
    raise UsageError("attributes: a mapping of names and arrays, or a table of pandas, is needed")


def is_frame(values: Any) -> bool:
    """Whether this is a table of pandas, or like one."""
    return hasattr(values, "columns") and hasattr(values, "loc")


def check_index(given: Mapping[str, Any]) -> None:
    """Raise DataError where two series or tables have other names of rows: their order may be another one.

    The label's index is the one to have, without it that of the first one. Arrays and lists have none.
    """
    found = {name: values.index for name, values in given.items() if hasattr(values, "iloc")}
    if not found:
        return
    first = "label" if "label" in found else next(iter(found))
    for name, index in found.items():
        if index.equals(found[first]):
            continue
        row = next((at for at, (one, two) in enumerate(zip(found[first], index, strict=False)) if one != two), 0)
        told = f"row {row} (counted from 0) is {str(found[first][row])!r:.40} and {str(index[row])!r:.40}"
        remedy = "align them (.reindex), or where rows are in one order, hand over .to_numpy()"
        raise DataError(f"{first} and {name}: their indices differ, {told}: {remedy}")


def check_columns(models: Mapping[str, Any], classes: Sequence[str] | None) -> None:
    """Raise DataError where the columns of two models' tables, or those and the classes, have other names or orders.

    Columns that are numbered from 0 are taken to have no names, beside others that have names.
    """
    known = None if classes is None else ("classes", list(classes), False)
    for model, values in models.items():
        if not is_frame(values) or len(values.columns) < 2:
            continue
        names = [normalised(str(name)) for name in values.columns]
        plain = list(values.columns) == list(range(len(names)))
        if known is None:
            known = (f"answers of {model}", names, plain)
        where, others, other_plain = known
        if names == others or ((plain or other_plain) and (where == "classes" or set(names) != set(others))):
            continue
        at = next((k for k, (one, two) in enumerate(zip(others, names, strict=False)) if one != two), None)
        told = f"{len(others)} and {len(names)} of them"
        if at is not None:
            told = f"number {at} (counted from 0) is {others[at]!r:.40} and {names[at]!r:.40}"
        remedy = "give all the same columns, in the order of the classes"
        raise DataError(f"{where} and answers of {model}: their columns differ, {told}: {remedy}")
