"""Records as a pandas DataFrame: one row a trial, or one row of the board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from benchbias.records.row_name import row_name
from benchbias.records.trial import TrialRecord, sorted_records
from benchbias.util.packages import require

if TYPE_CHECKING:
    import pandas

    from benchbias.statistics.cells import CellLayout

HEAD = ("task", "method", "row", "seed", "track", "status", "stage", "reason", "ranked", "baseline", "settings_from")
"""Columns that every trial has; stage and reason are those of a trial that failed or was skipped."""

COST = (
    *("sparsity", "parameters", "nonzero_parameters", "weights", "nonzero_weights", "matrix_weights"),
    *("flops", "sparse_flops", "training_flops", "training_steps", "train_conflicting_accuracy"),
)
"""Columns of trials that are done; in others they are missing (NaN)."""

MEASURED = ("seconds", "cpu_seconds", "peak_memory_bytes")
"""Columns of what differs from run to run."""


def frame_of(records: Sequence[TrialRecord]) -> pandas.DataFrame:
    """One row a trial, in the order of task, method, swept values, seed. A missing value is NaN or None.

    Raises UsageError where pandas is absent.
    """
    require("pandas", extra="frames", what="a DataFrame")
    import pandas

    ordered = sorted_records(records)
    metrics = {name: None for record in ordered for name in record.body.get("metrics", {})}
    taken = {*HEAD, *COST, *MEASURED, "trial"}
    columns = {name: f"metric.{name}" if name in taken else name for name in metrics}
    known = [*HEAD, *columns.values(), *COST, *MEASURED, "trial"]
    rows = [_row(record, columns) for record in ordered]
    others = sorted({name for row in rows for name in row} - set(known))
    swept = [name for name in others if name.startswith("swept.")]
    groups = [name for name in others if name.startswith("group.")]
    at = known.index("seed")
    end = known.index(COST[0])
    return pandas.DataFrame(rows, columns=[*known[:at], *swept, *known[at:end], *groups, *known[end:]])


def frame_of_board(records: Sequence[TrialRecord], layouts: Mapping[str, CellLayout]) -> pandas.DataFrame:
    """One row for each row of the board, in its order: all columns of `board.exports.columns`.

    Raises UsageError where pandas is absent.
    """
    require("pandas", extra="frames", what="a DataFrame")
    import pandas

    from benchbias.board.exports.columns import columns_of
    from benchbias.board.scored import Scored

    if not records:
        return pandas.DataFrame()
    scored = Scored.of(records, layouts)
    table = columns_of(scored.entries, scored.suite)
    return pandas.DataFrame([dict(row) for row in table.rows], columns=list(table.names))


def _row(record: TrialRecord, columns: Mapping[str, str]) -> dict[str, Any]:
    body = record.body
    row: dict[str, Any] = {name: body.get(name) for name in (*HEAD, *COST, "trial")}
    row |= {name: record.measured.get(name) for name in MEASURED}
    row["row"] = row_name(body["method"], body["swept"])
    row |= {f"swept.{name}": value for name, value in body["swept"].items()}
    row |= {columns[name]: value for name, value in body.get("metrics", {}).items()}
    counts = zip(body.get("group_names", ()), body.get("group_correct", ()), body.get("group_total", ()), strict=True)
    return row | {f"group.{name}": correct / total if total else None for name, correct, total in counts}
