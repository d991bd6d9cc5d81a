"""The section of one published table: each number beside ours, with its verdict."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fidelity_cells import Cell, cells
from fidelity_records import Failed, Published, gaps_of, mean_text, points, values_of, without
from fidelity_rule import (
    ANYTHING,
    FEWEST_SEEDS,
    VERDICTS,
    WIDEST,
    Printed,
    Verdict,
    bounds_of_drop,
    elsewhere,
    prediction,
    verdict_of_number,
)
from fidelity_tables import NumbersTable

from benchbias.board.row_trials import Trials
from benchbias.board.text import escaped, table_lines, title
from benchbias.runner.publishing import command_for
from benchbias.statistics.influence import Measured

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Compared:
    """One published number, or drop, beside ours: all runs, and those that did not fail."""

    printed: Printed
    every: Mapping[int, Measured]
    kept: Mapping[int, Measured]
    runs: int
    widest: float
    bounds: tuple[float, float]
    scale: float

    def verdict(self, values: Mapping[int, Measured]) -> Verdict:
        return verdict_of_number(self.printed, points(values, self.scale), self.runs, self.widest, self.bounds)

    def expected(self, digits: int, sign: str) -> str:
        if len(self.kept) < FEWEST_SEEDS:
            return "–"
        found = prediction(points(self.kept, self.scale), self.runs).clipped(*self.bounds)
        return f"{found.low:{sign}.{digits}f} to {found.high:{sign}.{digits}f}"


@dataclass(frozen=True)
class Line:
    """A line of the page: its cells, the verdict, and what the verdict were with failed runs left in."""

    texts: list[str]
    verdict: Verdict
    of_all: Verdict


def numbers(
    key: str, table: NumbersTable, published: Published, shipped: set[str]
) -> tuple[list[str], Counter[Verdict]]:
    """The section of one published table, and its verdicts."""
    where = f"fidelity.toml: numbers.{key}"
    head = [f"### {table.place}: {table.title}", "", about(table), ""]
    suite = table.suite
    if suite is None or published.rows(suite) is None:
        verdict = table.verdict or "not attempted"
        reason = table.why or without_records(str(suite), shipped)
        counted: Counter[Verdict] = Counter({verdict: len(cells(table))})
        return [*head, *printed(table), "", f"Verdict ({counted[verdict]}): **{verdict}**. {reason}", ""], counted
    failed = failures(table, published, where)
    some = any(one.seeds for one in failed.values())
    lines = [line(cell, table, published, failed, f"{where}: {cell.row}, {cell.column}") for cell in cells(table)]
    counted = Counter(one.verdict for one in lines)
    told = f"Verdict ({counted.total()}): **{table.verdict}**. {table.why}" if table.verdict else totals(counted)
    after = f" {of_failed(table, failed, Counter(one.of_all for one in lines))}" if failed else ""
    shown = table_lines([one.texts for one in lines], header(table, some))
    return [*head, *shown, "", f"{told}{after}", "", links(table), ""], counted


def header(table: NumbersTable, some_failed: bool) -> list[str]:
    """The names of the columns: of levels or of drops, with a column for all runs where some failed."""
    if table.pruned:
        every = ["our drop, all runs"] if some_failed else []
        return [
            "row",
            "column",
            "published",
            "its drop",
            *every,
            "our drop",
            "n",
            "expected drop",
            "repaired",
            "verdict",
        ]
    every = ["as published, all runs"] if some_failed else []
    return ["row", "column", "published", *every, "as published", "n", "expected", "repaired", "verdict"]


def about(table: NumbersTable) -> str:
    """The source of the numbers, what they are of, and what data they take."""
    unit = {"fraction": "fractions", "count": "counts"}.get(table.unit, table.unit)
    runs = f"mean of {table.runs} runs" if table.runs and table.runs > 1 else "one run" if table.runs else "k not said"
    metrics = sorted({column.metric or table.metric or "" for column in table.columns} - {""})
    measured = f"; {', '.join(title(one) for one in metrics)}" if metrics else ""
    how = unit if table.unit == "as printed" else f"{unit}, {runs}"
    how += f", read off a plot, to {table.slack:g}" if table.slack else ""
    parts = [f"From the {table.source}; {how}{measured}.", f"Data: {table.data}."]
    if table.pruned:
        levels = ", ".join(f"{title(metric)} {level}" for metric, level in table.pruned.levels.items())
        parts.append(f"One trained network is pruned: drops are compared, with k = {table.runs or 1} network.")
        parts.append(f"Before pruning: {levels}.")
    parts += [f"Ours are other data: {table.other_data}."] if table.other_data else []
    return " ".join([*parts, table.notes]).rstrip()


def printed(table: NumbersTable) -> list[str]:
    """The published table as it is, where nothing of ours stands beside it."""
    rows = [[escaped(row.name), *(text or "–" for text in row.values)] for row in table.rows]
    return table_lines(rows, ["row", *(escaped(column.name) for column in table.columns)])


def without_records(suite: str, shipped: set[str]) -> str:
    """The reason why there is nothing of ours."""
    if suite not in shipped:
        return f"This version has no suite `{suite}`."
    return f"There are no records; `{command_for(suite)}` makes them."


def failures(table: NumbersTable, published: Published, where: str) -> dict[tuple[str, str], Failed]:
    """The failed runs of the networks that a table is of, before pruning, by task and row; none are looked for where
    the verdict is fixed."""
    found: dict[tuple[str, str], Failed] = {}
    for cell in cells(table) if table.verdict is None else ():
        name = table.pruned.row if table.pruned and cell.as_published else cell.as_published
        row = published.row(str(table.suite), cell.task, name, where) if name else None
        if row is not None:
            found[cell.task or "", name] = published.failed(str(table.suite), row)
    return found


def line(
    cell: Cell, table: NumbersTable, published: Published, failed: Mapping[tuple[str, str], Failed], where: str
) -> Line:
    """One published number beside ours."""
    some = any(one.seeds for one in failed.values())
    scale = 100.0 if table.unit == "percent" else 1.0
    row = published.row(str(table.suite), cell.task, cell.as_published, where) if cell.as_published else None
    verdict: Verdict = "not attempted"
    of_all, sign = verdict, "+" if table.pruned else ""
    middle = ["–"] * (3 + some + bool(table.pruned))
    if row is not None:
        found = compared(cell, table, published, row, failed, where)
        digits = max(1, found.printed.decimals)
        every = mean_text(found.every, scale, digits, sign)
        kept = mean_text(found.kept, scale, digits, sign)
        drop = [f"{found.printed.value:+.{found.printed.decimals}f}"] if table.pruned else []
        middle = [*drop, *([every] if some else []), kept, str(len(found.kept)), found.expected(digits, sign)]
        verdict, of_all = found.verdict(found.kept), found.verdict(found.every)
        if published_failed(table, failed):
            verdict = of_all = "unresolved"
        if table.other_data:
            verdict, of_all = elsewhere(verdict), elsewhere(of_all)
    verdict = table.verdict or verdict
    beside = of_repaired(cell, table, published, scale, where)
    texts = [escaped(cell.row), escaped(cell.column), cell.text, *middle, beside, f"**{verdict}**"]
    return Line(texts, verdict, of_all)


def compared(
    cell: Cell,
    table: NumbersTable,
    published: Published,
    row: Trials,
    failed: Mapping[tuple[str, str], Failed],
    where: str,
) -> Compared:
    """The published level beside our levels, or its drop beside our drops, paired by seed."""
    number = Printed.of(cell.text, where, table.slack)
    values = values_of(row, cell.metric, where)
    top = {"percent": 100.0, "fraction": 1.0}.get(table.unit, math.inf)
    bounds = (0.0, top) if table.unit != "as printed" else ANYTHING
    name = cell.as_published
    if table.pruned:
        name = table.pruned.row
        start = published.row(str(table.suite), cell.task, name, where)
        assert start is not None
        before = Printed.of(table.pruned.levels[cell.metric], where, table.pruned.slack)
        values = gaps_of(values, values_of(start, cell.metric, where))
        number, bounds = number.less(before), bounds_of_drop(before, top)
    seeds = failed[cell.task or "", name].seeds if failed else ()
    widest = math.inf if table.unit == "count" else WIDEST * top / 100
    scale = 100.0 if table.unit == "percent" else 1.0
    return Compared(number, values, without(values, seeds), table.runs or 1, widest, bounds, scale)


def of_repaired(cell: Cell, table: NumbersTable, published: Published, scale: float, where: str) -> str:
    """The repaired row's mean, or its drop, or nothing."""
    if not cell.repaired or (table.pruned and not table.pruned.repaired):
        return "–"
    other = table.repaired
    suite, task = other.suite if other else str(table.suite), (other.task if other else None) or cell.task
    digits = 3 if table.unit == "fraction" else 1
    row = published.row(suite, task, cell.repaired, f"{where}, repaired")
    if row is None:
        return "–"
    values = values_of(row, cell.repaired_metric, where)
    if not table.pruned:
        return mean_text(values, scale, digits)
    start = published.row(suite, task, table.pruned.repaired, f"{where}, repaired")
    assert start is not None
    return mean_text(gaps_of(values, values_of(start, cell.repaired_metric, where)), scale, digits, "+")


