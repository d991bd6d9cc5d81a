"""Published numbers beside ours: the page docs/fidelity.md, from fidelity.toml and the committed records.

    python benchmarks/fidelity.py leaderboard > docs/fidelity.md

What counts as reproduced is fidelity_rule.py; what is read from records is fidelity_records.py.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from fidelity_about import ABOUT
from fidelity_records import Published, mean_of, paired_gap, values_of
from fidelity_rule import FEWEST_SEEDS, WIDEST, Printed, Verdict, prediction, verdict_of_number, verdict_of_order
from fidelity_tables import Cell, Fidelity, NumbersTable, StatementTable, cells, load_fidelity

from benchbias.board.claims import Answer
from benchbias.board.text import escaped, gap_text, table_lines, title
from benchbias.errors import BenchbiasError, UsageError, unknown
from benchbias.runner.publishing import command_for
from benchbias.statistics.influence import Measured
from benchbias.suite.catalogue import load, shipped_file

ROOT = Path(__file__).parent.parent
VERDICTS: tuple[Verdict, ...] = (
    "reproduced",
    "not reproduced",
    "unresolved",
    "too few seeds",
    "not attempted",
    "impossible",
)
HEADER = ["row", "column", "published", "as published", "n", "expected", "repaired", "verdict"]
FROM_CLAIMS: Mapping[str, Verdict] = {
    "supported": "reproduced",
    "refuted": "not reproduced",
    "equivalent": "not reproduced",
    "unresolved": "unresolved",
    "not run": "not attempted",
}


def main() -> None:
    """Print the page, or one message."""
    try:
        if len(sys.argv) != 2:
            raise UsageError("usage: python benchmarks/fidelity.py FOLDER, the folder of published records")
        print(page(load_fidelity(ROOT / "fidelity.toml"), Path(sys.argv[1])), end="")
    except BenchbiasError as error:
        print(f"fidelity: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None


def page(fidelity: Fidelity, folder: Path) -> str:
    """The whole page. Raises UsageError for a row, task, metric or claim that there is not."""
    if not (folder / "records").is_dir():
        raise UsageError(f"{folder} is no published folder: it has no records")
    published = Published(folder, ROOT)
    shipped = set(load(shipped_file()).suites)
    answers = published.claims()
    counts: dict[str, Counter[Verdict]] = {}
    body: list[str] = []
    for name, paper in fidelity.papers.items():
        body += [f"## {paper.title}", "", f"Read: {paper.read}." + (f" {paper.about}" if paper.about else ""), ""]
        for key, table in fidelity.numbers.items():
            if table.paper == name:
                lines, counted = numbers(key, table, published, shipped)
                body += lines
                counts[f"{short(paper.title)}, {table.place}: {table.title}"] = counted
        lines, counted = statements(
            {k: s for k, s in fidelity.statements.items() if s.paper == name}, published, answers
        )
        body += lines
        if counted:
            counts[f"{short(paper.title)}: statements, and numbers not quoted one by one"] = counted
    return "\n".join([ABOUT, *summary(counts), *body]).rstrip("\n") + "\n"


def short(name: str) -> str:
    """A paper's name for the summary: what stands before the first bracket."""
    return name.split(" (")[0]


def summary(counts: Mapping[str, Counter[Verdict]]) -> list[str]:
    """How many numbers of each table had which verdict."""
    shown = [[escaped(name), *(str(found[one] or "–") for one in VERDICTS)] for name, found in counts.items()]
    total = sum(counts.values(), Counter[Verdict]())
    shown.append(["**all**", *(f"**{total[one]}**" for one in VERDICTS)])
    return ["## All tables", "", *table_lines(shown, ["published", *VERDICTS]), ""]


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
    lines = [line(cell, table, published, f"{where}: {cell.row}, {cell.column}") for cell in cells(table)]
    counted = Counter(verdict for _, verdict in lines)
    told = f"Verdict ({counted.total()}): **{table.verdict}**. {table.why}" if table.verdict else totals(counted)
    return [*head, *table_lines([texts for texts, _ in lines], HEADER), "", told + f" {links(table)}", ""], counted


def about(table: NumbersTable) -> str:
    """Where the numbers come from, what of, and what data they take."""
    unit = {"fraction": "fractions", "count": "counts"}.get(table.unit, table.unit)
    runs = f"mean of {table.runs} runs" if table.runs and table.runs > 1 else "one run" if table.runs else "k not said"
    metrics = sorted({column.metric or table.metric or "" for column in table.columns} - {""})
    measured = f"; {', '.join(title(one) for one in metrics)}" if metrics else ""
    how = unit if table.unit == "as printed" else f"{unit}, {runs}"
    how += f", read off a plot, to {table.slack:g}" if table.slack else ""
    return f"From the {table.source}; {how}{measured}. Data: {table.data}." + (f" {table.notes}" if table.notes else "")


