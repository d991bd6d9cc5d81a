"""The scored part of a trial's record, made from the products of all its stages. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def scored_body(stages: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Score, cost, sparsity and training, from (kind, body) of every stage in order, the score last."""
    score = stages[-1][1]
    cost = next(body["cost"] for kind, body in stages if kind == "predict")
    training = [body for _, body in stages if "training_flops" in body]  # some pruners train too
    flops = [stage["training_flops"] for stage in training]
    made = next((body["preprocessing"] for kind, body in stages if kind == "data" and "preprocessing" in body), None)
    return {
        **({} if made is None else {"preprocessing": made}),
        **score,
        **cost,
        "status": "ok",
        "sparsity": 1 - cost["nonzero_weights"] / cost["weights"] if cost["weights"] else 0.0,
        "training_flops": None if any(one is None for one in flops) else sum(flops),
        "training_steps": sum(stage["steps"] for stage in training),
        "selected_epochs": [stage["selected_epoch"] for stage in training if "selected_epoch" in stage],
    }
