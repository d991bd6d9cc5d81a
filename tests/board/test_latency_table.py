"""Milliseconds and bytes on the page of details: only where somebody measured, and nothing else moves."""

from __future__ import annotations

import re

from benchbias.board.markdown.details import details_of
from benchbias.board.markdown.latency_table import latency_page, latency_section
from benchbias.board.published.files import board_files
from benchbias.board.scored import Scored
from benchbias.records.latency import Latency
from support.made_latency import document, latency, network, row
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


def test_a_gain_is_bold_and_an_open_ratio_is_not_called_none():
    slim = row(FIRST[1], units=True, slimmed=network("slimmed", 0.5, parameters=250, gain=True))
    found = latency(FIRST, [row(FIRST[0]), slim])
    by = {(cells[0], cells[1]): cells for cells in tables(latency_page(found))[1:]}
    assert by["the dense network", "dense"][-2:] == ["–", "–"]
    assert all(cell.startswith("not shown: 1.00 (0.90–1.10)") for cell in by["plain", "as finished"][-2:])
    assert by["masked", "slimmed"][2:5] == ["250", "125", "1,000"]
    assert "**0.50 (0.45–0.55)**" in latency_page(found)
    assert latency_page(found).count("not shown:") == 4
    assert "no gain:" not in latency_page(found)
    assert by["plain", "as finished"][5] == "2 (1.8–2.2)"


def test_a_busy_machine_and_what_was_left_out_are_said():
    kept = row(FIRST[0], left=["fc1: 2 removed units stay as zeros: a sum"], note="no torch-pruning | here")
    gone = [{"task": "toy", "row": "broken", "reason": "no seed of it was done"}]
    text = latency_page(latency(FIRST, [kept], busy="a run used the results folder", left_out=gone))
    assert (
        "**The machine was busy**: a run used the results folder. These times are too long, and no gain is claimed"
        in text
    )
    task = re.escape(FIRST[0].body["task"]).replace("_", r"\\\\?_")
    assert re.search(rf"- {task}, plain: 1 layer keeps removed units as zeros, e.g. fc1: 2 removed units stay", text)
    assert re.search(rf"- {task}, plain: not slimmed: no torch-pruning \\\| here\.", text)
    assert "- toy, broken: no network was timed on 2026-01-31: no seed of it was done." in text


def test_on_a_busy_machine_nothing_is_claimed():
    slim = row(FIRST[1], units=True, slimmed=network("slimmed", 0.5, gain=True))
    text = latency_page(latency(FIRST, [slim], busy="a run used the results folder"))
    assert "not shown: 0.50 (0.45–0.55)" in text
    assert "**0.50" not in text


def test_where_the_whole_interval_shows_none_it_is_said():
    slow = network("finished")
    for timing in slow["timings"]:
        timing["ratio"] = {"median": 1.3, "lower": 1.2, "upper": 1.4}
    assert "no gain: 1.30 (1.20–1.40)" in latency_page(latency(FIRST, [row(FIRST[0], finished=slow)]))


def test_columns_are_those_of_batches_in_whatever_order_they_were_written():
    turned = network("finished")
    turned["timings"][0]["milliseconds"] = {"median": 0.5, "lower": 0.4, "upper": 0.6}
    turned["timings"].reverse()
    text = latency_page(latency(FIRST, [row(FIRST[0], finished=turned)]))
    (cells,) = [cells for cells in tables(text)[1:] if cells[0] == "plain"]
    assert cells[5] == "0.5 (0.4–0.6)"


def test_rows_that_are_left_out_for_one_reason_share_a_line():
    gone = [{"task": "toy", "row": f"row-{number}", "reason": "no seed of it was done"} for number in range(40)]
    lines = [line for line in latency_page(latency(FIRST, left_out=gone)).splitlines() if "no network" in line]
    assert len(lines) == 1
    assert "toy, row-0; " in lines[0]
    assert "and 34 more: no network was timed" in lines[0]


def test_an_older_table_says_how_it_was_measured():
    machine = {name: name for name in ("cpu", "system", "torch", "benchbias")}
    earlier = {"machine": machine | {"cpu": "old cpu", "device": "cpu", "threads": 1, "date": "2025-12-30"}}
    found = document(FIRST)
    found["architectures"][0]["earlier"] = earlier | {"repeats": 9, "busy": "a run"}
    text = latency_page(Latency.model_validate(found))
    assert "older than others: measured on 2025-12-30 on old cpu, one thread" in text
    assert "in 9 rounds" in text
    assert text.count("**The machine was busy**") == 1
