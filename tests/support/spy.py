"""A plugin of canaries: they search all that their process holds for data that they were not given. No test."""

import gc
import hashlib
import json
import os
import sys
import types
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchbias import BiasedDataset, GroupLabels, LabelledSplit, Split, Table, hookimpl

SIZES = {"train": 211, "val": 101, "val_balanced": 107, "test": 389}  # no other tensor is as long
FORBIDDEN = {}  # sha256 -> what it is: written here by the test


def secret(root: Path, seed: int) -> BiasedDataset:
    """Random images, labels and attributes: nothing follows from anything."""
    splits = {}
    for number, (name, size) in enumerate(SIZES.items()):
        stream = np.random.default_rng([seed, number])
        images = torch.from_numpy(stream.integers(0, 256, (size, 3, 6, 6), dtype=np.uint8))
        labels = torch.from_numpy(stream.integers(0, 2, size))
        attributes = torch.from_numpy(stream.integers(0, 2, size))
        groups = GroupLabels.of(labels, attributes, labels == attributes, 2, ("red", "green"))
        splits[name] = LabelledSplit(Split(images, labels, 2, name), groups, torch.arange(size) + 1000 * (number + 1))
    return BiasedDataset(splits, (0.5,) * 3, (0.25,) * 3, "made up", "none")


def columns(dataset: BiasedDataset) -> dict[str, torch.Tensor]:
    """Every column of every split, by name."""
    found = {}
    for name, item in dataset.splits.items():
        found |= {f"{name} images": item.split.images, f"{name} labels": item.split.labels}
        found |= {f"{name} attributes": item.groups.attributes, f"{name} groups": item.groups.groups}
        found |= {f"{name} aligned": item.groups.aligned.to(torch.uint8), f"{name} clusters": item.cluster}
    return found


def net(input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, num_classes))


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


LENGTHS = {size * factor for size in SIZES.values() for factor in (1, 108)}  # elements of a column
BYTES = {size * factor for size in SIZES.values() for factor in (1, 8, 108)}  # what a column takes
ATOMS = frozenset((str, int, float, bool, complex, type(None), type, types.CodeType, types.BuiltinFunctionType))
COLUMNS = (bytes, bytearray, list, tuple, np.ndarray, torch.Tensor)  # what may hold a column


def contents(value: object) -> list[bytes]:
    """The bytes of what is as long as a column, as they are and as whole numbers."""
    if isinstance(value, bytes | bytearray):
        return [bytes(value)] if len(value) in BYTES else []
    arrays = []
    if isinstance(value, list | tuple):
        if len(value) in LENGTHS and all(type(item) is int for item in value):
            arrays = [np.array(value, dtype=np.int64)]
    elif isinstance(value, np.ndarray):
        arrays = [value] if value.size in LENGTHS and value.dtype.kind in "biuf" else []
    elif isinstance(value, torch.Tensor) and value.device.type == "cpu" and value.layout == torch.strided:
        value = value.detach()
        arrays = [value.float().numpy()] if value.numel() in LENGTHS else []
        if value.untyped_storage().nbytes() in BYTES:  # a part of a column leads to all of it
            arrays.append(torch.empty(0, dtype=torch.uint8).set_(value.untyped_storage()).numpy())
    if not arrays:
        return []
    with np.errstate(invalid="ignore"):
        return [array.astype(kind).tobytes() for array in arrays for kind in (np.int64, np.uint8)]


def search() -> list[str]:
    """What of FORBIDDEN this process holds: in frames, in all objects and what they refer to, in open files."""
    todo: list[object] = [*gc.get_objects(), *sys.modules.values(), dict(os.environ), list(sys.argv)]
    frame = sys._getframe()
    while frame is not None:
        todo += [frame.f_locals, frame.f_globals]
        frame = frame.f_back
    seen: set[int] = set()
    found: set[str] = set()
    kinds: dict[type, bool] = {}
    mine = {id(seen), id(found), id(todo), id(kinds)}
    while todo:
        value = todo.pop()
        if id(value) in seen or id(value) in mine:
            continue
        seen.add(id(value))
        kind = type(value)
        if kind not in kinds:  # a million objects are of a thousand types
            kinds[kind] = issubclass(kind, COLUMNS)
        if kinds[kind]:
            for content in contents(value):
                found |= {FORBIDDEN[name] for name in [digest(content)] if name in FORBIDDEN}
            if isinstance(value, torch.Tensor) and value.ndim and len(value) == SIZES["test"]:
                found.add("a tensor as long as the test split")
        todo += [item for item in gc.get_referents(value) if type(item) not in ATOMS]
    for place in [*Path("/proc/self/fd").iterdir(), Path("/proc/self/maps")]:
        try:
            text = place.read_text() if place.name == "maps" else str(place.readlink())
            if place.name != "maps" and Path(text).is_file():
                text += digest(Path(text).read_bytes())
        except OSError:
            continue
        found |= {f"{what} (open)" for name, what in FORBIDDEN.items() if name in text}
    return sorted(found)


def tell(where: str) -> None:
    print("SPY " + json.dumps([where, search()]), flush=True)


def spy(model, data, context) -> None:
    """Search before and while it trains."""
    tell("trainer, before")
    context.fit(model, data, after_epoch=lambda epoch, model: epoch == 1 and tell("trainer, after an epoch"))


def spy_with_groups(model, data, context, train_groups) -> None:
    """The same, with the right to see what it finds."""
    tell("trainer with groups")
    context.fit(model, data)


def spy_pruner(model, data, context):
    """In a prune stage and inside of training."""
    tell("pruner")
    return {name: weight.abs() for name, weight in context.prunable(model).items()}


@hookimpl
def benchbias_datasets():
    return {"secret": secret}


@hookimpl
def benchbias_models():
    return {"spied_net": net}


@hookimpl
def benchbias_trainers():
    return {"spy": spy, "spy_with_groups": spy_with_groups}


def spy_probe(model, data, context) -> Table:
    """With the right to see everything: after training, in a process of its own."""
    tell("probe")
    return Table({"found": ("count", "", (1,))}, "Searched")


@hookimpl
def benchbias_probes():
    return {"spy_probe": spy_probe}


@hookimpl
def benchbias_pruners():
    return {"spy_pruner": spy_pruner}
