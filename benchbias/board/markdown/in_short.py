"""A task's board in short: the best row and its right control, the price of pruning and of sparse training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchbias.board.entries import Entry
from benchbias.board.row_trials import Rows, paired, row_of
from benchbias.statistics.estimates import Estimate

DEARER = 1.05  # from so many times the cost of its control on, a row is held against a plain one of its own cost
ALIKE = 0.01  # of steps: what differs by less was trained as long
DENSE = 0.01  # the sparsity below which a row counts as dense


@dataclass(frozen=True)
class Best:
    """The best row that used no group labels.

    of: how many rows are ranked beside it, itself too. plain, against: the cheapest plain control that cost at least
    as much to train, and the difference from it (one pair, not adjusted); None where the row's own control cost as
    much, or no such row was run.
    """

    entry: Entry
    of: int
    plain: Entry | None
    against: Estimate | None


@dataclass(frozen=True)
class Pruning:
    """A method swept over sparsity: its rows from the least pruned, each with a gap to a control."""

    rows: tuple[Entry, ...]

    @property
    def harmful(self) -> tuple[Entry, ...]:
        """The rows from the least sparsity on from which every row harms."""
        found: list[Entry] = []
        for entry in reversed(self.rows):
            if entry.verdict != "harms":
                break
            found.insert(0, entry)
        return tuple(found)


@dataclass(frozen=True)
class SparseTraining:
    """A network that was sparse from its first step: for the dense reference's steps, and for nearly its FLOPs.

    steps: how many times the reference's steps the longer row took; None where records do not say it.
    """

    reference: str
    same_steps: Entry
    longer: Entry | None
    steps: float | None


@dataclass(frozen=True)
class InShort:
    """The facts that a task's board says first; a part is None where the board has no such rows."""

    best: Best | None
    pruning: Pruning | None
    sparse: SparseTraining | None


def in_short(entries: Sequence[Entry], rows: Rows, task: str) -> InShort:
    """The facts of one task. entries: of a whole board, in its order. rows: the trials that it was made of."""
    here = [entry for entry in entries if entry.row.task == task]
    suite = next((one.first["suite"] for one in rows if one.first["task"] == task), None)
    if suite is None or suite["limit"] is not None:
        return InShort(None, None, None)
    ceiling, reference = suite.get("ceiling"), suite["reference"]
    fair = [entry for entry in here if entry.row.method != ceiling]
    return InShort(_best(fair, rows, suite["rank_by"]), _pruning(fair), _sparse(fair, reference))


def _best(here: Sequence[Entry], rows: Rows, rank_by: str) -> Best | None:
    ranked = [entry for entry in here if entry.section == "none" and entry.rank is not None]
    if not ranked:
        return None
    best = ranked[0]
    plain = _plain(best, here)
    against = None
    if plain is not None:
        one, other = row_of(rows, best.row.task, best.row.label), row_of(rows, plain.row.task, plain.row.label)
        against = paired(one, other, rank_by.removeprefix("-")) if one is not None and other is not None else None
    return Best(best, len(ranked), plain if against is not None else None, against)


def _plain(best: Entry, here: Sequence[Entry]) -> Entry | None:
    """The cheapest dense control with as many parameters that cost at least what the row did; None where none is due.

    The row's own control is due alone where it cost as much.
    """
    cost = best.relative_cost
    own = next((entry.relative_cost for entry in here if entry.row.label == best.control), None)
    if cost is None or own is None or cost <= DEARER * own:
        return None
    found = [
        (entry.relative_cost, entry)
        for entry in here
        if entry.section == "controls"
        and entry.row.track == "labels-none"
        and entry.row.parameters == best.row.parameters
        and entry.row.sparsity < DENSE
        and entry.relative_cost is not None
        and entry.relative_cost >= cost
    ]
    return min(found, key=lambda pair: pair[0])[1] if found else None


def _pruning(here: Sequence[Entry]) -> Pruning | None:
    """The ranked method with most sparsities, by the order of the board among equals."""
    found: dict[str, list[Entry]] = {}
    for entry in here:
        if entry.section == "none" and set(entry.row.swept) == {"sparsity"} and entry.verdict is not None:
            found.setdefault(entry.row.method, []).append(entry)
    if not found:
        return None
    rows = max(found.values(), key=len)
    return Pruning(tuple(sorted(rows, key=lambda entry: float(entry.row.swept["sparsity"]))))


def _sparse(here: Sequence[Entry], reference: str | None) -> SparseTraining | None:
    dense = next((entry.row for entry in here if entry.row.method == reference and not entry.row.swept), None)
    if dense is None or reference is None or not dense.training_steps:
        return None
    sparse = [
        entry
        for entry in here
        if "density" in entry.row.swept
        and entry.row.track == "labels-none"
        and entry.row.sparsity > DENSE
        and entry.row.to_reference is not None
        and entry.row.training_steps
        and entry.relative_cost is not None
        and entry.relative_cost < 1 + ALIKE
    ]
    ranked = (entry for entry in sparse if entry.section == "none")
    first = next((entry for entry in ranked if _steps(entry, dense.training_steps) <= 1 + ALIKE), None)
    if first is None:
        return None
    longer = [
        entry
        for entry in sparse
        if entry.row.swept["density"] == first.row.swept["density"] and _steps(entry, dense.training_steps) > 1 + ALIKE
    ]
    kin = [entry for entry in longer if entry.row.method.startswith(first.row.method)]
    most = max(kin or longer, key=lambda entry: entry.relative_cost or 0.0, default=None)
    return SparseTraining(reference, first, most, None if most is None else _steps(most, dense.training_steps))


def _steps(entry: Entry, unit: float) -> float:
    return (entry.row.training_steps or 0.0) / unit
