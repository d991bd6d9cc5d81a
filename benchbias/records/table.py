"""The table that a probe or an analysis returns. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchbias.records.columns import check_table
from benchbias.statistics.estimates import Estimate
from benchbias.util.packages import require

if TYPE_CHECKING:
    import pandas

ESTIMATE_PARTS = ("standard_error", "degrees_of_freedom", "n")


@dataclass(frozen=True)
class Table:
    """The table that a probe or an analysis returns: columns by name, each (kind, unit, values); all of one length.

    kind: text (str), number (float), count (int from 0), fraction (float from 0 to 1), estimate or image. An estimate
    is an `Estimate`, of an analysis only. An image is an int, an index into a split; at most one column is of images.
    None or NaN where a number is undefined. Text columns name a row: a board averages a probe's rows of equal
    texts over seeds, and a claim names an analysis' row by its texts. Raises ValueError.
    """

    columns: Mapping[str, tuple[str, str, tuple[Any, ...]]]
    caption: str

    def __post_init__(self) -> None:
        check_table(self.caption, [(name, *column) for name, column in self.columns.items()])

    def to_json(self) -> dict[str, Any]:
        """The table as a record holds it: columns in their order, undefined values as null."""
        columns = [
            {"name": name, "kind": kind, "unit": unit, "values": [_plain(kind, value) for value in values]}
            for name, (kind, unit, values) in self.columns.items()
        ]
        return {"caption": self.caption, "columns": columns}

    def to_frame(self) -> pandas.DataFrame:
        """A pandas DataFrame. An estimate takes four columns: its mean, `.standard_error`, `.degrees_of_freedom`, `.n`.

        What is undefined is NaN or None. Raises UsageError where pandas is absent.
        """
        require("pandas", extra="frames", what="a DataFrame")
        import pandas

        columns: dict[str, Any] = {}
        for name, (kind, _, values) in self.columns.items():
            if kind != "estimate":
                columns[name] = list(values)
                continue
            parts = [(None,) * 4 if value is None else value.parts for value in values]
            for at, part in enumerate(("", *ESTIMATE_PARTS)):
                columns[f"{name}.{part}" if part else name] = [value[at] for value in parts]
        return pandas.DataFrame(columns)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Table:
        """The table that `to_json` gave. Raises ValueError."""
        columns = {
            c["name"]: (c["kind"], c["unit"], tuple(_value(c["kind"], item) for item in c["values"]))
            for c in value["columns"]
        }
        return Table(columns, value["caption"])


def _plain(kind: str, value: Any) -> Any:
    """A value as JSON: a number has one form, whether it was written as 1 or as 1.0."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if kind == "estimate":
        mean, error, freedom, number = value.parts if isinstance(value, Estimate) else value
        return [float(mean), *(None if part is None else float(part) for part in (error, freedom)), number]
    return float(value) if kind in ("number", "fraction") else value


def _value(kind: str, value: Any) -> Any:
    return Estimate.of(*value) if kind == "estimate" and value is not None else value
