"""Who is hit: the change of every group's accuracy, of each row that has a control."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from benchbias.board.row_trials import Trials, twin
from benchbias.report.gathering.numbers import estimate_json
from benchbias.report.gathering.source import Source
from benchbias.statistics.cells import Cells, stacked
from benchbias.statistics.estimates import LEVEL, Estimate, difference, p_value
from benchbias.statistics.influence import Measured, measure_group, unstacked
from benchbias.statistics.ranking import holm


def gather_groups(source: Source) -> list[dict[str, Any]]:
    """Every row with its control, and the change of each group: paired by seed and test example, with a verdict.

    Verdicts: `higher` or `lower` where the change differs from zero at 5 %, adjusted over the groups of the pair
    (Holm, 1979), else `undecided`.
    """
    tasks: dict[tuple[str, ...], list[Trials]] = {}
    for row in source.rows:
        tasks.setdefault((row.first["task"], *row.first.get("group_names", ())), []).append(row)
    return [pair for members in tasks.values() for pair in _pairs(members, source)]


def _pairs(members: Sequence[Trials], source: Source) -> list[dict[str, Any]]:
    """The pairs of rows of one task, which have the same groups."""
    places = {id(row): at for at, row in enumerate(members)}
    controls = {at: twin(row, row.first["baseline"], source.rows) for at, row in enumerate(members)}
    pairs = {at: places[id(one)] for at, one in controls.items() if one is not None and id(one) in places}
    groups = len(members[0].first.get("group_names", ()))
    if not pairs or not groups:
        return []
    changes = [
        {at: _change(group[at], group[control]) for at, control in pairs.items()} for group in by_group(members, groups)
    ]
    return [
        {
            "task": members[at].first["task"],
            "row": members[at].label,
            "settings": dict(members[at].first["settings"]),
            "control": members[control].label,
            "controlSettings": dict(members[control].first["settings"]),
        }
        | _judged([one[at] for one in changes])
        for at, control in pairs.items()
    ]


BySeed: TypeAlias = Mapping[int, Measured]
Place: TypeAlias = tuple[int, int]
"""A trial: the number of its row, and its seed."""


def by_group(members: Sequence[Trials], groups: int) -> Iterator[list[BySeed | None]]:
    """Give of each group the accuracy of every row in every seed; None for a row of which a seed does not test it."""
    stacks = _stacks(members)
    for group in range(groups):
        known: dict[Place, Measured] = {}
        for places, cells in stacks:
            if (own := _own_cells(cells, group)) is not None:
                known |= zip(places, unstacked(measure_group(group, own)), strict=True)
        yield [_seeds(row, at, group, known) for at, row in enumerate(members)]


def _own_cells(cells: Cells, group: int) -> Cells | None:
    """The cells of one group: no other example decides its accuracy. None where it has none."""
    own = cells.group == group
    if not own.any():
        return None
    return Cells(cells.cluster[own], cells.group[own], cells.total[own], cells.correct[..., own], cells.layout)


def _stacks(members: Sequence[Trials]) -> list[tuple[list[Place], Cells]]:
    """The trials of each test split, with their cells as one value."""
    found: dict[str, list[tuple[Place, Cells]]] = {}
    for at, row in enumerate(members):
        for seed, cells in row.cells.items():
            if cells is not None:
                found.setdefault(cells.layout, []).append(((at, seed), cells))
    return [([place for place, _ in here], stacked([cells for _, cells in here])) for here in found.values()]


def _seeds(row: Trials, at: int, group: int, known: Mapping[Place, Measured]) -> BySeed | None:
    bodies = {seed: record.body for seed, record in row.records.items()}
    if not all(body["group_total"][group] for body in bodies.values()):
        return None
    return {seed: known.get((at, seed)) or _as_counted(body, group) for seed, body in bodies.items()}


def _as_counted(body: Mapping[str, Any], group: int) -> Measured:
    """The accuracy of a group in a record without cells: its interval is of seeds alone."""
    return Measured(body["group_correct"][group] / body["group_total"][group], bounds=(0.0, 1.0))


def _change(after: BySeed | None, before: BySeed | None) -> Estimate | None:
    return difference(after, before) if after and before else None


def _judged(changes: Sequence[Estimate | None]) -> dict[str, Any]:
    adjusted = holm([p_value(gap) for gap in changes])
    return {
        "changes": [estimate_json(gap) for gap in changes],
        "verdicts": [_verdict(gap, p) for gap, p in zip(changes, adjusted, strict=True)],
    }


def _verdict(gap: Estimate | None, p: float) -> str:
    if gap is None or p > 1 - LEVEL:
        return "undecided"
    return "higher" if gap.mean > 0 else "lower"
