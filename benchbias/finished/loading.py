"""An exported file as a network again."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchbias.errors import BenchbiasError, ComponentError, DataError, StorageError, UsageError, first_line
from benchbias.finished.description import KEY, digest_of, read_description, reference
from benchbias.network.weights import load_state
from benchbias.slim.slimming import resized
from benchbias.stages.job import Components, call_changed, call_component
from benchbias.store.tensor_files import read_tensors
from benchbias.util.files import regular, told

SAME = 1e-4  # by which a logit of another machine may differ, over the largest (at least 1)


def description_of(path: Path) -> dict[str, Any]:
    """The description in a safetensors file. Raises UsageError, and StorageError where it cannot be read."""
    import safetensors

    try:
        with regular(path.resolve()):  # no pipe is waited for
            pass
        with safetensors.safe_open(path, framework="pt") as file:
            found = (file.metadata() or {}).get(KEY)
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"{path} is not there") from None
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {told(error)}") from None
    except safetensors.SafetensorError as error:
        raise DataError(f"{path} is no safetensors file, or a damaged one: {error}") from None
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    except ValueError as error:  # a name with a NUL
        raise UsageError(f"{str(path)!r} is no name of a file: {error}") from None
    return read_description(found, path)


def network_of(path: Path, components: Components, root: Path) -> nn.Module:
    """The network of a safetensors file, in eval mode, from its own description.

    components: those of the plugin that has its factory. root: the data folder. Raises UsageError and DataError, also
    where the tensors are damaged, or the factory is not the one that the file was made with.
    """
    document = description_of(path)
    name = document["model"]["name"]
    tensors = _tensors(path, document)
    try:
        model = _made(document, components, root)
    except (BenchbiasError, MemoryError):
        raise
    except Exception as error:  # whatever a factory raises
        said = f"{type(error).__name__}: {first_line(error):.200}"
        raise ComponentError(f"{path}: the network {name!r} cannot be made again ({said})") from None
    try:
        if document.get("slimmed") is not None:
            resized(model, tensors, document["slimmed"])
        else:
            missing = sorted(model.state_dict().keys() - tensors.keys())
            if missing:
                raise DataError(f"{path}: it lacks {', '.join(missing[:3])}")
            load_state(model, tensors)
    except (RuntimeError, AttributeError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise DataError(f"{path}: its tensors do not fit {name!r}: {' '.join(lines[:3]):.400}") from None
    odd = [key for key, value in model.state_dict().items() if key in tensors and value.dtype != tensors[key].dtype]
    if odd:
        raise DataError(f"{path}: its tensors do not fit {name!r}: {odd[0]} is {tensors[odd[0]].dtype} in the file")
    _check_answers(path, model.eval(), document)
    return model


def _tensors(path: Path, document: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of a file. Raises DataError where they are not those that were written."""
    try:
        tensors = read_tensors(path)
    except BenchbiasError as error:
        raise DataError(f"{path}: {str(error).removeprefix(f'{path} ')}") from None
    if digest_of(tensors) != document["sha256"]:
        raise DataError(f"{path}: its tensors are damaged: their SHA-256 is not that of its description")
    return tensors


def _check_answers(path: Path, model: nn.Module, document: Mapping[str, Any]) -> None:
    """Refuse a network that gives other logits than the one that was exported."""
    name, plugin = document["model"]["name"], (document["model"].get("plugin") or {}).get("module")
    wanted = torch.tensor(document["reference"], dtype=torch.float64)
    try:
        found = torch.tensor(reference(model, document["input_shape"]), dtype=torch.float64)
        same = found.shape == wanted.shape
        apart = float((found - wanted).abs().max()) if same else math.inf
        same = apart <= SAME * max(1.0, float(wanted.abs().max()))
    except Exception:  # whatever another network makes of these images
        same = False
    if not same:
        made = f"{name!r} of {plugin}" if plugin else repr(name)
        raise DataError(f"{path}: the network {made} gives other answers than at its export: its source is another now")


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
    if not isinstance(model, nn.Module):
        raise ComponentError(f"the network {spec['name']!r} is no nn.Module but {type(model).__name__}")
    return model


def _component(components: Components, name: str) -> Callable[..., Any]:
    if ("model", name) not in components:
        raise UsageError(f"no plugin here has the network {name!r}: install the one that it was made with")
    return components["model", name]
