"""Markdown taken apart: blocks of code, cells of tables, the structure of a page."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def structure(text):
    """The kinds of all blocks and of all inline parts of a markdown text, in order."""
    return [(token.type, [child.type for child in token.children or ()]) for token in MARKDOWN.parse(text)]


def plain(token):
    return "".join(child.content for child in token.children)


def tables(text):
    """The cells of every table row as plain text, head rows too, without the tables of costs."""
    found, cells = [], []
    tokens = MARKDOWN.parse(re.sub(r"### Cost\n.*?(?=\n## |\Z)", "", text, flags=re.DOTALL))
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "tr_open":
            cells = []
            found.append(cells)
        if token.type in ("th_open", "td_open"):
            cells.append(plain(following))
    return found


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def cells_of(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]
