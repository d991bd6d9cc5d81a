"""Any audit can be told on every page: whatever its names are, however small its groups, with and without labels."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbias.auditing import assembling
from benchbias.auditing.assembling import audit_answers
from benchbias.auditing.pages.changes import changes
from benchbias.auditing.pages.document import dumps, loads
from benchbias.auditing.pages.flips import flips_table
from benchbias.auditing.pages.gallery import gathered
from benchbias.auditing.pages.html import html
from benchbias.auditing.pages.markdown import LIMIT, markdown
from benchbias.auditing.pages.text import text
from benchbias.auditing.values import Answers, Column, Options

NAME = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
NAMES = st.lists(NAME, min_size=3, max_size=3, unique=True).filter(
    lambda names: not {"(missing)", "(other)"} & set(names)
)


@pytest.fixture(scope="module", autouse=True)
def quick_power():
    """The power of each group takes most of an audit's time, and says nothing of pages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assembling.Planner, "needed", lambda *_: 400)
        patch.setattr(assembling, "detectable", lambda *_: 0.1)
        yield


@st.composite
def audits(draw):
    """Answers of up to three models to a few examples, with an attribute, and their audit."""
    size = draw(st.integers(1, 60))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    classes, values, models = tuple(sorted(draw(NAMES))), tuple(sorted(draw(NAMES))), draw(NAMES)
    label, dense = random.integers(0, 3, size), random.integers(0, 3, size)
    share = draw(st.sampled_from([0.0, 0.1, 1.0]))
    compressed = {
        name: np.where(random.random(size) < share, random.integers(0, 3, size), dense)
        for name in models[: draw(st.integers(1, 3))]
    }
    if draw(st.booleans()):  # labels only where an answer changed
        same = np.all([codes == dense for codes in compressed.values()], axis=0)
        label = np.where(same, -1, label)
    answers = Answers(
        classes, label, dense, compressed, {draw(NAME) + "_": Column(random.integers(-1, 3, size), values)},
        cluster=random.integers(0, 20, size) if draw(st.booleans()) else None,
        ids=tuple(draw(NAME) + str(at) for at in range(size)) if draw(st.booleans()) else None,
        dense_name=draw(NAME),
    )  # fmt: skip
    options = Options(margin=draw(st.sampled_from([0.02, 0.03, 0.5])), depth=draw(st.integers(1, 2)))
    return answers, audit_answers(answers, options)


@settings(max_examples=10, deadline=None)
@given(audits(), st.sampled_from([40, 60, 100, 200]))
def test_any_audit_can_be_told(made, width: int):
    answers, audit = made
    shown = text(audit, width=width, all_groups=True)
    assert shown.startswith(audit.verdict.upper())
    assert all(line.isprintable() for line in shown.split("\n"))
    assert loads(dumps(audit)).verdict == audit.verdict
    assert dumps(loads(dumps(audit))) == dumps(audit)
    assert changes(audit, audit) == []
    assert len(markdown(audit).encode()) <= LIMIT
    page = HTMLParser()
    page.feed(html(audit, gathered(answers, audit)))
    page.close()
    rows = list(csv.reader(io.StringIO(flips_table(answers, audit), newline="")))
    changed = np.any([codes != answers.dense for codes in answers.compressed.values()], axis=0)
    assert len(rows) == 1 + changed.sum()
    assert len({len(row) for row in rows}) == 1
    if audit.verdict == "undecided":
        assert changes(audit, replace(audit, models=audit.models[:1], n=0, test_set="other"))
