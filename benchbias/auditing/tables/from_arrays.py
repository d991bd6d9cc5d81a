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
    compressed: one array, or a mapping of the names of several models. attributes: a mapping of names, or a table of
    pandas. classes: the names of the classes in the order of the logits. The rest is as in `read_answers`.
    Raises DataError and UsageError.
    """
    models = {DENSE: dense} | _named(compressed, COMPRESSED)
    given = {"label": label} | {f"answers of {name}": values for name, values in models.items()}
    named = _named({} if attributes is None else attributes, "")
    given |= {f"attribute {name}": values for name, values in named.items()}
    extra = {"cluster": cluster, "identity": identity, "image": image}
    given |= {name: values for name, values in extra.items() if values is not None}
    if DENSE in _named(compressed, COMPRESSED):
        raise UsageError(f"a compressed model is called {DENSE!r}, as the dense one is: give it another name")
    arrays = {name: as_array(values, name) for name, values in given.items()}
    check_lengths("the arrays", arrays)
    read: dict[str, Values] = {}
    for name, array in arrays.items():
        many = name.startswith("answers of ") and array.ndim == 2 and array.shape[1] != 1
        read[name] = values_of(array, name, name, "list" if many else "text")

    def coded(name: str) -> Coded | None:
        column = read.get(name)
        assert column is None or isinstance(column, Coded)
        return column

    columns = {name: coded(f"attribute {name}") for name in named}
    ids, labels = coded("identity"), coded("label")
    if ids is not None and (len(ids.names) < len(ids.codes)):
        raise DataError("identity: an id is empty or stands twice; copies of one example are told by cluster instead")
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
            classes=class_names(classes),
        ),
        unlabelled=unlabelled,
    )


def _named(values: Any, alone: str) -> dict[str, Any]:
    """A mapping of names, of a mapping or a table of pandas; one array is called `alone`. Raises UsageError."""
    if isinstance(values, Mapping):
        found = {str(name): value for name, value in values.items()}
    elif hasattr(values, "columns") and hasattr(values, "loc"):
        found = {str(name): values[name] for name in values.columns}
    elif hasattr(values, "name") and isinstance(values.name, str) and not alone:
        found = {values.name: values}
    elif alone:
        found = {alone: values}
    else:
        raise UsageError("attributes: a mapping of names and arrays, or a table of pandas, is needed")
    check_names("the arrays", list(found))
    return found
