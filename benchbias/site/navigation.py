"""The navigation of the site: tabs, the pages of each, and what no tab names under `More`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any

from benchbias.site.contents import REPORTS
from benchbias.site.linking import BOARDS

HOMES = ("README.md", "index.md")
TABS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Boards": (f"{BOARDS}/index.md", f"{BOARDS}/README.md", f"{BOARDS}/*.md"),
        "Reports": (f"{REPORTS}/index.md",),
        "Findings": (
            *("docs/reading-a-board.md", "docs/glossary.md", "docs/report.md", "docs/findings.md", "docs/claims.md"),
            *("docs/fidelity.md", "docs/rest-table-1.md", "docs/coverage.md", "docs/suites/*", "docs/analyses/*"),
        ),
        "Methods": ("docs/methods/*", "docs/published-settings.md"),
        "Data": ("docs/data/*", "docs/own-data.md"),
        "Write a plugin": ("docs/writing-plugins.md", "docs/bad-plugins.md", "docs/trackers.md", "docs/*plugin*.md"),
        "Audit my model": ("docs/audit.md", "docs/models.md", "docs/audit*.md"),
        "Submit": (
            *("CONTRIBUTING.md", "docs/submit*.md", "docs/site.md", "benchmarks/README.md"),
            *("SECURITY.md", "CHANGELOG.md"),
        ),
        "API": (
            *("docs/reference.md", "docs/python-api.md", "docs/commands.md", "docs/api-policy.md"),
            *("docs/benchmarks-toml.md", "docs/results-folder.md", "docs/exit-codes.md", "docs/installation.md"),
        ),
        "All pages": ("docs/README.md",),
    }
)
"""Tab -> patterns of places, in order; a page stands in the first that fits."""


def navigation(places: Sequence[str], boards: Sequence[str]) -> list[dict[str, Any]]:
    """The navigation as mkdocs takes it. boards: the pages of suites; other pages of that folder only where linked."""
    left = sorted(places, key=_order)
    tabs: list[dict[str, Any]] = [{"Home": place} for place in left if place in HOMES][:1]
    left = [place for place in left if place not in HOMES]
    for tab, patterns in TABS.items():
        mine = [place for pattern in patterns for place in left if fnmatchcase(place, pattern)]
        mine = [place for place in dict.fromkeys(mine) if _listed(place, boards)]
        left = [place for place in left if place not in mine]
        if mine:
            tabs.append({tab: mine})
    rest = [place for place in left if place.startswith("docs/")]
    return [*tabs, {"More": rest}] if rest else tabs


def _order(place: str) -> tuple[str, bool, str]:
    """By folder, its index first."""
    folder, _, name = place.rpartition("/")
    return folder, name not in HOMES, name


def _listed(place: str, boards: Sequence[str]) -> bool:
    """Whether a page of the published folder is a board or a list, and no page of details."""
    return not place.startswith(f"{BOARDS}/") or place in boards or place.rpartition("/")[2] in (*HOMES, "claims.md")
