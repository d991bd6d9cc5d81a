"""Random splits of the seeds of a population: halves, and blocks of two halves each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.random import Generator

    from .models import Indices

    Halves = tuple[Indices, Indices]


def halves(seeds: int, numbers: Generator) -> Halves:
    """Positions of two halves of equal size, drawn at random; of an odd number one is left out."""
    order, size = numbers.permutation(seeds), seeds // 2
    return order[:size], order[size : 2 * size]


def blocks(seeds: int, size: int, numbers: Generator) -> list[Halves]:
    """Disjoint blocks of `size` seeds, each as two halves; what is left over is left out."""
    order, half = numbers.permutation(seeds), size // 2
    return [
        (order[start : start + half], order[start + half : start + 2 * half])
        for start in range(0, seeds - 2 * half + 1, 2 * half)
    ]
