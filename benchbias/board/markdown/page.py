"""A board as a page to read: what it says in short, one table, where the rest is. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from benchbias.board.entries import Entry
from benchbias.board.markdown.analysis_tables import analysis_failures
from benchbias.board.markdown.failures import troubles
from benchbias.board.markdown.head import head_lines, task_lines
from benchbias.board.markdown.in_short import in_short
from benchbias.board.markdown.main_table import column_lines, main_table, symbol_lines
from benchbias.board.markdown.sentences import sentences
from benchbias.board.markdown.surroundings import Surroundings
from benchbias.board.scored import Scored
from benchbias.board.standings import Board, Standing
from benchbias.board.text import escaped, resolved_points
from benchbias.board.words import SECTIONS, section_of
from benchbias.records.analysis import AnalysisRecord
from benchbias.records.trial import TrialRecord
from benchbias.statistics.estimates import FEWEST_SEEDS


@dataclass(frozen=True)
class Around:
    """The links and the date that stand around one board.

    date: of its publication, ISO 8601. files: the page of details and the files of numbers, by what they are.
    pages: links and sentences of the published folder.
    """

    date: str | None = None
    files: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    pages: Surroundings = field(default_factory=Surroundings)


def board_page(scored: Scored, command: str, around: Around | None = None) -> str:
    """The leaderboard of one suite as markdown: byte-identical from the same records and surroundings.

    command: what makes it.
    """
    around = around or Around()
    if not scored.records:
        return "# No records yet\n"
    ordered, board, entries, suite = scored.records, scored.board, scored.entries, scored.suite
    lines = head_lines(ordered, board, around.date, around.pages)
    for task in board.unranked:
        here = [entry for entry in entries if entry.row.task == task]
        lines += ["", *task_lines(task, ordered, scored.layouts, around.pages)]
        short = sentences(in_short(entries, scored.rows, task), suite["rank_by"], escaped)
        lines += [part for paragraph in short for part in ("", paragraph)]
        lines += _sections(task, here, board, around.pages.methods)
    lines += [*troubles(ordered), *analysis_failures(scored.analyses), *_more(ordered, scored.analyses, around)]
    return "\n".join([*lines, "", f"Made by `{command}`."]) + "\n"


def _sections(task: str, here: Sequence[Entry], board: Board, pages: Mapping[str, str]) -> list[str]:
    """The tables of one task, by whose group labels their rows used, and the meaning of their columns and symbols."""
    lines: list[str] = []
    several = Counter(entry.row.method for entry in here)
    named = {entry.row.label: entry.words for entry in here if several[entry.row.method] > 1}
    for section in SECTIONS:
        standings = [one for one in board.standings if one.task == task and section_of(one.track) == section]
        for standing in standings:
            shown = [entry for entry in here if entry.row.ranked and entry.row.track == standing.track]
            lines += ["", f"### {_headline(section, standing)}", ""]
            lines += main_table(shown, board.rank_by, pages, named)
            lines += ["", _separable(standing), *_after(symbol_lines(shown))]
    controls = [entry for entry in here if not entry.row.ranked]
    ranked = len(controls) < len(here)
    if controls:
        table = [*main_table(controls, board.rank_by, pages, named), *_after(symbol_lines(controls))]
        lines += ["", *(_folded(f"Controls and ceilings, not ranked ({len(controls)})", table) if ranked else table)]
    return [*lines, "", *_folded("What the columns mean", column_lines(here, board.rank_by))]


def _after(lines: Sequence[str]) -> list[str]:
    return ["", *lines] if lines else []


def _folded(title: str, lines: Sequence[str]) -> list[str]:
    return [f"<details><summary>{title}</summary>", "", *lines, "", "</details>"]


def _headline(section: str, standing: Standing) -> str:
    title = "No group labels used" if section == "none" else f"Group labels used: {section}"
    ways = {"val-select": ", to choose settings or epochs", "val-fit": ", to fit"}
    return title + (ways.get(standing.track, "") if section == "validation" else "")


def _separable(standing: Standing) -> str:
    """How many neighbours in rank are resolved from each other."""
    if standing.resolution is None:
        return f"Nothing is ranked here: it takes two rows with {FEWEST_SEEDS} common seeds that did not collapse."
    found, of = standing.separable, standing.adjacent
    size = resolved_points(standing.resolution.difference)
    return (
        f"{found} of {of} {'pair' if of == 1 else 'pairs'} of neighbours {'is' if found == 1 else 'are'} resolved. "
        f"A difference of {size} points would be (median over all pairs)."
    )


def _more(ordered: Sequence[TrialRecord], analyses: Sequence[AnalysisRecord], around: Around) -> list[str]:
    """Where everything else is."""
    bodies = [record.body for record in ordered]
    told = ["every metric", "groups", "costs", "settings", "the value of each seed"]
    told += [f"{len(analyses)} {'analysis' if len(analyses) == 1 else 'analyses'}"] if analyses else []
    told += ["the tables of probes"] if any(body.get("probes") for body in bodies) else []
    lines = ["", "## More", ""]
    details = around.files.get("details")
    if details:
        lines.append(f"- [Details]({details}): {_and(told)}.")
    numbers = [f"[{name}]({link})" for name, link in around.files.items() if name != "details"]
    lines += [f"- The same rows as {_and(numbers)}."] if numbers else []
    name = bodies[0]["suite"]["name"]
    page = around.pages.suites.get(name)
    if page is not None and page.page:
        lines.append(f"- [How this suite was made]({page.page}), what it tells and what it cannot.")
    if around.pages.reading:
        lines.append(f"- [How to read a board]({around.pages.reading}).")
    return lines if len(lines) > 3 else []


def _and(parts: Sequence[Any]) -> str:
    return ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + str(parts[-1])
