"""Checks of data sets: what a BiasedDataset must be beyond its constructor, and what a seed decides."""

from __future__ import annotations

from benchbias.testing.calling.calls import dataset_stage
from benchbias.testing.calling.subject import Subject
from benchbias.testing.calling.verdicts import Unmet
from benchbias.testing.calling.watching import digest


def provenance(subject: Subject) -> str:
    """It says where the data come from and under which licence."""
    body = dataset_stage(subject).body
    missing = [name for name in ("source", "licence") if not str(body[name]).strip()]
    if missing:
        raise Unmet(f"empty: {', '.join(missing)}")
    return f"{body['licence']}; {body['counts']['train']} training examples by group"


def seeds(subject: Subject) -> None:
    """Another seed gives other data: the split, the conflicts or the noise."""
    if digest(dataset_stage(subject, 0).blobs) == digest(dataset_stage(subject, 1).blobs):
        raise Unmet("seeds 0 and 1 give the same bytes")


def disjoint_splits(subject: Subject) -> None:
    """No source image (cluster) of the test splits occurs in training or validation."""
    blobs = dataset_stage(subject).blobs
    clusters = {
        name.removesuffix("-groups"): set(tensors["cluster"].tolist())
        for name, tensors in blobs.items()
        if name.endswith("-groups")
    }
    for name, others in clusters.items():
        shared = clusters["test"] & others
        if name != "test" and not name.startswith("test") and shared:
            raise Unmet(f"{len(shared)} clusters are in test and in {name}, such as {min(shared)}")


def every_group_tested(subject: Subject) -> str:
    """The test split holds examples of every group that occurs in training."""
    counts = dataset_stage(subject).body["counts"]
    absent = [group for group, count in enumerate(counts["test"]) if not count and counts["train"][group]]
    if absent:
        raise Unmet(f"no test example of the groups {absent}: their accuracy is undefined")
    return f"test examples by group: {counts['test']}"
