"""The files of a board: the page to read, the page of details, and in a published folder its numbers. No torch."""

from __future__ import annotations

from benchbias.board.exports.columns import columns_of
from benchbias.board.exports.files import csv_text, json_text
from benchbias.board.markdown.details import details_of
from benchbias.board.markdown.page import Around, board_page
from benchbias.board.markdown.surroundings import Surroundings
from benchbias.board.scored import Scored
from benchbias.records.latency import Latency


def board_files(label: str, scored: Scored, command: str, latency: Latency | None = None) -> dict[str, str]:
    """The texts of a board's files in a results folder, by their paths below its folder of boards.

    label: of the suite, and of its limited run; `LABEL.md` is the page to read. command: what makes it. latency: what
    was measured of the networks.
    """
    return _files(label, scored, command, Around(files={"details": f"details/{label}.md"}), latency)


def published_files(
    suite: str,
    scored: Scored,
    command: str,
    *,
    date: str | None,
    pages: Surroundings,
    latency: Latency | None = None,
) -> dict[str, str]:
    """The same in a published folder, with the rows as CSV and JSON. date: of publication. pages: of the folder."""
    links = {"details": f"details/{suite}.md", "CSV": f"data/{suite}.csv", "JSON": f"data/{suite}.json"}
    found = _files(suite, scored, command, Around(date, links, pages), latency)
    if scored.records:
        table = columns_of(scored.entries, scored.suite).rounded()
        found |= {links["CSV"]: csv_text(table), links["JSON"]: json_text(table)}
    return found


def _files(label: str, scored: Scored, command: str, around: Around, latency: Latency | None) -> dict[str, str]:
    title, rest = details_of(scored, command, latency).split("\n", 1)
    back = f"[The board](../{label}.md) says it in short.\n"
    details = f"{title}\n\n{back}{rest}"
    return {f"{label}.md": board_page(scored, command, around), around.files["details"]: details}
