"""Tables of answers in files, read to the values of an audit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from benchbias.auditing.tables.assembling import Parts, assemble
from benchbias.auditing.tables.classes import class_names
from benchbias.auditing.tables.columns import Coded, Values
from benchbias.auditing.tables.model_columns import ModelColumns, model_columns
from benchbias.auditing.tables.sources import Place, Sources
from benchbias.auditing.tables.table import Kind
from benchbias.auditing.values import Answers, Column
from benchbias.errors import DataError, UsageError

NO_ROLES: Mapping[str, str] = MappingProxyType({})


def read_answers(
    path: Path,
    label: str | None,
    dense: str,
    compressed: Sequence[str],
    attributes: Sequence[str] = (),
    *,
    cluster: str | None = None,
    identity: str | None = None,
    image: str | None = None,
    join: Sequence[Path] = (),
    classes: Sequence[str] | Path | None = None,
    unlabelled: bool = False,
) -> Answers:
    """The answers in a CSV file, a parquet file, JSON lines or a npz file, and in files that are joined to it by an id.

    dense, compressed: a column of predicted classes, one of lists of logits or probabilities (an array (N, C) in a npz
    file), or the beginning of numbered columns (`logit` for `logit_0`, `logit_1`, ...). `NAME=COLUMN` gives a model a
    name, `FILE:COLUMN` says in which file a column is. Logits give the class of the largest value, of equal ones the
    first. classes: the names of the classes in the order of the logits, or a file of them, one a line.
    identity: the column of ids, each in one row; join needs it. cluster: equal in rows that are no independent draws.
    unlabelled: labels may be missing, which are -1 then; label: None where no column has any. Raises DataError and
    UsageError.
    """
    given = class_names(classes)
    sources = Sources(Path(path), [Path(file) for file in join], identity)
    models = [model_columns(sources, text, "answers", given) for text in (dense, *compressed)]
    places = {} if label is None else {"label": sources.need(label, "label")}
    places |= {f"attribute {text}": sources.need(text, "attribute") for text in attributes}
    for role, text in (("cluster", cluster), ("ids", identity), ("image", image)):
        if text is not None:
            places[role] = sources.need(text, role)
    _check_roles(places, attributes, models, sources)
    wanted: dict[Place, Kind] = dict.fromkeys(places.values(), "text")
    for model in models:
        wanted |= dict.fromkeys(model.places, model.kind)
    found = sources.read(wanted)

    def coded(role: str) -> Coded | None:
        column = found[places[role]] if role in places else None
        assert column is None or isinstance(column, Coded)
        return column

    return assemble(
        Parts(
            label=coded("label") or _unknown(models[0].values(found)),
            dense_name=models[0].name,
            dense=models[0].values(found),
            compressed={model.name: model.values(found) for model in models[1:]},
            attributes={places[f"attribute {text}"].name: _there(coded(f"attribute {text}")) for text in attributes},
            row=sources.row,
            cluster=coded("cluster"),
            ids=coded("ids"),
            images=coded("image"),
            classes=given,
        ),
        unlabelled=unlabelled,
    )


def read_columns(
    path: Path,
    columns: Sequence[str],
    *,
    identity: str | None = None,
    join: Sequence[Path] = (),
    roles: Mapping[str, str] = NO_ROLES,
) -> dict[str, Column]:
    """Columns of the same tables in the same order of rows, by name. Raises DataError and UsageError.

    roles: column -> what it is asked for as, for the message where it is not there.
    """
    sources = Sources(Path(path), [Path(file) for file in join], identity)
    places = {text: sources.need(text, roles.get(text, "")) for text in dict.fromkeys(columns)}
    for text, place in places.items():
        if sources.listed(place):
            raise DataError(f"{sources.where()}: column {text!r:.80} holds lists; one value a row is needed")
    found = sources.read(dict.fromkeys(places.values(), "text"))
    read: dict[str, Column] = {}
    for text, place in places.items():
        column = found[place]
        assert isinstance(column, Coded)
        read[text] = Column(column.codes, column.names)
    return read


def _unknown(answers: Values) -> Coded:
    """A column without any label, as long as the answers."""
    number = len(answers.codes if isinstance(answers, Coded) else answers.values)
    return Coded(np.full(number, -1), ())


def _there(column: Coded | None) -> Coded:
    assert column is not None
    return column


def _check_roles(
    places: dict[str, Place], attributes: Sequence[str], models: Sequence[ModelColumns], sources: Sources
) -> None:
    """Raise UsageError where a column, or a name, has two roles that exclude each other."""
    for role, place in places.items():
        if sources.listed(place):
            raise DataError(
                f"{sources.where()}: column {place.name!r:.80} ({role:.80}) holds lists, not one value a row"
            )
    taken: dict[Place, str] = {}
    answers = [(f"answers of {model.name}", place) for model in models for place in model.places]
    grouping = [(role, place) for role, place in places.items() if role not in ("cluster", "ids", "image")]
    for role, place in [*grouping, *answers]:
        if place in taken:
            raise UsageError(f"column {place.name!r:.80} is named twice: as {taken[place]:.80} and as {role:.80}")
        taken[place] = role
    for role in ("cluster", "ids"):
        if role in places and places[role] in taken and not taken[places[role]].startswith("attribute"):
            raise UsageError(
                f"column {places[role].name!r:.80} is named twice: as {taken[places[role]]:.80} and as {role}"
            )
    _check_distinct("models", (model.name for model in models), "write NAME=COLUMN, or rename a column")
    remedy = "name each column once, and rename the column in one file where two files have it"
    _check_distinct("attributes", (places[f"attribute {text}"].name for text in attributes), remedy)


def _check_distinct(what: str, names: Iterable[str], remedy: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise UsageError(f"two {what} are called {name!r:.80}: {remedy}")
        seen.add(name)
