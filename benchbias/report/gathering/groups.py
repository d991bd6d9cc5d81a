"""Who is hit: the accuracy of every group before and after, of each row that has a control."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from benchbias.board.row_trials import Rows, Trials, twin
from benchbias.statistics.cells import Cells, stacked
from benchbias.statistics.estimates import LEVEL, Estimate, difference, over_seeds, p_value
from benchbias.statistics.influence import Measured, measure_group, unstacked
from benchbias.statistics.ranking import holm


def gather_groups(rows: Rows) -> list[dict[str, Any]]:
    """Accuracies by group, a document a task: the groups with their numbers of examples, rows, and pairs with changes.

    An accuracy is [mean, lower, upper, n], a change too, with a verdict: `higher` or `lower` where it differs from
    zero at 5 %, adjusted over the groups of the pair (Holm), else `undecided`.
    """
    tasks = dict.fromkeys(row.first["task"] for row in rows)
    return [_task(task, [row for row in rows if row.first["task"] == task], rows) for task in tasks]


def _task(task: str, members: Sequence[Trials], rows: Rows) -> dict[str, Any]:
    first = members[0].first
    names = first["group_names"]
    members = [row for row in members if row.first["group_names"] == names]
    labels = {row.label for row in members}
    controls = {row.label: twin(row, row.first["baseline"], rows) for row in members}
    pairs = {label: control.label for label, control in controls.items() if control and control.label in labels}
    columns = [_column(group, pairs) for group in by_group(members, len(names))]
    return {
        "task": task,
        "groups": [
            {"name": name, "aligned": bool(aligned), "train": train, "test": test}
            for name, aligned, train, test in zip(
                names, first["group_aligned"], _train_totals(first), _totals(members), strict=True
            )
        ],
        "rows": {row.label: [as_list(means[row.label]) for means, _ in columns] for row in members},
        "pairs": [
            {"row": row, "control": control} | _judged([changes[row] for _, changes in columns])
            for row, control in pairs.items()
        ],
    }


def _train_totals(first: Mapping[str, Any]) -> Sequence[int | None]:
    return first.get("train_group_total") or [None] * len(first["group_names"])


def _totals(members: Sequence[Trials]) -> list[list[int]]:
    """The least and the largest number of test examples of every group, over seeds."""
    columns = zip(*(record.body["group_total"] for row in members for record in row.records.values()), strict=True)
    return [[min(column), max(column)] for column in columns]


BySeed: TypeAlias = Mapping[int, Measured]


def by_group(members: Sequence[Trials], groups: int) -> Iterator[dict[str, BySeed | None]]:
    """Of each group the accuracy of every row in every seed; None for a row of which some seed does not test it."""
    stacks = _stacks(members)
    for group in range(groups):
        known: dict[tuple[str, int], Measured] = {}
        for places, cells in stacks:
            if (own := _own_cells(cells, group)) is not None:
                known |= zip(places, unstacked(measure_group(group, own)), strict=True)
        yield {row.label: _seeds(row, group, known) for row in members}


def _own_cells(cells: Cells, group: int) -> Cells | None:
    """The cells of one group: no other example decides its accuracy. None where it has none."""
    own = cells.group == group
    if not own.any():
        return None
    return Cells(cells.cluster[own], cells.group[own], cells.total[own], cells.correct[..., own], cells.layout)


def _stacks(members: Sequence[Trials]) -> list[tuple[list[tuple[str, int]], Cells]]:
    """The trials (row, seed) of each test split, with their cells as one value."""
    found: dict[str, list[tuple[tuple[str, int], Cells]]] = {}
    for row in members:
        for seed, cells in row.cells.items():
            if cells is not None:
                found.setdefault(cells.layout, []).append(((row.label, seed), cells))
    return [([place for place, _ in here], stacked([cells for _, cells in here])) for here in found.values()]


def _seeds(row: Trials, group: int, known: Mapping[tuple[str, int], Measured]) -> BySeed | None:
    bodies = {seed: record.body for seed, record in row.records.items()}
    if not all(body["group_total"][group] for body in bodies.values()):
        return None
    return {seed: known.get((row.label, seed)) or _as_counted(body, group) for seed, body in bodies.items()}


def _as_counted(body: Mapping[str, Any], group: int) -> Measured:
    """The accuracy of a group in a record without cells: its interval is of seeds alone."""
    return Measured(body["group_correct"][group] / body["group_total"][group], bounds=(0.0, 1.0))


def _column(
    group: Mapping[str, BySeed | None], pairs: Mapping[str, str]
) -> tuple[dict[str, Estimate | None], dict[str, Estimate | None]]:
    """The mean of one group in every row, and its change in every row that has a control."""
    means = {row: over_seeds(list(seeds.values())) if seeds else None for row, seeds in group.items()}
    changes = {row: _change(group[row], group[control]) for row, control in pairs.items()}
    return means, changes


def _change(after: BySeed | None, before: BySeed | None) -> Estimate | None:
    return difference(after, before) if after and before else None


def _judged(changes: Sequence[Estimate | None]) -> dict[str, Any]:
    adjusted = holm([p_value(gap) for gap in changes])
    return {
        "changes": [as_list(gap) for gap in changes],
        "verdicts": [_verdict(gap, p) for gap, p in zip(changes, adjusted, strict=True)],
    }


def _verdict(gap: Estimate | None, p: float) -> str:
    if gap is None or p > 1 - LEVEL:
        return "undecided"
    return "higher" if gap.mean > 0 else "lower"


def as_list(value: Estimate | None) -> list[float | int | None] | None:
    """An estimate as data: [mean, lower, upper, n]; bounds are None without an interval."""
    if value is None:
        return None
    low, high = (None, None) if value.half_width is None else value.interval()
    return [_rounded(value.mean), _rounded(low), _rounded(high), value.n]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
