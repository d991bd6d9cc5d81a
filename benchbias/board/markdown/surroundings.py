"""A published folder's own words and pages around its boards: pages.toml. No torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, TypeVar

from pydantic import Field

from benchbias.errors import UsageError, unknown
from benchbias.suite.catalogue import read_document
from benchbias.suite.tables import TomlTable, checked
from benchbias.util.files import is_regular, read_regular

FILE = "pages.toml"
SECTIONS = ("schema", "links", "tasks", "suites")
MAX_PAGE_BYTES = 1_000_000
_LISTED = re.compile(r"^\| \[([^\]|]+)\]\(([^()\s|]+)\)", re.MULTILINE)

Kind = TypeVar("Kind", bound=TomlTable)

LINK = r"^[A-Za-z0-9_.][A-Za-z0-9_./-]*(#[A-Za-z0-9_-]+)?$"
LONGEST_LINK = 200
Link = Annotated[str, Field(pattern=LINK, max_length=LONGEST_LINK)]
"""A relative link from the published folder; no address of a site, and nothing that markup or a browser runs."""


class LinksTable(TomlTable):
    """`[links]`: methods, a page whose table has a line `| [NAME](PAGE) |` for each method; cite, reading: pages."""

    methods: Link | None = None
    cite: Link | None = None
    reading: Link | None = None


class TaskTable(TomlTable):
    """`[tasks.NAME]`: about, one sentence on what is asked and what misleads; picture, a sheet of samples."""

    about: Annotated[str, Field(max_length=300)] = ""
    picture: Link | None = None


class SuiteTable(TomlTable):
    """`[suites.NAME]`: page, that of the suite; overall, whether leaderboard/index.md counts it across tasks."""

    page: Link | None = None
    overall: bool = False


@dataclass(frozen=True)
class Surroundings:
    """Links and sentences that stand around boards; all are relative to the folder of the boards.

    methods: the page of each method. tasks, suites: by name. cite, reading: how to cite, and how to read a board.
    """

    methods: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    tasks: Mapping[str, TaskTable] = field(default_factory=lambda: MappingProxyType({}))
    suites: Mapping[str, SuiteTable] = field(default_factory=lambda: MappingProxyType({}))
    cite: str | None = None
    reading: str | None = None


def surroundings(folder: Path) -> Surroundings:
    """The content of a published folder's pages.toml; nothing where there is none. Raises UsageError for a mistake."""
    path = folder / FILE
    label = str(path)
    if not is_regular(path):
        if path.exists() or path.is_symlink():
            raise UsageError(f"{label}: must be a plain file, no link, folder or pipe")
        return Surroundings()
    document = read_document(path, label)
    for section in document:
        if section not in SECTIONS:
            raise UsageError(unknown("section", section, SECTIONS, label))
    links = checked(LinksTable, document.get("links", {}), f"{label}: links")
    return Surroundings(
        _methods(folder, links.methods),
        _tables(document, "tasks", TaskTable, label),
        _tables(document, "suites", SuiteTable, label),
        links.cite,
        links.reading,
    )


def _tables(document: Mapping[str, object], section: str, kind: type[Kind], label: str) -> dict[str, Kind]:
    found = document.get(section, {})
    if not isinstance(found, dict):
        raise UsageError(f"{label}: [{section}] must hold tables: [{section}.NAME]")
    return {name: checked(kind, one, f"{label}: {section}.{name:.80}") for name, one in found.items()}


def _methods(folder: Path, page: str | None) -> Mapping[str, str]:
    """The pages of methods, as the table of a page lists them; what is no `Link` is left out. Raises UsageError."""
    if page is None:
        return {}
    path = folder / page
    if not is_regular(path):
        raise UsageError(f"{folder / FILE}: links.methods: there is no file {page}")
    try:
        text = read_regular(path, MAX_PAGE_BYTES).decode()
    except UnicodeDecodeError:
        raise UsageError(f"{folder / FILE}: links.methods: {page} is no text in UTF-8") from None
    except UsageError as error:
        raise UsageError(f"{folder / FILE}: links.methods: {page} {error}") from None
    base = page.rpartition("/")[0]
    links = ((name, f"{base}/{target}" if base else target) for name, target in _LISTED.findall(text))
    return {name: link for name, link in links if len(link) <= LONGEST_LINK and re.fullmatch(LINK, link)}
