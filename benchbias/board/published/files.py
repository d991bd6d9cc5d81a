"""The files of a board: the page to read and the page of details. No torch."""

from __future__ import annotations

from benchbias.board.markdown.details import details_of
from benchbias.board.markdown.page import Around, board_page
from benchbias.board.markdown.surroundings import Surroundings
from benchbias.board.scored import Scored


def board_files(
    label: str, scored: Scored, command: str, *, date: str | None = None, pages: Surroundings | None = None
) -> dict[str, str]:
    """The texts of a board's files, by their paths below the folder of boards; the page to read is `LABEL.md`.

    label: of the suite, and of its limited run. command: what makes it. date: of publication. pages: of the folder.
    """
    details = f"details/{label}.md"
    around = Around(date, {"details": details}, pages or Surroundings())
    title, rest = details_of(scored, command).split("\n", 1)
    back = f"[The board](../{label}.md) says it in short.\n"
    return {f"{label}.md": board_page(scored, command, around), details: f"{title}\n\n{back}{rest}"}
