"""The page of an audit: whole HTML that loads nothing, says the verdict, draws its numbers; no name is markup."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser

import pytest

from benchbias.auditing.pages.chart import chart, scale_of
from benchbias.auditing.pages.gallery import Album, Lost
from benchbias.auditing.pages.html import html
from benchbias.auditing.pages.meaning import meaning, not_said
from benchbias.auditing.values import Options
from support import sample_audits as samples

AUDITS = (samples.audit, samples.two_models, samples.passing, samples.nasty, samples.discovered)
VOID = {"meta", "br", "img"}
SELF_CLOSED = {"path"}


class Page(HTMLParser):
    """The tags of a page; an end without its start is a fault."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs), f"an attribute of {tag} stands twice"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        assert tag in SELF_CLOSED
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.text.append(data)

    def said(self) -> str:
        return " ".join("".join(self.text).split())


@pytest.mark.parametrize("make", AUDITS)
def test_a_page_is_whole_and_loads_nothing(make):
    page = Page(html(make(), [Album("int8", "<b>", (Lost("1", "<i>", "c", "data:image/jpeg;base64,AA=="),), 1)]))
    names = {tag for tag, _ in page.tags}
    assert {"html", "head", "title", "body", "svg", "table", "style"} <= names
    assert not names & {"link", "iframe", "object", "embed", "base", "form"}
    for tag, attributes in page.tags:
        assert "src" not in attributes or attributes["src"].startswith("data:image/"), tag
        assert not {"href", "srcset", "action"} & set(attributes)
        assert not [key for key in attributes if key.startswith("on")]
    assert sum(tag == "script" for tag, _ in page.tags) == 1, "our own, and none of a name"
    policy = next(a["content"] for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")


@pytest.mark.parametrize("make", AUDITS)
def test_a_page_says_the_verdict_and_every_group(make):
    audit = make()
    page = Page(html(audit))
    said = page.said()
    for model in audit.models:
        for line in model.lines:
            name = " ".join("".join(c if c.isprintable() else " " for c in line.group.name).split())
            assert name in said
    banner = next(attributes for tag, attributes in page.tags if tag == "header")
    assert banner["class"] == f"banner {audit.verdict}"
    rows = sum(tag == "tr" for tag, _ in page.tags)
    heads = sum(tag == "thead" for tag, _ in page.tags)
    offers = 0 if make is samples.passing else len(audit.models) + 1
    offers += len(audit.discovery.slices) if audit.discovery else 0
    assert rows == sum(len(model.lines) for model in audit.models) + heads + offers


def test_every_row_of_a_table_has_as_many_cells_as_its_head():
    scored = tuple(
        dataclasses.replace(line, confidence=0.01 if at % 2 else None)
        for at, line in enumerate(samples.audit().models[0].lines)
    )
    unlabelled = tuple(dataclasses.replace(line, dense_right=None, compressed_right=None) for line in scored)
    for lines in (scored, unlabelled):
        text = html(samples.audit(dataclasses.replace(samples.audit().models[0], lines=lines)))
        for table in re.findall(r"<table.*?</table>", text, re.DOTALL):
            widths = {len(re.findall(r"<t[hd][ >]", row)) for row in re.findall(r"<tr>.*?</tr>", table)}
            assert len(widths) == 1
    assert "% right" not in text, "what is not known without labels has no column"


def test_a_page_of_very_many_groups_can_be_opened():
    lines = tuple(samples.line(f"x{at}", 500, 1, 1, gated=False) for at in range(6000))
    text = html(samples.audit(samples.model("int8", extra=lines)))
    assert "Table of the first 2001 groups" in text
    assert "the JSON has them all" in text
    assert len(text) < 3_000_000
    assert "Table of all 40 groups" in html(samples.audit())


def test_the_drawing_has_the_places_of_the_numbers():
    lines = [samples.line("a", 500, 30, 5), samples.line("b", 4000, 4, 9)]
    scale, text = scale_of(lines, 0.03), chart(lines, 0.03)
    for line in lines:
        assert f'd="M{scale.at(line.harm):.2f} 5h0.001"' in text
        assert f'd="M{scale.at(line.lower):.2f} 5H{scale.at(line.upper):.2f}"' in text
    assert text.count(f'class="margin" d="M{scale.at(0.03):.2f} 0V10"') == 2
    assert 0 < scale.at(0) < scale.at(0.03) < 100
    assert [scale.at(v) for v in (scale.low, scale.high, -9, 9)] == [0, 100, 0, 100]


@pytest.mark.parametrize(
    ("lost", "gained", "n"), [(0, 0, 1), (1, 0, 1), (0, 1, 1), (0, 0, 5), (3, 3, 6), (900, 0, 1000)]
)
@pytest.mark.parametrize("margin", [0.001, 0.03, 0.5])
def test_any_group_can_be_drawn(lost: int, gained: int, n: int, margin: float):
    line = samples.line("x", n, lost, gained, margin=margin)
    scale = scale_of([line], margin)
    assert scale.low <= min(0, line.harm)
    assert scale.high >= max(margin, line.harm)
    assert 2 <= len(scale.ticks) <= 12
    Page(chart([line], margin))


def test_a_bound_beyond_the_drawing_ends_in_an_arrow():
    lines = [samples.line("big", 5000, 9, 8), samples.line("tiny", 4, 2, 2)]
    assert chart(lines, 0.03).count('class="arrow"') == 2
    assert chart(lines[:1], 0.03).count('class="arrow"') == 0


def joined(sentences) -> str:
    return "".join("".join(sentence) for sentence in sentences)


def test_the_meaning_says_what_the_verdict_rests_on():
    harmed = samples.audit()
    said = joined(meaning(harmed, harmed.models[0]))
    assert "int8 is right on 77.1 of 100 examples, where dense is right on 88.0" in said
    assert "of 507 examples, 64 right answers were lost and 9 gained." in said
    assert "at most 5 times in 100" in said
    assert "more than your margin of 3 points" in said
    assert "if no group really lost, an audit would say so of any of them" in said
    whole = samples.line("all", 1000, 90, 2)
    said = joined(meaning(harmed, dataclasses.replace(harmed.models[0], lines=(whole,))))
    assert said.startswith("Over all examples, int8 is right on 79.2 of 100 examples")
    passing = samples.passing()
    assert "all of the 2 groups that a pass needs, the harm was shown to be below 3 points" in joined(
        meaning(passing, passing.models[0])
    )
    gate = samples.line("sex=other", 400, 14, 4, parts=(("sex", "other"),))
    lines = (passing.models[0].lines[0], gate)
    undecided = samples.audit(dataclasses.replace(passing.models[0], verdict="undecided", lines=lines))
    said = joined(meaning(undecided, undecided.models[0]))
    assert (
        "No group was shown to lose, but that is no pass: 1 group could not be shown to lose less than 3 points."
        in said
    )
    assert f"The group sex=other has 400 examples and would need about {gate.needs}." in said


def test_the_meaning_follows_the_settings():
    audit = dataclasses.replace(samples.audit(), options=Options(margin=0.01, level=0.01))
    assert "at most 1 times in 100" in joined(meaning(audit, audit.models[0]))
    passing = dataclasses.replace(samples.passing(), options=Options(margin=0.02, level=0.1))
    said = joined(meaning(passing, passing.models[0]))
    assert "really lost 2 points or more, an audit would pass at most 10 times in 100" in said
    assert "one pair of models" in joined(not_said(audit))
    assert "one pair of models" not in joined(not_said(dataclasses.replace(audit, pairs=3)))


@pytest.mark.parametrize(("pairs", "alone"), [(1, False), (2, True), (3, False)])
def test_few_training_runs_are_said_to_speak_of_no_others(pairs: int, alone: bool):
    passing = dataclasses.replace(samples.passing(), pairs=pairs)
    lines = tuple(dataclasses.replace(line, verdict="undecided") for line in passing.models[0].lines)
    undecided = samples.audit(dataclasses.replace(passing.models[0], verdict="undecided", lines=lines), pairs=pairs)
    for audit in (passing, undecided, dataclasses.replace(samples.audit(), pairs=pairs)):
        assert ("of the test examples alone" in joined(meaning(audit, audit.models[0]))) == alone
        assert ("Another training run" in joined(not_said(audit))) == (pairs < 3)
    assert "these are 2 pairs of models" in joined(not_said(dataclasses.replace(passing, pairs=2)))
    more = joined(meaning(undecided, undecided.models[0]))
    assert ("More training runs" in more) == (pairs > 1)


def test_the_meaning_says_something_sensible_where_no_number_of_examples_is_known():
    passing = samples.passing()
    gate = dataclasses.replace(samples.line("sex=other", 400, 14, 4, parts=(("sex", "other"),)), needs=None, lower=0.01)
    model = dataclasses.replace(passing.models[0], verdict="undecided", lines=(passing.models[0].lines[0], gate))
    said = joined(meaning(samples.audit(model), model))
    assert "None" not in said
    assert "Their bounds are near the margin or above it" in said
    assert "1 group loses if looked at alone, but not after allowing for all groups." in said


def test_what_changed_the_code_and_the_file_of_flips_are_told():
    said = Page(html(samples.audit(), code=5, changed=["The <margin> was raised."], flips="f<.csv")).said()
    assert "Exit code 5." in said
    assert "The <margin> was raised." in said
    assert "Listed in f<.csv." in said


def test_slices_are_told_apart_from_groups():
    said = Page(html(samples.discovered())).said()
    assert "Looked for in 3000 examples, tested on 3000 others, by age, camera, sex|. Slices decide no verdict." in said
    assert "age > 61.5 and sex is |male|" in said
    nothing = dataclasses.replace(samples.discovered().discovery, slices=())
    assert "No slice lost more" in html(dataclasses.replace(samples.audit(), discovery=nothing))


def test_an_album_shows_pictures_or_ids():
    lost = (Lost("a.png", "cat", "dog", "data:image/jpeg;base64,AA=="), Lost("b<.png", "cat", "dog", None))
    text = html(samples.audit(), [Album("int8", "male & blond", lost, 64)])
    assert Page(text).said().count("64 lost examples, 2 shown here") == 1
    assert text.count("<img ") == 1
    assert "answer of the dense model \N{RIGHTWARDS ARROW} answer of the compressed one" in Page(text).said()
    assert "--flips FILE lists every lost example" in Page(text).said()
    listed = html(samples.audit(), [Album("int8", "male & blond", lost, 64)], flips="f.csv")
    assert "f.csv lists every lost example" in Page(listed).said()
    assert "b&lt;.png" in text
    assert "64 lost examples" not in html(samples.audit(), [Album("other", "x", lost, 64)])
