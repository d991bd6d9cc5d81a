"""Pages of the site that no file has: the list of reports, and a home without docs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchbias.board.text import escaped, table_lines
from benchbias.records.trial import TrialRecord
from benchbias.site.linking import BOARDS
from benchbias.util.packages import version_of

REPORTS = "reports"


@dataclass(frozen=True)
class Suite:
    """One published suite. title: as its records have it."""

    name: str
    title: str

    @staticmethod
    def of(name: str, records: Sequence[TrialRecord]) -> Suite:
        suite = records[0].body["suite"]
        return Suite(name, str(suite.get("title", name)))

    @property
    def board(self) -> str:
        return f"{BOARDS}/{self.name}.md"

    @property
    def details(self) -> str:
        return f"{BOARDS}/details/{self.name}.md"

    @property
    def report(self) -> str:
        return f"{REPORTS}/{self.name}.html"


def reports_page(suites: Sequence[Suite]) -> str:
    """The list of reports, as `reports/index.md`."""
    lines = [
        "# Reports",
        "",
        "Each report is one file. It has charts, tables to sort and filter, groups, images, cards and claims.",
        "It opens from a disk, asks the network for nothing, and can be saved and sent.",
        "",
    ]
    rows = [
        (f"[{escaped(suite.name)}]({suite.name}.html)", f"[board](../{suite.board})", escaped(suite.title))
        for suite in suites
    ]
    return "\n".join([*lines, *table_lines(rows, ("report", "board", "title"))]) + "\n"


def home_page(suites: Sequence[Suite], reports: bool) -> str:
    """A home for a site of boards alone, as `index.md`."""
    told = " and their [reports](reports/index.md)" if reports else ""
    lines = [
        "# benchbias",
        "",
        "Which pruning and debiasing methods can be trusted when training data is biased?",
        f"These are the boards of {len(suites)} suites{told}, made by benchbias {version_of('benchbias')}.",
        "",
    ]
    rows = [(f"[{escaped(suite.name)}]({suite.board})", escaped(suite.title)) for suite in suites]
    return "\n".join([*lines, *table_lines(rows, ("board", "title"))]) + "\n"


def with_report(html: str, address: str) -> str:
    """A board's page with a link to its report below the title."""
    link = f'<p><a href="{address}">The report of this board</a> has its charts, groups and images.</p>'
    head, end, rest = html.partition("</h1>")
    return f"{head}{end}\n{link}{rest}" if end else f"{link}{html}"


def made_pages(suites: Sequence[Suite], texts: Mapping[str, str], *, docs: bool, reports: bool) -> dict[str, str]:
    """The pages by place that no file has. texts: of boards without a file, by place."""
    pages = dict(texts)
    if reports:
        pages[f"{REPORTS}/index.md"] = reports_page(suites)
    if not docs:
        pages["index.md"] = home_page(suites, reports)
    return pages
