"""Stage `data`: build a data set, check it, and store one blob a split, attributes apart."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from collections.abc import Mapping

import torch
from torch import Tensor

from benchbias.data.reading.raw_files import locate, raw_digest
from benchbias.data.values import BiasedDataset, GroupLabels, LabelledSplit, Split
from benchbias.errors import ComponentError, DataError
from benchbias.network.cost import ExampleCells
from benchbias.stages.job import Job, Made
from benchbias.stages.seeding import generator, seed_everything
from benchbias.util.connections import no_connections, offline


def run(job: Job) -> Made:
    """Call the data set's factory and take it apart, so that a train worker never opens the test split."""
    _check_raw(job)
    seed_everything(job.seed, "data")
    with no_connections() if offline() else contextlib.nullcontext():
        dataset = job.call("dataset", {"root": job.data_root, "seed": job.seed})
    _check_raw(job)
    if not isinstance(dataset, BiasedDataset):
        raise ComponentError(f"a data set factory returns a BiasedDataset, not {type(dataset).__name__}")
    limit = job.inputs["limit"]
    splits = {name: _limited(item, limit) for name, item in sorted(dataset.splits.items())}
    share = job.inputs.get("share")
    trained_on = None if share is None else drawn_share(splits["train"].split.labels, **share)
    if trained_on is not None:
        splits |= {"train": _chosen(splits["train"], torch.nonzero(trained_on)[:, 0]), "train-all": splits["train"]}
    groups = dataset.splits["train"].groups
    layout = ExampleCells.of(splits["test"].cluster, splits["test"].groups.groups)
    body = {
        "num_classes": dataset.num_classes,
        "num_attributes": dataset.num_attributes,
        "group_names": list(groups.group_names),
        "input_shape": list(splits["train"].split.images.shape[1:]),
        "mean": list(dataset.mean),
        "std": list(dataset.std),
        "augmentations": list(dataset.augmentations),
        "source": dataset.source,
        "licence": dataset.licence,
        "counts": {name: _counts(item, len(groups.group_names)) for name, item in splits.items()},
        "conflicting": {name: int((~item.groups.aligned).sum()) for name, item in splits.items()},
        "shared": _shared(splits),
        "layout": layout.to_json(),
    }
    told = {"notes": list(dataset.notes), "preprocessing": dataset.preprocessing}
    body |= {name: value for name, value in told.items() if value}
    blobs = {} if trained_on is None else {"share": {"trained_on": trained_on}}
    for name, item in splits.items():
        blobs[name] = {"images": item.split.images, "labels": item.split.labels}
        blobs[f"{name}-groups"] = {
            "labels": item.split.labels,
            "attributes": item.groups.attributes,
            "aligned": item.groups.aligned.to(torch.uint8),
            "cluster": item.cluster,
        }
    return Made(body, blobs)


def _check_raw(job: Job) -> None:
    """Raises DataError where the raw files are no longer those that the stage's key names."""
    for what, digest in job.inputs.get("raw", {}).items():
        kind, _, name = what.partition(":")
        place = locate(job.data_root, kind, name)
        if place is None or raw_digest(job.data_root, place) != digest:
            raise DataError(f"the files of {name!r} below {job.data_root} are not those of the plan: run again")


def _counts(item: LabelledSplit, num_groups: int) -> list[int]:
    counts: list[int] = torch.bincount(item.groups.groups, minlength=num_groups).tolist()
    return counts


def _shared(splits: Mapping[str, LabelledSplit]) -> dict[str, dict[str, int]]:
    """Counts for each pair of train, val and test: images equal byte for byte, and source examples in both."""
    names = ("train", "val", "test")
    images = {
        name: {hashlib.sha256(image.numpy().tobytes()).digest() for image in splits[name].split.images}
        for name in names
    }
    sources = {name: set(splits[name].cluster.tolist()) for name in names}
    return {
        f"{one}, {other}": {
            "images": len(images[one] & images[other]),
            "sources": len(sources[one] & sources[other]),
        }
        for one, other in itertools.combinations(names, 2)
    }


def _limited(item: LabelledSplit, limit: int | None) -> LabelledSplit:
    """At most `limit` examples, spread evenly over the split."""
    length = len(item.split)
    if limit is None or length <= limit:
        return item
    return _chosen(item, torch.linspace(0, length - 1, limit).round().to(torch.int64))


def drawn_share(labels: Tensor, fraction: float, seed: int) -> Tensor:
    """The examples that a seed trains on, bool (N,): of every class the same fraction, rounded, at random.

    Raises DataError where a class would have none.
    """
    stream = generator(seed, "data")
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    for label in range(int(labels.max()) + 1):
        members = torch.nonzero(labels == label)[:, 0]
        number = round(fraction * len(members))
        if number == 0 < len(members):
            raise DataError(f"train_fraction = {fraction} leaves no example of class {label} ({len(members)} examples)")
        chosen[members[torch.randperm(len(members), generator=stream)[:number]]] = True
    return chosen


def _chosen(item: LabelledSplit, keep: Tensor) -> LabelledSplit:
    """The examples `keep` (M,) of a split."""
    split, groups = item.split, item.groups
    return LabelledSplit(
        Split(split.images[keep], split.labels[keep], split.num_classes, split.name),
        GroupLabels(
            groups.attributes[keep],
            groups.groups[keep],
            groups.aligned[keep],
            groups.num_attributes,
            groups.group_names,
        ),
        item.cluster[keep],
    )
