"""Milliseconds and bytes on the page of details: only where somebody measured, and nothing else moves."""

from __future__ import annotations

import re

from benchbias.board.markdown.details import details_of
from benchbias.board.markdown.latency_table import NO_GAIN, latency_page, latency_section
from benchbias.board.published.files import board_files
from benchbias.board.scored import Scored
from support.made_latency import latency, network, row
from support.made_records import record
from support.markdown import tables

KEY, OLDER = "a" * 64, "b" * 64
RECORDS = [record(name, seed, stages=[KEY]) for name in ("plain", "masked") for seed in range(3)]
SCORED = Scored.of(RECORDS, {})
FIRST = [one for one in RECORDS if one.body["seed"] == 0]
STAGES = {one.id: one.body["stages"] for one in FIRST}


def test_a_page_without_measurements_is_the_page_that_it_was():
    assert details_of(SCORED, "run", None) == details_of(SCORED, "run")
    assert "illiseconds" not in details_of(SCORED, "run")
    assert latency_section(None, {}) == []


def test_what_is_measured_adds_its_section_and_changes_nothing_else():
    plain, measured = board_files("probe", SCORED, "run"), board_files("probe", SCORED, "run", latency(FIRST))
    assert plain["probe.md"] == measured["probe.md"], "the board itself, its ranks and verdicts"
    section = "\n".join(latency_section(latency(FIRST), STAGES)) + "\n"
    whole = measured["details/probe.md"]
    assert whole.count(section) == 1
    assert whole.replace(section, "") == plain["details/probe.md"]


def test_rows_of_trials_that_are_not_on_the_page_are_left_out():
    other = record("another", 0, stages=[KEY])
    section = latency_section(latency([*FIRST, other]), STAGES)
    assert "another" not in "\n".join(section)
    assert "plain" in "\n".join(section)
    assert latency_section(latency([other]), STAGES) == []


def test_a_network_that_was_trained_anew_since_is_left_out():
    """Its id is the same, its stages are not."""
    older = row(FIRST[0], product=OLDER)
    section = latency_section(latency(FIRST, [older, row(FIRST[1])]), STAGES)
    assert "masked" in "\n".join(section)
    assert "plain" not in "\n".join(section)


def test_a_gain_is_bold_and_everything_else_is_none():
    slim = row(FIRST[1], units=True, slimmed=network("slimmed", 0.5, parameters=250, gain=True))
    found = latency(FIRST, [row(FIRST[0]), slim])
    by = {(cells[0], cells[1]): cells for cells in tables(latency_page(found))[1:]}
    assert by["the dense network", "dense"][-2:] == ["–", "–"]
    assert all(cell.startswith(f"{NO_GAIN}: 1.00 (0.90–1.10)") for cell in by["plain", "as finished"][-2:])
    assert by["masked", "slimmed"][2:5] == ["250", "125", "1,000"]
    assert "**0.50 (0.45–0.55)**" in latency_page(found)
    assert latency_page(found).count(f"{NO_GAIN}:") == 4
    assert by["plain", "as finished"][5] == "2 (1.8–2.2)"


def test_a_busy_machine_and_what_was_left_out_are_said():
    kept = row(FIRST[0], left=["fc1: 2 removed units stay as zeros: a sum"], note="no torch-pruning | here")
    gone = [{"task": "toy", "row": "broken", "reason": "no seed of it is done"}]
    text = latency_page(latency(FIRST, [kept], busy="a run used the results folder", left_out=gone))
    assert "**The machine was busy**: a run used the results folder. These times are too long." in text
    assert "- plain: 1 layer keeps removed units as zeros, e.g. fc1: 2 removed units stay as zeros: a sum." in text
    assert re.search(r"- plain is not slimmed: no torch-pruning \\\| here\.", text)
    assert "- toy, broken: no network: no seed of it is done." in text
