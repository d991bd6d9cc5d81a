"""The sentences that a report begins with: those of the board, as plain text."""

from __future__ import annotations

import re

from benchbias.board.markdown.in_short import in_short
from benchbias.board.markdown.sentences import sentences
from benchbias.errors import plain
from benchbias.report.gathering.source import Source
from benchbias.statistics.estimates import FEWEST_SEEDS

OPENED, CLOSED = "\N{FIRST STRONG ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"
SIGNED = re.compile(rf"{OPENED}[^{CLOSED}]*{CLOSED}|[+-](?P<zero>0\.0)(?!\d)|(?<![\w.])-(?=\d)")
"""A name, which stays; a rounded zero with a sign; the sign of a negative number."""


def apart(name: str) -> str:
    """A name inside of a sentence: its direction of writing does not reach the words around it."""
    return f"{OPENED}{plain(name)}{CLOSED}"


def gather_sentences(source: Source) -> dict[str, list[str]]:
    """At most three paragraphs for each task, or one that says why there are none."""
    rank_by = str(source.records[0].body["suite"]["rank_by"])
    return {
        task: [
            *map(signed, sentences(in_short(source.entries, source.rows, task), rank_by, apart)),
            *_unranked(source, task),
        ]
        for task in source.board.unranked
    }


def signed(sentence: str) -> str:
    """A sentence with the minus signs that charts and tables have, and without the sign of a rounded zero."""
    return SIGNED.sub(_signed, sentence)


def _signed(found: re.Match[str]) -> str:
    if found[0].startswith(OPENED):
        return found[0]
    return found["zero"] or "\N{MINUS SIGN}"


def _unranked(source: Source, task: str) -> list[str]:
    """Why a task has no ranks. A limited run says it by itself."""
    here = [entry for entry in source.entries if entry.row.task == task]
    limited = source.records[0].body["suite"]["limit"] is not None
    if limited or any(entry.rank is not None for entry in here):
        return []
    told = f"Nothing is ranked: it takes two rows with {FEWEST_SEEDS} common seeds that did not collapse."
    bounded = [
        value
        for entry in here
        for value in entry.row.metrics.values()
        if value is not None and value.half_width is not None
    ]
    if bounded and not any(value.over_seeds for value in bounded):
        told += " The intervals are of the test examples alone, for these networks."
    return [told]
