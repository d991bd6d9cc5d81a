"""Every column of a board, one row an entry: what CSV, JSON and `Results.rows()` hold. No torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchbias.board.entries import Entry
from benchbias.board.words import LABELS
from benchbias.errors import UsageError, unknown
from benchbias.records.row_name import value_text
from benchbias.statistics.estimates import Estimate

SWEPT = "swept."
"""Begins the names of columns of swept values."""

METRIC = "metric."
"""Begins the names of columns of a metric that is called like another column."""

HEAD = (
    *("suite", "suite_version", "limit", "task", "method", "words", "label", "section", "track", "labels"),
    *("settings_from", "ranked", "rank_by", "rank_low", "rank_high"),
)
"""Columns that come first."""

SCORES = (
    *("as_counted", "worst_group", "worst_group_lower", "worst_group_upper", "worst_group_n"),
    *("control", "gap", "gap_lower", "gap_upper", "gap_n", "verdict"),
    *("reference", "reference_gap", "reference_gap_lower", "reference_gap_upper", "reference_gap_n"),
)
"""Columns after the metrics: the metric that ranks as counted, the worst group of the mean, and both gaps in it."""

COST = (
    *("sparsity", "reach", "parameters", "flops", "sparse_flops"),
    *("training_flops", "relative_cost", "training_steps"),
)
"""Columns of cost."""

MARKS = (
    *("conflicting_fit", "conflicting_fit_lower", "conflicting_fit_upper", "conflicting_fit_n", "marks"),
    *("collapsed", "floor", "ceiling", "unfitted", "biased", "not_reproducible", "control_collapsed", "seeds", "n"),
)
"""Columns of what a row cannot show, and of its seeds."""

FIXED = frozenset((*HEAD, *SCORES, *COST, *MARKS))


@dataclass(frozen=True)
class Columns:
    """A board as a table: the names of its columns, and a mapping of all of them for each row; None is unknown.

    Accuracies and their differences are fractions, not percent. `seeds` and `marks` are lists.
    """

    names: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]

    def rounded(self, digits: int = 10) -> Columns:
        """The same with numbers of so many significant digits: the last ones differ from machine to machine."""
        rows = ({name: _rounded(cell, digits) for name, cell in row.items()} for row in self.rows)
        return Columns(self.names, tuple(rows))

    def chosen(self, names: Sequence[str]) -> Columns:
        """The same rows with these columns alone, each once. Raises UsageError for one that there is not."""
        for name in names:
            if name not in self.names:
                raise UsageError(unknown("column", name, self.names, "--columns"))
        kept = tuple(dict.fromkeys(names))
        return Columns(kept, tuple({name: row[name] for name in kept} for row in self.rows))


def _rounded(cell: Any, digits: int) -> Any:
    return float(f"{cell:.{digits}g}") if isinstance(cell, float) else cell


def columns_of(entries: Iterable[Entry], suite: Mapping[str, Any]) -> Columns:
    """All columns of all entries. suite: the head of the suite in its records."""
    rows = [_row(entry, suite) for entry in entries]
    swept = sorted({name for row in rows for name in row if name.startswith(SWEPT)})
    at = HEAD.index("words") + 2
    metrics = [name for metric in _metrics(suite) for name in _names(metric_column(metric))]
    names = (*HEAD[:at], *swept, *HEAD[at:], *metrics, *SCORES, *COST, *MARKS)
    return Columns(names, tuple({name: row.get(name) for name in names} for row in rows))


def metric_column(metric: str) -> str:
    """The name of the column of a metric's mean; its bounds and n are NAME_lower, NAME_upper, NAME_n."""
    clash = FIXED & set(_names(metric)) or metric.startswith((SWEPT, METRIC))
    return f"{METRIC}{metric}" if clash else metric


def _names(name: str) -> tuple[str, str, str, str]:
    return name, f"{name}_lower", f"{name}_upper", f"{name}_n"


def _metrics(suite: Mapping[str, Any]) -> list[str]:
    """The suite's metrics in its order, the one that ranks first."""
    names: list[str] = suite["metrics"]
    first = suite["rank_by"].removeprefix("-")
    return sorted(names, key=lambda name: (name != first, names.index(name)))


def _row(entry: Entry, suite: Mapping[str, Any]) -> dict[str, Any]:
    row, rank = entry.row, entry.rank or (None, None)
    head = (
        *(suite["name"], suite["version"], suite["limit"], row.task, row.method, entry.words, row.label),
        *(entry.section, row.track, LABELS.get(row.track, row.track), row.settings_from, row.ranked),
        *(suite["rank_by"], *rank),
    )
    found = dict(zip(HEAD, head, strict=True))
    found |= {f"{SWEPT}{name}": _swept(value) for name, value in row.swept.items()}
    for metric in _metrics(suite):
        found |= _estimate(metric_column(metric), row.metrics.get(metric))
    found |= {"as_counted": row.as_counted, **_estimate("worst_group", row.worst_group)}
    found |= {"control": entry.control, **_estimate("gap", row.to_baseline), "verdict": entry.verdict}
    found |= {"reference": suite["reference"], **_estimate("reference_gap", row.to_reference)}
    found |= {name: getattr(row, name) for name in COST if name != "relative_cost"}
    found |= {"relative_cost": entry.relative_cost, **_estimate("conflicting_fit", row.train_conflicting_accuracy)}
    return {name: _finite(value) for name, value in (found | _marks(entry)).items()}


def _marks(entry: Entry) -> dict[str, Any]:
    marks, of_control = entry.row.marks, entry.row.baseline_marks
    return {
        "marks": marks.words(),
        "collapsed": marks.collapsed,
        "floor": marks.floor,
        "ceiling": marks.ceiling,
        "unfitted": marks.unfitted,
        "biased": marks.biased,
        "not_reproducible": marks.conflicts,
        "control_collapsed": None if of_control is None else of_control.collapsed,
        "seeds": list(entry.row.seeds),
        "n": len(entry.row.seeds),
    }


def _estimate(name: str, value: Estimate | None) -> dict[str, Any]:
    """The four columns of an estimate; below three seeds its bounds are of the test examples alone."""
    parts = (None,) * 4 if value is None else (value.mean, value.lower, value.upper, value.n)
    return dict(zip(_names(name), parts, strict=True))


def _swept(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str) else value_text(value)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
