"""The child of `benchbias prepare`: builds data sets and networks as stages do, says what is in them, verifies sources.

It reads the data sets as JSON from standard input. Plugins are imported here and not in the command line's process.
"""

from __future__ import annotations

import contextlib
import functools
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchbias.data.reading.raw_files import SOURCES, data_folder
from benchbias.errors import BenchbiasError, ComponentError, DataError, Skip, plain
from benchbias.keys.sources import module_names
from benchbias.plugin.loading import PluginRef, components_of
from benchbias.util.as_read import run_as_read
from benchbias.util.packages import spare_broken_distributions
from benchbias.util.processes import die_with_parent
from benchbias.util.streams import ended, steady_streams

if TYPE_CHECKING:
    from benchbias.data.values import BiasedDataset

FAILED = 1


class PublishedError(DataError):
    """A source whose sums are known is not what was published (exit code 3)."""

    exit_code = 3


def main() -> None:
    die_with_parent(int(sys.argv[1]))
    steady_streams()
    spare_broken_distributions()
    run_as_read(module_names())  # decoded pixels are kept under the sources that decode them
    codes = [_prepared(spec) for spec in json.load(sys.stdin)]
    sys.exit(ended(max(codes)))


def _prepared(spec: Mapping[str, Any]) -> int:
    """Build one data set and its networks; the exit code that they give is returned. One fault is one line."""
    name, root = spec["component"]["name"], data_folder()
    made: list[BiasedDataset] = []
    code = _told(name, lambda: made.append(_built(spec, root)))
    if not made:
        return code
    distinct = {repr(network["component"]): network for network in spec["networks"]}
    return max(
        code,
        *(_told(name, _verify, what, root) for what in spec["raw"]),
        _told(name, _check_augmentations, spec["augmentations"], made[0]),
        *(_told(one["component"]["name"], _check_network, one, made[0], root) for one in distinct.values()),
    )


def _told(name: str, check: Callable[..., Any], *arguments: Any) -> int:
    """The exit code of a check, whose fault is told in one line."""
    try:
        check(*arguments)
    except BenchbiasError as error:
        print(f"benchbias: {name}: {error}", file=sys.stderr)
        return error.exit_code
    except (Exception, Skip) as error:
        print(f"benchbias: {name}: {type(error).__name__}: {plain(str(error))}", file=sys.stderr)
        return FAILED
    return 0


def _built(spec: Mapping[str, Any], root: Path) -> BiasedDataset:
    """Build the data set and say what is in it. Raises what the component raises."""
    from benchbias.data.values import BiasedDataset
    from benchbias.stages.job import call_component
    from benchbias.stages.seeding import seed_everything
    from benchbias.util.connections import no_connections, offline

    name, seed = spec["component"]["name"], spec["seed"]
    component = components_of(PluginRef(**spec["plugin"]))["dataset", name]
    seed_everything(seed, "data")
    with no_connections() if offline() else contextlib.nullcontext():
        dataset = call_component(component, {"root": root, "seed": seed}, spec["component"]["options"])
    if not isinstance(dataset, BiasedDataset):
        raise ComponentError(f"a data set factory returns a BiasedDataset, not {type(dataset).__name__}")
    print(f"{name}: {plain(dataset.source)}; {plain(dataset.licence)}")
    for split, item in sorted(dataset.splits.items()):
        counts = item.groups.groups.bincount(minlength=len(item.groups.group_names)).tolist()
        told = ", ".join(f"{group} {count}" for group, count in zip(item.groups.group_names, counts, strict=True))
        shape = " x ".join(str(side) for side in item.split.images.shape[1:])
        print(f"  {plain(split)}: {len(item.split)} images of {shape}: {plain(told)[:400]}", flush=True)
    by = [", ".join(f"{value:.4g}" for value in values) for values in (dataset.mean, dataset.std)]
    print(f"  normalised by mean {by[0]}; std {by[1]}", flush=True)
    for note in dataset.notes:
        print(f"  note: {plain(note)}", flush=True)
    return dataset


def _check_augmentations(asked: Sequence[str], dataset: BiasedDataset) -> None:
    """Raises ComponentError for an augmentation that a recipe asks for and the data set does not allow."""
    for name in asked:
        if name not in dataset.augmentations:
            known = ", ".join(dataset.augmentations)
            raise ComponentError(f"augment = {name!r} does not fit this data set (known: {known})")


def _check_network(spec: Mapping[str, Any], dataset: BiasedDataset, root: Path) -> None:
    """Build a network for the data set and hold it against what the core relies on, as `init` does.

    Raises ComponentError.
    """
    import torch

    from benchbias.data.augment import normalise
    from benchbias.network.determinism import told, without_deterministic_form
    from benchbias.network.fitness import check_model
    from benchbias.stages.job import call_changed, call_component
    from benchbias.stages.loaded import loaded_notes
    from benchbias.stages.seeding import seed_everything

    components = {name: found for ref in spec["plugins"] for name, found in components_of(PluginRef(**ref)).items()}
    train, val = (dataset.splits[name].split for name in ("train", "val"))
    given: dict[str, Any] = {"input_shape": tuple(train.images.shape[1:]), "num_classes": dataset.num_classes}
    given["root"] = root
    if spec["backbone"] is not None:
        backbone = components["model", spec["backbone"]["name"]]
        given["backbone"] = functools.partial(call_changed, backbone, dict(given), spec["backbone"])
    called = spec["component"]

    def build(seed: int) -> torch.nn.Module:
        seed_everything(seed, "init")
        model: torch.nn.Module = call_component(components["model", called["name"]], given, called["options"])
        return model

    model = build(0)
    check_model(model, f"model {called['name']!r}", given["input_shape"], dataset.num_classes)
    if found := without_deterministic_form(model, normalise(train.images[:1], dataset.mean, dataset.std)):
        print(f"  note: {called['name']}: {plain(told(found))}", flush=True)
    if called["options"].get("weights") is not None:
        for note in loaded_notes(build, train, val, dataset.mean, dataset.std):
            print(f"  note: {called['name']}: {plain(note)}", flush=True)


def _verify(what: str, root: Path) -> None:
    """Say whether a source that we know sums of is what was published. Raises PublishedError where it is not."""
    from benchbias.data.reading.hub import content_digest, hub_images

    kind, _, name = what.partition(":")
    source = SOURCES.get(name) if kind == "hub" else None
    if source is None or not source.content:
        print(f"  {name}: no published sum is known for its pixels; its files' digest stands in every key")
        return
    for split, wanted in source.content.items():
        found = hub_images(root, name, split, image=source.image)
        labels = found.columns["label"]
        if isinstance(labels, list) or content_digest(found.images, labels) != wanted:
            raise PublishedError(f"{name}, split {split}: not the published images and labels")
    print(f"  {name}: pixels and labels are those that were published, bit for bit")


if __name__ == "__main__":
    main()
