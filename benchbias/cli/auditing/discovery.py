"""`benchbias audit --discover`: slices that were looked for on half of the examples, and tested on the other half."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchbias.auditing.before.discover import discover
from benchbias.auditing.tables.classes import class_names
from benchbias.auditing.tables.model_columns import model_columns
from benchbias.auditing.tables.reading import read_columns
from benchbias.auditing.tables.sources import Sources
from benchbias.auditing.values import Answers, Audit, Column
from benchbias.cli.auditing.options import LABEL, Asked
from benchbias.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def with_slices(asked: Asked, audit: Audit, runs: Sequence[Answers], table: Path | None) -> Audit:
    """The audit with the slices that were found, where they were asked for. Raises UsageError for several runs.

    table: the file that has the columns of --feature, in the order of the examples.
    """
    if not asked.discover:
        if asked.feature:
            raise UsageError("--feature goes with --discover")
        return audit
    if len(runs) > 1:
        raise UsageError("--discover looks for slices of one pair of models, not of several training runs")
    features = _features(asked, table)
    found = discover(runs[0], features, level=audit.options.level, by_label=audit.options.by_label)
    return replace(audit, discovery=found)


def _features(asked: Asked, table: Path | None) -> dict[str, Column | NDArray[Any]]:
    if not asked.feature:
        return {}
    if table is None:
        raise UsageError("--feature names a column of a table: --table is missing")
    _check_roles(asked, table)
    roles = dict.fromkeys(asked.feature, "feature")
    columns = read_columns(table, asked.feature, identity=asked.identity, join=asked.join or (), roles=roles)
    return {name: _numbers(column) for name, column in columns.items()}


def _check_roles(asked: Asked, table: Path) -> None:
    """Raises UsageError for a feature that is the label or an answer: a slice of these finds what it is made of."""
    sources = Sources(table, asked.join or (), asked.identity)
    taken = {sources.find(asked.label or LABEL): "the label"}
    if asked.file is not None:
        classes = class_names(asked.classes)
        for text in (*(asked.dense or ()), *(asked.compressed or ())):
            model = model_columns(sources, text, "answers", classes)
            taken |= dict.fromkeys(model.places, f"an answer of {model.name}")
    for text in asked.feature or ():
        if (place := sources.find(text)) is not None and place in taken:
            raise UsageError(f"--feature {text:.80} is {taken[place]:.80}: slices are cut by what is known before it")


def _numbers(column: Column) -> Column | NDArray[Any]:
    """The numbers of a column, NaN where it is missing; the column itself where some cell is no number."""
    try:
        values = np.array([float(name) for name in column.names])
    except ValueError:
        return column
    return np.append(values, np.nan)[column.codes] if np.isfinite(values).all() else column
