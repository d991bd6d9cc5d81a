"""A toy population for checks of analyses: dense and pruned trials that answer the same images, some wrongly."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from benchbias.data.values import GroupLabels, Predictions
from benchbias.records.population import Member, Population
from benchbias.records.trial import TrialRecord

EXAMPLES = {"test": 96, "test-noise-1": 96, "train": 60, "train-all": 80}
CLASSES = 3
SEEDS = 6
ROWS: tuple[tuple[str, dict[str, Any], str | None, float], ...] = (
    ("erm", {}, None, 0.0),
    ("erm-ft", {}, None, 0.0),
    ("magnitude", {"sparsity": 0.5}, "erm-ft", 0.5),
    ("magnitude", {"sparsity": 0.9}, "erm-ft", 0.9),
)
"""Method, swept values, baseline, sparsity: the more is removed the more is wrong, of conflicting examples most."""


def toy_population() -> Population:
    """Six seeds of four rows; three classes in two colours; predictions of all splits that an analysis may have."""
    labels = {name: _labels(number) for name, number in EXAMPLES.items()}
    members = [
        _member(row, method, swept, baseline, sparsity, seed, labels)
        for row, (method, swept, baseline, sparsity) in enumerate(ROWS)
        for seed in range(SEEDS)
    ]
    return Population(tuple(members))


def _labels(number: int) -> GroupLabels:
    at = torch.arange(number)
    labels, attributes = at % CLASSES, (at % 4 == 0).long()
    return GroupLabels.of(labels, attributes, attributes == 0, CLASSES, ("green", "red"))


def _member(
    row: int,
    method: str,
    swept: dict[str, Any],
    baseline: str | None,
    sparsity: float,
    seed: int,
    labels: dict[str, GroupLabels],
) -> Member:
    stream = torch.Generator().manual_seed(100 * row + seed)
    found = {name: _predictions(name, groups, sparsity, stream) for name, groups in labels.items()}
    trained_on = torch.zeros(EXAMPLES["train-all"], dtype=torch.bool)
    trained_on[torch.randperm(EXAMPLES["train-all"], generator=stream)[: EXAMPLES["train"]]] = True
    record = TrialRecord(_body(method, swept, baseline, sparsity, seed, found["test"], labels["test"]), {})
    return Member(method, swept, seed, record, found, trained_on)


def _predictions(name: str, groups: GroupLabels, sparsity: float, stream: torch.Generator) -> Predictions:
    """Wrong in a tenth of the examples, in more where weights are gone or the colour conflicts."""
    labels = groups.groups // groups.num_attributes
    right = torch.nn.functional.one_hot(labels, CLASSES).float()
    chance = 0.1 + 0.3 * sparsity + 0.2 * (~groups.aligned).float()
    wrong = torch.rand(len(labels), generator=stream) < chance
    shown = torch.where(wrong[:, None], right.roll(1, dims=1), right)
    logits = 2 * shown + torch.rand(right.shape, generator=stream)
    shares = torch.bincount(groups.groups, minlength=len(groups.group_names)).float() / len(labels)
    cluster = torch.arange(len(labels))
    return Predictions(
        name,
        logits,
        labels,
        groups.attributes,
        groups.groups,
        groups.aligned,
        cluster,
        shares,
        groups.num_attributes,
    )


def _body(
    method: str,
    swept: dict[str, Any],
    baseline: str | None,
    sparsity: float,
    seed: int,
    test: Predictions,
    groups: GroupLabels,
) -> dict[str, Any]:
    number = len(groups.group_names)
    total = torch.bincount(test.groups, minlength=number)
    correct = torch.bincount(test.groups[test.correct], minlength=number)
    metrics = {
        "worst_group_accuracy": float((correct / total).min()),
        "conflicting_accuracy": _mean(test.correct[~test.aligned]),
        "accuracy": _mean(test.correct),
        "aligned_accuracy": _mean(test.correct[test.aligned]),
    }
    head = {"name": "toy", "version": "1", "rank_by": "worst_group_accuracy", "reference": "erm", "ceiling": None}
    return {
        "trial": f"{method}-{sparsity}-{seed}",
        "suite": {**head, "metrics": list(metrics)},
        "task": "toy",
        "method": method,
        "swept": swept,
        "settings": swept,
        "seed": seed,
        "track": "labels-none",
        "ranked": method != "erm-ft",
        "baseline": baseline,
        "settings_from": "default",
        "status": "ok",
        "metrics": metrics,
        "num_classes": CLASSES,
        "group_names": list(groups.group_names),
        "group_correct": correct.tolist(),
        "group_total": total.tolist(),
        "group_aligned": [group % 2 == 0 for group in range(number)],
        "train_group_total": total.tolist(),
        "train_conflicting_accuracy": 0.8 - 0.5 * sparsity,
        "parameters": 1000,
        "nonzero_parameters": round(1000 - 900 * sparsity),
        "weights": 900,
        "nonzero_weights": round(900 - 900 * sparsity),
        "flops": 10_000,
        "sparse_flops": round(10_000 - 9_000 * sparsity),
        "sparsity": sparsity,
        "training_flops": 1_000_000,
        "training_steps": 100,
        "selected_epochs": [1],
    }


def _mean(correct: Tensor) -> float:
    return float(correct.double().mean())
