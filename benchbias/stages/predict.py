"""Stage `predict`: the logits of a finished model on the scored and the training split, and its cost, counted."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from benchbias.data.values import Split, TrainingData
from benchbias.errors import ComponentError
from benchbias.network.cost import count_cost
from benchbias.sparse.masks import apply
from benchbias.stages.job import Job, Made, placed
from benchbias.training.fit import logits

BATCH = 256  # larger ones are slower on a CPU
BATCH_BYTES = 256 << 20  # of a batch's images as float32, at most


def batch_size(shape: Sequence[int]) -> int:
    """Images of this shape (C, H, W) that are predicted at once: fewer where they are large."""
    return max(1, min(BATCH, BATCH_BYTES // (4 * math.prod(shape))))


def run(job: Job) -> Made:
    """Predict on the task's own data, whatever the method trained on; their test splits must be the same."""
    own, test = job.product("data").blobs["test"], job.product("test").blobs["test"]
    if own != test:
        raise ComponentError("the method's own data set has another test split than the task's: it cannot be compared")
    further = further_splits(job)
    model = job.model("model")
    mask = job.mask("mask")
    if mask is not None:
        apply(model, mask)
    body = job.product("data").body
    scored = job.inputs["split"]
    if scored not in job.product("test").body["counts"]:
        known = ", ".join(job.product("test").body["counts"])
        raise ComponentError(f"the data set has no split {scored!r} (known: {known})")
    splits = {scored: _images(job, "test", scored), "train": _images(job, "data", "train")}
    splits |= {name: _images(job, role, name) for name, role in further.items()}
    data = TrainingData(
        splits["train"], splits["train"], tuple(body["mean"]), tuple(body["std"]), batch_size(body["input_shape"])
    )
    answers = {name: logits(model, data, split) for name, split in splits.items()}
    for name, values in answers.items():
        wanted = (len(splits[name]), int(body["num_classes"]))
        if tuple(values.shape) != wanted:
            raise ComponentError(f"the model's logits on {name} have the shape {tuple(values.shape)}, not {wanted}")
        if not bool(torch.isfinite(values).all()):
            raise ComponentError(f"the model's logits on {name} are not finite")
    cost = count_cost(model, data.batch(splits["train"], torch.zeros(1, dtype=torch.int64, device=job.device)).images)
    return Made({"cost": cost.to_json()}, {"logits": answers})


def further_splits(job: Job) -> dict[str, str]:
    """The splits that are predicted besides, and whose they are: `train...` the method's own (data), others the task's.

    Raises ComponentError for one that there is not.
    """
    found = {}
    for name in job.inputs.get("more", ()):
        role = "data" if name.startswith("train") else "test"
        counts = job.product(role).body["counts"]
        if name not in counts:
            raise ComponentError(f"the data set has no split {name!r} (known: {', '.join(counts)})")
        found[name] = role
    return found


def _images(job: Job, role: str, name: str) -> Split:
    """The images of a split; their labels stay in the store until they are scored."""
    images = placed(job.blob(role, name, ("images",))["images"], job.device)
    labels = torch.zeros(len(images), dtype=torch.int64, device=job.device)
    return Split(images, labels, int(job.product(role).body["num_classes"]), name)
