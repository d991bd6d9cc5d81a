"""The sentences that a report begins with: those of the board, as plain text."""

from __future__ import annotations

from benchbias.board.markdown.in_short import in_short
from benchbias.board.markdown.sentences import sentences
from benchbias.errors import plain
from benchbias.report.gathering.source import Source


def apart(name: str) -> str:
    """A name inside of a sentence: its direction of writing does not reach the words around it."""
    return f"\N{FIRST STRONG ISOLATE}{plain(name)}\N{POP DIRECTIONAL ISOLATE}"


def gather_sentences(source: Source) -> dict[str, list[str]]:
    """At most three paragraphs for each task."""
    rank_by = str(source.records[0].body["suite"]["rank_by"])
    return {
        task: sentences(in_short(source.entries, source.rows, task), rank_by, apart) for task in source.board.unranked
    }
