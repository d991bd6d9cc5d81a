"""Marks beside a row: seeds that collapsed, the floor, the ceiling, a poor fit, a least of few examples."""

from __future__ import annotations

import pytest

from benchbias.board.markdown.details import details_page
from benchbias.board.marks import Marks, collapsed_seeds, floor_of, marks_of
from benchbias.board.row_trials import trials_of
from support.made_records import LAYOUTS, counted, four_methods, record

FITTED = {"train_conflicting_accuracy": 1.0}


def of(records, name, metric="accuracy"):
    rows = trials_of(records, LAYOUTS)
    return marks_of(next(row for row in rows if row.first["method"] == name), metric, rows)


@pytest.mark.parametrize(("value", "floor"), [(0.0, True), (0.049, True), (0.06, False), (0.5, False)])
def test_a_worst_group_within_five_points_of_zero_is_at_the_floor(value, floor):
    rows = [record("low", seed, value, **FITTED) for seed in range(3)]
    assert of(rows, "low", "worst_group_accuracy").floor == floor


@pytest.mark.parametrize(
    ("metric", "classes", "floor"),
    [
        *(("worst_group_accuracy", 10, 0.0), ("conflicting_accuracy", 10, 0.0), ("worst_class_accuracy", 2, 0.0)),
        *(("accuracy", 10, 0.1), ("mean_group_accuracy", 2, 0.5), ("accuracy", None, None), ("own_metric", 2, None)),
    ],
)
def test_the_floor_is_what_one_answer_or_the_shortcut_reaches(metric, classes, floor):
    assert floor_of(metric, classes) == floor


def test_the_ceiling_is_the_suites_and_not_its_own():
    made = [counted("top", seed, (0.9, 0.9), ranked=False, **FITTED) for seed in range(5)]
    made += [counted("near", seed, (0.92, 0.92), **FITTED) for seed in range(5)]
    made += [counted("far", seed, (0.9, 0.5), **FITTED) for seed in range(5)]
    assert [of(made, name).ceiling for name in ("top", "near", "far")] == [False, True, False]


def test_a_row_that_fits_too_little_shows_no_merit():
    for fit, unfitted in ((0.79, True), (0.8, False), (None, False)):
        rows = [record("one", seed, 0.6, train_conflicting_accuracy=fit) for seed in range(3)]
        marks = of(rows, "one")
        assert (marks.unfitted is not None, marks.shows_no_merit) == (unfitted, unfitted)


def test_seeds_that_collapsed_are_named_and_stand_beside_the_row_and_its_gaps():
    made = [counted("flip", seed, (0.5 if seed in (1, 4) else 0.95, 0.5), baseline="good") for seed in range(8)]
    rows = trials_of([*four_methods(), *made], LAYOUTS)
    flip = next(row for row in rows if row.first["method"] == "flip")
    assert collapsed_seeds(flip, rows) == (1, 4)
    against = four_methods(baseline="flip")
    text = details_page([*against, *made], LAYOUTS, "x")
    assert "collapsed in 2 of 8" in text
    assert "(to flip; 2 of its 8 seeds collapsed)" in text


def test_a_least_of_few_examples_is_marked_where_much_was_taken_off():
    found = of([counted("tied", seed, (0.55, 0.55), **FITTED) for seed in range(3)], "tied", "worst_group_accuracy")
    assert found.biased is None or found.biased >= 0.05
    assert Marks(0, 3, False, False, None, 0.12).words() == ["least raised by 12"]


def test_a_row_that_lets_be_what_has_no_deterministic_form_is_marked():
    rows = [record("loose", seed, 0.6, environment={"deterministic": seed != 1}, **FITTED) for seed in range(3)]
    assert of(rows, "loose").words() == ["not deterministic"]
    rows = [record("strict", seed, 0.6, environment={"deterministic": True}, **FITTED) for seed in range(3)]
    assert of(rows, "strict").words() == []


def test_a_row_without_marks_has_no_words():
    assert Marks(0, 5, False, False, None).words() == []
    assert Marks(2, 5, True, False, 0.03).words() == ["2 of 5 seeds collapsed", "at the floor", "fits 3 %"]
