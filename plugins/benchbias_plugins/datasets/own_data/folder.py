"""A folder of images below the data folder, with a table that names split, label and attribute of each."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Mapping, Set
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Literal

from benchbias import (
    BiasedDataset,
    DataError,
    Examples,
    Range,
    Row,
    carved,
    dataset_of,
    folder_images,
    reads,
    table_rows,
)

from .attributes import Missing, attribute_of, check_told, columns_of, left_out
from .normalisation import Named, described, statistics_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torch import Tensor

SPLITS = ("train", "val", "test", "val_balanced")
LEFT_OUT = "left-out"
AS_THEY_ARE: Mapping[str, str] = MappingProxyType({})


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
    further_attributes: tuple[str, ...] = (),
    missing: Missing = "refuse",
    splits: Mapping[str, str] = AS_THEY_ARE,
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
    val_fraction: Annotated[float, Range(0, 0.9)] = 0.0,
    duplicates: Literal["refuse", "count"] = "refuse",
    licence: str = "not stated",
) -> BiasedDataset:
    """A folder of images below the data folder, with a CSV or parquet file that gives split, label and attribute.

    folder, table: the folder, and the file in it; image, split, label, attribute: its columns. docs/own-data.md says
    every option. Raises DataError, which names the row.
    """
    columns = columns_of(attribute, further_attributes, (image, split, label))
    rows = table_rows(root, folder, table, [image, split, label, *columns], optional=columns)
    place = rows[0].where.rpartition(", row ")[0]
    kept = [(row, attribute_of(row.values, columns, missing, row.where)) for row in rows]
    meant = _meant(splits, {row.values[split] for row in rows}, place)
    parts = _by_split([(row, text) for row, text in kept if text is not None], split, meant, val_fraction, place)
    check_told([text for _, text in parts["train"]], columns, place)
    _check_repeats(rows, image)
    load = functools.partial(
        folder_images,
        root,
        folder,
        size=size,
        stretch=stretch,
        interpolation=interpolation,
        channel_order=channel_order,
    )
    examples = _examples(parts, image, label, load, channels)
    statistics = statistics_of(normalise, mean, std, examples["train"].images.shape[1], bgr=channel_order == "bgr")
    if val_fraction:
        examples |= carved(root, examples["train"], val_fraction, seed)
    notes = left_out(sum(text is None for _, text in kept), columns, f"{folder}/{table}")
    about = (aligned, duplicates, f"the folder {folder}", licence)
    made = described(normalise, statistics, size, stretch, interpolation, channel_order)
    return dataset_of(
        examples, *about, statistics=statistics, empty_groups=empty_groups, notes=notes, preprocessing=made
    )


def _examples(
    parts: Mapping[str, Sequence[tuple[Row, str]]],
    image: str,
    label: str,
    load: Callable[..., Tensor],
    channels: int | None,
) -> dict[str, Examples]:
    """The examples of each split, training first: the others have its shape. Raises DataError."""
    examples: dict[str, Examples] = {}
    for name in sorted(parts, key=lambda name: name != "train"):
        part = parts[name]
        chosen = channels or (examples["train"].images.shape[1] if examples else None)
        images = load([(row.where, row.values[image]) for row, _ in part], channels=chosen)
        if examples and images.shape[1:] != examples["train"].images.shape[1:]:
            shapes = [" x ".join(map(str, found.shape[1:])) for found in (images, examples["train"].images)]
            raise DataError(
                f"{part[0][0].where}: {name} images are {shapes[0]}, train's {shapes[1]}; size = 64 scales all"
            )
        labels, attributes = [row.values[label] for row, _ in part], [text for _, text in part]
        examples[name] = Examples(images, [row.where for row, _ in part], labels, attributes)
    return examples


def _meant(words: Mapping[str, str], used: Set[str], place: str) -> dict[str, str]:
    """The meaning of each word of the table: the name of a split, or `left-out`. Raises DataError.

    words: as the task gives it; used: the words that stand in the table.
    """
    meant: dict[str, str] = {}
    for word, name in words.items():
        if name not in (*SPLITS, LEFT_OUT) and not name.startswith("test-"):
            raise DataError(f"splits: {word!r:.80} = {name!r:.80} (known: {', '.join(SPLITS)}, test-..., {LEFT_OUT})")
        text = unicodedata.normalize("NFC", word).strip()
        if text in meant:
            raise DataError(f"splits: {word!r:.80} stands there twice, but for blanks or its Unicode form")
        if text not in used:
            raise DataError(
                f"{place}: splits: no row has the word {word!r:.80} (there: {', '.join(sorted(used))[:400]})"
            )
        meant[text] = name
    return meant


def _by_split(
    rows: Sequence[tuple[Row, str]], column: str, meant: Mapping[str, str], val_fraction: float, place: str
) -> dict[str, list[tuple[Row, str]]]:
    """The rows of each split, each with its attribute. Raises DataError for a split that is not known or not there.

    meant: what a text in the table means: the name of a split, or `left-out`.
    """
    parts: dict[str, list[tuple[Row, str]]] = {}
    for row, attribute in rows:
        word = row.values[column]
        name = meant.get(word, word)
        if name == LEFT_OUT and word in meant:
            continue
        if name not in SPLITS and not name.startswith("test-"):
            raise DataError(
                f"{row.where}: unknown split {word!r:.80} (known: {', '.join(SPLITS)}, test-...); "
                f'splits = {{ "{word:.20}" = "{_likely(word)}" }} says what a word means ("{LEFT_OUT}": leave them out)'
            )
        parts.setdefault(name, []).append((row, attribute))
    for name in ("train", "val", "test"):
        if name not in parts and not (name == "val" and val_fraction):
            hint = "; val_fraction = 0.1 takes it from training" if name == "val" else ""
            raise DataError(f"{place}: no row of the split {name!r}{hint}")
    if "val" in parts and val_fraction:
        raise DataError(f"{parts['val'][0][0].where}: the table has a split val: val_fraction goes without one")
    return parts


def _likely(word: str) -> str:
    """The split that a word most likely means, for a message."""
    meant = {"val": "val", "dev": "val", "1": "val", "tes": "test", "eva": "test", "2": "test"}
    return meant.get(word.casefold()[:3], meant.get(word.partition(".")[0], "train"))


def _check_repeats(rows: Sequence[Row], image: str) -> None:
    """Raises DataError where a file stands twice, however its path is spelt."""
    seen: dict[str, str] = {}
    for row in rows:
        name = PurePosixPath(row.values[image]).as_posix()
        if name in seen:
            raise DataError(f"{row.where}: {name!r:.200} stands there already: {seen[name].rpartition(', ')[2]}")
        seen[name] = row.where
