"""A task's board in short: the best row and its right control, the price of pruning and of sparse training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchbias.board.entries import Entry
from benchbias.board.row_trials import Rows, paired, row_of
from benchbias.statistics.estimates import FEWEST_SEEDS, Estimate

DEARER = 1.05  # from so many times the cost of its control on, a row is held against a control of its own cost
ALIKE = 0.01  # of steps: what differs by less was trained as long
DENSE = 0.01  # the sparsity below which a row counts as dense


@dataclass(frozen=True)
class Pair:
    """A row beside another one, and the difference: first less other, paired, not adjusted."""

    other: Entry
    gap: Estimate


@dataclass(frozen=True)
class Best:
    """The best ranked row that used no group labels.

    of: how many such rows are ranked, itself too. resolved: whether any two of them are. higher: the control without
    group labels that has the best mean, where it is better than the row's; the ceiling is none. as_dear: the cheapest
    dense control of the same size, trained from the reference's start, that cost at least as much; None where the
    row's own control did, or no such row was run.
    """

    entry: Entry
    of: int
    resolved: bool
    higher: Entry | None
    as_dear: Pair | None


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
    """A network that was sparse from its first step, beside dense ones.

    same_steps: for the reference's number of steps. longer: for more steps, at no more FLOPs than the reference.
    as_long: it beside the dense row of as many steps. steps: how many times the reference's steps it took.
    """

    reference: str
    same_steps: Entry
    longer: Entry | None
    steps: float
    as_long: Pair | None


@dataclass(frozen=True)
class InShort:
    """The facts that a task's board says first; a part is None where the board has no such rows."""

    best: Best | None
    pruning: Pruning | None
    sparse: SparseTraining | None


def in_short(entries: Sequence[Entry], rows: Rows, task: str) -> InShort:
    """The facts of one task. entries: of a whole board, in its order. rows: the trials that it was made of."""
    suite = next((one.first["suite"] for one in rows if one.first["task"] == task), None)
    if suite is None or suite["limit"] is not None:
        return InShort(None, None, None)
    here = [entry for entry in entries if entry.row.task == task and entry.row.track == "labels-none"]
    fair = [entry for entry in here if entry.row.method != suite.get("ceiling")]
    facts = _Facts(fair, sum(entry.rank is not None for entry in here), rows, suite["rank_by"])
    return InShort(facts.best(), facts.pruning(), facts.sparse(suite["reference"]))


@dataclass(frozen=True)
class _Facts:
    """here: the entries of a task without group labels, without the ceiling; of: how many are ranked, it too."""

    here: Sequence[Entry]
    of: int
    rows: Rows
    rank_by: str

    def value(self, entry: Entry) -> float:
        """The metric that ranks, higher where it is better; the worst of all where it is undefined."""
        found = entry.row.metrics.get(self.rank_by.removeprefix("-"))
        sign = -1 if self.rank_by.startswith("-") else 1
        return sign * found.mean if found is not None else float("-inf")

    def beside(self, entry: Entry, other: Entry | None) -> Pair | None:
        """A row and another one, paired by seed and test example; None where they have no seed in common."""
        sides = [None if one is None else row_of(self.rows, one.row.task, one.row.label) for one in (entry, other)]
        if other is None or sides[0] is None or sides[1] is None:
            return None
        gap = paired(sides[0], sides[1], self.rank_by.removeprefix("-"))
        return None if gap is None or not gap.over_seeds else Pair(other, gap)

    def best(self) -> Best | None:
        ranked = [entry for entry in self.here if entry.section == "none" and entry.rank is not None]
        if not ranked:
            return None
        best = ranked[0]
        controls = [entry for entry in self.here if entry.section == "controls" and not entry.row.collapsed]
        highest = max(controls, key=self.value, default=None)
        higher = highest if highest is not None and self.value(highest) > self.value(best) else None
        resolved = any(entry.rank != (1, self.of) for entry in ranked)
        return Best(best, self.of, resolved, higher, self.beside(best, self._as_dear(best)))

    def _as_dear(self, best: Entry) -> Entry | None:
        cost = best.relative_cost
        own = next((entry.relative_cost for entry in self.here if entry.row.label == best.control), None)
        if cost is None or own is None or cost <= DEARER * own:
            return None
        found = [(other.relative_cost, other) for other in self._plain(best) if (other.relative_cost or 0.0) >= cost]
        return min(found, key=lambda pair: pair[0] or 0.0)[1] if found else None

    def _plain(self, like: Entry) -> list[Entry]:
        """The dense controls of a row's size whose own control is none or the reference."""
        return [
            entry
            for entry in self.here
            if entry.section == "controls"
            and entry.row.baseline in (None, entry.row.reference)
            and entry.row.parameters == like.row.parameters
            and entry.row.sparsity < DENSE
        ]

    def pruning(self) -> Pruning | None:
        """The ranked method with most sparsities, by the order of the board; none whose control stands at the floor."""
        found: dict[str, list[Entry]] = {}
        for entry in self.here:
            if entry.row.ranked and set(entry.row.swept) == {"sparsity"} and entry.verdict is not None:
                found.setdefault(entry.row.method, []).append(entry)
        told = {name: rows for name, rows in found.items() if not any(_at_the_floor(entry) for entry in rows)}
        if not told:
            return None
        rows = max(told.values(), key=len)
        return Pruning(tuple(sorted(rows, key=lambda entry: float(entry.row.swept["sparsity"]))))

    def sparse(self, reference: str | None) -> SparseTraining | None:
        dense = next((one for one in self.here if one.row.method == reference and not one.row.swept), None)
        if dense is None or reference is None or not dense.row.training_steps or dense.row.marks.floor:
            return None
        unit = dense.row.training_steps
        sparse = [entry for entry in self.here if _is_sparse(entry)]
        ranked = (entry for entry in sparse if entry.section == "none")
        first = next((entry for entry in ranked if _steps(entry, unit) <= 1 + ALIKE), None)
        if first is None:
            return None
        longer = [
            entry
            for entry in sparse
            if entry.row.swept["density"] == first.row.swept["density"] and _steps(entry, unit) > 1 + ALIKE
        ]
        kin = [entry for entry in longer if entry.row.method.startswith(first.row.method)]
        most = max(kin or longer, key=lambda entry: entry.relative_cost or 0.0, default=None)
        steps = 1.0 if most is None else _steps(most, unit)
        as_long = [one for one in self._plain(dense) if most and abs(_steps(one, unit) / steps - 1) <= ALIKE]
        pair = self.beside(most, as_long[0]) if most is not None and as_long else None
        return SparseTraining(reference, first, most, steps, pair)


def _at_the_floor(entry: Entry) -> bool:
    """Whether a row's control stands at the floor, so that nothing was there to be lost."""
    of = entry.row.baseline_marks
    return of is not None and of.floor


def _is_sparse(entry: Entry) -> bool:
    """Whether a row was sparse from its first step, for no more FLOPs than the reference, on enough seeds."""
    row, cost = entry.row, entry.relative_cost
    known = row.to_reference is not None and row.training_steps and len(row.seeds) >= FEWEST_SEEDS
    return bool(known and "density" in row.swept and row.sparsity > DENSE and cost is not None and cost < 1 + ALIKE)


def _steps(entry: Entry, unit: float) -> float:
    return (entry.row.training_steps or 0.0) / unit
