"""Examples without an attribute: how much harm its worst value may have, whether they are of it or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchbias.auditing.statistics.bounds import harm_bounds
from benchbias.auditing.statistics.clusters import clustered_harm
from benchbias.auditing.values import Answers, Missing, Options

if TYPE_CHECKING:
    from numpy.typing import NDArray


def missing_of(
    answers: Answers, change: NDArray[Any], cluster: NDArray[Any] | None, options: Options
) -> tuple[Missing, ...]:
    """The bound of the worst value of each attribute that some examples lack, whether these are of that value or not.

    change: (N,), 1 lost, -1 gained; cluster: int (N,), None where each example is one.
    """
    found = []
    for name in sorted(answers.attributes):
        column = answers.attributes[name]
        lacking = column.codes < 0
        if not lacking.any():
            continue
        bounds = []
        for code, value in enumerate(column.names):
            own = column.codes == code
            either = [_upper(change, members, cluster, options) for members in (own, own | lacking) if members.any()]
            bounds.append((max(either), value))
        if bounds:
            upper, value = max(bounds)
            found.append(Missing(name, int(lacking.sum()), value, upper))
    return tuple(found)


def _upper(change: NDArray[Any], members: NDArray[Any], cluster: NDArray[Any] | None, options: Options) -> float:
    kept = change[members]
    if cluster is None:
        lost, gained = int((kept == 1).sum()), int((kept == -1).sum())
        return float(harm_bounds(lost, gained, len(kept), options.level)[1])
    number = np.unique(cluster[members], return_inverse=True)[1]
    total, size = np.bincount(number, kept), np.bincount(number)
    return clustered_harm(total, size, options.margin, options.level).upper
