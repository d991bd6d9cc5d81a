"""The page of a report as text: its data mean themselves, its scripts are the ones that were vendored."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from importlib.resources import files

import pytest

from benchbias.report.page import html
from support import SUPPORT

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    "]]> & &lt; \" ' ` \\ \\u003c",
    "javascript:alert(1)",
    "\u202eevil\u202c",
    "line\u2028separator\u2029\n\r\t\x00",
    "x" * 200,
    "**bold** [a](b)",
)


def document_in(page: str) -> object:
    """The document of a page, cut out as a browser does: to the first end of a script."""
    return json.loads(page.split('<script type="application/json" id="document">')[1].split("</script")[0])


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_stays_inside_of_the_data(text: str):
    document = {"suites": [{"head": {"title": text, text: [text]}}]}
    page = html.page(document, title=text)
    assert document_in(page) == document
    scripts = len(re.findall("<script", page))
    assert scripts == len(re.findall("<script", html.page({"suites": []}))), "a name opened an element of its own"
    assert page.split("<title>")[1].split("</title>")[0].count("<") == 0


def test_a_number_that_json_lacks_is_refused():
    with pytest.raises(ValueError):
        html.page({"suites": [float("nan")]})


def test_the_policy_allows_the_scripts_of_the_page_and_no_other_and_no_request():
    page = html.page({"suites": []})
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    hashes = {base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts}
    assert len(scripts) == len(html.SCRIPTS)
    assert set(re.findall(r"'sha256-([^']*)'", policy)) == hashes
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]


@pytest.mark.parametrize(
    "folder", [files("benchbias.report.page") / "vendor", SUPPORT / "vendor"], ids=["page", "tests"]
)
def test_vendored_libraries_are_the_ones_that_were_published_with_their_licences(folder):
    known = json.loads(folder.joinpath("vendor.json").read_text())
    for one in known:
        content = folder.joinpath(one["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == one["sha256"], one["file"]
        assert one["version"].encode() in content[:200]
        title = {"ISC": "Permission to use, copy", "MPL-2.0": "Mozilla Public License, version 2.0"}[one["licence"]]
        assert title in folder.joinpath(one["licence_file"]).read_text()
    scripts = {one.name for one in folder.iterdir() if one.name.endswith(".js")}
    assert scripts == {one["file"] for one in known}, "a script in the folder that vendor.json does not tell of"


def test_every_script_and_style_in_the_folder_is_on_the_page():
    folder = files("benchbias.report.page")
    there = {one.name for one in folder.iterdir() if one.name.endswith((".js", ".css"))}
    there |= {f"vendor/{one.name}" for one in folder.joinpath("vendor").iterdir() if one.name.endswith(".js")}
    assert there == {*html.SCRIPTS, *html.STYLES}
