"""The numbers of published tables one by one, and the distinct facts that they and the statements tell."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from fidelity_tables import NumbersTable, StatementTable, filled


@dataclass(frozen=True)
class Cell:
    """One published number: the text as printed, and which rows of ours answer it (empty: none).

    network: a name of the trained network, within the table. same_as: the table that prints it already.
    """

    row: str
    column: str
    text: str
    task: str | None
    metric: str
    as_published: str
    repaired: str
    repaired_metric: str
    network: str = ""
    same_as: str = ""


def cells(table: NumbersTable) -> list[Cell]:
    """All numbers that are printed in a table, row by row."""
    found = []
    for row in table.rows:
        for column, text in zip(table.columns, row.values, strict=True):
            if not text:
                continue
            as_published, repaired = filled(column, row)
            metric = column.metric or table.metric or ""
            task = row.task or table.task
            found.append(
                Cell(
                    row.name,
                    column.name,
                    text,
                    task,
                    metric,
                    as_published if row.as_published else "",
                    repaired if row.repaired else "",
                    column.repaired_metric or metric,
                    row.network or row.name,
                    column.same_as,
                )
            )
    return found


def facts_of_numbers(name: str, table: NumbersTable) -> set[tuple[str, ...]]:
    """The distinct facts of a table, each by a name: what it says of one trained network, or of one set of runs."""
    found = set()
    for cell in cells(table):
        parts = {"cells": (cell.row, cell.column), "rows": (cell.network,), "table": ()}[table.facts]
        found.add((cell.same_as or name, *parts))
    return found


def facts_of_statement(
    name: str, one: StatementTable, suites: Collection[str], tables: Collection[str]
) -> set[tuple[str, ...]]:
    """The distinct facts of a statement: one for each suite whose runs answer it, and one where none does.

    tables: the names of all tables of numbers; a statement whose fact is one of these tells what stands there.
    """
    fact = one.fact or name
    if fact in tables or not suites:
        return {(fact,)}
    return {(fact, suite) for suite in suites}
