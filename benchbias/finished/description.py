"""The description in an exported file: whose network it is, how images are given to it, how it is loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch

from benchbias.errors import UsageError
from benchbias.finished.rebuilt import Finished
from benchbias.slim.slimming import Slimmed

SCHEMA = 1
KEY = "benchbias"
"""The name of the description in the metadata of a file."""

LOADING = (
    "benchbias.load_network(FILE) gives the network in eval mode; so does its factory with load_state_dict of the "
    "tensors, where nothing was slimmed. Images are float32 (N, C, H, W) from 0 to 1, less `mean`, over `std`."
)


def described(found: Finished, slim: Slimmed | None) -> dict[str, Any]:
    """The description of a finished network, as JSON."""
    trial, init, data = found.trial, found.init, found.data
    cost = found.job.store.get(found.predict)
    assert cost is not None
    counts = cost.body["cost"]
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "trial": trial["id"],
        "suite": found.suite["name"],
        "suite_version": found.suite["version"],
        "limit": found.suite["limit"],
        **{name: trial[name] for name in ("task", "method", "swept", "seed")},
        "model": {**init["component"], "plugin": {name: found.plugin[name] for name in ("module", "distribution")}},
        "backbone": init.get("backbone"),
        "input_shape": list(data["input_shape"]),
        "num_classes": int(data["num_classes"]),
        "mean": list(data["mean"]),
        "std": list(data["std"]),
        "sparsity": 1 - counts["nonzero_weights"] / counts["weights"] if counts["weights"] else 0.0,
        "parameters": counts["parameters"],
        "made_by": {**found.provenance, "torch": str(torch.__version__)},
        "load": LOADING,
    }
    if slim is not None:
        document["parameters"] = slim.after
        document["slimmed"] = {name: dict(numbers) for name, numbers in slim.sizes.items()}
        document["not_cut"] = [str(left) for left in slim.left]
    return document


def text_of(document: Mapping[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, allow_nan=False)


def read_description(text: str | None, path: object) -> dict[str, Any]:
    """The description of a file from its text. Raises UsageError for none, a damaged one, or a newer one's."""
    if text is None:
        raise UsageError(f"{path} has no description of benchbias: it is none of its exported files")
    try:
        document = json.loads(text)
        schema = document["schema"]
        needed = ("model", "backbone", "input_shape", "num_classes", "mean", "std")
        whole = isinstance(schema, int) and all(name in document for name in needed)
    except (ValueError, TypeError, KeyError):
        whole = False
    if not whole:
        raise UsageError(f"{path}: its description is damaged")
    if schema > SCHEMA:
        raise UsageError(f"{path} was exported by a newer benchbias (schema {schema}, not {SCHEMA}): upgrade this one")
    found: dict[str, Any] = document
    return found
