"""The markdown of an audit: it fits a comment, its names mean themselves, and its tables say what the text says."""

from __future__ import annotations

import dataclasses
import re

import cmarkgfm
import pytest
from cmarkgfm.cmark import Options as Cmark

from benchbias.auditing.pages.choosing import chosen
from benchbias.auditing.pages.markdown import LIMIT, markdown, marker
from benchbias.errors import UsageError
from support import markdown as taken_apart
from support import sample_audits as samples

AUDITS = (samples.audit, samples.two_models, samples.passing, samples.nasty, samples.discovered)


def rendered(text: str) -> str:
    return cmarkgfm.github_flavored_markdown_to_html(text, options=Cmark.CMARK_OPT_UNSAFE)


def many(groups: int, models: int = 1):
    lines = tuple(samples.line(f"@a|b*{i} & <c>", 200, 4, 2, gated=False) for i in range(groups))
    model = samples.model("m", extra=lines)
    return samples.audit(*(dataclasses.replace(model, name=f"m{i}") for i in range(models)))


@pytest.mark.parametrize("make", AUDITS)
def test_the_first_line_is_hidden_and_the_second_is_the_verdict(make):
    audit = make()
    first, second, *_ = markdown(audit).splitlines()
    assert first == marker() == "<!-- benchbias audit: audit -->"
    assert second.startswith(f"### **{audit.verdict.upper()}**")


def test_each_key_has_a_line_of_its_own_that_nothing_can_end():
    assert marker("nightly-2") in markdown(samples.audit(), key="nightly-2")
    for key in ("", "a b", "a-->", "--", "a\nb", "\N{SNOWMAN}"):
        with pytest.raises(UsageError, match="key of a comment"):
            marker(key)


@pytest.mark.parametrize("make", AUDITS)
def test_tables_are_whole_and_names_mean_themselves(make):
    audit = make()
    text = markdown(audit)
    rows = taken_apart.tables(text)
    widths = {len(row) for row in rows}
    assert widths <= {10, 9, 7, 6}, "rows of groups have ten cells, of slices nine"
    for model in audit.models:
        for line in chosen(model).shown:
            name = "".join(
                c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(line.group.name.split())
            )
            assert [name, str(line.group.n)] in [row[:2] for row in rows]


def test_nothing_of_a_name_becomes_markup_or_a_mention():
    found = rendered(markdown(samples.nasty()))
    outside = re.sub(r"<!--.*?-->", "", found)
    assert "<script" not in outside.replace("&lt;script", "")
    assert "<em>x</em>" not in found
    assert "@me" not in found.replace("@<!-- -->me", "").replace("<code>", "\0").split("\0")[0]
    assert found.count("<details>") == found.count("</details>") == 2


def test_what_is_folded_is_rendered_as_a_table():
    found = rendered(markdown(samples.audit()))
    details = re.findall(r"<details>.*?</details>", found, re.DOTALL)
    assert "<summary>All 40 groups of <code>int8</code></summary>" in details[0]
    assert details[0].count("<tr>") == 41
    assert "<li>safe: the harm is shown" in details[1]


@pytest.mark.parametrize(("groups", "models"), [(50, 1), (2000, 1), (3000, 3), (100, 60), (0, 150)])
def test_it_fits_a_comment_and_says_what_does_not(groups: int, models: int):
    audit = many(groups, models)
    text = markdown(audit)
    assert len(text.encode()) <= LIMIT < 65_536
    assert text.count("<details>") == text.count("</details>")
    assert "How to read this" in text
    shown = len([row for row in taken_apart.tables(text.split("<details>")[1]) if len(row) == 10]) - 1
    if groups == 2000:
        left = int(re.search(r"\*(\d+) groups are not shown .*did not fit in this comment", text)[1])
        assert shown + left == len(audit.models[0].lines)
    if models > 50:
        assert "models did not fit in this comment" in text


def test_a_limit_of_ones_own_is_kept():
    for limit in (4000, 8000, 20000):
        assert len(markdown(samples.two_models(), limit=limit).encode()) <= limit


def test_what_changed_is_told_on_top():
    text = markdown(samples.audit(), changed=["The margin was raised from 3 to 5 points.", "*x*"], code=5)
    assert text.index("The margin was raised") < text.index("Overall")
    assert "\\*x\\*" in text
    assert "Exit code 5." in text
    assert "Changed since" not in markdown(samples.audit())


def test_slices_are_told_apart_from_groups():
    text = markdown(samples.discovered())
    assert "Looked for in 3000 examples, tested on 3000 others, by **age**, **camera**, **sex\\|**." in text
    rows = [row for row in taken_apart.tables(text) if len(row) == 9]
    assert rows[1][:6] == ["int8", "age > 61.5 and sex is |male|", "harmed", "410", "40", "4"]
    assert rows[2][2] == "not shown"
    assert "Slices that were looked for" not in markdown(samples.audit())


def test_long_names_are_cut():
    long = dataclasses.replace(samples.passing(), dense="x" * 100_000)
    assert len(markdown(long)) < 10_000
