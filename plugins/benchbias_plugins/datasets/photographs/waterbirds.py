"""Waterbirds (Sagawa et al., 2020): birds of CUB-200-2011 cut out and put on grounds of Places, land or water."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import torch

from benchbias import BiasedDataset, Range, Row, folder_images, hub_images, reads, table_rows

from .published import (
    Kind,
    Photos,
    check_counts,
    check_once,
    dataset,
    group_counts,
    held_out,
    hub_binary,
    meaning,
    named_counts,
    require,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

FOLDER = "waterbird_complete95_forest2water2"
REPOSITORY = "grodino/waterbirds"
COLUMNS = ("img_filename", "y", "split", "place")
BITS = {"0": 0, "1": 1}
SPLITS = {"0": "train", "1": "val_balanced", "2": "test"}  # the column `split`; its validation is balanced in a class
NAMES = {  # the hub's columns: their values as texts, and as numbers
    "label": {"landbird": 0, "waterbird": 1, **BITS},
    "place": {"land": 0, "water": 1, **BITS},
}
HUB_SPLITS = {"train": "train", "val_balanced": "validation", "test": "test"}
PUBLISHED = {
    "train": (3_498, 184, 56, 1_057),
    "val_balanced": (467, 466, 133, 133),
    "test": (2_255, 2_255, 642, 642),
}
WATERBIRDS = Kind(
    "waterbirds",
    ("landbird", "waterbird"),
    ("land", "water"),
    "Waterbirds (Sagawa et al., 2020): CUB-200-2011 (Wah et al., 2011) on Places (Zhou et al., 2017)",
    "none stated; CUB-200-2011 and Places are for non-commercial research",
)


@reads(folder="{folder}")
def waterbirds(
    root: Path,
    seed: int,
    *,
    folder: str = FOLDER,
    size: Annotated[int, Range(8, 512)] = 224,
    val_fraction: Annotated[float, Range(0.01, 0.5)] = 0.1,
    partial: bool = False,
) -> BiasedDataset:
    """Landbirds and waterbirds on land or water, from a folder with `metadata.csv` as group DRO and WILDS give it out.

    folder: below the data folder; WILDS calls it waterbirds_v1.0. size: both sides are scaled to 256/224 of it and the
    middle is cut out, as in group DRO's code. val_fraction: this part of every group of the training split becomes
    val, by the seed; the validation split that is given out, balanced over the grounds of a class, is val_balanced.
    partial: take other counts than the published ones.
    """
    rows = sorted(table_rows(root, folder, "metadata.csv", COLUMNS), key=lambda row: row.values["img_filename"])
    check_once([row.values["img_filename"] for row in rows], [row.where for row in rows])
    numbered: dict[str, list[tuple[int, Row]]] = {name: [] for name in SPLITS.values()}
    for number, row in enumerate(rows):
        numbered[meaning(row.values["split"], SPLITS, "split", row.where)].append((number, row))
    labels = {name: (_column(part, "y"), _column(part, "place")) for name, part in numbered.items()}
    found = {name: group_counts(WATERBIRDS, name, 2 * label + place) for name, (label, place) in labels.items()}
    _check(str(root / folder), found, partial=partial)
    parts = {}
    for name, part in numbered.items():
        if part:
            files = [(row.where, row.values["img_filename"]) for _, row in part]
            images = folder_images(root, folder, files, size=size, channels=3, stretch=stretch_of(size))
            parts[name] = Photos(images, *labels[name], torch.tensor([number for number, _ in part]))
    return _built(root, seed, parts, val_fraction, str(root / folder))


@reads(hub="{repository}")
def waterbirds_hub(
    root: Path,
    seed: int,
    *,
    repository: str = REPOSITORY,
    size: Annotated[int, Range(8, 512)] = 224,
    val_fraction: Annotated[float, Range(0.01, 0.5)] = 0.1,
    partial: bool = False,
) -> BiasedDataset:
    """Landbirds and waterbirds on land or water, from a copy on the hub with the columns image, label and place.

    repository: owner/name, with the splits train, validation and test; size, val_fraction, partial: as for
    `waterbirds`.
    """
    parts: dict[str, Photos] = {}
    start = 0
    for name, own in HUB_SPLITS.items():
        where = f"{repository}, split {own}"
        got = hub_images(root, repository, own, columns=tuple(NAMES), size=size, channels=3, stretch=stretch_of(size))
        label, place = (
            hub_binary(got.columns[column], got.names.get(column), known, column, where)
            for column, known in NAMES.items()
        )
        parts[name] = Photos(got.images, label, place, torch.arange(start, start + len(label)))
        start += len(label)
    found = {name: group_counts(WATERBIRDS, name, part.groups) for name, part in parts.items()}
    _check(repository, found, partial=partial)
    return _built(root, seed, parts, val_fraction, repository)


def stretch_of(size: int) -> int:
    """The pixels to which both sides are scaled before the middle `size` are cut out."""
    return size * 256 // 224


def _column(rows: Sequence[tuple[int, Row]], column: str) -> Tensor:
    return torch.tensor([meaning(row.values[column], BITS, column, row.where) for _, row in rows], dtype=torch.int64)


def _check(where: str, found: Mapping[str, Mapping[str, int]], *, partial: bool) -> None:
    """found: split -> name of a group -> count."""
    for split, counts in PUBLISHED.items():
        check_counts(where, found[split], named_counts(WATERBIRDS, split, counts), partial=partial)


def _built(root: Path, seed: int, parts: Mapping[str, Photos], val_fraction: float, where: str) -> BiasedDataset:
    require(WATERBIRDS, parts, ("train", "test"), where)
    fit, val = held_out(parts["train"].groups, val_fraction, seed)
    carved = {"train": parts["train"].take(root, fit), "val": parts["train"].take(root, val)}
    return dataset(WATERBIRDS, {**parts, **carved})
