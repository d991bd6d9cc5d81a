"""Heads fitted on balanced subsamples, and the choice of their penalty on halves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .multinomial import multinomial

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Examples:
    """Standardised features (N, D), labels (N,), and the kinds (N,) that count alike: groups, or classes."""

    features: Floats
    labels: Ints
    kinds: Ints

    def of(self, index: Ints) -> Examples:
        """The examples `index` (n,)."""
        return Examples(self.features[index], self.labels[index], self.kinds[index])


@dataclass(frozen=True)
class Head:
    """A linear layer on standardised features: weight (K, D), bias (K,)."""

    weight: Floats
    bias: Floats

    @staticmethod
    def mean(heads: Sequence[Head]) -> Head:
        """The average of several heads."""
        return Head(np.mean([head.weight for head in heads], 0), np.mean([head.bias for head in heads], 0))

    def correct(self, examples: Examples) -> NDArray[np.bool_]:
        """Whether it classifies each example correctly, bool (N,)."""
        found: NDArray[np.bool_] = (examples.features @ self.weight.T + self.bias).argmax(1) == examples.labels
        return found


def shuffled_kinds(kinds: Ints, stream: torch.Generator) -> list[Ints]:
    """The indices of each kind's examples, in random order."""
    members = [np.flatnonzero(kinds == kind) for kind in np.unique(kinds)]
    return [index[torch.randperm(len(index), generator=stream).numpy()] for index in members]


def balanced(kinds: Ints, stream: torch.Generator) -> Ints:
    """Indices of a subsample: of each kind as many examples as the rarest has, drawn without replacement."""
    parts = shuffled_kinds(kinds, stream)
    return np.concatenate([index[: min(map(len, parts))] for index in parts])


def halves(kinds: Ints, stream: torch.Generator) -> tuple[Ints, Ints]:
    """Indices of two halves of the examples, in which every kind is halved."""
    parts = [np.array_split(index, 2) for index in shuffled_kinds(kinds, stream)]
    return np.concatenate([first for first, _ in parts]), np.concatenate([second for _, second in parts])


@dataclass(frozen=True)
class Refit:
    """How heads are fitted. kept: bool (K, D), the weights that a mask in force leaves, else all."""

    kept: NDArray[np.bool_]
    subsamples: int
    published: bool
    stream: torch.Generator

    def chosen(self, val: Examples, strengths: Sequence[float]) -> float:
        """The strength whose head, fitted on one half, is best on the other by its worst kind; the first of equals.

        Both halves take both parts; as published one head is fitted, on the first half.
        """
        first, second = halves(val.kinds, self.stream)
        splits = [(first, second)] if self.published else [(first, second), (second, first)]

        def worst(c: float) -> float:
            right = np.zeros(len(val.kinds))
            for fitted, held_out in splits:
                head = self.averaged(val.of(fitted), c, 1 if self.published else self.subsamples)
                right[held_out] = head.correct(val.of(held_out))
            tested = np.concatenate([held_out for _, held_out in splits])
            return float(min(right[tested][val.kinds[tested] == kind].mean() for kind in np.unique(val.kinds)))

        return max(strengths, key=worst)

    def averaged(self, examples: Examples, c: float, subsamples: int) -> Head:
        """The mean of the heads of several balanced subsamples."""
        drawn = [examples.of(balanced(examples.kinds, self.stream)) for _ in range(subsamples)]
        return Head.mean([self.logistic(sample, c) for sample in drawn])

    def logistic(self, examples: Examples, c: float) -> Head:
        """A logistic head with an L1 penalty; the rows of two classes are w / 2 and -w / 2."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.multiclass import OneVsRestClassifier

        features = examples.features * self.kept.any(0)  # what reaches no class teaches nothing
        binary = len(self.kept) == 2
        if not binary and not self.published:
            weight, bias = multinomial(features, examples.labels, c, len(self.kept))
            return Head(weight * self.kept, bias)
        model: Any = LogisticRegression(C=c, l1_ratio=1.0, solver="liblinear", max_iter=10_000, random_state=0)
        if binary:
            fitted = [model.fit(features, examples.labels)]
        else:
            fitted = OneVsRestClassifier(model).fit(features, examples.labels).estimators_
        weight = np.concatenate([part.coef_ for part in fitted])
        bias = np.concatenate([part.intercept_ for part in fitted])
        if not binary:
            return Head(weight * self.kept, bias)
        sign = np.array([[-1.0], [1.0]])  # shared out over those of the two weights that the mask leaves
        return Head(sign * weight * self.kept / self.kept.sum(0).clip(min=1), sign[:, 0] * bias / 2)
