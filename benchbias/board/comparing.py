"""Two rows of a board against each other: all metrics and groups, paired by seed and test example. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchbias.board.marks import marks_of
from benchbias.board.row_trials import Rows, Trials, trials_of
from benchbias.board.text import escaped, gap_text, points_text, table_lines, title
from benchbias.errors import UsageError, unknown
from benchbias.records.row_name import as_row_name
from benchbias.records.trial import TrialRecord
from benchbias.statistics.cells import CellLayout
from benchbias.statistics.estimates import (
    FEWEST_SEEDS,
    LEVEL,
    MARGIN,
    Estimate,
    difference,
    equivalence_p_value,
    over_seeds,
    p_value,
)
from benchbias.statistics.influence import Measured, measure_group

Line = tuple[str, Mapping[int, Measured] | None, Mapping[int, Measured] | None]
"""One compared quantity: its name, and its value in every seed of the one row and of the other."""


def compare(
    records: Sequence[TrialRecord], layouts: Mapping[str, CellLayout], one: str, other: str, margin: float = MARGIN
) -> str:
    """Markdown: one row against another, on every task that both have. A row is `method` or `method[name=value]`.

    Raises UsageError for a row that is not there, or a name of several rows.
    """
    rows = trials_of(records, layouts)
    one, other = as_row_name(one), as_row_name(other)
    found = [(row_of_task(rows, task, one), row_of_task(rows, task, other)) for task in tasks_of(rows)]
    _require_known(rows, (one, other))
    both = [(left, right) for left, right in found if left is not None and right is not None]
    common = [pair for pair in both if pair[0].records.keys() & pair[1].records.keys()]
    if not common:
        raise UsageError(f"{one} and {other} have no task and seed in common")
    return "\n".join("\n".join(_section(left, right, rows, margin)) for left, right in common) + "\n"


def tasks_of(rows: Sequence[Trials]) -> list[str]:
    """The tasks that rows are of, each once."""
    return list(dict.fromkeys(str(row.first["task"]) for row in rows))


def _require_known(rows: Sequence[Trials], names: Sequence[str]) -> None:
    for name in names:
        if not any(name in (row.label, row.first["method"]) for row in rows):
            raise UsageError(unknown("row", name, list(dict.fromkeys(row.label for row in rows))))


def row_of_task(rows: Sequence[Trials], task: str, name: str) -> Trials | None:
    """The row `method` or `method[name=value]` of a task; None if there is none. Raises UsageError for several."""
    name = as_row_name(name)
    here = [row for row in rows if row.first["task"] == task]
    exact = [row for row in here if row.label == name]
    found = exact or [row for row in here if row.first["method"] == name]
    if len(found) > 1:
        raise UsageError(f"{name} has several rows: {', '.join(row.label for row in found)}")
    return found[0] if found else None


def _section(one: Trials, other: Trials, rows: Rows, margin: float) -> list[str]:
    seeds = sorted(one.records.keys() & other.records.keys())
    left, right = escaped(one.label), escaped(other.label)
    rank_by = str(one.first["suite"]["rank_by"])
    metrics = [name for name in one.first["suite"]["metrics"] if name in other.first["metrics"]]
    lines: list[Line] = [(title(name), one.measured(name, seeds), other.measured(name, seeds)) for name in metrics]
    lines += _groups(one, other, seeds)
    gaps = {name: difference(a, b) if a and b else None for name, a, b in lines}
    cells = [[name, _mean(a), _mean(b), gap_text(gaps[name]), _p(gaps[name])] for name, a, b in lines]
    ranked = rank_by.removeprefix("-")
    return [
        f"## {escaped(one.first['task'])}: {left} against {right}",
        "",
        *table_lines(cells, ["", left, right, "difference", "p"]),
        "",
        _verdict(one.label, other.label, rank_by, gaps.get(title(ranked)), margin),
        _by_seed(one.label, rank_by, one.measured(ranked, seeds), other.measured(ranked, seeds)),
        *_marks(ranked, rows, (one, other)),
        "",
        f"{len(seeds)} common seeds; labels used: {one.first['track']} and {other.first['track']}. Accuracies in "
        f"percent with the {100 * LEVEL:.0f} % interval of the mean over seeds; differences paired by seed and test "
        "example. p: two-sided, of no difference, not adjusted for looking at several lines.",
        "",
    ]


def _marks(metric: str, rows: Rows, sides: Sequence[Trials]) -> list[str]:
    """Marks of what a row cannot show: seeds that collapsed, the floor, the ceiling, a poor fit."""
    found = [(row.label, marks_of(row, metric, rows).words()) for row in sides]
    told = "; ".join(f"{escaped(label)}: {', '.join(words)}" for label, words in found if words)
    return [f"{told}."] if told else []


def _groups(one: Trials, other: Trials, seeds: Sequence[int]) -> list[Line]:
    """The accuracy of every group, where both rows have counts."""
    found: list[Line] = []
    for group, name in enumerate(one.first.get("group_names", ())):
        sides = []
        for row in (one, other):
            cells = {seed: row.cells[seed] for seed in seeds}
            sides.append({seed: measure_group(group, known) for seed, known in cells.items() if known is not None})
        if len(sides[0]) == len(sides[1]) == len(seeds):
            found.append((f"group {escaped(name)}", sides[0], sides[1]))
    return found


def _mean(values: Mapping[int, Measured] | None) -> str:
    return points_text(over_seeds(list((values or {}).values())))


def _p(gap: Estimate | None) -> str:
    if gap is None or not gap.over_seeds:
        return "–"
    p = p_value(gap)
    return "< 0.0001" if p < 1e-4 else f"{p:.4f}"


def _verdict(one: str, other: str, rank_by: str, gap: Estimate | None, margin: float) -> str:
    """The verdict on the difference in the suite's ranking metric, in words."""
    metric, sign = title(rank_by.removeprefix("-")), -1 if rank_by.startswith("-") else 1
    if gap is None or (gap.half_width is None and p_value(gap) == 1):
        return f"**Not resolved in {metric}**: it takes {FEWEST_SEEDS} seeds in which both have a value."
    if not gap.over_seeds:
        return _by_examples(one, other, metric, sign, gap)
    size = f"{gap_text(gap)} points, p {_p(gap) if _p(gap).startswith('<') else '= ' + _p(gap)}"
    if p_value(gap) <= 1 - LEVEL:
        better = one if sign * gap.mean > 0 else other
        return f"**{escaped(better)} is better in {metric}**: {size}."
    if equivalence_p_value(gap, margin) <= 1 - LEVEL:
        return f"**Equivalent in {metric}** within {100 * margin:g} points (two one-sided tests at 5 %): {size}."
    return f"**Not resolved in {metric}**, and not shown to be within {100 * margin:g} points: {size}."


def _by_examples(one: str, other: str, metric: str, sign: int, gap: Estimate) -> str:
    """The verdict on fewer than three seeds: the test examples speak, of these networks alone."""
    told = f"{gap_text(gap)} points on the test examples of {gap.n} {'seed' if gap.n == 1 else 'seeds'}"
    low, high = gap.interval()
    if low <= 0 <= high:
        return f"**Not resolved in {metric}**, by test examples alone: {told}."
    better = one if sign * gap.mean > 0 else other
    return (
        f"**These networks of {escaped(better)} are better in {metric}**: {told}. It says nothing of other seeds: "
        f"that takes {FEWEST_SEEDS}."
    )


def _by_seed(one: str, rank_by: str, ones: Mapping[int, Any] | None, others: Mapping[int, Any] | None) -> str:
    if not ones or not others:
        return ""
    sign = -1 if rank_by.startswith("-") else 1
    gaps = [sign * float(ones[seed].value - others[seed].value) for seed in ones]
    ties = sum(gap == 0 for gap in gaps)
    tied = f", equal in {ties}" if ties else ""
    return f"{escaped(one)} is ahead in {sum(gap > 0 for gap in gaps)} of {len(gaps)} seeds{tied}."