def printed(table: NumbersTable) -> list[str]:
    """The published table as it is, where nothing of ours stands beside it."""
    rows = [[escaped(row.name), *(text or "–" for text in row.values)] for row in table.rows]
    return table_lines(rows, ["row", *(escaped(column.name) for column in table.columns)])


def without_records(suite: str, shipped: set[str]) -> str:
    """Why there is nothing of ours."""
    if suite not in shipped:
        return f"This version has no suite `{suite}`."
    return f"There are no records; `{command_for(suite)}` makes them."


def line(cell: Cell, table: NumbersTable, published: Published, where: str) -> tuple[list[str], Verdict]:
    """One published number beside ours."""
    suite = str(table.suite)
    scale = 100.0 if table.unit == "percent" else 1.0
    as_published, n, expected = "–", "–", "–"
    verdict: Verdict = "not attempted"
    row = published.row(suite, cell.task, cell.as_published, where) if cell.as_published else None
    if row is not None:
        number = Printed.of(cell.text, where, table.slack)
        digits = max(1, number.decimals)
        values = values_of(row, cell.metric, where)
        points = [scale * float(value.value) for value in values.values()]
        runs = table.runs or 1
        as_published, n = plus_minus(values, scale, digits), str(len(points))
        if len(points) >= FEWEST_SEEDS:
            interval = prediction(points, runs)
            expected = f"{interval.low:.{digits}f} to {interval.high:.{digits}f}"
        widest = math.inf if table.unit == "count" else WIDEST * scale / 100
        verdict = verdict_of_number(number, points, runs, widest)
    if table.verdict is not None:
        verdict = table.verdict
    texts = [escaped(cell.row), escaped(cell.column), cell.text, as_published, n, expected]
    return [*texts, of_repaired(cell, table, published, scale, where), f"**{verdict}**"], verdict


def of_repaired(cell: Cell, table: NumbersTable, published: Published, scale: float, where: str) -> str:
    """The repaired row's mean, or nothing."""
    if not cell.repaired:
        return "–"
    other = table.repaired
    suite = other.suite if other else str(table.suite)
    row = published.row(suite, (other.task if other else None) or cell.task, cell.repaired, f"{where}, repaired")
    digits = 3 if table.unit == "fraction" else 1
    return "–" if row is None else plus_minus(values_of(row, cell.repaired_metric, where), scale, digits)


def plus_minus(values: Mapping[int, Measured], scale: float, digits: int) -> str:
    """A mean in the printed unit, with half of its interval."""
    found = mean_of(values)
    text = f"{scale * found.mean:.{digits}f}"
    return text if found.half_width is None else f"{text} ± {scale * found.half_width:.{digits}f}"


def totals(counted: Counter[Verdict]) -> str:
    """How many of which."""
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


def statements(
    tables: Mapping[str, StatementTable], published: Published, answers: Mapping[str, Answer]
) -> tuple[list[str], Counter[Verdict]]:
    """The table of one paper's statements, a line each (or a line a claim), and the verdicts."""
    lines: list[list[str]] = []
    counted: Counter[Verdict] = Counter()
    for key, one in tables.items():
        where = f"fidelity.toml: statements.{key}"
        for evidence, verdict in said(one, published, answers, where):
            lines.append([one.says, one.place, evidence, f"**{verdict}**"])
            counted[verdict] += 1
    header = ["what is published", "place", "ours, or why not", "verdict"]
    return ([*table_lines(lines, header), ""] if lines else []), counted


def said(
    one: StatementTable, published: Published, answers: Mapping[str, Answer], where: str
) -> Sequence[tuple[str, Verdict]]:
    """The records' answer to a statement: evidence and verdict, once for each claim that it is."""
    if one.verdict is not None:
        return [(one.why, one.verdict)]
    if one.claims:
        for name in one.claims:
            if name not in answers:
                raise UsageError(unknown("claim", name, answers, where))
        return [by_claim(name, answers[name]) for name in one.claims]
    suite, metric = str(one.suite), str(one.metric)
    rows = [published.row(suite, one.task, str(name), where) for name in (one.row, one.other)]
    against = f"`{one.row}` against `{one.other}`, {title(metric)}"
    if rows[0] is None or rows[1] is None:
        return [(f"{against}: suite `{suite}` has no records", "not attempted")]
    gap = paired_gap(rows[0], rows[1], metric, where)
    assert one.expects is not None
    verdict = verdict_of_order(gap, one.expects)
    return [(f"{against}: {gap_text(gap)}, n = {gap.n if gap else 0} ({link(suite)})", verdict)]


def by_claim(name: str, answer: Answer) -> tuple[str, Verdict]:
    """One claim's verdict in the words of this page."""
    file = name.split(":")[0].removesuffix(".toml")
    text = f"claim `{answer.name}`, {link(answer.claim.suite)}: {answer.verdict} ([claims](../leaderboard/{file}.md))"
    return text, FROM_CLAIMS[answer.verdict]


if __name__ == "__main__":
    main()
