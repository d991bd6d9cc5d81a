"""An exported file as a network again."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchbias.errors import DataError, StorageError, UsageError
from benchbias.finished.description import KEY, read_description
from benchbias.network.weights import load_state
from benchbias.slim.slimming import resized
from benchbias.stages.job import Components, call_changed, call_component
from benchbias.store.tensor_files import read_tensors


def description_of(path: Path) -> dict[str, Any]:
    """The description in a safetensors file. Raises UsageError, and StorageError where it cannot be read."""
    import safetensors

    try:
        with safetensors.safe_open(path, framework="pt") as file:
            found = (file.metadata() or {}).get(KEY)
    except FileNotFoundError:
        raise UsageError(f"{path} is not there") from None
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error}") from None
    except safetensors.SafetensorError as error:
        raise DataError(f"{path} is no safetensors file, or a damaged one: {error}") from None
    return read_description(found, path)


def network_of(path: Path, components: Components, root: Path) -> nn.Module:
    """The network of a safetensors file, in eval mode, from its own description.

    components: those of the plugin that has its factory. root: the data folder. Raises UsageError and DataError.
    """
    document = description_of(path)
    model = _made(document, components, root)
    tensors = read_tensors(path)
    try:
        if "slimmed" in document:
            resized(model, tensors, document["slimmed"])
        else:
            missing = sorted(model.state_dict().keys() - tensors.keys())
            if missing:
                raise DataError(f"{path}: it lacks {', '.join(missing[:3])}")
            load_state(model, tensors)
    except (RuntimeError, AttributeError) as error:
        first = str(error).split("\n")[0]
        raise DataError(f"{path}: its tensors do not fit {document['model']['name']!r}: {first:.300}") from None
    return model.eval()


def _made(document: Mapping[str, Any], components: Components, root: Path) -> nn.Module:
    given: dict[str, Any] = {"input_shape": tuple(document["input_shape"]), "root": root}
    given["num_classes"] = int(document["num_classes"])
    backbone = document["backbone"]
    if backbone is not None:
        given["backbone"] = functools.partial(
            call_changed, _component(components, backbone["name"]), dict(given), backbone
        )
    spec = document["model"]
    with torch.random.fork_rng(devices=[]):
        model = call_component(_component(components, spec["name"]), given, spec["options"])
    assert isinstance(model, nn.Module)
    return model


def _component(components: Components, name: str) -> Callable[..., Any]:
    if ("model", name) not in components:
        raise UsageError(f"no plugin here has the network {name!r}: install the one that it was made with")
    return components["model", name]
