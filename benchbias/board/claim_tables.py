"""claims.toml: claims as tables, each about two rows of a suite or about one cell of an analysis. No torch."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from benchbias.errors import UsageError, unknown
from benchbias.statistics.estimates import MARGIN
from benchbias.suite.catalogue import check_name, read_document, shipped_file
from benchbias.suite.tables import TomlTable, checked

KINDS = {
    "two rows": (("row", "other", "metric"), ()),
    "a cell of an analysis": (("analysis", "at", "value", "margin"), ("against", "less")),
    "a cell of a probe": (("probe", "row", "at", "value", "margin"), ("against", "less")),
}
"""Subjects of claims: the keys that a claim of each kind must have, and those that it may have besides."""
LEAST_POINTS = 0.1  # a margin between two rows
COMMON = ("says", "suite", "task", "expects", "margin", "written", "about")


class ClaimTable(TomlTable):
    """`[claims.NAME]`: that something is higher or lower than something else, or within `margin` of it.

    Two rows: `row` against `other` in a metric of a suite, the margin in points. A cell of an analysis: the estimate
    `value` in the row of its table whose texts are `at`, perhaps less that of the row whose texts are `less`, against
    the number `against`, the margin in the column's unit. A cell of a probe of the board's row `row`: likewise, in
    mean over seeds.

    about: the `merit` of a method, which rows that have not learnt their conflicting examples cannot show, or the
    `fit` itself: what is learnt at all.
    """

    says: Annotated[str, Field(min_length=1, max_length=300)]
    suite: str
    row: str | None = None
    other: str | None = None
    metric: str | None = None
    analysis: str | None = None
    probe: str | None = None
    at: Annotated[dict[str, str], Field(default_factory=dict)]
    less: Annotated[dict[str, str], Field(default_factory=dict)]
    value: str | None = None
    against: float = 0.0
    expects: Literal["higher", "lower", "equivalent"]
    margin: Annotated[float, Field(gt=0, le=100)] = 100 * MARGIN
    task: str | None = None
    written: Literal["before its seeds", "after its seeds"]
    about: Literal["merit", "fit"] = "merit"

    @model_validator(mode="after")
    def _one_kind(self) -> ClaimTable:
        given = self.model_fields_set - set(COMMON)
        kind = next(
            (f"a cell of {word} {key}" for word, key in (("an", "analysis"), ("a", "probe")) if key in given),
            "two rows",
        )
        must, may = KINDS[kind]
        lacks = [name for name in must if name not in self.model_fields_set]
        more = sorted(given - {*must, *may})
        if lacks or more:
            kinds = "; ".join(f"{name}: {', '.join(keys)}" for name, (keys, _) in KINDS.items())
            told = f"lacks {', '.join(lacks)}" if lacks else f"has no {', '.join(more)}"
            raise ValueError(f"a claim about {kind} {told} (claims are about {kinds})")
        if self.of_rows and self.margin < LEAST_POINTS:
            raise ValueError(f"margin: of two rows it is in points, at least {LEAST_POINTS}, got {self.margin}")
        return self

    @property
    def of_rows(self) -> bool:
        """Whether it is about two rows, so that its difference is of fractions."""
        return self.analysis is None and self.probe is None

    @property
    def rows(self) -> list[str]:
        """The rows of the board that it is about: two, or those that the table's cells name in their column `row`."""
        cells = (side.get("row") for side in (self.at, self.less))
        return [row for row in (self.row, self.other, *cells) if row is not None]

    @property
    def scale(self) -> float:
        """The margin's unit in the unit of the difference: 0.01 (points of fractions), or 1."""
        return 0.01 if self.of_rows else 1.0

    @property
    def bound(self) -> float:
        """The margin in the unit of the difference."""
        return self.margin * self.scale


def load_claims(path: Path | None = None) -> tuple[dict[str, ClaimTable], str]:
    """The claims of a file (default: the shipped claims.toml) and the file's sha256. Raises UsageError."""
    chosen = path or shipped_file("claims.toml")
    label = str(path) if path else "claims.toml (shipped)"
    document = read_document(chosen, label)
    for section in document:
        if section not in ("schema", "claims"):
            raise UsageError(unknown("section", section, ("schema", "claims"), label))
    entries = document.get("claims")
    if not isinstance(entries, dict) or not entries:
        raise UsageError(f"{label}: there is no claim: [claims.NAME]")
    claims = {}
    for name, entry in entries.items():
        where = f"{label}: claims.{name!s:.80}"
        check_name(name, where)
        claims[name] = checked(ClaimTable, entry, where)
    return claims, hashlib.sha256(chosen.read_bytes()).hexdigest()
