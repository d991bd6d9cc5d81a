"""Stage `score`: the metrics of a trial, and the counts that every estimator is computed from."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch

from benchbias.data.values import Predictions
from benchbias.errors import ComponentError
from benchbias.network.cost import ExampleCells, group_counts, pack_counts
from benchbias.records.schema import LARGEST_METRIC
from benchbias.stages.job import Job, Made, call_component
from benchbias.stages.seeding import seed_everything


def run(job: Job) -> Made:
    """Score the stored logits: a new metric costs no training. An undefined metric is stored as null."""
    test, train = predictions(job, "test", job.inputs["split"]), predictions(job, "data", "train")
    num_groups = len(job.product("data").body["group_names"])
    correct, total = group_counts(test, num_groups)
    layout = ExampleCells.of(test.cluster, test.groups)
    conflicting = ~train.aligned
    body = {
        "num_classes": int(job.product("data").body["num_classes"]),
        "group_names": list(job.product("data").body["group_names"]),
        "group_correct": correct,
        "group_total": total,
        "group_aligned": _aligned_groups(test, num_groups),
        "train_group_total": torch.bincount(train.groups, minlength=num_groups).tolist(),
        "train_conflicting_accuracy": _share(int(train.correct[conflicting].sum()), int(conflicting.sum())),
        "correct": pack_counts(test.correct, layout),
    }
    metrics = {spec["name"]: _metric(job, spec, test) for spec in job.inputs["metrics"]}
    return Made(body | {"metrics": metrics})


def predictions(job: Job, role: str, split: str) -> Predictions:
    """The stored logits of a split with all its labels."""
    labels = job.groups(role, split)
    cluster = job.blob(role, f"{split}-groups", ("cluster", "labels"))
    trained_on = job.groups("data", "train")
    shares = torch.bincount(trained_on.groups, minlength=len(labels.group_names)).float() / len(trained_on.groups)
    return Predictions(
        split,
        job.blob("predict", "logits", (split,))[split],
        cluster["labels"],
        labels.attributes,
        labels.groups,
        labels.aligned,
        cluster["cluster"],
        shares,
        labels.num_attributes,
    )


def _metric(job: Job, spec: dict[str, Any], test: Predictions) -> float | None:
    """One metric's value, whatever the others do to random numbers or to what they are given."""
    component = job.components["metric", spec["name"]]
    seed_everything(job.seed)
    return checked_metric(
        spec["name"], call_component(component, {"predictions": copy.deepcopy(test)}, spec["options"])
    )


def checked_metric(name: str, value: Any) -> float | None:
    """A metric's answer; None where it is undefined. Raises ComponentError for what no record can hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ComponentError(f"metric {name!r} returned {type(value).__name__}, not a float")
    if abs(value) > LARGEST_METRIC:
        raise ComponentError(f"metric {name!r} returned {value}: more than {LARGEST_METRIC:g} in size")
    if name.endswith("accuracy") and not (0 <= value <= 1 or math.isnan(value)):
        raise ComponentError(f"metric {name!r} returned {value}: an accuracy is from 0 to 1")
    return None if math.isnan(value) else float(value)


def _aligned_groups(test: Predictions, num_groups: int) -> list[bool]:
    """Whether the examples of each group are bias-aligned (all of a group's are, or none)."""
    aligned = torch.zeros(num_groups, dtype=torch.bool)
    aligned[test.groups[test.aligned]] = True
    flags: list[bool] = aligned.tolist()
    return flags


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
