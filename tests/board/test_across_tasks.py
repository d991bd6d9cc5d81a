"""Rows over several tasks: verdicts that are counted, places with their interval, nothing for what was not run."""

from __future__ import annotations

import pytest
from scipy import stats

from benchbias.board.markdown.surroundings import SuiteTable, Surroundings
from benchbias.board.published.across import across
from benchbias.board.published.index_page import Published, index_page
from benchbias.board.scored import Scored
from support.made_records import record, wobble


def board(task, values, seeds=5):
    """Entries of a task whose rows have these values; the first is the control of the others."""
    first = next(iter(values))
    made = [
        record(
            name,
            seed,
            value + wobble(name, seed),
            task=task,
            baseline=None if name == first else first,
        )
        for name, value in values.items()
        for seed in range(seeds)
    ]
    return Scored.of(made, {}).entries


TASKS = {
    "one": {"erm": 0.5, "good": 0.8, "bad": 0.2},
    "two": {"erm": 0.5, "good": 0.7, "bad": 0.3},
    "three": {"erm": 0.5, "good": 0.3, "alone": 0.6},
}


def test_verdicts_are_counted_and_places_have_students_interval():
    rows = {row.words: row for row in across(board(task, values) for task, values in TASKS.items())}
    assert set(rows) == {"erm", "good"}, "a row of two tasks is no row over tasks"
    good = rows["good"]
    assert good.tasks == ("one", "two", "three")
    assert (good.of, dict(good.verdicts)) == (3, {"helps": 2, "harms": 1})
    low, high = stats.t.interval(0.95, 2, 1 / 3, stats.sem([0.0, 0.0, 1.0]))
    assert good.place.mean == pytest.approx(1 / 3)
    assert (good.place.mean - good.place.half_width, good.place.mean + good.place.half_width) == pytest.approx(
        (low, high)
    )
    assert not rows["erm"].verdicts


def test_the_order_is_that_of_places():
    rows = across(board(task, TASKS["one"]) for task in ("a", "b", "c"))
    assert [row.words for row in rows] == ["good", "erm", "bad"]


def test_the_index_lists_all_boards_and_counts_those_that_are_named():
    boards = [
        Published(task, f"Title of {task}", "2026-01-02", board(task, values), "worst_group_accuracy")
        for task, values in TASKS.items()
    ]
    pages = Surroundings(suites={name: SuiteTable(overall=True) for name in TASKS})
    text = index_page(boards, pages)
    assert "Rows that stand on at least 3 of 3 tasks (one, two, three)" in text
    assert "below 10 independent tasks" in text
    assert "| good     | none     | 3 of 3  | 2 " in text
    assert all(
        f"- [{task}]({task}.md): Title of {task}. 3 rows, seeds: 5, published 2026-01-02." in text for task in TASKS
    )
    assert "nothing to say across tasks" in index_page(boards, Surroundings())


def test_tasks_that_taught_nothing_are_counted_apart_and_have_no_place():
    taught = [board(task, {"erm": 0.5, "good": 0.8}) for task in ("a", "b")]
    low = board("c", {"erm": 0.01, "good": 0.012})
    (_, erm), (_, good) = sorted((row.words, row) for row in across([*taught, low]))
    assert dict(good.verdicts) == {"helps": 2, "not learnt": 1}
    assert (good.place.n, good.place.mean, erm.place.mean) == (2, 0.0, 1.0)
    lifted = board("c", {"erm": 0.01, "good": 0.5})
    assert dict(next(row for row in across([*taught, lifted]) if row.words == "good").verdicts) == {"helps": 3}
