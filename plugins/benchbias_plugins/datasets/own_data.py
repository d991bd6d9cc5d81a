"""Data sets of one's own: a folder of images with a table, or any image data set of the hub with an attribute column.

Every example has a label (the class) and an attribute (what may be spurious).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from torch import Tensor

from benchbias import (
    BiasedDataset,
    DataError,
    Examples,
    Range,
    Row,
    carved,
    dataset_of,
    folder_images,
    hookimpl,
    hub_images,
    reads,
    table_rows,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

SPLITS = ("train", "val", "test", "val_balanced")


@reads(folder="{folder}")
def image_folder(
    root: Path,
    seed: int,
    *,
    folder: str,
    table: str = "labels.csv",
    image: str = "image",
    split: str = "split",
    label: str = "label",
    attribute: str = "attribute",
    aligned: tuple[str, ...] = (),
    size: Annotated[int | None, Range(4, 4096)] = None,
    channels: Literal[1, 3] | None = None,
    val_fraction: Annotated[float, Range(0, 0.9)] = 0.0,
    duplicates: Literal["refuse", "count"] = "refuse",
    licence: str = "not stated",
) -> BiasedDataset:
    """A folder of images below the data folder, with a CSV or parquet file that gives split, label and attribute.

    folder, table: the folder, and the file in it. image, split, label, attribute: its columns; splits are train, val,
    test, perhaps val_balanced and others that begin with test-. aligned: "label:attribute" pairs, instead of the
    attribute's most frequent label in training. size: scale the shorter side to it and cut out the middle square.
    channels: 1 grey, 3 colour. val_fraction: with no row of val, this part of training becomes it, by the seed.
    duplicates: refuse images that two splits share, or only count them.
    """
    rows = table_rows(root, folder, table, list(dict.fromkeys((image, split, label, attribute))))
    parts = _by_split(rows, split, val_fraction)
    _check_repeats(rows, image)
    examples: dict[str, Examples] = {}
    for name in sorted(parts, key=lambda name: name != "train"):
        part = parts[name]
        files = [(row.where, row.values[image]) for row in part]
        chosen = channels or (examples["train"].images.shape[1] if examples else None)
        images = folder_images(root, folder, files, size=size, channels=chosen)
        if examples and images.shape[1:] != examples["train"].images.shape[1:]:
            shapes = [" x ".join(map(str, found.shape[1:])) for found in (images, examples["train"].images)]
            raise DataError(
                f"{part[0].where}: {name} images are {shapes[0]}, train's {shapes[1]}; size = 64 scales all"
            )
        values = ([row.values[column] for row in part] for column in (label, attribute))
        examples[name] = Examples(images, [row.where for row in part], *values)
    if val_fraction:
        examples |= carved(root, examples["train"], val_fraction, seed)
    return dataset_of(examples, aligned, duplicates, f"the folder {folder}", licence)


@reads(hub="{repository}")
def hub(
    root: Path,
    seed: int,
    *,
    repository: str,
    attribute: str,
    image: str = "image",
    label: str = "label",
    config: str | None = None,
    train_split: str = "train",
    val_split: str | None = None,
    test_split: str = "test",
    aligned: tuple[str, ...] = (),
    size: Annotated[int | None, Range(4, 4096)] = None,
    channels: Literal[1, 3] | None = None,
    val_fraction: Annotated[float, Range(0.01, 0.9)] = 0.1,
    duplicates: Literal["refuse", "count"] = "refuse",
    licence: str = "see the repository",
) -> BiasedDataset:
    """Any image data set of the hub, by its name and the names of its columns.

    repository: owner/name, fetched or below the data folder. image, label, attribute: its columns. config: of several.
    train_split, val_split, test_split: without val_split, val_fraction of training becomes it, by the seed. aligned,
    size, channels, duplicates: as for `image_folder`.
    """
    examples: dict[str, Examples] = {}
    named = {"train": train_split, "test": test_split} | ({} if val_split is None else {"val": val_split})
    for name, own in named.items():
        chosen = channels or (examples["train"].images.shape[1] if examples else None)
        columns = (label, attribute)
        found = hub_images(
            *(root, repository, own), image=image, columns=columns, config=config, size=size, channels=chosen
        )
        where = [f"{repository}, split {own}, row {row}" for row in range(len(found.images))]
        values = (_texts(found.columns[column], found.names.get(column), column, where) for column in columns)
        examples[name] = Examples(found.images, where, *values)
    if val_split is None:
        examples |= carved(root, examples["train"], val_fraction, seed)
    return dataset_of(examples, aligned, duplicates, f"{repository} of the hub", licence)


def _by_split(rows: Sequence[Row], column: str, val_fraction: float) -> dict[str, list[Row]]:
    """The rows of each split. Raises DataError for a split that is not known or not there."""
    parts: dict[str, list[Row]] = {}
    for row in rows:
        name = row.values[column]
        if name not in SPLITS and not name.startswith("test-"):
            raise DataError(f"{row.where}: unknown split {name!r:.80} (known: {', '.join(SPLITS)}, test-...)")
        parts.setdefault(name, []).append(row)
    for name in ("train", "val", "test"):
        if name not in parts and not (name == "val" and val_fraction):
            hint = "; val_fraction = 0.1 takes it from training" if name == "val" else ""
            raise DataError(f"{rows[0].where.rpartition(', row ')[0]}: no row of the split {name!r}{hint}")
    if "val" in parts and val_fraction:
        raise DataError(f"{parts['val'][0].where}: the table has a split val: val_fraction goes without one")
    return parts


def _check_repeats(rows: Sequence[Row], image: str) -> None:
    seen: dict[str, str] = {}
    for row in rows:
        name = row.values[image]
        if name in seen:
            raise DataError(f"{row.where}: {name!r:.200} stands there already: {seen[name].rpartition(', ')[2]}")
        seen[name] = row.where


def _texts(values: Tensor | list[Any], names: tuple[str, ...] | None, column: str, where: Sequence[str]) -> list[str]:
    """A column as texts: the names of its classes, where it has some. Raises DataError for an empty cell."""
    found = []
    for place, value in zip(where, values.tolist() if isinstance(values, Tensor) else values, strict=True):
        text = "" if value is None else str(value).strip()
        if names is not None and isinstance(value, int):
            text = names[value] if 0 <= value < len(names) else ""  # the hub's own sign of no label is -1
        if not text:
            raise DataError(f"{place}: column {column!r} is empty")
        found.append(text)
    return found


@hookimpl
def benchbias_datasets() -> dict[str, Callable[..., BiasedDataset]]:
    return {"hub": hub, "image_folder": image_folder}
