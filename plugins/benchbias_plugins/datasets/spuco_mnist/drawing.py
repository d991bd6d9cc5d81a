"""Draws of SpuCoMNIST: which digits are validation, which ground each example has, and whose label is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

VAL_PARTS = 5  # one part in five of every digit is validation
VAL_STREAM = 20230618


def partition(digit: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(train, val) as sorted indices into the training images: floor(n / 5) of each digit's n are validation."""
    held = np.zeros(len(digit), dtype=bool)
    for value in range(10):
        members = np.flatnonzero(digit == value)
        order = np.random.default_rng([VAL_STREAM, value]).permutation(members)
        held[order[: len(members) // VAL_PARTS]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def sample(digit: NDArray[np.int64], count: int, stream: np.random.Generator) -> NDArray[np.int64]:
    """`count` sorted positions of (N,) digits, every digit in its proportion to within one."""
    chosen: list[int] = []
    for value in range(10):
        upto = int(np.floor(count * np.count_nonzero(digit <= value) / len(digit) + 0.5))
        chosen.extend(stream.permutation(np.flatnonzero(digit == value))[: upto - len(chosen)].tolist())
    return np.array(sorted(chosen), dtype=np.int64)


def biased_grounds(
    labels: NDArray[np.int64], strengths: Sequence[float], stream: np.random.Generator
) -> NDArray[np.int64]:
    """The ground of every example, int64 (N,): floor(strength * n) of a class's n have its own, the rest the others'.

    Whose turn it is among the others follows from the place in the class before the grounds are shuffled, as in the
    published code. The cells of the minority are about equal, not exactly.
    """
    grounds = np.zeros(len(labels), dtype=np.int64)
    for label, strength in enumerate(strengths):
        members = np.flatnonzero(labels == label)
        others = np.array([other for other in range(len(strengths)) if other != label])
        drawn = others[np.arange(len(members)) % len(others)]
        drawn[stream.permutation(len(members))[: share_of(strength, len(members))]] = label
        grounds[members] = stream.permutation(drawn)
    return grounds


def balanced_grounds(labels: NDArray[np.int64], num_classes: int, stream: np.random.Generator) -> NDArray[np.int64]:
    """The ground of every example, int64 (N,): every class has every ground equally often, to within one."""
    grounds = np.zeros(len(labels), dtype=np.int64)
    for label in range(num_classes):
        members = np.flatnonzero(labels == label)
        grounds[members] = stream.permutation(np.arange(len(members)) % num_classes)
    return grounds


def noisy(labels: NDArray[np.int64], share: float, num_classes: int, stream: np.random.Generator) -> NDArray[np.int64]:
    """The labels with floor(share * N) of them replaced, each by one of the other classes."""
    chosen = stream.permutation(len(labels))[: share_of(share, len(labels))]
    changed = labels.copy()
    changed[chosen] = (labels[chosen] + stream.integers(1, num_classes, len(chosen))) % num_classes
    return changed


def share_of(share: float, count: int) -> int:
    """floor(share * count), in which 0.29 of 100 are 29: the product's rounding does not count."""
    return int(np.floor(share * count + 1e-9))
