"""Signed changes against the twin, by class, by group and over all, with paired intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from benchbias import Measured, Table, equivalence_p_value, estimate, holm, p_value

from .twins import Accuracies, Twins, class_parts, group_parts, require_margin, summary_parts, twin_rows

if TYPE_CHECKING:
    from benchbias import Estimate, Population

LEVEL = 0.05


def twin_changes(
    population: Population, *, margin: float = 3.0, by: tuple[Literal["class", "group"], ...] = ("class", "group")
) -> Table:
    """The signed change of every row against its control: over all, aligned, conflicting, worst group, class, group.

    The change is the mean over seeds of the differences within a seed, in points, and its interval that of the board:
    s^2 / S between seeds plus the variance from the draw of test clusters, Student's t with Satterthwaite's degrees
    of freedom (1946). The worst group's is the difference of the seeds' minima. p values are adjusted for the parts
    of a row (Holm, 1979), those of equivalence (two one-sided tests, Schuirmann, 1987) likewise.

    margin: of equivalence, in points. by: which single parts to list besides the summaries.
    Raises BenchbiasError for a margin that is none; Skip where no row has its control.
    """
    require_margin(margin)
    rows = twin_rows(population)
    body = population.members[0].record.body
    parts = summary_parts(body)
    parts |= class_parts(body) if "class" in by else {}
    parts |= group_parts(body) if "group" in by else {}
    accuracies = Accuracies(parts)
    lines = [line for row in rows for line in _lines(row, accuracies, margin)]
    return Table(_columns(lines), CAPTION.format(margin=margin))


CAPTION = (
    "Changes of accuracy against the control of the same seed, in points, paired by seed and test example, ± half of "
    "the 95 % interval. p and verdict are adjusted for the parts of a row (Holm); equivalent: shown to be within "
    "{margin:g} points."
)


def _lines(row: Twins, accuracies: Accuracies, margin: float) -> list[tuple[Any, ...]]:
    """One line a part of one row."""
    names = list(accuracies.parts)
    changes = [estimate(accuracies.changes(row.pairs, name)) for name in names]
    defined = [at for at, change in enumerate(changes) if change is not None]
    different = dict(zip(defined, holm([p_value(changes[at]) for at in defined]), strict=True))
    alike = dict(
        zip(defined, holm([equivalence_p_value(changes[at], margin) for at in defined]), strict=True),
    )
    lines = []
    for at, (name, change) in enumerate(zip(names, changes, strict=True)):
        before = _mean([_corrected(accuracies.of(control)[name]) for control, _ in row.pairs])
        after = _mean([_corrected(accuracies.of(member)[name]) for _, member in row.pairs])
        verdict = _verdict(change, different.get(at, 1.0), alike.get(at, 1.0))
        lines.append((row.row, row.control, name, before, after, change, different.get(at), verdict, len(row.pairs)))
    return lines


def _corrected(accuracy: Measured) -> float:
    """An accuracy without the bias of a least, as the change has it; still a share."""
    value = float(accuracy.value) - float(accuracy.bias)
    return 1.0 if value > 1 else value


def _mean(values: Sequence[float]) -> float | None:
    mean = math.fsum(values) / len(values)
    return None if math.isnan(mean) else mean


def _verdict(change: Estimate | None, different: float, alike: float) -> str:
    """The verdict in words; p values are adjusted."""
    if change is None:
        return "no examples"
    if different <= LEVEL:
        return "lower" if change.mean < 0 else "higher"
    return "equivalent" if alike <= LEVEL else "undecided"


def _columns(lines: Sequence[tuple[Any, ...]]) -> dict[str, tuple[str, str, tuple[Any, ...]]]:
    heads = (
        *(("row", "text", ""), ("control", "text", ""), ("part", "text", "")),
        *(("before", "fraction", ""), ("after", "fraction", ""), ("change", "estimate", "points")),
        *(("p holm", "number", ""), ("verdict", "text", ""), ("seeds", "count", "")),
    )
    columns = zip(*lines, strict=True)
    return {name: (kind, unit, values) for (name, kind, unit), values in zip(heads, columns, strict=True)}
