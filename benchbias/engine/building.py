"""The child of `benchbias prepare`: builds data sets as a data stage does, says what is in them, and verifies sources.

It reads the data sets as JSON from standard input. Plugins are imported here and not in the command line's process.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchbias.data.reading.raw_files import SOURCES, data_folder
from benchbias.errors import BenchbiasError, ComponentError, Skip, plain
from benchbias.plugin.loading import PluginRef, components_of
from benchbias.util.packages import spare_broken_distributions
from benchbias.util.processes import die_with_parent
from benchbias.util.streams import ended, steady_streams

FAILED = 1
CHECK_FAILED = 3


def main() -> None:
    die_with_parent(int(sys.argv[1]))
    steady_streams()
    spare_broken_distributions()
    codes = [_prepared(spec) for spec in json.load(sys.stdin)]
    sys.exit(ended(max(codes)))


def _prepared(spec: Mapping[str, Any]) -> int:
    """Build one data set; the exit code that it gives is returned."""
    name = spec["component"]["name"]
    try:
        _build(spec, data_folder())
        return max((_verify(what, data_folder()) for what in spec["raw"]), default=0)
    except BenchbiasError as error:
        print(f"benchbias: {name}: {error}", file=sys.stderr)
        return error.exit_code
    except (Exception, Skip) as error:
        print(f"benchbias: {name}: {type(error).__name__}: {plain(str(error))}", file=sys.stderr)
        return FAILED


def _build(spec: Mapping[str, Any], root: Path) -> None:
    from benchbias.data.values import BiasedDataset
    from benchbias.stages.job import call_component
    from benchbias.stages.seeding import seed_everything

    name, seed = spec["component"]["name"], spec["seed"]
    component = components_of(PluginRef(**spec["plugin"]))["dataset", name]
    seed_everything(seed, "data")
    dataset = call_component(component, {"root": root, "seed": seed}, spec["component"]["options"])
    if not isinstance(dataset, BiasedDataset):
        raise ComponentError(f"a data set factory returns a BiasedDataset, not {type(dataset).__name__}")
    print(f"{name}: {plain(dataset.source)}; {plain(dataset.licence)}")
    for split, item in sorted(dataset.splits.items()):
        counts = item.groups.groups.bincount(minlength=len(item.groups.group_names)).tolist()
        told = ", ".join(f"{group} {count}" for group, count in zip(item.groups.group_names, counts, strict=True))
        shape = " x ".join(str(side) for side in item.split.images.shape[1:])
        print(f"  {split}: {len(item.split)} images of {shape}: {plain(told)[:400]}", flush=True)


def _verify(what: str, root: Path) -> int:
    """Whether a source that we know sums of is what was published: 0, or 3 where it is not."""
    from benchbias.data.reading.hub import content_digest, hub_images

    kind, _, name = what.partition(":")
    source = SOURCES.get(name) if kind == "hub" else None
    if source is None or not source.content:
        print(f"  {name}: no published sum is known for its pixels; its files' digest stands in every key")
        return 0
    for split, wanted in source.content.items():
        found = hub_images(root, name, split, image=source.image)
        labels = found.columns["label"]
        if isinstance(labels, list) or content_digest(found.images, labels) != wanted:
            print(f"benchbias: {name}, split {split}: not the published images and labels", file=sys.stderr)
            return CHECK_FAILED
    print(f"  {name}: pixels and labels are those that were published, bit for bit")
    return 0


if __name__ == "__main__":
    main()
