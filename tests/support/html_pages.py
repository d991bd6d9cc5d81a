"""HTML taken apart: its text, its tags, its links and anchors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


@dataclass
class Parsed(HTMLParser):
    """What a page has. tags: names. addresses: of links, pictures, scripts and styles. anchors: ids and names."""

    tags: list[str] = field(default_factory=list)
    attributes: list[tuple[str, str | None]] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    pieces: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    @staticmethod
    def of(text: str) -> Parsed:
        found = Parsed()
        found.feed(text)
        found.close()
        return found

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        for name, value in attrs:
            if name in ("href", "src"):
                self.addresses.append(value or "")
            if name in ("id", "name"):
                self.anchors.add(value or "")

    def handle_data(self, data):
        self.pieces.append(data)


def dead_links(site: Path, left_out: Iterable[str] = ()) -> list[str]:
    """Links of all pages of a site that lead to no file, or to no place in it."""
    pages = {path: Parsed.of(path.read_text()) for path in site.rglob("*.html") if path.name not in set(left_out)}
    dead = []
    for path, page in pages.items():
        for address in page.addresses:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
            known = pages.get(target)
            anchor = unquote(parts.fragment)
            if not target.is_file() or (anchor and known is not None and anchor not in known.anchors):
                dead.append(f"{path.relative_to(site)}: {address}")
    return dead
