"""Boards of several tasks together: how often a row helps or harms, and its mean place. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchbias.board.entries import Entry
from benchbias.board.words import SECTIONS
from benchbias.statistics.estimates import FEWEST_SEEDS, Estimate, estimate

FEWEST_TASKS = 3  # that a row stands on to be told of over tasks
NOT_LEARNT = "not learnt"
HEADLINE_TASKS = 10  # independent tasks from which on a number over tasks may stand alone


@dataclass(frozen=True)
class Across:
    """One row over tasks: a method at one setting, within one use of group labels.

    tasks: those on which it was run, of `of` in all. verdicts: how often each was reached against its control;
    NOT_LEARNT in place of a verdict where a side collapsed, or the floor is all that there is.
    place: the mean over tasks of its place within its table, 0 the first and 1 the last, with an interval over tasks.
    A table whose rows all stand at the floor has no places.
    """

    words: str
    section: str
    tasks: tuple[str, ...]
    of: int
    verdicts: Mapping[str, int]
    place: Estimate | None


def across(boards: Iterable[Sequence[Entry]]) -> list[Across]:
    """All rows that stand on at least three tasks, the best mean place first. boards: the entries of each board."""
    found: dict[tuple[str, str], dict[str, Entry]] = {}
    places: dict[tuple[str, str], dict[str, float]] = {}
    tasks: dict[str, None] = {}
    for entries in boards:
        for entry in entries:
            tasks[entry.row.task] = None
            if entry.section in SECTIONS:
                key = (entry.section, entry.words)
                found.setdefault(key, {})[entry.row.task] = entry
                place = _place(entry, entries)
                if place is not None:
                    places.setdefault(key, {})[entry.row.task] = place
    rows = [
        Across(words, section, tuple(members), len(tasks), _counted(members), _mean(places.get((section, words), {})))
        for (section, words), members in found.items()
        if len(members) >= FEWEST_TASKS
    ]
    return sorted(rows, key=lambda row: (SECTIONS.index(row.section), row.place.mean if row.place else 2.0, row.words))


def _place(entry: Entry, entries: Sequence[Entry]) -> float | None:
    """The place of a row within its table, 0 the first and 1 the last: the middle of its ranks."""
    if entry.rank is None:
        return None
    row = entry.row
    table = [one for one in entries if one.rank is not None and (one.row.task, one.row.track) == (row.task, row.track)]
    if len(table) < 2 or all(one.row.marks.floor for one in table):
        return None
    return (sum(entry.rank) / 2 - 1) / (len(table) - 1)


def _counted(members: Mapping[str, Entry]) -> Counter[str]:
    judged = (entry for entry in members.values() if entry.verdict is not None)
    return Counter(NOT_LEARNT if _untaught(entry) else str(entry.verdict) for entry in judged)


def _untaught(entry: Entry) -> bool:
    """Whether a difference says little: a side has collapsed, or stands at the floor and nothing else is resolved."""
    sides = [entry.row.marks, *([entry.row.baseline_marks] if entry.row.baseline_marks is not None else [])]
    low = [marks.floor for marks in sides]
    resolved = entry.verdict in ("helps", "harms")
    return any(marks.collapsed for marks in sides) or (all(low) if resolved else any(low))


def _mean(places: Mapping[str, float]) -> Estimate | None:
    """The mean over tasks; its interval, Student's over tasks, from three tasks on."""
    found = list(places.values())
    if len(found) < FEWEST_SEEDS:
        return Estimate.of(sum(found) / len(found), None, None, len(found)) if found else None
    return estimate(found)
