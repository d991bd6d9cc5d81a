"""Links between pages: from the text of one to the file that is meant, and to its place on the site."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

BOARDS = "leaderboard"
WEB = ("http", "https", "mailto")


@dataclass(frozen=True)
class Origin:
    """The folders that pages come from. records: shown as `leaderboard/`. root: a checkout; None without docs."""

    records: Path
    root: Path | None

    def file(self, place: str) -> Path | None:
        """The file or folder at a place of the site, e.g. `docs/audit.md`; None where none is, or it is hidden."""
        parts = place.split("/")
        if ".." in parts or any(part.startswith(".") for part in parts):
            return None
        if parts[0] == BOARDS:
            return _inside(self.records, "/".join(parts[1:]))
        return _inside(self.root, place) if self.root is not None else None


def _inside(folder: Path, place: str) -> Path | None:
    """The file at a place in a folder; None where it is not there, or a link leads out of the folder."""
    path = folder / place
    return path if path.exists() and path.resolve().is_relative_to(folder.resolve()) else None


@dataclass(frozen=True)
class Link:
    """A link of a page. place: of its target on the site, empty for the page itself. fragment: after the hash."""

    place: str
    fragment: str


def is_web(address: str) -> bool:
    """Whether an address leads to the web, or begins a letter."""
    return urlsplit(address).scheme.lower() in WEB


def link_from(page: str, address: str) -> Link | None:
    """The target of a relative address on a page at a place; None where it is no relative one."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    if parts.scheme or parts.netloc or parts.path.startswith("/"):
        return None
    path = unquote(parts.path)
    place = posixpath.normpath(posixpath.join(posixpath.dirname(page), path)) if path else page
    return Link("" if place == "." else place, unquote(parts.fragment))


def address_of(page: str, target: str, fragment: str = "") -> str:
    """The relative address of a target on the site, from a page: pages end in .html, a folder's README is its index."""
    start = posixpath.dirname(page)
    path = "" if target == page else quote(posixpath.relpath(published(target), start or "."))
    return f"{path}#{quote(fragment)}" if fragment else path or quote(posixpath.basename(published(target)))


def published(place: str) -> str:
    """The place of a page's HTML, and of any other file itself."""
    folder, name = posixpath.split(place)
    if not name.endswith(".md"):
        return place
    stem = "index" if name in ("README.md", "index.md") else name.removesuffix(".md")
    return posixpath.join(folder, f"{stem}.html")
