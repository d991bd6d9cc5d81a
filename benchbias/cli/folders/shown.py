"""A board shown: as markdown, in the format of a file, as a table that fits the terminal."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from benchbias.errors import printable

if TYPE_CHECKING:
    from benchbias.board.scored import Scored
    from benchbias.runner.results import Results
    from benchbias.runner.workspace import Given


@dataclass(frozen=True)
class Shown:
    """A board: its markdown, its file, and the options by which a report finds the same records.

    score: gives the records with their entries, which markdown alone does not need.
    """

    markdown: str
    score: Callable[[], Scored]
    file: Path
    source: str

    @cached_property
    def scored(self) -> Scored:
        """The records with their entries, worked out once."""
        return self.score()

    def text(self, suffix: str, columns: Sequence[str] | None) -> str:
        """The board in a format, see `board.exports.files.board_text`."""
        from benchbias.board.exports.files import board_text

        if suffix == ".md" and columns is None:
            return self.markdown
        return board_text(suffix, self.scored.entries, self.scored.suite, columns, self.markdown)

    def terminal(self, columns: Sequence[str] | None) -> str:
        """The board as a table that fits the terminal, then where the whole of it is."""
        from benchbias.board.exports.terminal import chosen_text, terminal_text

        entries, suite, width = self.scored.entries, self.scored.suite, shutil.get_terminal_size().columns
        if columns is None:
            table = terminal_text(entries, suite, width)
        else:
            from benchbias.board.exports.columns import columns_of
            from benchbias.board.exports.files import texts_of

            table = chosen_text(*texts_of(columns_of(entries, suite).chosen(columns)), width)
        name = suite["name"]
        unscored = sum(record.body["status"] != "ok" for record in self.scored.records)
        lines = [f"{unscored} trials have no score; the full board says why."] if unscored else []
        lines += [f"The full board: {self.file}"]
        if suite["limit"] is None:  # a report is of whole trials
            lines += [f"With charts: `benchbias report {name} -o report.html{self.source}`"]
        return printable("\n".join([table, "", *lines]))


def source_of(out: Path, config: Path | None, plugins: Sequence[Path] | None, data_dir: Path | None) -> str:
    """The options by which a report finds the records of a results folder."""
    parts = [("--out", out if out != Path("results") else None), ("--config", config), ("--data-dir", data_dir)]
    parts += [("--plugin", path) for path in plugins or ()]
    return "".join(f" {option} {shlex.quote(str(path))}" for option, path in parts if path is not None)


def run_text(results: Results, given: Given) -> str:
    """The board of a run: a table on a terminal, markdown in a pipe. given: the files that the run was told of."""
    if not sys.stdout.isatty() or not results.shown:
        return results.leaderboard()
    source = source_of(results.store.root, given.config, given.plugins, given.data)
    from benchbias.board.scored import Scored

    def score() -> Scored:
        return Scored.of(results.shown, results.layouts)

    return Shown(results.leaderboard(), score, results.board, source).terminal(None)
