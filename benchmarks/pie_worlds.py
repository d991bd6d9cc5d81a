"""Simulated populations of models: class recalls, answers to test images, and models trained on parts of a set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchbias import Member, Population, Predictions, TrialRecord
from benchbias_plugins.analyses.memorization import Trials

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Values = NDArray[np.float64]


def recalls(sd: Values, together: float, models: int, numbers: Generator) -> Values:
    """Class recalls of models, (S, K): spread of each class (K,), and a spread that all classes of a model share."""
    own = sd * numbers.standard_normal((models, len(sd)))
    return 0.7 + own + together * numbers.standard_normal((models, 1))


@dataclass(frozen=True)
class World:
    """Test images with labels (N,) and what all models say of them, logits (N, K); what one model adds is random."""

    labels: NDArray[np.int64]
    logits: Values
    harm: Values

    @staticmethod
    def of(images: int, classes: int, harm: float, numbers: Generator) -> World:
        """harm: what pruning takes from the true logit, less or more by class and by image: none to twice as much."""
        labels = np.arange(images) % classes
        logits = 0.7 * numbers.standard_normal((images, classes))
        logits[np.arange(images), labels] += 1.5 + 1.5 * numbers.standard_normal(images)
        taken = harm * (numbers.random(images) + labels / classes)
        return World(labels, logits, taken)

    def population(self, models: int, numbers: Generator) -> Population:
        """A population of as many dense and pruned models; those of one seed share a half of their noise's variance."""
        rows = np.arange(len(self.labels))
        members = []
        for seed in range(models):
            shared = self._noise(numbers)
            for method in ("dense", "pruned"):
                logits = self.logits + (shared + self._noise(numbers)) * np.sqrt(0.5)
                if method == "pruned":
                    logits[rows, self.labels] -= self.harm
                members.append(member(method, seed, logits, self.labels))
        return Population(tuple(members))

    def _noise(self, numbers: Generator) -> Values:
        """The noise of one model: by class, and by image and class."""
        shape = self.logits.shape
        return 0.3 * numbers.standard_normal(shape[1]) + 0.8 * numbers.standard_normal(shape)


def member(method: str, seed: int, logits: Values, labels: NDArray[np.int64]) -> Member:
    """A model of the row `dense`, or of `pruned`, whose baseline is `dense`."""
    target, none = torch.from_numpy(labels), torch.zeros(len(labels), dtype=torch.int64)
    found = Predictions(
        "test",
        torch.from_numpy(logits).float(),
        target,
        none,
        target,
        none == 0,
        torch.arange(len(labels)),
        torch.ones(logits.shape[1]),
        1,
    )
    body = dict.fromkeys(("trial", "suite", "task"), "made") | {"method": method, "seed": seed, "status": "ok"}
    body |= {"baseline": "dense" if method == "pruned" else None, "metrics": {"accuracy": 0.0}}
    return Member(method, {}, seed, TrialRecord(body, {}), {"test": found})


@dataclass(frozen=True)
class Training:
    """Chances (n,) to be right, in logits, for a model trained on an example and for another; conflicting (n,).

    spread: of models in all examples; help_: what each further conflicting example of the subset adds to the logit of
    the conflicting ones.
    """

    within: Values
    without: Values
    conflicting: NDArray[np.bool_]
    spread: float
    help_: float

    @staticmethod
    def of(items: int, conflicting: int, spread: float, help_: float, numbers: Generator) -> Training:
        minority = np.arange(items) < conflicting
        without = np.where(minority, -1.0, 3.0) + numbers.standard_normal(items)
        within = without + np.where(minority, 3.0, 0.3)
        return Training(within, without, minority, spread, help_)

    def trials(self, models: int, share: float, numbers: Generator) -> Trials:
        """Models that are each trained on a share of the examples."""
        items = len(self.within)
        inside = np.zeros((models, items), dtype=bool)
        for row in inside:
            row[numbers.permutation(items)[: round(share * items)]] = True
        number = inside[:, self.conflicting].sum(axis=1, keepdims=True) - share * self.conflicting.sum()
        logits = np.where(inside, self.within, self.without) + self.help_ * number * self.conflicting
        logits = logits + self.spread * numbers.standard_normal((models, 1))
        right = numbers.random((models, items)) < 1 / (1 + np.exp(-logits))
        return Trials(inside, right.astype(float))
