"""The head of a board: its title, where it is from, and what each task asks. No torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from benchbias.board.markdown.surroundings import Surroundings
from benchbias.board.standings import Board
from benchbias.board.text import escaped
from benchbias.records.row_name import row_name
from benchbias.records.trial import TrialRecord
from benchbias.statistics.cells import CellLayout

MOST_COMMITS = 3  # that are named; of more, their number
SHORT = 7  # letters of a commit
NOTHING_TOLD = 0.03  # between the share of conflicting examples and what chance makes it: no shortcut


def head_lines(records: Sequence[TrialRecord], board: Board, date: str | None, pages: Surroundings) -> list[str]:
    """Title; suite, version, date, code, seeds, machine; how to cite; how many neighbours in rank are resolved."""
    suite = records[0].body["suite"]
    lines = [f"# {escaped(suite['title'])}"]
    if suite["limit"] is not None:
        lines += ["", f"**Limited run** (`--limit {suite['limit']}`): nothing here is comparable or ranked."]
    cite = f" [How to cite]({pages.cite})." if pages.cite else ""
    told = [
        f"Suite {escaped(suite['name'])}, version {escaped(suite['version'])}{f', published {date}' if date else ''}.",
        f"{_code(records)}. {_seeds(board)}. {_machines(records)}.{cite}",
        _separable(board),
    ]
    return [*lines, "", " ".join(part for part in told if part)]


def _code(records: Sequence[TrialRecord]) -> str:
    """The versions and commits of benchbias that made the records."""
    texts = sorted({text for record in records for text in record.measured.get("code", ())})
    found = [re.fullmatch(r"benchbias (\S+?)(?:, commit ([0-9a-f]+))?(, dirty)?", text) for text in texts]
    if not texts or None in found:
        return f"Made by {escaped('; '.join(texts))}" if texts else "The code that made it is not recorded"
    versions = sorted({one[1] for one in found if one is not None})
    commits = [f"{one[2][:SHORT]}{one[3] or ''}" for one in found if one is not None and one[2]]
    unnamed = any(one is not None and not one[2] for one in found)
    named = (
        f"{len(commits)} commits"
        if len(commits) > MOST_COMMITS
        else f"commit{'s' if len(commits) > 1 else ''} {', '.join(commits)}"
    )
    parts = [*([named] if commits else []), *(["a commit that no record names"] if unnamed else [])]
    return f"Made by benchbias {escaped(', '.join(versions))}, {' and '.join(parts)}{_mixed(records)}"


def _mixed(records: Sequence[TrialRecord]) -> str:
    """How many rows have seeds of several versions of the code."""
    rows: dict[tuple[str, str], set[str]] = {}
    for record in records:
        body = record.body
        row = body["task"], row_name(body["method"], body["swept"])
        rows.setdefault(row, set()).add(str(record.measured.get("code")))
    mixed = sum(len(found) > 1 for found in rows.values())
    if not mixed:
        return ""
    return f"; {mixed} of {len(rows)} rows have seeds of several commits"


def _seeds(board: Board) -> str:
    rows = [row for standing in board.standings for row in standing.rows]
    rows += [row for unranked in board.unranked.values() for row in unranked]
    found = sorted({len(row.seeds) for row in rows})
    if not found:
        return "No trial is scored"
    if found == [1]:
        return "One seed a row"
    return f"{found[0]} seeds a row" if len(found) == 1 else f"{found[0]} to {found[-1]} seeds a row"


def _machines(records: Sequence[TrialRecord]) -> str:
    hosts = sorted({host for record in records for host in record.measured.get("hosts", ())})
    devices = sorted({str(record.body["environment"].get("device", "cpu")) for record in records})
    return f"{escaped('; '.join(hosts) or 'Machine not recorded')}, {escaped(', '.join(devices))}"


def _separable(board: Board) -> str:
    of = sum(standing.adjacent for standing in board.standings)
    found = sum(standing.separable for standing in board.standings)
    if not of:
        return ""
    pairs = "the one pair" if of == 1 else f"{of} pairs"
    return f"Of {pairs} of neighbours in rank, {found} {'is' if found == 1 else 'are'} resolved from each other."


def task_lines(
    task: str, records: Sequence[TrialRecord], layouts: Mapping[str, CellLayout], pages: Surroundings
) -> list[str]:
    """A task's heading, its sample picture, and what it asks and tests."""
    bodies = [record.body for record in records if record.body["task"] == task]
    page = pages.tasks.get(task)
    lines = [f"## {escaped(task)}", ""]
    if page is not None and page.picture:
        lines += [f"![Samples of {escaped(task)} by group]({page.picture})", ""]
    about = [escaped(page.about)] if page is not None and page.about else []
    return [*lines, " ".join([*about, *_counted(bodies, layouts)])]


def _counted(bodies: Sequence[Mapping[str, Any]], layouts: Mapping[str, CellLayout]) -> list[str]:
    """The sizes of a task, from its records: classes, groups, the share of conflicting training examples, tests."""
    body = next((one for one in bodies if one["status"] == "ok" and one.get("group_names")), None)
    if body is None:
        return []
    told = f"{body['num_classes']} classes and " if body.get("num_classes") else ""
    lines = [f"{told}{len(body['group_names'])} groups."]
    usual = (one for one in bodies if one["status"] == "ok" and one["method"] == one["suite"]["reference"])
    trained = next(usual, body).get("train_group_total")
    if trained:
        lines.append(_trained(trained, body["group_aligned"]))
    seeds = len({one["seed"] for one in bodies})
    used = {one["correct"]["layout"] for one in bodies if "correct" in one}
    tested = len(set[int]().union(*(layouts[digest].cluster.tolist() for digest in used if digest in layouts)))
    return [
        *lines,
        *(
            [f"{'All seeds together test' if seeds > 1 else 'The test split has'} {tested:,} source images."]
            if tested
            else []
        ),
    ]


def _trained(totals: Sequence[int], aligned: Sequence[bool]) -> str:
    """The number of training examples, and the share of those that contradict the shortcut, where there is one."""
    whole = f"{sum(totals):,}"
    conflicting = sum(n for n, agrees in zip(totals, aligned, strict=True) if not agrees) / sum(totals)
    by_chance = 1 - sum(aligned) / len(aligned)
    if all(aligned) or abs(conflicting - by_chance) < NOTHING_TOLD:
        return f"Training has {whole} examples, and the attribute says nothing of the class."
    return f"In training, {_share(conflicting)} of {whole} examples contradict the shortcut."


def _share(value: float) -> str:
    return f"{100 * value:.3g} %"
