"""Pages and files of a site: found by following links from the first pages, each rendered once, each link checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchbias.errors import UsageError
from benchbias.site.linking import Link, Origin, address_of, is_web, link_from
from benchbias.site.markup import Rendered, rendered
from benchbias.util.files import storage_errors


@dataclass(frozen=True)
class Collected:
    """All of a site but the reports. pages: by place. files: copied as they are, by place."""

    pages: Mapping[str, Rendered]
    files: Mapping[str, Path]


@dataclass
class _Walk:
    """The state of a walk. made: texts of pages that no file has, by place. waiting: places to render."""

    origin: Origin
    made: Mapping[str, str]
    outside: frozenset[str]
    waiting: list[str]
    pages: dict[str, Rendered] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    anchors: list[tuple[str, str, Link]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def collected(
    origin: Origin, first: Sequence[str], made: Mapping[str, str], outside: frozenset[str] = frozenset()
) -> Collected:
    """Render the first pages and all that they link to.

    made: pages by place that no file has. outside: places that are made elsewhere, such as reports. A link that leads
    nowhere is a fault where the docs are there, and plain text where they are not. Raises UsageError.
    """
    walk = _Walk(origin, made, outside, list(first))
    while walk.waiting:
        place = walk.waiting.pop()
        if place not in walk.pages:
            walk.pages[place] = _page(walk, place)
    walk.faults += [
        f"{page}: the link {address!r} names a heading that is not there"
        for page, address, link in walk.anchors
        if link.fragment not in walk.pages[link.place].anchors
    ]
    if walk.faults:
        more = f" (and {len(walk.faults) - 1} more)" if len(walk.faults) > 1 else ""
        raise UsageError(f"the site: {sorted(walk.faults)[0]}{more}")
    return Collected(walk.pages, walk.files)


def _page(walk: _Walk, place: str) -> Rendered:
    text = walk.made.get(place)
    if text is None:
        path = walk.origin.file(place)
        if path is None:
            raise UsageError(f"the site: {place} is not there")
        with storage_errors(f"cannot read {path}"):
            text = path.read_text(encoding="utf-8", errors="replace")
    return rendered(text, lambda address: _led(walk, place, address), lambda address: _shown(walk, place, address))


def _led(walk: _Walk, page: str, address: str) -> str | None:
    """Where a link leads on the site; None where it leads nowhere."""
    if is_web(address):
        return address
    link = link_from(page, address)
    place = None if link is None else _place(walk, link.place)
    if link is None or place is None:
        _fault(walk, page, address)
        return None
    if place.endswith(".md"):
        walk.waiting.append(place)
        if link.fragment:
            walk.anchors.append((page, address, Link(place, link.fragment)))
    return address_of(page, place, link.fragment)


def _place(walk: _Walk, place: str) -> str | None:
    """The place that is meant: a page or a file; of a folder its page. None where there is neither."""
    if place in walk.made or place in walk.outside:
        return place
    path = walk.origin.file(place) if place else walk.origin.root
    if path is None:
        return None
    if path.is_dir():
        inside = [f"{place}/{name}".lstrip("/") for name in ("README.md", "index.md")]
        return next((one for one in inside if one in walk.made or walk.origin.file(one) is not None), None)
    if not place.endswith(".md"):
        walk.files[place] = path
    return place


def _shown(walk: _Walk, page: str, address: str) -> str | None:
    """Where a picture lies; None where it is not there, or in the web: a page asks no third party."""
    link = link_from(page, address)
    place = None if link is None else _place(walk, link.place)
    if place is None or place.endswith(".md"):
        if not is_web(address):
            _fault(walk, page, address)
        return None
    return address_of(page, place)


def _fault(walk: _Walk, page: str, address: str) -> None:
    """Note a link that leads nowhere; a folder without a page of its own is none, and is shown as text."""
    link = link_from(page, address)
    folder = link is not None and (path := walk.origin.file(link.place)) is not None and path.is_dir()
    if walk.origin.root is not None and not folder:
        walk.faults.append(f"{page}: the link {address!r} leads nowhere")
