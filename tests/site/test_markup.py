"""Pages as GitHub renders them: the same text as cmark-gfm's, anchors as on GitHub, nothing live from a name."""

from __future__ import annotations

import re

import cmarkgfm
import pytest
from cmarkgfm.cmark import Options
from hypothesis import given
from hypothesis import strategies as st

from benchbias.board.text import escaped, table_lines
from benchbias.site.markup import anchor_of, rendered
from support import ROOT
from support.html_pages import Parsed

PAGES = [
    *("README.md", "docs/audit.md", "docs/writing-plugins.md", "docs/reference.md", "docs/suites/prune-layers.md"),
    *("leaderboard/spurious-small.md", "leaderboard/claims.md", "CONTRIBUTING.md"),
]
HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</details></div></body>",
    "{: onclick=alert(1) } {.class #id}",
    "[x](javascript:alert(1))",
    "![x](https://example.com/x.png)",
    "<javascript:alert(1)>",
    "a | b || c",
    "`code` **b** ~~s~~ $x$ :smile: @someone #1",
    "&lt;b&gt; &amp; &#60;i&#62;",
    "\u202egnp.exe",
    "x" * 200,
    "--- ===",
    "1. 2) + -",
    "[^1] [TOC] !!! note ??? x",
    "\"quoted\" 'single' \\ backslash",
]


def same(address):
    return address


def none(address):
    return None


def words(text: str) -> list[str]:
    return Parsed.of(text).text.split()


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_the_text_and_the_structure_that_another_renderer_of_github_markdown_gives_it(page: str):
    text = (ROOT / page).read_text()
    ours, theirs = (
        Parsed.of(one)
        for one in (
            rendered(text, same, same).html,
            cmarkgfm.github_flavored_markdown_to_html(text, Options.CMARK_OPT_UNSAFE),
        )
    )
    assert ours.text.split() == theirs.text.split()
    kinds = ("h1", "h2", "h3", "table", "tr", "th", "td", "li", "pre", "a", "em", "strong", "code", "img", "blockquote")
    assert {kind: ours.tags.count(kind) for kind in kinds} == {kind: theirs.tags.count(kind) for kind in kinds}


@pytest.mark.parametrize("name", HOSTILE, ids=lambda text: ascii(text)[:24])
def test_a_name_is_text_in_a_table_a_heading_and_a_sentence(name: str):
    lines = [f"# {escaped(name)}", "", f"See {escaped(name)} here.", "", *table_lines([[escaped(name)]], ["name"])]
    page = rendered("\n".join(lines), same, same)
    found = Parsed.of(page.html)
    assert set(found.tags) <= {"h1", "p", "div", "table", "thead", "tbody", "tr", "th", "td"}
    assert {key for key, _ in found.attributes} <= {"id", "class", "role", "aria-label", "tabindex", "style"}
    assert {value for key, value in found.attributes if key == "style"} <= {"text-align:left"}
    shown = " ".join("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name).split())
    assert " ".join(found.text.split()).count(shown) == 3
    assert page.title == shown


@given(st.text(max_size=60))
def test_no_name_makes_a_tag_or_a_link(name: str):
    lines = ["# x", "", *table_lines([[escaped(name), "y"]], ["name", "other"])]
    found = Parsed.of(rendered("\n".join(lines), same, same).html)
    assert set(found.tags) <= {"h1", "div", "table", "thead", "tbody", "tr", "th", "td"}
    assert found.tags.count("td") == 2


@given(st.text(alphabet="<>/!-=\"' abdetilsmryscripong\n`*[](){}:&;#", max_size=80))
def test_no_text_at_all_makes_a_script_or_a_handler(text: str):
    found = Parsed.of(rendered(text, same, none).html)
    allowed = {"details", "summary", "br", "sub", "sup", "kbd", "p", "a", "span", "code", "pre", "em", "strong", "li"}
    allowed |= {"ul", "ol", "hr", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "div", "table", "s"}
    assert set(found.tags) <= allowed | {"thead", "tbody", "tr", "th", "td"}
    assert not [key for key, _ in found.attributes if key.startswith("on")]
    assert not [one for one in found.addresses if one.lower().startswith(("javascript", "vbscript", "data"))]


@pytest.mark.parametrize(
    "tag",
    [
        *("<script>x</script>", "<iframe src=x></iframe>", "<svg onload=x>", "<style>*{}</style>", "<form action=x>"),
        *("<details ontoggle=x>", "<summary onclick=x>", "<br onclick=x>", '<a href="javascript:x">', "<base href=x>"),
        *('<img src="a.png" alt="b" onerror="x">', "<kbd style=x>", "<DETAILS ONTOGGLE=x>", "<script >x</script >"),
        *(
            '<img src="javascript:x">',
            "</div>",
            "</article>",
            "<!--> <script>x</script> -->",
            "<meta http-equiv=refresh>",
        ),
    ],
)
@pytest.mark.parametrize("around", ["{}", "text {} text", "<details>\n{}\n</details>", "- {}", "| a |\n|---|\n| {} |"])
def test_html_of_a_page_is_text(tag: str, around: str):
    found = Parsed.of(rendered(around.format(tag), same, none).html)
    assert set(found.tags) <= {"p", "details", "ul", "li", "div", "table", "thead", "tbody", "tr", "th", "td"}
    assert {key for key, _ in found.attributes} <= {"class", "role", "aria-label", "tabindex"}


def test_folded_parts_stay_with_the_tables_in_them_and_comments_go():
    text = "<details>\n<summary>More &amp; more</summary>\n\n| a |\n|---|\n| **b** |\n\n</details>\n\nx<!-- y -->z\n"
    html = rendered(text, same, same).html
    assert re.search(
        r"<details>\s*<summary>More &amp; more</summary>.*<table.*<strong>b</strong>.*</details>", html, re.S
    )
    assert "xz" in html
    assert "&lt;iframe" in rendered("<iframe src='x'></iframe>", same, same).html


def test_a_link_without_a_target_is_its_text_and_a_picture_its_description():
    html = rendered("[a **b**](x.md) ![seen](y.png) [c](z.md)", {"z.md": "z.html"}.get, none).html
    assert html == '<p><span>a <strong>b</strong></span> seen <a href="z.html">c</a></p>\n'


def test_a_picture_of_the_page_has_its_width_and_no_other_attribute():
    text = '<img src="a.png" alt="An <b> &amp; c" width="300"> <img src="a.png" onerror="x">'
    html = rendered(text.replace("<b>", "&lt;b&gt;"), same, lambda address: f"../{address}").html
    assert '<img src="../a.png" alt="An &lt;b&gt; &amp; c" width="300">' in html
    assert "&lt;img src=&quot;a.png&quot; onerror" in html


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("What it measures", "what-it-measures"),
        ("`status --json`", "status---json"),
        ("A/A, and: more?", "aa-and-more"),
        ("Pruning 90 % (erm_ft)", "pruning-90--erm_ft"),
        ("Größe", "größe"),
    ],
)
def test_anchors_are_those_of_github(heading: str, anchor: str):
    page = rendered(f"# {heading}\n\n# {heading}\n", same, same)
    assert [one.anchor for one in page.headings] == [anchor, f"{anchor}-1"]
    assert anchor_of(heading.replace("`", "")) == anchor
    assert Parsed.of(page.html).anchors == {anchor, f"{anchor}-1"}
