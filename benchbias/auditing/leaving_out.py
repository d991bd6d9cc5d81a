"""The group without which the fewest groups are harmed: overlapping groups inherit harm from each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from benchbias.auditing.groups import Grouping
from benchbias.auditing.statistics.bounds import safe_p
from benchbias.auditing.statistics.jointly import discrete_holm
from benchbias.auditing.values import Line, Options

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_TRIED = 20  # groups that are left out, one at a time: those with the largest harm


def group_to_look_at(
    grouping: Grouping, lines: Sequence[Line], change: NDArray[Any], options: Options
) -> tuple[str, int] | None:
    """The harmed group without whose examples the fewest groups are harmed, and how many these are.

    The smallest of several; None where no group is harmed but that of all examples. lines: of the groups, in their
    order; change: (N,), 1 lost, -1 gained. A description of these examples, not a test: it takes no clusters into
    account.
    """
    harmed = [at for at, line in enumerate(lines) if line.verdict == "harmed" and line.group.parts]
    found: list[tuple[int, int, str]] = []
    for at in sorted(harmed, key=lambda at: (-lines[at].harm, lines[at].group.name))[:MOST_TRIED]:
        members = grouping.members(at)
        part, changed = grouping.of_rows(members), change[members]
        gone = np.stack([part.sums(changed == 1), part.sums(changed == -1), part.sums()], axis=1)
        counts = np.array([(line.lost, line.gained, line.group.n) for line in lines]) - gone
        found.append((_harmed(counts[counts[:, 2] > 0], options), lines[at].group.n, lines[at].group.name))
    if not found:
        return None
    left, _, name = min(found)
    return name, left


def _harmed(counts: NDArray[Any], options: Options) -> int:
    """The number of harmed groups. counts: (G, 3), lost, gained and all examples of each."""
    if not len(counts):
        return 0
    lost, gained, n = counts.T
    adjusted = discrete_holm(lost, lost + gained)
    return int(((adjusted <= options.level) & (safe_p(lost, gained, n, options.margin) > options.level)).sum())
