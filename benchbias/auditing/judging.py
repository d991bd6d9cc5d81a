"""One compressed model or several against a dense one: every group's harm with its bounds, and the verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchbias.auditing.groups import Grouping
from benchbias.auditing.statistics.bounds import beyond_p, harm_bounds, no_harm_p, safe_p
from benchbias.auditing.statistics.clusters import clustered_harm
from benchbias.auditing.statistics.jointly import discrete_holm, tarone_holm
from benchbias.auditing.statistics.power import fewest
from benchbias.auditing.values import Answers, Judgement, Options, Verdict
from benchbias.statistics.ranking import holm

if TYPE_CHECKING:
    from numpy.typing import NDArray

SEVERITY: Mapping[Verdict, int] = {"pass": 0, "undecided": 1, "harmed": 2}


@dataclass(frozen=True)
class Harms:
    """The harm of every group under one model, float (G,) each, shares; before groups and models are taken together.

    least: the least p that so many changed answers allow. design: the design effect of clusters. effective: the number
    of independent examples or equal clusters, (sum of sizes)² / sum of sizes².
    """

    lost: NDArray[Any]
    gained: NDArray[Any]
    n: NDArray[Any]
    lower: NDArray[Any]
    upper: NDArray[Any]
    p: NDArray[Any]
    least: NDArray[Any]
    p_safe: NDArray[Any]
    p_beyond: NDArray[Any]
    design: NDArray[Any]
    effective: NDArray[Any]

    @property
    def harm(self) -> NDArray[Any]:
        return np.asarray((self.lost - self.gained) / self.n)


@dataclass(frozen=True)
class Judged:
    """The harms of one model and what follows from them for every group, (G,) each."""

    harms: Harms
    adjusted: NDArray[Any]
    beyond: NDArray[Any]
    verdicts: tuple[Judgement, ...]


def lost_and_gained(answers: Answers, model: str) -> NDArray[Any]:
    """1 for each example that a compressed model lost, -1 for one that it gained, else 0: int (N,)."""
    right = (answers.dense == answers.label).astype(np.int64)
    return np.asarray(right - (answers.compressed[model] == answers.label))


def harms_of(grouping: Grouping, change: NDArray[Any], cluster: NDArray[Any] | None, options: Options) -> Harms:
    """The harms of all groups. change: (N,), 1 lost, -1 gained; cluster: int (N,), None where each example is one."""
    lost, gained = (grouping.sums(change == sign) for sign in (1, -1))
    n = grouping.sums()
    if cluster is not None and len(np.unique(cluster)) < len(cluster):
        return _clustered(grouping, change, cluster, options, (lost, gained, n))
    lower, upper = harm_bounds(lost, gained, n, options.level)
    return Harms(
        lost,
        gained,
        n,
        lower,
        upper,
        no_harm_p(lost, gained),
        0.5 ** (lost + gained),
        safe_p(lost, gained, n, options.margin),
        beyond_p(lost, gained, n, options.margin),
        np.ones(len(n)),
        n,
    )


def _clustered(
    grouping: Grouping,
    change: NDArray[Any],
    cluster: NDArray[Any],
    options: Options,
    counts: tuple[NDArray[Any], NDArray[Any], NDArray[Any]],
) -> Harms:
    number = np.unique(cluster, return_inverse=True)[1]
    by_crossing = [_by_cluster(crossing.cells, number, change) for crossing in grouping.crossings]
    found, effective = [], []
    for (crossing, cell), flips in zip(grouping.places, counts[0] + counts[1], strict=True):
        cells, total, size = by_crossing[crossing]
        part = slice(*np.searchsorted(cells, (cell, cell + 1)))
        found.append(clustered_harm(total[part], size[part], options.margin, options.level, flips=int(flips)))
        effective.append(size[part].sum() ** 2 / np.square(size[part]).sum())
    columns = ("lower", "upper", "p", "least", "p_safe", "p_beyond", "design")
    values = {name: np.array([getattr(one, name) for one in found]) for name in columns}
    lost, gained, n = counts
    return Harms(lost=lost, gained=gained, n=n, effective=np.array(effective), **values)


def _by_cluster(
    cells: NDArray[Any], number: NDArray[Any], change: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The cell, the sum of changes and the size of every (cell, cluster) that has examples, in the order of cells."""
    most = int(number.max()) + 1
    pairs, place = np.unique(cells * most + number, return_inverse=True)
    return pairs // most, np.bincount(place, change), np.bincount(place)


def judged(harms: Sequence[Harms], options: Options, *, clustered: bool) -> list[Judged]:
    """The verdict on every group of every model; "harmed" is adjusted for all of them together."""
    lost, gained, p, least, p_beyond = (
        np.concatenate([getattr(one, name) for one in harms]) for name in ("lost", "gained", "p", "least", "p_beyond")
    )
    adjusted = tarone_holm(p, least) if clustered else discrete_holm(lost, lost + gained)
    beyond = np.array(holm([float(value) for value in p_beyond]))
    found = []
    for at, one in enumerate(harms):
        part = slice(at * len(one.n), (at + 1) * len(one.n))
        small = one.effective < fewest(options.margin, options.level)
        safe, harmed = one.p_safe <= options.level, adjusted[part] <= options.level
        verdicts = np.select([safe, harmed, small], ["safe", "harmed", "too small"], "undecided")
        found.append(Judged(one, adjusted[part], beyond[part], tuple(str(verdict) for verdict in verdicts)))  # type: ignore[misc]
    return found


def verdict_of(verdicts: Sequence[Judgement], gated: Sequence[bool]) -> Verdict:
    """The verdict on a model: harmed if any group is, pass if all gated groups are safe, else undecided."""
    if "harmed" in verdicts:
        return "harmed"
    needed = [verdict for verdict, asked in zip(verdicts, gated, strict=True) if asked]
    return "pass" if all(verdict == "safe" for verdict in needed) else "undecided"


def worst_of(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict on several models: the worst of them."""
    return max(verdicts, key=SEVERITY.__getitem__)
