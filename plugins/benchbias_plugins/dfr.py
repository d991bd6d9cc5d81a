"""DFR: retrain the last layer on group-balanced validation data (Kirichenko et al., ICLR 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import torch
from torch import nn

from benchbias import BenchbiasError, Range, Skip, hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from benchbias import GroupLabels, TrainContext, TrainingData

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

GRID = (1.0, 0.7, 0.3, 0.1, 0.07, 0.03, 0.01)  # the released code's inverse strengths of the L1 penalty


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
        """Which examples it classifies correctly, (N,)."""
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
        solver = "liblinear" if binary or self.published else "saga"  # saga knows more classes, and is slow
        model: Any = LogisticRegression(C=c, l1_ratio=1.0, solver=solver, max_iter=10_000, random_state=0)
        if binary or not self.published:
            fitted = [model.fit(features, examples.labels)]
        else:
            fitted = OneVsRestClassifier(model).fit(features, examples.labels).estimators_
        weight = np.concatenate([part.coef_ for part in fitted])
        bias = np.concatenate([part.intercept_ for part in fitted])
        if not binary:
            return Head(weight * self.kept, bias)
        sign = np.array([[-1.0], [1.0]])  # shared out over those of the two weights that the mask leaves
        return Head(sign * weight * self.kept / self.kept.sum(0).clip(min=1), sign[:, 0] * bias / 2)


def refuse_rare(kinds: Ints, names: Sequence[str], least: int) -> None:
    """Raises Skip where a kind has fewer than `least` examples, and names it."""
    counts = np.bincount(kinds, minlength=len(names))
    rare = [f"{name} ({count})" for name, count in zip(names, counts, strict=True) if count < least]
    if rare:
        why = "" if least == 1 else ", two to choose C on halves (or set one value of c)"
        raise Skip(f"dfr needs validation examples of every group{why}; too few: {', '.join(rare)}")


def dfr(
    model: nn.Module,
    data: TrainingData,
    context: TrainContext,
    val_groups: GroupLabels,
    *,
    subsamples: Annotated[int, Range(1, 1000)] = 20,
    c: tuple[float, ...] = GRID,
    balance: Literal["groups", "classes"] = "groups",
    logistic: Literal["multinomial", "as_published"] = "multinomial",
) -> None:
    """Leave the network and replace its head by logistic regression on its features of the validation split.

    The head is the mean over `subsamples` balanced subsamples. c: inverse strengths of the L1 penalty; of several
    the best on halves of the validation split is taken. balance: `classes` is the control. logistic: `as_published`
    fits each of more than two classes against the rest, and chooses C by a single head on one half.
    """
    if not c or min(c) <= 0:
        raise BenchbiasError(f"c: inverse strengths above 0, at least one, not {c}")
    head = context.head(model)
    if not isinstance(head, nn.Linear) or head.bias is None:
        raise BenchbiasError("dfr refits a head that is an nn.Linear with a bias")
    kinds = val_groups.groups if balance == "groups" else data.val.labels
    names = val_groups.group_names if balance == "groups" else [f"class {k}" for k in range(data.val.num_classes)]
    refuse_rare(kinds.cpu().numpy(), names, 1 if len(c) == 1 else 2)

    mean, scale = standard(context.split_features(model, data.train).double().numpy())
    features = (context.split_features(model, data.val).double().numpy() - mean) / scale  # (N, D)
    val = Examples(features, data.val.labels.cpu().numpy(), kinds.cpu().numpy())
    refit = Refit(kept_weights(model, head, context), subsamples, logistic == "as_published", context.generator)
    strength = c[0] if len(c) == 1 else refit.chosen(val, c)
    found = refit.averaged(val, strength, subsamples)

    weight = found.weight / scale  # the standardisation, folded into the head
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weight))
        head.bias.copy_(torch.from_numpy(found.bias - weight @ mean))
    context.save("c", torch.tensor(strength))


def standard(features: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation of features (N, D), (D,) each; 1 where a feature never changes."""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(features)
    return scaler.mean_, scaler.scale_


def kept_weights(model: nn.Module, head: nn.Linear, context: TrainContext) -> NDArray[np.bool_]:
    """Which of the head's weights the mask in force leaves, bool (K, D)."""
    name = next(name for name, module in model.named_modules() if module is head)
    masks = context.mask.tensors if context.mask is not None else {}
    kept: NDArray[np.bool_] = masks.get(f"{name}.weight", torch.ones_like(head.weight).bool()).cpu().numpy()
    return kept


@hookimpl
def benchbias_trainers() -> dict[str, Callable[..., None]]:
    return {"dfr": dfr}
