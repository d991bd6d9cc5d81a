"""Whole runs on coloured digits: a stacked population is one of the same distribution as networks trained alone."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest
import torch

from benchbias.data.values import BiasedDataset, TrainingData
from benchbias.suite.tables import Recipe
from benchbias.training.fit import fit, logits
from benchbias.training.population import Member, fit_together
from benchbias_plugins.datasets.colored_digits import colored_digits
from benchbias_plugins.networks.lenet import lenet_small

SEEDS = 8
RECIPE = Recipe(
    epochs=12, batch_size=64, optimizer="adamw", lr=3e-3, weight_decay=1e-3, schedule="onecycle", augment="shift"
)


def member(seed: int, dataset: BiasedDataset) -> Member:
    train, val = (dataset.splits[name].split for name in ("train", "val"))
    stream = torch.Generator().manual_seed(seed)
    data = TrainingData(train, val, dataset.mean, dataset.std, RECIPE.batch_size, RECIPE.augment, stream)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = lenet_small(tuple(train.images.shape[1:]), dataset.num_classes, width=0.5)
    return Member(model, data, RECIPE, torch.Generator().manual_seed(seed))


def conflicting_accuracy(one: Member, dataset: BiasedDataset) -> float:
    test = dataset.splits["test"]
    right = logits(one.model, one.data, test.split).argmax(dim=1) == test.split.labels
    return float(right[~test.groups.aligned].double().mean())


@pytest.mark.slow
def test_accuracies_of_whole_runs_agree_within_their_error():
    """Rounding grows until single networks are others; their mean and their spread over seeds are not."""
    datasets = [colored_digits(Path(), seed, conflict_ratio=0.2) for seed in range(SEEDS)]
    apart = [member(seed, dataset) for seed, dataset in enumerate(datasets)]
    together = [member(seed, dataset) for seed, dataset in enumerate(datasets)]
    for one in apart:
        fit(one.model, one.data, one.recipe, one.order)
    assert [trained.together for trained in fit_together(together)] == [SEEDS] * SEEDS
    found = [
        [conflicting_accuracy(one, dataset) for one, dataset in zip(members, datasets, strict=True)]
        for members in (apart, together)
    ]
    means = [statistics.fmean(values) for values in found]
    spreads = [statistics.stdev(values) for values in found]
    error = (sum(spread**2 for spread in spreads) / SEEDS) ** 0.5
    assert 0.2 < means[0] < 0.95, "off the floor and the ceiling, where all would agree"
    assert abs(means[0] - means[1]) < error / 2, "the members are the same: only their rounding differs"
    assert 0.5 < spreads[0] / spreads[1] < 2
