"""fidelity.toml: published numbers and statements, where each is printed, and the rows of ours that answer them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from fidelity_rule import Expects
from pydantic import Field, model_validator

from benchbias.errors import UsageError, unknown
from benchbias.suite.catalogue import check_name, read_document
from benchbias.suite.tables import TomlTable, checked

Text = Annotated[str, Field(min_length=1, max_length=600)]
Source = Literal[
    "paper", "poster", "slides", "released notebook", "released spreadsheet", "README", "issue", "web page"
]
Fixed = Literal["not attempted", "impossible"]
Whole = Literal["cells", "rows", "table"]


class PaperTable(TomlTable):
    """`[papers.NAME]`: one publication, in the order of the page. short: its name in the summary. read: what of it."""

    title: Text
    short: Text
    read: Text
    about: str = ""


class ColumnTable(TomlTable):
    """A column of a published table: which row of ours answers it. `{name}` is filled from the row's `fill`.

    as_published, repaired: rows of a board, `method` or `method[name=value]`; empty: there is none. same_as: the table
    that prints these runs already, in a column of this name.
    """

    name: Text
    metric: str | None = None
    as_published: str = ""
    repaired: str = ""
    repaired_metric: str | None = None
    same_as: str = ""


class RowTable(TomlTable):
    """A row of a published table: its values, as printed, one a column; an empty one is not printed.

    as_published, repaired: false where this row was not run. network: a name that rows of one trained network share.
    """

    name: Text
    values: Annotated[list[str], Field(min_length=1)]
    fill: Annotated[dict[str, str], Field(default_factory=dict)]
    network: str = ""
    task: str | None = None
    as_published: bool = True
    repaired: bool = True


class RepairedTable(TomlTable):
    """Where the repaired rows stand, if not in the table's own suite."""

    suite: str
    task: str | None = None


class PrunedTable(TomlTable):
    """The trained network that a whole table prunes, so that its numbers are compared as drops.

    row, repaired: our rows of that network before pruning. levels: the published levels before pruning, by metric, as
    printed; slack: by how much they may be off where they were read off a plot.
    """

    row: str
    levels: dict[str, str]
    repaired: str = ""
    slack: Annotated[float, Field(ge=0)] = 0.0


class NumbersTable(TomlTable):
    """`[numbers.NAME]`: a published table. runs: how many runs a number is the mean of; if not said, it counts as 1.

    unit: accuracies in percent or as fractions, counts, or anything else that is only quoted (`as printed`).
    slack: by how much, in that unit, a number that was read off a plot may be off; else it is half of the last digit.
    facts: what one trained network, or one set of runs, gives: each cell, each row (or the rows of
    one `network`), or the whole table.
    fit: the published accuracy on aligned examples (or the average by training shares, nearly the same), the least of
    the networks here before pruning: it says whether they failed. other_data: what our data are, where not the paper's.
    """

    paper: str
    title: Text
    place: Text
    source: Source
    data: Text
    runs: Annotated[int, Field(ge=1)] | None = None
    unit: Literal["percent", "fraction", "count", "as printed"] = "percent"
    suite: str | None = None
    task: str | None = None
    metric: str | None = None
    slack: Annotated[float, Field(ge=0)] = 0.0
    repaired: RepairedTable | None = None
    facts: Whole = "cells"
    pruned: PrunedTable | None = None
    fit: str = ""
    other_data: str = ""
    verdict: Fixed | None = None
    why: str = ""
    notes: str = ""
    columns: Annotated[list[ColumnTable], Field(min_length=1)]
    rows: Annotated[list[RowTable], Field(min_length=1)]

    @model_validator(mode="after")
    def _consistent(self) -> NumbersTable:
        for row in self.rows:
            if len(row.values) != len(self.columns):
                raise ValueError(f"row {row.name!r} has {len(row.values)} values for {len(self.columns)} columns")
            for column in self.columns:
                filled(column, row)
        if self.verdict is None and self.suite is None:
            raise ValueError("it lacks a suite that answers it, or a verdict with why")
        if self.verdict is not None and not self.why:
            raise ValueError(f"why is it {self.verdict}? It lacks `why`")
        if self.unit == "as printed" and self.suite is not None:
            raise ValueError("numbers `as printed` are held against nothing: no suite")
        if self.suite is not None and any(not (column.metric or self.metric) for column in self.columns):
            raise ValueError("it lacks a metric")
        for metric in {str(column.metric or self.metric) for column in self.columns} if self.pruned else ():
            if metric not in self.pruned.levels:  # type: ignore[union-attr]
                raise ValueError(f"pruned.levels lacks the level of {metric} before pruning")
        if self.pruned and self.unit not in ("percent", "fraction"):
            raise ValueError("drops are of accuracies, in percent or as fractions")
        return self


