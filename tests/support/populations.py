"""Populations made of arrays, for tests of analyses: what a suite's analyse stage would hand over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from benchbias import Member, Population, Predictions, TrialRecord


def predictions(
    logits: Tensor, labels: Tensor, attributes: Tensor | None = None, *, split: str = "test", num_attributes: int = 2
) -> Predictions:
    """logits (N, K), labels (N,), attributes (N,) (default: all 0). Aligned is where both are equal."""
    ground = torch.zeros_like(labels) if attributes is None else attributes
    groups = labels * num_attributes + ground
    shares = torch.bincount(groups, minlength=logits.shape[1] * num_attributes).float() / len(labels)
    cluster = torch.arange(len(labels))
    return Predictions(split, logits.float(), labels, ground, groups, ground == labels, cluster, shares, num_attributes)


def answers(predicted: Tensor, classes: int) -> Tensor:
    """Logits (N, K) of which the predicted classes (N,) are the largest."""
    return torch.nn.functional.one_hot(predicted, classes).float()


def member(
    method: str,
    seed: int,
    found: Mapping[str, Predictions] | Predictions,
    *,
    swept: Mapping[str, Any] | None = None,
    baseline: str | None = None,
    **body: Any,
) -> Member:
    """A member whose record has what the scored split says, and `body` over it."""
    kept = {"test": found} if isinstance(found, Predictions) else dict(found)
    test = kept["test"]
    number = len(test.train_group_shares)
    total = torch.bincount(test.groups, minlength=number)
    correct = torch.bincount(test.groups[test.correct], minlength=number)
    made = {
        "trial": f"{method}-{seed}",
        "suite": {"name": "made", "reference": "erm"},
        "task": "made",
        "method": method,
        "swept": dict(swept or {}),
        "settings": {},
        "seed": seed,
        "status": "ok",
        "baseline": baseline,
        "track": "labels-none",
        "metrics": {"accuracy": float(test.correct.double().mean())},
        "group_names": [f"group {number}" for number in range(number)],
        "group_total": total.tolist(),
        "group_correct": correct.tolist(),
        "train_group_total": total.tolist(),
        "num_classes": test.logits.shape[1],
        "group_aligned": [group // test.num_attributes == group % test.num_attributes for group in range(number)],
        "parameters": 1000,
        "nonzero_parameters": 1000,
        "weights": 900,
        "nonzero_weights": 900,
        "sparsity": 0.0,
        "train_conflicting_accuracy": None,
        "training_flops": 1,
        "training_steps": 1,
        "flops": 1,
        "sparse_flops": 1,
    }
    return Member(method, dict(swept or {}), seed, TrialRecord(made | body, {}), kept)


def population(members: Sequence[Member]) -> Population:
    """All of them together."""
    return Population(tuple(members))
