"""Harmed slices that nobody named: found on one half of the clusters, tested on the other.

A slice that is found and tested on the same examples is harmed nearly always: the search picks what is so by chance.
The other half knows nothing of the search, and all slices that it tests are one family.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from benchbias.auditing.before.halves import first_half
from benchbias.auditing.before.labelling import check_flips, is_labelled
from benchbias.auditing.before.slices import Found, category_features, features_of, find_slices
from benchbias.auditing.statistics.bounds import harm_bounds, no_harm_p
from benchbias.auditing.statistics.clusters import clustered_harm
from benchbias.auditing.statistics.jointly import discrete_holm, tarone_holm
from benchbias.auditing.values import DENSE, Answers, Column, Discovery, Slice
from benchbias.errors import DataError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONFIDENCE = "confidence of the dense model"
LABEL = "label"
DEEPEST = 6


def discover(
    answers: Answers,
    features: Mapping[str, Any] | None = None,
    *,
    level: float = 0.05,
    depth: int = 3,
    most: int = 5,
    by_label: bool = True,
) -> Discovery:
    """Look for harmed slices on one half of the clusters, and test the most suspect ones on the other.

    features: name -> `Column`, numbers (N,) or an embedding (N, D); the attributes are features too, as are the label
    and the dense model's confidence where they are known. depth: conditions of a slice at most, 1 to 6. most: slices
    that are tested for each model. level: of all "harmed" together. by_label: whether slices may be of one label. The
    order of rows and columns changes nothing. Raises DataError and UsageError, and for changed answers without labels.
    """
    if not 1 <= depth <= DEEPEST or most < 1 or not 0 < level < 1:
        raise UsageError(
            f"depth 1 to {DEEPEST}, most 1 or more, level between 0 and 1: {depth}, {most}, {level:g} given"
        )
    columns = _columns(answers, features or {})
    first = first_half(answers, [_content(name, columns[name], len(answers.label)) for name in sorted(columns)])
    made = features_of(columns, first)
    if by_label and is_labelled(answers):
        made += category_features(LABEL, Column(answers.label, answers.classes), first)
    if not made:
        raise UsageError("slices are made of features: name columns (--feature), or give attributes")
    rows: list[tuple[str, Found, NDArray[Any]]] = []
    for name in sorted(answers.compressed):
        harm = _harm(answers, name)
        rows += [(name, found, harm) for found in find_slices(made, harm, first, depth, most)]
    tested = [_tested(answers, *row, first, level) for row in rows]
    adjusted = _adjusted(tested, clustered=answers.cluster is not None)
    slices = [replace(slice_, adjusted=p, harmed=p <= level) for (slice_, _), p in zip(tested, adjusted, strict=True)]
    return Discovery(
        slices=tuple(sorted(slices, key=lambda one: (not one.harmed, one.adjusted, one.p, one.model, one.text))),
        explored=int(first.sum()),
        tested=int((~first).sum()),
        features=tuple(sorted({feature.name for feature in made})),
        level=level,
    )


def discovery_text(found: Discovery) -> str:
    """The slices as lines of text, with what the numbers are of."""
    told = f"Slices were looked for in {found.explored} examples and tested on {found.tested} others, by"
    lines = [f"{told} {', '.join(found.features)}."]
    if not found.slices:
        return "\n".join([*lines, "No slice lost more examples than it gained."]) + "\n"
    for one in found.slices:
        verdict = "harmed" if one.harmed else "not shown"
        harm = f"harm {100 * one.harm:.1f} points [{100 * one.lower:.1f}, {100 * one.upper:.1f}]"
        numbers = f"{one.n} examples, lost {one.lost}, gained {one.gained}, {harm}, adjusted p {one.adjusted:.2g}"
        lines.append(f"{one.model}: {one.text}: {verdict} ({numbers})")
    return "\n".join(lines) + "\n"


def _columns(answers: Answers, features: Mapping[str, Any]) -> dict[str, Any]:
    """All columns that slices are made of, by name. Raises DataError where changed answers have no label."""
    check_flips(answers)
    columns: dict[str, Any] = dict(answers.attributes)
    if DENSE in answers.scores and np.isfinite(answers.scores[DENSE].confidence).all():
        columns[CONFIDENCE] = answers.scores[DENSE].confidence
    return columns | dict(features)


def _content(name: str, column: Any, size: int) -> NDArray[Any]:
    """The cells of a feature, (N,), a row of an embedding as one cell. Raises DataError for another length."""
    array = column.codes if isinstance(column, Column) else np.asarray(column)
    if array.ndim == 0 or len(array) != size:
        raise DataError(f"feature {name!r:.80} has {array.size} rows, and there are {size} examples")
    if array.ndim == 1:
        return np.asarray(array)
    rows = np.ascontiguousarray(array).reshape(size, -1)
    return rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).reshape(-1)


def _harm(answers: Answers, name: str) -> NDArray[Any]:
    right, still = answers.dense == answers.label, answers.compressed[name] == answers.label
    return np.asarray(right.astype(np.int64) - still)


def _tested(
    answers: Answers, model: str, found: Found, harm: NDArray[Any], first: NDArray[Any], level: float
) -> tuple[Slice, float]:
    """A slice on the second half, its p not yet adjusted, and the least p that it can attain."""
    member, own = found.member & ~first, harm[found.member & first]
    n, lost, gained = (int(value) for value in (member.sum(), (harm[member] > 0).sum(), (harm[member] < 0).sum()))
    units, least = n, 0.5 ** (lost + gained)
    if answers.cluster is None:
        lower, upper = (float(value) for value in harm_bounds(lost, gained, n, level))
        p = float(no_harm_p(lost, gained))
    else:
        number = np.unique(answers.cluster[member], return_inverse=True)[1]
        size = np.bincount(number)
        sums = np.bincount(number, harm[member]).astype(np.int64)
        several = clustered_harm(sums, size, level, level, flips=lost + gained)  # its margin is not asked for
        lower, upper, p, least, units = several.lower, several.upper, several.p, several.least, len(size)
    slice_ = Slice(
        model=model,
        text=found.text,
        found_n=len(own),
        found_harm=float(own.mean()),
        n=n,
        units=units,
        lost=lost,
        gained=gained,
        harm=(lost - gained) / max(n, 1),
        lower=lower,
        upper=upper,
        p=p,
        adjusted=p,
        harmed=False,
    )
    return slice_, least


def _adjusted(tested: list[tuple[Slice, float]], *, clustered: bool) -> list[float]:
    if not tested:
        return []
    slices = [slice_ for slice_, _ in tested]
    if clustered:
        return [float(p) for p in tarone_holm([one.p for one in slices], [least for _, least in tested])]
    return [float(p) for p in discrete_holm([one.lost for one in slices], [one.lost + one.gained for one in slices])]
