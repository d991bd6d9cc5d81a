"""Markdown as GitHub shows it -> HTML: headings with anchors, folded parts, no other HTML of the text's own."""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

KEPT = re.compile(r"</?(?:details|summary|sub|sup|kbd)>|<details open>|<br ?/?>")
COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
PICTURE = re.compile(r'<img((?:\s+(?:src|alt|width)="[^"<>]*")+)\s*/?>')
ABSENT = "span"  # stands in the place of a link that leads nowhere

Target = Callable[[str], str | None]
"""Link or picture address as the text has it -> where it leads on the site; None: nowhere."""


@dataclass(frozen=True)
class Heading:
    """One heading. text: plain. anchor: as GitHub makes it."""

    level: int
    text: str
    anchor: str


@dataclass(frozen=True)
class Rendered:
    """A page. title: the text of its first heading of level 1; empty without one."""

    html: str
    headings: tuple[Heading, ...]

    @property
    def title(self) -> str:
        return next((heading.text for heading in self.headings if heading.level == 1), "")

    @property
    def anchors(self) -> frozenset[str]:
        return frozenset(heading.anchor for heading in self.headings)


def rendered(text: str, link: Target, picture: Target) -> Rendered:
    """Render a page, its links and pictures led by two functions."""
    parser = _parser(picture)
    tokens = parser.parse(text)
    headings = _with_anchors(tokens)
    for token in tokens:
        if token.children:
            _lead(token.children, link, picture)
    return Rendered(parser.renderer.render(tokens, parser.options, {}), tuple(headings))


def anchor_of(text: str) -> str:
    """The anchor of a heading's text: small letters, hyphens for spaces, no punctuation."""
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")


def _parser(picture: Target) -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    for kind in ("html_block", "html_inline"):
        parser.add_render_rule(kind, lambda _, tokens, at, *__: _tame(tokens[at].content, picture))
    for kind in ("fence", "code_block"):
        parser.add_render_rule(kind, lambda _, tokens, at, *__: _code(tokens[at]))
    parser.add_render_rule(
        "table_open", lambda *_: '<div class="table" role="group" aria-label="Table" tabindex="0"><table class="rows">'
    )
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")
    return parser


def _tame(text: str, picture: Target) -> str:
    """HTML of the text's own: folded parts, breaks and pictures stay, comments go, anything else is text."""
    found, at = [], 0
    for tag in re.finditer(f"{COMMENT.pattern}|{KEPT.pattern}|{PICTURE.pattern}", text, re.DOTALL):
        found.append(_as_text(text[at : tag.start()]))
        found.append("" if tag[0].startswith("<!--") else _image(tag[0], picture) if tag[1] else tag[0])
        at = tag.end()
    return "".join([*found, _as_text(text[at:])])


def _image(tag: str, picture: Target) -> str:
    given = {name: html.unescape(value) for name, value in re.findall(r'(src|alt|width)="([^"]*)"', tag)}
    source, text = picture(given.get("src", "")), html.escape(given.get("alt", ""))
    width = f' width="{int(given["width"])}"' if given.get("width", "").isdecimal() else ""
    return text if source is None else f'<img src="{html.escape(source)}" alt="{text}"{width}>'


def _as_text(text: str) -> str:
    return html.escape(html.unescape(text))


def _code(token: Token) -> str:
    return f'<pre tabindex="0"><code>{html.escape(token.content)}</code></pre>\n'


def _with_anchors(tokens: Sequence[Token]) -> list[Heading]:
    """Give every heading its anchor; the second of one text ends in -1, as on GitHub."""
    found: list[Heading] = []
    seen: dict[str, int] = {}
    for token, inside in itertools.pairwise(tokens):
        if token.type == "heading_open":
            text = _plain(inside)
            anchor = anchor_of(text)
            number = seen.get(anchor, 0)
            seen[anchor] = number + 1
            anchor = f"{anchor}-{number}" if number else anchor
            token.attrs["id"] = anchor
            found.append(Heading(int(token.tag[1:]), text, anchor))
    return found


def _plain(token: Token) -> str:
    """The text of an inline token, without markup and HTML."""
    kept = (child for child in token.children or () if child.type != "html_inline")
    return "".join(" " if child.type == "softbreak" else child.content for child in kept)


def _lead(tokens: Sequence[Token], link: Target, picture: Target) -> None:
    """Lead the links and pictures of one text; without a target a link is its text, a picture its description."""
    open_links: list[bool] = []
    for token in tokens:
        if token.type == "link_open":
            where = link(str(token.attrs["href"]))
            open_links.append(where is not None)
            if where is None:
                token.tag, token.attrs = ABSENT, {}
            else:
                token.attrs["href"] = where
        elif token.type == "link_close" and not open_links.pop():
            token.tag = ABSENT
        elif token.type == "image":
            _lead_picture(token, picture)


def _lead_picture(token: Token, picture: Target) -> None:
    where: Any = picture(str(token.attrs["src"]))
    if where is None:
        token.type, token.content, token.children = "text", token.content, None
    else:
        token.attrs["src"] = where
