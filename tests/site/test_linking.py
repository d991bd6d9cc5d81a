"""Links between pages: there and back, faults found before mkdocs is asked, nothing hidden or outside copied."""

from __future__ import annotations

import posixpath
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from benchbias.errors import UsageError
from benchbias.site.collecting import collected
from benchbias.site.linking import Origin, address_of, link_from, published
from benchbias.site.navigation import navigation
from support import ROOT

PLACES = ["README.md", "docs/a.md", "docs/data/README.md", "leaderboard/index.md", "leaderboard/x y#1.md", "LICENSE"]


@pytest.mark.parametrize("page", [place for place in PLACES if place.endswith(".md")])
@pytest.mark.parametrize("target", PLACES)
def test_an_address_leads_from_the_page_to_the_target(page: str, target: str):
    address = address_of(page, target, "some-heading")
    parts = urlsplit(address)
    here = published(page)
    there = posixpath.normpath(posixpath.join(posixpath.dirname(here), unquote(parts.path))) if parts.path else here
    assert (there, parts.fragment) == (published(target), "some-heading")


def test_links_of_other_kinds_lead_nowhere():
    assert [
        link_from("docs/a.md", one) for one in ("https://x.org", "//x.org/a", "/etc/passwd", "data:x", "http://[")
    ] == ([None] * 5)
    assert link_from("docs/a.md", "../b%20c.md#d%C3%A9").place == "b c.md"
    assert link_from("docs/a.md", "#d").place == "docs/a.md"


@pytest.fixture
def checkout(tmp_path: Path) -> Origin:
    for name, text in {
        "README.md": "# Home\n[a](docs/a.md#two) [l](LICENSE) ![p](docs/p.png) [board](leaderboard/s.md) [f](docs/)\n",
        "LICENSE": "free",
        ".secret": "hidden",
        "docs/a.md": "# A\n\n## Two\n[home](../README.md) [web](https://example.com) [again](#two)\n",
        "docs/p.png": "picture",
        "board/s.md": "# S\n[home](../README.md)\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path.parent / "outside.txt").write_text("not ours")
    return Origin(tmp_path / "board", tmp_path)


def test_all_that_is_linked_is_found(checkout: Origin):
    found = collected(checkout, ["README.md"], {})
    assert set(found.pages) == {"README.md", "docs/a.md", "leaderboard/s.md"}
    assert found.files == {"LICENSE": checkout.root / "LICENSE", "docs/p.png": checkout.root / "docs/p.png"}
    assert '<a href="docs/a.html#two">' in found.pages["README.md"].html
    assert "<span>f</span>" in found.pages["README.md"].html, "a folder without a page is text"
    assert '<a href="../index.html">' in found.pages["leaderboard/s.md"].html


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[x](absent.md)", "README.md: the link 'absent.md' leads nowhere"),
        ("[x](docs/a.md#three)", "README.md: the link 'docs/a.md#three' names a heading that is not there"),
        ("[x](#nothing)", "README.md: the link '#nothing' names a heading that is not there"),
        ("![x](absent.png)", "README.md: the link 'absent.png' leads nowhere"),
        ("[x](.secret)", "README.md: the link '.secret' leads nowhere"),
        ("[x](../outside.txt)", "README.md: the link '../outside.txt' leads nowhere"),
        ("[x](docs/out.txt)", "README.md: the link 'docs/out.txt' leads nowhere"),
        ("[x](/etc/passwd) [y](absent.md)", "leads nowhere (and 1 more)"),
    ],
)
def test_a_link_that_leads_nowhere_is_one_line(checkout: Origin, text: str, told: str):
    (checkout.root / "docs/out.txt").symlink_to(checkout.root.parent / "outside.txt")
    (checkout.root / "README.md").write_text(text)
    with pytest.raises(UsageError) as error:
        collected(checkout, ["README.md"], {})
    assert told in str(error.value)


def test_without_docs_a_link_out_of_the_boards_is_text(checkout: Origin):
    found = collected(Origin(checkout.records, None), ["leaderboard/s.md"], {})
    assert "<span>home</span>" in found.pages["leaderboard/s.md"].html
    assert set(found.pages) == {"leaderboard/s.md"}


def test_a_picture_of_the_web_is_its_description(checkout: Origin):
    (checkout.root / "README.md").write_text("![a picture](https://example.com/x.png)")
    assert collected(checkout, ["README.md"], {}).pages["README.md"].html == "<p>a picture</p>\n"


def test_every_page_of_the_docs_stands_once_in_the_navigation():
    docs = [path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")]
    places = ["README.md", "leaderboard/index.md", "leaderboard/s.md", "leaderboard/s-details.md", *docs]
    tabs = navigation(places, ["leaderboard/s.md"])
    listed = [
        place for tab in tabs for inside in tab.values() for place in ([inside] if isinstance(inside, str) else inside)
    ]
    assert sorted(listed) == sorted(set(places) - {"leaderboard/s-details.md"})
    assert [next(iter(tab)) for tab in tabs][:2] == ["Home", "Boards"]
    assert dict(tabs[1])["Boards"][0] == "leaderboard/index.md"
