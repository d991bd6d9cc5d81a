"""Published numbers beside ours: the page docs/fidelity.md, from fidelity.toml and the committed records.

    python benchmarks/fidelity.py leaderboard > docs/fidelity.md

What counts as reproduced is fidelity_rule.py; what is read from records is fidelity_records.py.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fidelity_about import ABOUT
from fidelity_cells import facts_of_numbers, facts_of_statement
from fidelity_numbers import failures, numbers, published_failed
from fidelity_records import Failed, Published
from fidelity_rule import VERDICTS, Verdict
from fidelity_statements import counted, statements
from fidelity_tables import Fidelity, load_fidelity

from benchbias.board.text import escaped, table_lines
from benchbias.errors import BenchbiasError, UsageError
from benchbias.suite.catalogue import load, shipped_file

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Part:
    """A line of the summary: how many numbers have which verdict, and which distinct facts these are."""

    name: str
    verdicts: Counter[Verdict]
    facts: set[tuple[str, ...]]


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
    parts: list[Part] = []
    body: list[str] = []
    for name, paper in fidelity.papers.items():
        body += [f"## {paper.title}", "", f"Read: {paper.read}." + (f" {paper.about}" if paper.about else ""), ""]
        for key, table in fidelity.numbers.items():
            if table.paper == name:
                lines, verdicts = numbers(key, table, published, shipped)
                body += lines
                named = f"{paper.short}, {table.place}: {table.title}"
                parts.append(Part(named, verdicts, facts_of_numbers(key, table)))
        of_paper = {key: one for key, one in fidelity.statements.items() if one.paper == name}
        lines, found = statements(of_paper, published, answers)
        body += lines
        if found:
            suites = {key: {one.suite for one in several if one.suite} for key, several in found.items()}
            facts = [facts_of_statement(key, of_paper[key], suites[key], fidelity.numbers) for key in found]
            named = f"{paper.short}: statements, and numbers not quoted one by one"
            parts.append(Part(named, counted(found), set().union(*facts)))
    return "\n".join([ABOUT, *summary(parts), *failed_runs(fidelity, published), *body]).rstrip("\n") + "\n"


def summary(parts: Sequence[Part]) -> list[str]:
    """How many numbers, and how many facts that do not stand above, each table has, and with which verdicts."""
    shown, known = [], set[tuple[str, ...]]()
    for part in parts:
        counts = [part.verdicts.total(), len(part.facts - known), *(part.verdicts[one] for one in VERDICTS)]
        shown.append([escaped(part.name), *(str(count or "–") for count in counts)])
        known |= part.facts
    total = sum((part.verdicts for part in parts), Counter[Verdict]())
    shown.append(["**all**", *(f"**{n}**" for n in (total.total(), len(known), *(total[one] for one in VERDICTS)))])
    return ["## All tables", "", *table_lines(shown, ["published", "numbers", "facts", *VERDICTS]), ""]


def failed_runs(fidelity: Fidelity, published: Published) -> list[str]:
    """How many trained networks failed, ours and the published ones, of all tables that have records."""
    found: dict[tuple[str, str], Failed] = {}
    theirs: dict[tuple[str, str], dict[str, bool]] = {}
    for key, table in fidelity.numbers.items():
        if table.suite is None or published.rows(table.suite) is None:
            continue
        failed = failures(table, published, f"fidelity.toml: numbers.{key}")
        for one in failed.values():
            found[table.suite, one.label] = one
            if table.fit:
                theirs.setdefault((table.suite, one.label), {})[table.fit] = published_failed(table, failed)
    shown = []
    for (suite, row), one in found.items():
        fits = theirs.get((suite, row), {})
        told = f"{sum(fits.values())} of {len(fits)} (average {', '.join(sorted(fits))})" if fits else "–"
        shown.append([f"`{row}`", suite, f"{len(one.seeds)} of {one.runs}", one.interval, one.named, told])
    header = ["trained network", "suite", "failed", "95 % interval", "seeds", "published, failed"]
    return ["## Failed runs", "", *table_lines(shown, header), ""] if shown else []


if __name__ == "__main__":
    main()
