"""Sentences of a markdown page, as a reader meets them: without code, tables and quotations."""

from __future__ import annotations

import re
from collections.abc import Iterator

from support.markdown import MARKDOWN

ENDS = re.compile(r"(?<=[.?!])[\"')*_]*\s+(?=[^a-z\s])")
ABBREVIATIONS = re.compile(r"\b(e\.g|i\.e|et al|cf|vs|Sec|Fig|Tab|Eq|approx|resp|no|p)\.\s", re.IGNORECASE)
SKIPPED = ("table", "blockquote")


def sentences_of(text: str) -> Iterator[str]:
    """Every sentence of paragraphs and items of lists, a piece of code in it as one word."""
    depth = 0
    kind = ""
    for token in MARKDOWN.parse(text):
        name, _, side = token.type.rpartition("_")
        if name in SKIPPED:
            depth += {"open": 1, "close": -1}.get(side, 0)
        kind = name if side == "open" else kind
        if token.type == "inline" and not depth and kind != "heading":
            words = "".join(_text(child) for child in token.children or ())
            yield from (one for one in ENDS.split(ABBREVIATIONS.sub(r"\1 ", words)) if one.strip())


def _text(token) -> str:
    if token.type == "code_inline":
        return "Code" if token.content.strip() else ""
    if token.type in ("softbreak", "hardbreak"):
        return " "
    return token.content if token.type == "text" else ""


def words_of(sentence: str) -> list[str]:
    """The words of a sentence; signs alone are none."""
    return [word for word in sentence.split() if re.search(r"\w", word)]
