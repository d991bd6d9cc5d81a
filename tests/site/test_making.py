"""Sites that cannot be made: one line each, and nothing of the user's is touched; hostile boards stay text."""

from __future__ import annotations

import hashlib
import html
import importlib.util
import json
import shutil
import sys
from pathlib import Path

import pytest

from benchbias.board.published.files import board_files
from benchbias.board.scored import Scored
from benchbias.errors import UsageError
from benchbias.records.trial import record_folder
from benchbias.site import theme
from benchbias.site.making import make_site
from benchbias.site.putting import MARK
from benchbias.site.theme import shown
from benchbias.util import canonical
from support import ROOT
from support.browser import chromium, needs_chromium, opened
from support.html_pages import Parsed, dead_links
from support.made_records import LAYOUTS
from support.made_reports import HOSTILE, hostile_source

needs_theme = pytest.mark.skipif(
    importlib.util.find_spec("material") is None, reason="no mkdocs-material: pip install '.[pages]'"
)


SUITE = "critical-finetuning"


def published(board: Path, title: str = "Probe") -> Path:
    """A published folder of one suite, without a board: the committed records under a title of its own."""
    folder = record_folder(board, SUITE)
    shutil.copytree(record_folder(ROOT / "leaderboard", SUITE), folder)
    for path in folder.glob("*.json"):
        document = canonical.loads(path.read_text())
        document["body"]["suite"]["title"] = title
        path.write_text(canonical.dumps(document))
    return board


def test_the_script_of_others_is_the_one_that_is_listed_with_its_licence():
    folder = Path(theme.__file__).parent / "vendor"
    listed = json.loads((folder / "vendor.json").read_text())
    for one in listed:
        assert hashlib.sha256((folder / one["file"]).read_bytes()).hexdigest() == one["sha256"]
        assert "Permission is hereby granted" in (folder / one["licence_file"]).read_text()
    names = {name for one in listed for name in (one["file"], one["licence_file"])}
    assert {path.name for path in folder.iterdir()} == {*names, "vendor.json"}


@needs_theme
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("full", "board"), "--out full: holds other files than a site"),
        (("file", "board"), "--out file: is no folder"),
        (("out", "full"), "--records full: is no published folder"),
        (("out", "board", "absent"), "--docs absent: there is no such folder"),
        (("out", "board", "full"), "--docs full: must be the folder `docs` of a checkout"),
    ],
)
def test_what_cannot_be_made_is_one_line_and_nothing_is_touched(tmp_path, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    Path("full").mkdir()
    Path("full/mine.txt").write_text("precious")
    Path("file").write_text("precious")
    published(Path("board"))
    with pytest.raises(UsageError) as error:
        make_site(*map(Path, arguments))
    assert str(error.value).startswith(told)
    assert (Path("full/mine.txt").read_text(), Path("file").read_text()) == ("precious", "precious")
    assert not Path("out").exists()


def test_without_the_theme_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "material", None)
    with pytest.raises(UsageError, match=r"the site needs mkdocs-material, .*pip install 'benchbias\[pages\]'"):
        make_site(tmp_path / "out", ROOT / "leaderboard")


@pytest.mark.parametrize("text", [*HOSTILE, "</title><script>x</script>", "&lt;script&gt;"])
def test_a_title_means_nothing_in_html_even_where_it_is_unescaped_once(text: str):
    assert not Parsed.of(html.unescape(shown(text))).tags
    assert not Parsed.of(html.unescape(html.unescape(shown(text)))).tags
    assert '"' not in html.unescape(shown(text))
    assert shown(text).isprintable()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Path:
    """The site of a folder whose title and whose boards are hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    board = published(folder / "board", HOSTILE[0])
    for name, text in board_files(SUITE, Scored.of(hostile_source().records, LAYOUTS, ()), "make it").items():
        (board / name).parent.mkdir(exist_ok=True)
        (board / name).write_text(text)
    (board / "note.md").write_text("---\ntitle: !!python/object:os.system x\n---\n# {{ config }} {% raw %}\n")
    make_site(folder / "site", board, report=lambda suite, path: path.write_text(f"<title>{suite}</title>"))
    return folder / "site"


@pytest.mark.slow
@needs_theme
def test_hostile_names_are_text_on_every_page_of_the_site(hostile: Path):
    assert dead_links(hostile, left_out=["404.html"]) == []
    text = Parsed.of((hostile / f"leaderboard/details/{SUITE}.html").read_text()).text
    for name in HOSTILE:
        told = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(name.split()))
        assert told in " ".join(text.split()), name
    assert "{{ config }} {% raw %}" in Parsed.of((hostile / "leaderboard/note.html").read_text()).text
    for path in hostile.rglob("*.html"):
        found = Parsed.of(path.read_text())
        live = [value for key, value in found.attributes if "hacked" in (value or "") and key not in ("id", "href")]
        assert live == [], path
        assert not [one for one in found.addresses if one.startswith("javascript")]


@pytest.mark.slow
@needs_theme
@needs_chromium
def test_nothing_of_a_hostile_board_runs_in_a_browser_nor_in_its_search(hostile: Path):
    with chromium() as browser:
        for path in sorted(hostile.rglob("*.html")):
            if (path.parent.name == "reports" and path.name != "index.html") or path.name == "404.html":
                continue
            with opened(browser, path, ready="main h1") as watched:
                watched.page.keyboard.press("/")
                watched.page.keyboard.type("hacked")
                watched.page.wait_for_selector(".md-search-result__item", timeout=20_000)
                assert watched.page.evaluate("window.hacked") is None
                assert watched.complaints == []
                assert watched.sideways() == 0


@pytest.mark.slow
@needs_theme
def test_a_site_is_replaced_by_the_next_one_and_not_by_one_that_fails(tmp_path: Path):
    board = published(tmp_path / "board")
    (board / "old.md").write_text("# Old")
    out = tmp_path / "site"
    make_site(out, board)
    (out / "CNAME").write_text("my.host")
    (board / "old.md").unlink()
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("[nowhere](absent.md)")
    with pytest.raises(UsageError, match="leads nowhere"):
        make_site(out, board, tmp_path / "docs")
    assert (out / "leaderboard/old.html").is_file()
    (tmp_path / "link").symlink_to(out)
    make_site(tmp_path / "link", board)
    assert not (out / "leaderboard/old.html").exists()
    assert (out / MARK).is_file()
    assert (out / "CNAME").read_text() == "my.host"
    assert (tmp_path / "link").is_symlink()
    hidden = {path.name for path in (*tmp_path.iterdir(), *out.iterdir()) if path.name.startswith(".")}
    assert hidden == {MARK, ".nojekyll"}