class SizeTable(TomlTable):
    """The size that a statement says a difference has, in points, with its sign: from `low` to `high`.

    decimals: of the printed numbers that it is the difference of. runs: how many runs gave it; if not said, it is meant
    in general.
    """

    low: float
    high: float
    decimals: int | None = None
    runs: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _ordered(self) -> SizeTable:
        if self.low > self.high:
            raise ValueError(f"low ({self.low:g}) is above high ({self.high:g})")
        return self


class StatementTable(TomlTable):
    """`[statements.NAME]`: an ordering, a sign, or numbers that are not quoted one by one.

    Answered by two rows of a suite, by claims (`claims.toml: NAME`), or by a verdict that is fixed, with why.
    size: what the statement says of the size. before: our row of the trained networks that both rows prune.
    other_data: what the data of a suite are, by its name, where they are not the paper's. fact: a name that statements
    share where one set of runs tells the same in several lines; or a table of numbers that says it already.
    """

    paper: str
    says: Text
    place: Text
    suite: str | None = None
    task: str | None = None
    row: str | None = None
    other: str | None = None
    metric: str | None = None
    expects: Expects | None = None
    size: SizeTable | None = None
    before: str = ""
    other_data: Annotated[dict[str, str], Field(default_factory=dict)]
    fact: str = ""
    claims: Annotated[list[str], Field(default_factory=list)]
    verdict: Fixed | None = None
    why: str = ""

    @model_validator(mode="after")
    def _one_answer(self) -> StatementTable:
        pair = (self.suite, self.row, self.other, self.metric, self.expects)
        given = [any(pair) or self.task is not None, bool(self.claims), self.verdict is not None]
        if sum(given) != 1 or (given[0] and not all(pair)):
            raise ValueError(
                "it takes one answer: suite, row, other, metric and expects; or claims; or verdict and why"
            )
        if self.verdict is not None and not self.why:
            raise ValueError(f"why is it {self.verdict}? It lacks `why`")
        if (self.size or self.before) and not given[0]:
            raise ValueError("a size, or the row before pruning, is of two rows")
        if self.expects == "stable" and (self.size is None or self.size.runs):
            raise ValueError("what is stable has a size, said in general: within which points")
        return self


@dataclass(frozen=True)
class Fidelity:
    """All tables of the file, by name, in its order."""

    papers: Mapping[str, PaperTable]
    numbers: Mapping[str, NumbersTable]
    statements: Mapping[str, StatementTable]


SECTIONS: Mapping[str, type[TomlTable]] = {"papers": PaperTable, "numbers": NumbersTable, "statements": StatementTable}


def load_fidelity(path: Path) -> Fidelity:
    """Read the file. Raises UsageError that names the place."""
    document = read_document(path, path.name)
    found: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
    for section, entries in document.items():
        if section == "schema":
            continue
        if section not in SECTIONS:
            raise UsageError(unknown("section", section, ("schema", *SECTIONS), path.name))
        if not isinstance(entries, dict):
            raise UsageError(f"{path.name}: {section} must be tables, [{section}.NAME]")
        for name, entry in entries.items():
            where = f"{path.name}: {section}.{name!s:.80}"
            check_name(name, where)
            found[section][name] = checked(SECTIONS[section], entry, where)
    for section in ("numbers", "statements"):
        for name, entry in found[section].items():
            if entry.paper not in found["papers"]:
                raise UsageError(unknown("paper", entry.paper, found["papers"], f"{path.name}: {section}.{name}"))
    return Fidelity(**found)


def filled(column: ColumnTable, row: RowTable) -> tuple[str, str]:
    """The rows of ours that answer, as published and repaired. Raises ValueError for a name that is not filled."""
    try:
        return column.as_published.format_map(row.fill), column.repaired.format_map(row.fill)
    except (KeyError, ValueError, IndexError, AttributeError):
        raise ValueError(
            f"row {row.name!r} cannot fill {column.as_published!r} and {column.repaired!r} of column {column.name!r} "
            f"(it fills: {', '.join(row.fill) or 'nothing'})"
        ) from None
