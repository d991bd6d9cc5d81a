"""Markdown taken apart: blocks of code, cells of tables, the structure of a page."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def structure(text):
    """The kinds of all blocks and of all inline parts of a markdown text, in order."""
    return [(token.type, [child.type for child in shown(token)]) for token in MARKDOWN.parse(text)]


def shown(token):
    """The inline parts of a block without comments, texts that stand side by side as one: as a reader sees them."""
    found = []
    for child in token.children or ():
        text = child.type == "text"
        if child.type == "html_inline" and child.content == "<!-- -->":
            continue
        if text and found and found[-1].type == "text":
            found[-1].content += child.content
        else:
            found.append(child)
    return found


def plain(token):
    return "".join(child.content for child in shown(token))


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


def undated(board: str) -> str:
    """A published board as it stands in a results folder: without the day of its publication and its files of rows."""
    text = re.sub(r", published \d{4}-\d\d-\d\d\.", ".", board, count=1)
    return re.sub(r"- The same rows as \[CSV\].*\n", "", text)


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def cells_of(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]
