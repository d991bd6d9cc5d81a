"""A published folder and, of a checkout, its docs -> the files of a site."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchbias.errors import UsageError
from benchbias.runner.publishing import all_boards, published_records, published_suites
from benchbias.site.collecting import Collected, collected
from benchbias.site.contents import Suite, made_pages, with_report
from benchbias.site.linking import BOARDS, Origin, address_of
from benchbias.site.markup import Rendered
from benchbias.site.navigation import navigation
from benchbias.site.putting import NO_JEKYLL, folder_for, put
from benchbias.site.theme import build, check_theme
from benchbias.util.files import listed

FURTHER = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")

Report = Callable[[str, Path], None]
"""Suite, file -> the report is written there."""


@dataclass(frozen=True)
class Made:
    """A site that was made: the numbers of its boards, reports and pages."""

    boards: int
    reports: int
    pages: int


def make_site(
    out: Path,
    records: Path,
    docs: Path | None = None,
    report: Report | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Made:
    """Make the site in a folder that is absent, empty, or a site already, whose files are replaced, and no others.

    records: a published folder. docs: the folder of docs in a checkout; None: boards and reports alone. report: writes
    a suite's report; None: no reports. tell: told of each step. Raises UsageError, StorageError.
    """
    check_theme()
    folder_of_site = folder_for(out)
    suites = _suites(records)
    origin = Origin(records, None if docs is None else _root(docs))
    with tempfile.TemporaryDirectory(prefix="benchbias-site-") as folder:
        work = Path(folder)
        reports = work / "reports"
        reports.mkdir()
        for suite in suites if report is not None else ():
            tell(f"the report of {suite.name}")
            report(suite.name, reports / f"{suite.name}.html")  # type: ignore[misc]
        found = _collected(origin, suites, reports=report is not None)
        tell(f"{len(found.pages)} pages")
        boards = [suite.board for suite in suites]
        wide = [*boards, *(suite.details for suite in suites)]
        site = build(found.pages, navigation(list(found.pages), boards), work, wide)
        _complete(site, found, reports)
        put(site, folder_of_site)
    return Made(len(suites), len(suites) if report is not None else 0, len(found.pages))


def _root(docs: Path) -> Path:
    if not docs.is_dir():
        raise UsageError(f"--docs {docs}: there is no such folder")
    if docs.resolve().name != "docs" or not (docs / ".." / "README.md").is_file():
        raise UsageError(f"--docs {docs}: must be the folder `docs` of a checkout, beside its README.md")
    return docs.resolve().parent


def _suites(records: Path) -> list[Suite]:
    """The suites of a published folder. Raises UsageError where it has none."""
    names = published_suites(records)
    if not names:
        raise UsageError(f"--records {records}: is no published folder: it has no records")
    return [Suite.of(name, published_records(name, records)[0]) for name in names]


def _collected(origin: Origin, suites: Sequence[Suite], *, reports: bool) -> Collected:
    """The pages, boards with a link to their report."""
    index = [f"{BOARDS}/{name}" for name in ("index.md", "README.md") if origin.file(f"{BOARDS}/{name}") is not None]
    whole = index and all(origin.file(suite.board) is not None for suite in suites)
    anew = {} if whole else {f"{BOARDS}/{name}": text for name, text in all_boards(origin.records).items()}
    texts = {place: text for place, text in anew.items() if origin.file(place) is None}
    if index:
        texts.pop(f"{BOARDS}/index.md", None)
    made = made_pages(suites, texts, docs=origin.root is not None, reports=reports)
    outside = frozenset(suite.report for suite in suites) if reports else frozenset()
    found = collected(origin, [*made, *_first(origin)], made, outside)
    return replace(found, pages=_with_reports(found, suites)) if reports else found


def _first(origin: Origin) -> list[str]:
    """The places of pages that files have: of the published folder, and of the docs."""
    boards = [f"{BOARDS}/{path.name}" for path in listed(origin.records, ".md")]
    if origin.root is None:
        return boards
    docs = [path.relative_to(origin.root).as_posix() for path in sorted((origin.root / "docs").rglob("*.md"))]
    shown = [place for place in (*FURTHER, *docs) if origin.file(place) is not None]
    return [*boards, *shown]


def _with_reports(found: Collected, suites: Sequence[Suite]) -> Mapping[str, Rendered]:
    pages = dict(found.pages)
    for suite in suites:
        page = pages[suite.board]
        pages[suite.board] = replace(page, html=with_report(page.html, address_of(suite.board, suite.report)))
    return pages


def _complete(site: Path, found: Collected, reports: Path) -> None:
    """Add what mkdocs does not make: files that pages link to, the reports."""
    for place, path in found.files.items():
        (site / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, site / place)
    for path in listed(reports, ".html"):
        (site / "reports").mkdir(exist_ok=True)
        shutil.move(path, site / "reports" / path.name)
    (site / NO_JEKYLL).touch()
