"""A board on a terminal: no line is wider than it, no number is cut, and every row is there at every width."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from benchbias.board.entries import entries_of
from benchbias.board.exports.reader import cells_of, control_words, usual_seeds
from benchbias.board.exports.terminal import chosen_text, needed, terminal_text
from benchbias.board.standings import board_of
from benchbias.records.trial import sorted_records
from support.made_records import LAYOUTS, counted, four_methods, record

WIDTHS = (20, 34, 45, 60, 80, 100, 160)


def made(records):
    ordered = sorted_records(records)
    return entries_of(board_of(ordered, LAYOUTS)), ordered[0].body["suite"]


@pytest.fixture(scope="module")
def usual():
    return made(four_methods(baseline="plain"))


def words_of(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("width", WIDTHS)
def test_every_row_its_gap_and_its_verdict_are_there_and_fit(usual, width: int):
    entries, suite = usual
    text = terminal_text(entries, suite, width)
    assert max(map(cell_len, text.split("\n"))) <= width
    found = words_of(text)
    for entry in entries:
        cells = cells_of(entry, suite["rank_by"], usual_seeds(entries), control_words(entries))
        assert words_of(cells.method) in found
        if width >= 45:  # below it the words of a line of text wrap
            assert cells.gap in text
            assert cells.short in text or width < 60
        for part in re.findall(r"\d+\.\d", cells.gap):
            assert part in text, "a number was cut"
    assert {entry.verdict for entry in entries if entry.verdict} <= {
        verdict for verdict in ("helps", "harms", "no difference", "undecided") if words_of(verdict) in found
    }


def test_a_wide_terminal_has_the_whole_table_and_sections_by_labels(usual):
    entries, suite = usual
    lines = terminal_text(entries, suite, 120).split("\n")
    head = next(line for line in lines if line.startswith("rank"))
    assert re.split(r"\s{2,}", head) == ["rank", "method", "worst group, %", "against control", "verdict"]
    assert "Labels used: none" in lines
    assert "Controls and ceilings, not ranked" in lines
    assert "8 seeds a row, where a row does not say another number." in lines


def test_tracks_stand_in_their_order():
    parts = {"train": "b-train", "val-fit": "a-validation", "labels-none": "c-none"}
    records = [record(name, seed, 0.5, track=track) for track, name in parts.items() for seed in range(3)]
    text = terminal_text(*made(records), 100)
    places = [text.index(f"Labels used: {name}") for name in ("none", "validation", "training")]
    assert places == sorted(places)


def test_no_rank_stands_in_a_table_where_nothing_is_ranked():
    text = terminal_text(*made([record("plain", 0, 0.5), record("cut", 0, 0.6)]), 100)
    assert "rank" not in text.replace("ranked", "")
    assert "1 seed a row" in text


def test_a_limited_run_says_so():
    text = terminal_text(*made(record("plain", s, 0.5, suite={"limit": 40}, ranked=False) for s in range(3)), 100)
    assert "LIMITED RUN (--limit 40)" in text
    assert "\nNot ranked\n" in text


def test_collapsed_seeds_are_told_where_the_row_stands():
    parts = {"plain": (0.9, 0.5), "broken": (0.2, 0.2)}
    records = [counted(name, seed, shares) for name, shares in parts.items() for seed in range(3)]
    assert "3 of 3 seeds collapsed" in terminal_text(*made(records), 100)


@settings(max_examples=25, deadline=None)
@given(st.text(min_size=1, max_size=60), st.integers(12, 140))
def test_whatever_a_name_is_no_line_is_too_wide_and_nothing_but_text_comes(name: str, width: int):
    records = [record(name, seed, 0.5, task=name, suite={"title": name, "version": name}) for seed in range(3)]
    text = terminal_text(*made(records), width)
    assert all(c.isprintable() or c == "\n" for c in text)
    assert max(map(cell_len, text.split("\n"))) <= width


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.text(max_size=30), min_size=2, max_size=2), max_size=4), st.integers(3, 80))
def test_chosen_columns_fit(rows: list[list[str]], width: int):
    printable = [["".join(c for c in cell if c.isprintable()) for cell in row] for row in rows]
    text = chosen_text(["a", "b"], printable, width)
    assert max(map(cell_len, text.split("\n"))) <= width


def test_the_width_that_is_needed_counts_wide_characters():
    assert needed([("x", "left", ["\u4f60\u597d"])]) == 4
