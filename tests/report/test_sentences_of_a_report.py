"""The sentences of a report: signs as charts have them, and the reason where nothing is ranked."""

from __future__ import annotations

import re

import pytest

from benchbias.report.gathering.sentences import apart, gather_sentences, signed
from benchbias.report.gathering.source import Source
from support.made_records import LAYOUTS
from support.made_reports import records_of


@pytest.mark.parametrize(
    ("board", "report"),
    [
        ("a gap of -9.4 ± 4.7 points, -24.9 at 90 %", "a gap of −9.4 ± 4.7 points, −24.9 at 90 %"),
        ("-0.0 ± 1.2 (-0.1 to +0.0)", "0.0 ± 1.2 (−0.1 to 0.0)"),
        ("rank 2–4, erm-3 and 1e-5", "rank 2–4, erm-3 and 1e-5"),
        (f"{apart('x -0.0 -5')} is -0.5", f"{apart('x -0.0 -5')} is −0.5"),
    ],
)
def test_a_minus_is_one_sign_a_rounded_zero_has_none_and_names_stay(board: str, report: str):
    assert signed(board) == report


def test_a_task_without_ranks_says_why_and_of_what_its_intervals_are():
    one = gather_sentences(Source("probe", records_of(seeds=1), LAYOUTS))["toy"]
    assert len(one) == 1
    assert "Nothing is ranked: it takes two rows with 3 common seeds" in one[0]
    assert "of the test examples alone" in one[0]
    limited = gather_sentences(Source("probe", records_of(seeds=1, suite={"limit": 9}), LAYOUTS))
    assert limited["toy"] == []


def test_a_task_with_ranks_says_none_of_that_and_has_no_hyphen_for_a_minus():
    found = " ".join(gather_sentences(Source("probe", records_of(seeds=3), LAYOUTS))["toy"])
    assert "has the highest mean" in found
    assert "−" in found
    assert "Nothing is ranked" not in found
    assert not re.search(r"(?<![\w.])-\d", found)
