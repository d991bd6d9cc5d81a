"""Pages -> HTML by mkdocs with its theme Material, in a process of its own: nothing is asked from the network."""

from __future__ import annotations

import html
import json
import os
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchbias.errors import UsageError, plain
from benchbias.site.linking import BOARDS
from benchbias.site.markup import Rendered
from benchbias.site.navigation import HOMES
from benchbias.util.packages import require

HERE = Path(__file__).parent
ASSETS = "assets/benchbias"
WORDS_APART = r"[\s\-_,:;!?=\[\]{}()\"'`/.<>&|+*]+"  # of the search: names of options and functions are several words
SHOWN_AS = str.maketrans({"<": "‹", ">": "›", "&": "+", '"': "”"})
"""Titles stand in places of the theme where HTML is neither escaped nor parsed: these letters are replaced."""


def check_theme() -> None:
    """Raises UsageError where mkdocs-material is absent."""
    require("material", extra="pages", what="the site")


def theme_version() -> str:
    """The version of mkdocs-material."""
    import material

    return str(material.__version__)


def build(
    pages: Mapping[str, Rendered], tabs: Sequence[Mapping[str, Any]], work: Path, boards: Collection[str] = ()
) -> Path:
    """Build the pages in a folder for work, which must be empty; the folder of the site is returned. Raises UsageError.

    tabs: the navigation. boards: the places of pages whose tables have a line a row, however wide. mkdocs is strict:
    any of its warnings is an error.
    """
    source, site = work / "pages", work / "site"
    for place in pages:
        (source / place).parent.mkdir(parents=True, exist_ok=True)
        (source / place).write_text("", encoding="utf-8")
    (source / ASSETS).mkdir(parents=True)
    for name in ("site.css", "vendor/iframe-worker.js", "vendor/iframe-worker.LICENSE"):
        (source / ASSETS / Path(name).name).write_bytes((HERE / name).read_bytes())
    (work / "pages.json").write_text(
        json.dumps({place: _told(place, page, place in boards) for place, page in pages.items()})
    )
    (work / "mkdocs.yml").write_text(json.dumps(_configuration(work, source, site, _named(tabs, pages))))
    _run(work / "mkdocs.yml")
    return site


def _run(configuration: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--config-file", str(configuration)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONWARNINGS": "ignore", "PYTHONUTF8": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=quiet, cwd=configuration.parent)
    if done.returncode:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        faults = [line for line in lines if line.startswith(("WARNING", "ERROR"))] or lines or ["no reason given"]
        raise UsageError(f"the site: mkdocs failed: {plain(faults[0])}")


def _told(place: str, page: Rendered, board: bool) -> dict[str, Any]:
    """A page as the hook reads it."""
    hidden = ["navigation"] if place.startswith(f"{BOARDS}/") or place in HOMES else []
    return {
        "html": f'<div class="board">{page.html}</div>' if board else page.html,
        "headings": [(one.level, shown(one.text), one.anchor) for one in page.headings],
        "meta": {"title": shown(title_of(place, page)), "hide": hidden},
    }


def title_of(place: str, page: Rendered) -> str:
    """The title of a page: its first heading, else its file's name."""
    return page.title or Path(place).stem


def shown(text: str) -> str:
    """A title without letters that mean anything in HTML, on one line."""
    return html.escape(plain(" ".join(text.split())).translate(SHOWN_AS))


def _named(tabs: Sequence[Mapping[str, Any]], pages: Mapping[str, Rendered]) -> list[Any]:
    """The navigation with the names of boards: their suite's, which is shorter than the title."""

    def entry(place: str) -> Any:
        named = place.startswith(f"{BOARDS}/") and Path(place).stem not in ("index", "README")
        return {shown(Path(place).stem): place} if named else place

    return [
        {tab: inside if isinstance(inside, str) else [entry(place) for place in inside] for tab, inside in one.items()}
        for one in tabs
    ]


def _configuration(work: Path, source: Path, site: Path, tabs: Sequence[Any]) -> dict[str, Any]:
    """The configuration of mkdocs. JSON is YAML too."""
    schemes = (("default", "dark", "light", "brightness-7"), ("slate", "light", "dark", "brightness-4"))
    palette = [
        {
            "media": f"(prefers-color-scheme: {now})",
            "scheme": scheme,
            "primary": "indigo",
            "accent": "indigo",
            "toggle": {"icon": f"material/{icon}", "name": f"Switch to {other} mode"},
        }
        for scheme, other, now, icon in schemes
    ]
    features = ["navigation.tabs", "navigation.top", "navigation.indexes", "toc.follow", "search.highlight"]
    return {
        "site_name": "benchbias",
        "docs_dir": str(source),
        "site_dir": str(site),
        "use_directory_urls": False,
        "theme": {"name": "material", "font": False, "palette": palette, "features": features, "language": "en"},
        "plugins": [{"search": {"separator": WORDS_APART}}, "offline"],
        "hooks": [str(HERE / "mkdocs_hook.py")],
        "extra_css": [f"{ASSETS}/site.css"],
        "extra": {
            "pages": str(work / "pages.json"),
            "generator": False,
            "polyfills": [f"{ASSETS}/iframe-worker.js"],  # else the plugin `offline` asks a third party for it
        },
        "nav": tabs,
        "validation": {"nav": {"omitted_files": "ignore"}},
    }
