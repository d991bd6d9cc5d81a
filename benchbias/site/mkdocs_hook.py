"""Hook of mkdocs, read by mkdocs itself from this file: pages come rendered, mkdocs puts them into the theme."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

SEARCH = 'data-md-component="search" role="dialog"'


class Anchor:
    """An entry of a page's contents, with the names that themes ask for."""

    def __init__(self, title: str, anchor: str, level: int) -> None:
        self.title, self.id, self.level, self.url = title, anchor, level, f"#{anchor}"
        self.active = False
        self.children: list[Anchor] = []


class Contents(list[Anchor]):
    """A page's contents, as mkdocs has them: the headings at the top."""

    @property
    def items(self) -> list[Anchor]:
        return list(self)


@functools.cache
def _pages(file: str) -> dict[str, Any]:
    pages: dict[str, Any] = json.loads(Path(file).read_text(encoding="utf-8"))
    return pages


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """Leave nothing for Python-Markdown to parse, and set what the theme asks for."""
    page.meta = dict(_pages(config.extra["pages"])[page.file.src_uri]["meta"])
    return ""


def on_page_content(html: str, *, page: Any, config: Any, **_: Any) -> str:
    """Put the rendered page and its contents in place."""
    found = _pages(config.extra["pages"])[page.file.src_uri]
    page.toc = _contents(found["headings"])
    return str(found["html"])


def on_post_page(output: str, **_: Any) -> str:
    """Name the dialog of the search, which the theme leaves without a name."""
    return output.replace(SEARCH, f'{SEARCH} aria-label="Search"')


def _contents(headings: list[tuple[int, str, str]]) -> Contents:
    """Nest headings, (level, text, anchor), by their levels."""
    top = Contents()
    above: list[Anchor] = []
    for level, text, anchor in headings:
        entry = Anchor(text, anchor, level)
        above = [one for one in above if one.level < entry.level]
        (above[-1].children if above else top).append(entry)
        above.append(entry)
    return top
