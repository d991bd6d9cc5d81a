"""Two halves of the examples, cut between clusters: the same ones in any order of rows."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from benchbias.auditing.values import Answers

if TYPE_CHECKING:
    from numpy.typing import NDArray


def first_half(answers: Answers, contents: list[NDArray[Any]]) -> NDArray[Any]:
    """Whether each example is of the first half, bool (N,); a cluster is whole.

    With ids a cluster goes where the hash of its first id sends it, whatever the models answer. Without them, each
    cluster has its own toss of a coin, in the order of their contents: those that are alike in all columns are the same
    in either half. A hash of all contents seeds the tosses: with the same ones for all data, the lost examples of a
    slice would always be halved alike, and the halves would tell the same. contents: further columns (N,) that count.
    """
    unit = (
        np.arange(len(answers.label)) if answers.cluster is None else np.unique(answers.cluster, return_inverse=True)[1]
    )
    if answers.ids is not None:
        return _by_ids(unit, answers.ids)
    columns = [answers.label, answers.dense, *answers.compressed.values()]
    columns += [column.codes for column in answers.attributes.values()]
    columns += contents
    kinds = _kinds(columns)
    tossed = _tossed(unit, kinds, _seed(columns, kinds), single=answers.cluster is None)
    return np.asarray(tossed[unit], bool)


def _by_ids(unit: NDArray[Any], ids: tuple[str, ...]) -> NDArray[Any]:
    first: dict[int, str] = {}
    for number, text in zip(unit.tolist(), ids, strict=True):
        if number not in first or text < first[number]:
            first[number] = text
    even = np.zeros(len(first), bool)
    for number, text in first.items():
        even[number] = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[0] % 2 == 0
    return np.asarray(even[unit], bool)


def _kinds(columns: list[NDArray[Any]]) -> NDArray[Any]:
    """A number for each row, equal where all columns are, rising with their contents; int (N,)."""
    kinds = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        codes = np.unique(column, return_inverse=True)[1]
        kinds = np.unique(kinds * (int(codes.max(initial=0)) + 1) + codes, return_inverse=True)[1]
    return kinds


def _seed(columns: list[NDArray[Any]], kinds: NDArray[Any]) -> int:
    """A number that is another one for any other contents."""
    found, order = hashlib.sha256(), np.argsort(kinds, kind="stable")
    for column in columns:
        found.update(np.ascontiguousarray(column[order]).tobytes())
    return int.from_bytes(found.digest()[:16], "big")


def _tossed(unit: NDArray[Any], kinds: NDArray[Any], seed: int, *, single: bool) -> NDArray[Any]:
    """Whether each cluster is of the first half, bool (K,): tosses go to clusters in the order of their kinds."""
    if not single:
        order = np.lexsort((kinds, unit))
        parts = np.split(kinds[order], np.flatnonzero(np.diff(unit[order])) + 1)
        names = [part.astype(">i8").tobytes() for part in parts]
        place = {name: number for number, name in enumerate(sorted(set(names)))}
        kinds = np.array([place[name] for name in names])
    found = np.zeros(len(kinds), bool)
    found[np.argsort(kinds, kind="stable")] = np.random.default_rng(seed).random(len(kinds)) < 0.5
    return found
