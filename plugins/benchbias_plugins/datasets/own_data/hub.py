"""Any image data set of the hub, by its name and the names of its columns."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Annotated, Literal

from benchbias import (
    BiasedDataset,
    DataError,
    Examples,
    HubImages,
    Range,
    carved,
    cell_text,
    dataset_of,
    hub_images,
    reads,
    rows_of,
)

from .attributes import Missing, attribute_of, check_told, columns_of, left_out
from .normalisation import Named, described, statistics_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor


@reads(hub="{repository}")
def hub(
    root: Path,
    seed: int,
    *,
    repository: str,
    attribute: str,
    image: str = "image",
    label: str = "label",
    further_attributes: tuple[str, ...] = (),
    missing: Missing = "refuse",
    config: str | None = None,
    train_split: str = "train",
    val_split: str | None = None,
    test_split: str = "test",
    aligned: tuple[str, ...] = (),
    empty_groups: Literal["refuse", "allow"] = "refuse",
    size: Annotated[int | None, Range(4, 4096)] = None,
    stretch: Annotated[int | None, Range(4, 4096)] = None,
    channels: Literal[1, 3] | None = None,
    interpolation: Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"] = "bilinear",
    channel_order: Literal["rgb", "bgr"] = "rgb",
    normalise: Named = "train",
    mean: tuple[float, ...] = (),
    std: tuple[float, ...] = (),
    val_fraction: Annotated[float, Range(0.01, 0.9)] = 0.1,
    duplicates: Literal["refuse", "count"] = "refuse",
    licence: str = "see the repository",
) -> BiasedDataset:
    """Any image data set of the hub, by its name and the names of its columns.

    repository: owner/name, fetched or below the data folder. image, label, attribute: its columns. train_split,
    val_split, test_split: without val_split, val_fraction of training becomes it, by the seed. docs/own-data.md says
    every option. Raises DataError, which names the row.
    """
    columns = columns_of(attribute, further_attributes, (image, label))
    load = functools.partial(
        hub_images, root, repository, image=image, columns=(label, *columns), config=config,
        size=size, stretch=stretch, interpolation=interpolation, channel_order=channel_order,
    )  # fmt: skip
    examples: dict[str, Examples] = {}
    notes: list[str] = []
    named = {"train": train_split, "test": test_split} | ({} if val_split is None else {"val": val_split})
    for name, own in named.items():
        chosen = channels or (examples["train"].images.shape[1] if examples else None)
        found = load(own, channels=chosen)
        where = f"{repository}, split {own}"
        examples[name], number = _examples(root, found, label, columns, missing, where)
        if name == "train":
            check_told(examples[name].attributes, columns, where)
        notes += left_out(number, columns, where)
    statistics = statistics_of(normalise, mean, std, examples["train"].images.shape[1], bgr=channel_order == "bgr")
    if val_split is None:
        examples |= carved(root, examples["train"], val_fraction, seed)
    about = (aligned, duplicates, f"{repository} of the hub", licence)
    made = described(normalise, statistics, size, stretch, interpolation, channel_order)
    return dataset_of(
        examples, *about, statistics=statistics, empty_groups=empty_groups, notes=notes, preprocessing=made
    )


def _examples(
    root: Path, found: HubImages, label: str, columns: Sequence[str], missing: Missing, where: str
) -> tuple[Examples, int]:
    """The examples of a split, and how many rows were left out. Raises DataError."""
    places = [f"{where}, row {number}" for number in range(1, len(found.images) + 1)]
    texts = {name: _texts(found, name, places) for name in (label, *columns)}
    for place, text in zip(places, texts[label], strict=True):
        if not text:
            raise DataError(f"{place}: column {label!r:.80} is empty")
    rows = [{name: texts[name][at] for name in columns} for at in range(len(places))]
    attributes = [attribute_of(row, columns, missing, place) for row, place in zip(rows, places, strict=True)]
    kept = [(at, text) for at, text in enumerate(attributes) if text is not None]
    if not kept:
        raise DataError(f"{where}: every row is left out: {' and '.join(columns)} are empty")
    chosen = [at for at, _ in kept]
    images = found.images if len(kept) == len(places) else rows_of(root, found.images, _index(chosen))
    labels = [texts[label][at] for at in chosen]
    return Examples(images, [places[at] for at in chosen], labels, [text for _, text in kept]), len(places) - len(kept)


def _index(chosen: Sequence[int]) -> Tensor:
    import torch

    return torch.tensor(chosen, dtype=torch.int64)


def _texts(found: HubImages, column: str, places: Sequence[str]) -> list[str]:
    """A column as texts: the names of its classes, where it has some; "" for an empty cell. Raises DataError."""
    values, names = found.columns[column], found.names.get(column)
    texts = []
    for place, value in zip(places, values if isinstance(values, list) else values.tolist(), strict=True):
        if names is not None and type(value) is int:
            texts.append(cell_text(names[value] if 0 <= value < len(names) else None, place, column))  # -1 is no label
        else:
            texts.append(cell_text(value, place, column))
    return texts
