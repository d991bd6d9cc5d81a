"""Breaking sparsity: from which level on a method has lost more than a margin against its control."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchbias import Table, equivalence_p_value, estimate

from .sweeps import sweeps
from .twins import WORST, Accuracies, require_margin, summary_parts

if TYPE_CHECKING:
    from benchbias import Estimate, Population

    from .sweeps import Sweep

LEVEL = 0.05
PARTS = {"worst_group_accuracy": WORST, "conflicting_accuracy": "conflicting"}


def breaking_sparsity(population: Population, *, margin: float = 3.0) -> Table:
    """The lowest sparsity from which on every level has lost more than a margin against its control.

    A level is broken if the upper bound of the 95 % interval of its change is below -margin. Levels are tested from
    the highest down and the first that is not broken ends it: a fixed sequence (Maurer, Hothorn and Lehmacher, 1995),
    so that the chance to call any level broken that has not lost as much is at most that of one test, 2.5 %, however
    many levels there are and whether or not the loss grows with sparsity. `equivalent up to` goes the other way: from
    the lowest level up, as long as two one-sided tests at 5 % show the change to be within the margin.

    margin: in points. Raises BenchbiasError for a margin that is none; Skip where nothing is swept.
    """
    require_margin(margin)
    accuracies = Accuracies(summary_parts(population.members[0].record.body))
    lines = [_line(sweep, metric, accuracies, margin) for sweep in sweeps(population) for metric in PARTS]
    heads = (
        *(("method", "text", ""), ("control", "text", ""), ("metric", "text", "")),
        *(("breaking sparsity", "fraction", ""), ("realised there", "fraction", "")),
        *(("equivalent up to", "fraction", ""), ("levels", "count", "")),
        *(("lowest", "fraction", ""), ("change at lowest", "estimate", "points")),
        *(("highest", "fraction", ""), ("change at highest", "estimate", "points")),
    )
    columns = zip(*lines, strict=True)
    return Table(
        {name: (kind, unit, values) for (name, kind, unit), values in zip(heads, columns, strict=True)},
        f"Breaking sparsity: the lowest from which on every level has lost more than {margin:g} points against its "
        "control, by the upper bound of the 95 % interval (a dash: none has, at the highest level). Equivalent up to: "
        f"the highest up to which every level is shown to be within {margin:g} points.",
    )


def broken_from(changes: Sequence[Estimate | None], margin: float) -> int | None:
    """The first level from which on all are broken; changes in points, by ascending sparsity. None: not the last."""
    found = None
    for at in reversed(range(len(changes))):
        change = changes[at]
        if change is None or not change.interval()[1] < -margin:
            break
        found = at
    return found


def equivalent_to(changes: Sequence[Estimate | None], margin: float) -> int | None:
    """The last level up to which all are shown to be within the margin. None: not the first."""
    found = None
    for at, change in enumerate(changes):
        if equivalence_p_value(change, margin) > LEVEL:
            break
        found = at
    return found


def _line(sweep: Sweep, metric: str, accuracies: Accuracies, margin: float) -> tuple[Any, ...]:
    changes = [estimate(accuracies.changes(level.pairs, PARTS[metric])) for level in sweep.levels]
    broken, alike = broken_from(changes, margin), equivalent_to(changes, margin)
    lowest, highest = sweep.levels[0], sweep.levels[-1]
    return (
        *(sweep.method, sweep.control, metric),
        *((None, None) if broken is None else (sweep.levels[broken].sparsity, sweep.levels[broken].realised)),
        None if alike is None else sweep.levels[alike].sparsity,
        len(sweep.levels),
        *(lowest.sparsity, changes[0]),
        *(highest.sparsity, changes[-1]),
    )
