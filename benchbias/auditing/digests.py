"""A digest of the examples of an audit, so that a later one on other examples is noticed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from benchbias.auditing.values import Answers
from benchbias.util import canonical

if TYPE_CHECKING:
    from numpy.typing import NDArray

DIGITS = 16  # hexadecimal


def digest_of(answers: Answers) -> str:
    """A digest of labels, attributes and sizes of clusters, in whatever order the examples stand.

    The answers of the models are not in it.
    """
    columns = {name: answers.attributes[name] for name in sorted(answers.attributes)}
    labels = np.unique(answers.label, return_inverse=True)[1]  # an answer that is no label changes no code
    codes = [labels, *(column.codes for column in columns.values())]
    kinds = np.zeros(len(answers.label), np.int64)
    for column in codes:
        kinds = _joined(kinds, column)
    _, first, counts = np.unique(kinds, return_index=True, return_counts=True)
    rows = sorted([*(int(column[at]) for column in codes), int(count)] for at, count in zip(first, counts, strict=True))
    content = {
        "classes": [answers.classes[code] for code in np.unique(answers.label[answers.label >= 0])],
        "attributes": [[name, list(column.names)] for name, column in columns.items()],
        "rows": rows,
        "clusters": _sizes(answers.cluster),
    }
    return hashlib.sha256(canonical.dumps(content).encode()).hexdigest()[:DIGITS]


def _joined(kinds: NDArray[Any], codes: NDArray[Any]) -> NDArray[Any]:
    """One number for each pair of a kind and a code."""
    shifted = codes - int(codes.min())
    return np.unique(kinds * (int(shifted.max()) + 1) + shifted, return_inverse=True)[1].astype(np.int64)


def _sizes(cluster: NDArray[Any] | None) -> list[list[int]] | None:
    """The sizes of clusters, and how many have each; None where each example is one."""
    if cluster is None or len(np.unique(cluster)) == len(cluster):
        return None
    sizes, counts = np.unique(np.unique(cluster, return_counts=True)[1], return_counts=True)
    return [[int(size), int(count)] for size, count in zip(sizes, counts, strict=True)]