def published_failed(table: NumbersTable, failed: Mapping[tuple[str, str], Failed]) -> bool:
    """Whether a published network failed before pruning, by the definition that ours are held against."""
    scale = 100.0 if table.unit == "percent" else 1.0
    bounds = [one.bound for one in failed.values() if one.bound is not None]
    return bool(table.fit and bounds) and float(table.fit) < scale * max(bounds)


def of_failed(table: NumbersTable, failed: Mapping[tuple[str, str], Failed], of_all: Counter[Verdict]) -> str:
    """The rate of failed runs on both sides, and the verdicts with them."""
    theirs = ""
    if table.fit:
        theirs = f" Published: {'failed' if published_failed(table, failed) else 'none failed'} (average {table.fit})."
    some = [one.text for one in failed.values() if one.seeds]
    if not some:
        return f"No run of ours failed.{theirs}"
    return f"Failed runs, left out: {'; '.join(some)}.{theirs} With them: {totals(of_all)}"


def totals(counted: Counter[Verdict]) -> str:
    """The number of each verdict, in words."""
    return f"{', '.join(f'{counted[one]} {one}' for one in VERDICTS if counted[one])} of {counted.total()}."


def links(table: NumbersTable) -> str:
    """The page and the board of the suites that answer, and the command that makes them."""
    suites = list(dict.fromkeys([str(table.suite), *([table.repaired.suite] if table.repaired else [])]))
    return " ".join(f"{link(suite)} (`{command_for(suite)}`)." for suite in suites)


def link(suite: str) -> str:
    """A suite's page and board, as far as there are any."""
    found = [f"[{suite}](suites/{suite}.md)"] if (ROOT / f"docs/suites/{suite}.md").is_file() else [f"`{suite}`"]
    found += [f"[board](../leaderboard/{suite}.md)"] if (ROOT / f"leaderboard/{suite}.md").is_file() else []
    return ", ".join(found)
