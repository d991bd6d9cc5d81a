"""The description in an exported file: whose network it is, how images are given to it, how it is loaded."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn

from benchbias.errors import BenchbiasError, DataError, UsageError
from benchbias.finished.rebuilt import Finished
from benchbias.network.inspect import evaluating
from benchbias.slim.slimming import SIZE_NAMES, Slimmed
from benchbias.util import canonical
from benchbias.util.validation import validation_text

SCHEMA = 1
KEY = "benchbias"
"""The name of the description in the metadata of a file."""

REFERENCES = 2  # images that a network of a file is tried on when it is loaded
GOLDEN = 0.6180339887498949  # multiples of it, less whole numbers, spread evenly

LOADING = (
    "benchbias.load_network(FILE) gives the network in eval mode; so does its factory with load_state_dict of the "
    "tensors, where nothing was slimmed. Images are float32 (N, C, H, W) from 0 to 1, less `mean`, over `std`."
)


def described(found: Finished, model: nn.Module, slim: Slimmed | None) -> dict[str, Any]:
    """The description of a finished network, as JSON. model: what is written, slimmed or not."""
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
        "sha256": digest_of({name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}),
        "reference": reference(model, data["input_shape"]),
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


def reference(model: nn.Module, shape: Sequence[int]) -> list[list[float]]:
    """The logits of two images that are the same everywhere (N, K): a network that gives others is another one.

    shape: of an image (C, H, W). Raises DataError where a logit is not finite.
    """
    numbers = torch.arange(REFERENCES * math.prod(shape), dtype=torch.float64)
    images = (4 * ((numbers * GOLDEN) % 1) - 2).float().reshape(REFERENCES, *shape)
    device = next((tensor.device for tensor in model.state_dict().values()), torch.device("cpu"))
    with evaluating(model):
        found: list[list[float]] = model(images.to(device)).double().cpu().tolist()
    if not all(math.isfinite(value) for row in found for value in row):
        raise DataError("its logits of a plain image are not finite")
    return found


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """The SHA-256 of tensors: names, types, shapes, bytes."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        if tensor.numel():
            digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Spec(_Closed):
    """A factory by name, with its options, and the plugin that has it."""

    name: Annotated[str, Field(min_length=1)]
    options: dict[str, Any]
    plugin: dict[str, Any] | None = None


Place = Annotated[int, Field(ge=1, lt=2**31)]
Numbers = Annotated[list[float], Field(min_length=1)]


class Description(BaseModel):
    """The part of a description that makes a network of a file again; other keys say whose it is."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True, allow_inf_nan=False, populate_by_name=True)

    schema_: Annotated[int, Field(alias="schema", ge=SCHEMA, le=SCHEMA)]
    model: Spec
    backbone: Spec | None
    input_shape: Annotated[list[Place], Field(min_length=1, max_length=4)]
    num_classes: Place
    mean: Numbers
    std: Numbers
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    reference: Annotated[list[Numbers], Field(min_length=REFERENCES, max_length=REFERENCES)]
    slimmed: dict[str, dict[Literal[SIZE_NAMES], Place]] | None = None  # type: ignore[valid-type]


def read_description(text: str | None, path: object) -> dict[str, Any]:
    """The description of a file from its text. Raises UsageError for none, a damaged one, or a newer one's."""
    if text is None:
        raise UsageError(f"{path} has no description of benchbias: it is none of its exported files")
    try:
        document = canonical.loads(text.encode())
    except (BenchbiasError, UnicodeEncodeError) as error:
        raise UsageError(f"{path}: its description is damaged: {error}") from None
    schema = document.get("schema") if isinstance(document, dict) else None
    if type(schema) is int and schema > SCHEMA:
        raise UsageError(f"{path} was exported by a newer benchbias (schema {schema}, not {SCHEMA}): upgrade this one")
    try:
        Description.model_validate(document)
    except ValidationError as error:
        raise UsageError(f"{path}: its description is damaged: {validation_text(error)}") from None
    found: dict[str, Any] = document
    return found
