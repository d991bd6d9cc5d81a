"""Image data sets of the hub: a local copy of the repository, decoded once, with the columns that are asked for."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from benchbias.data.reading.cells import kept_value, named_column
from benchbias.data.reading.decoding import LARGEST_IMAGE, Look, decode, pixels_of
from benchbias.data.reading.fetching import fetch
from benchbias.data.reading.hub_tables import builder_of
from benchbias.data.reading.pixel_cache import Sink, decoded
from benchbias.data.reading.raw_files import Found, check_unchanged, files_of, find, missing, raw_digest
from benchbias.data.reading.repository import LARGEST_ROWS, Chosen, Repository, chosen_files
from benchbias.data.reading.tables import cells_of
from benchbias.errors import DataError, unknown
from benchbias.util.connections import no_connections, offline
from benchbias.util.progress import progress

ROWS = 256  # read at once


@dataclass(frozen=True)
class HubImages:
    """One split of an image data set.

    images: uint8 (N, C, H, W), mapped from a cache, not held in memory. columns: name -> int64 (N,) where all values
    are whole numbers, else a list of N numbers, texts and true/false, None for an empty cell. names: of the classes,
    for the columns whose features say them.
    """

    images: Tensor
    columns: Mapping[str, Tensor | list[Any]]
    names: Mapping[str, tuple[str, ...]]


def hub_images(
    root: Path,
    repository: str,
    split: str,
    *,
    image: str = "image",
    columns: Sequence[str] = ("label",),
    config: str | None = None,
    size: int | None = None,
    channels: int | None = None,
    stretch: int | None = None,
    interpolation: str = "bilinear",
    channel_order: str = "rgb",
) -> HubImages:
    """One split of an image data set of the hub, from the local copy `<root>/<repository>`.

    Where there is no copy, the files that torchvision keeps of the same data set are read (MNIST, CIFAR-10), else the
    repository is fetched, unless offline. The images are decoded once, into a cache.

    image: the column of images. columns: further columns. config: of a repository that has several. size: scale the
    shorter side to it and cut out the middle square; None: as they are, all of one size. channels: 1 or 3; None: as
    the first image has. stretch: scale both sides to it, whatever their ratio, and cut the middle square of `size` out
    of that. interpolation: nearest, box, bilinear, hamming, bicubic or lanczos, antialiased. channel_order: rgb or bgr.
    Raises DataError, naming what is missing and where it was looked for, or the row.
    """
    columns = tuple(dict.fromkeys(columns))
    look = Look(size, channels, stretch, interpolation, channel_order)
    if image in columns:
        raise DataError(f"{repository}: the column {image!r:.80} is the images': it cannot be a label too")
    found = find(root, repository)
    if found is None and not offline():
        fetch(root, repository)
        found = find(root, repository)
    if found is None:
        raise missing(root, repository)
    raw = raw_digest(root, found.folder)
    made_from = {
        "raw": raw,
        "split": split,
        "image": image,
        "columns": list(columns),
        "config": config,
        **asdict(look),
        **({"cells": "text"} if any(file.suffix.lower() == ".csv" for file in files_of(found.folder)) else {}),
        "layout": "hub" if found.source is None else found.source.torchvision,
    }
    where = f"{repository}, split {split}"

    def build(sink: Sink) -> Mapping[str, Any]:
        if found.source is not None:
            told = _from_torchvision(root, found, sink, (split, image, columns), look, where)
        else:
            told = _from_copy(found.folder, sink, (split, config, image, columns), look, where)
        check_unchanged(root, found.folder, raw)
        return told

    kept = decoded(root, made_from, build)
    values = {name: _column(kept.about["columns"][name]) for name in columns}
    names = {name: tuple(kept.about["names"][name]) for name in kept.about["names"]}
    return HubImages(kept.images, MappingProxyType(values), MappingProxyType(names))


def _column(values: list[Any]) -> Tensor | list[Any]:
    whole = all(type(value) is int and -(1 << 63) <= value < 1 << 63 for value in values)
    return torch.tensor(values, dtype=torch.int64) if whole else values


def _from_copy(
    folder: Path, sink: Sink, asked: tuple[str, str | None, str, Sequence[str]], look: Look, where: str
) -> Mapping[str, Any]:
    """Decode a split of a local copy; what `datasets` makes of its files on the way is removed again."""
    import datasets

    split, config, image, columns = asked
    copy = Repository.of(folder)
    with _quiet(), no_connections(), tempfile.TemporaryDirectory(prefix="benchbias-") as scratch:
        rows = _load(chosen_files(copy, split, config, where), split, scratch, where)
        for name in (image, *columns):
            own = named_column(list(rows.features), name)
            if own is None:
                raise DataError(unknown("column", name, rows.features, where))
            rows = rows if own == name else rows.rename_column(own, name)
        if not _may_hold_images(rows.features[image]):
            kinds = [name for name, feature in rows.features.items() if isinstance(feature, datasets.Image)]
            raise DataError(f"{where}: column {image!r} holds no images (columns of images: {', '.join(kinds) or '-'})")
        rows = rows.select_columns([image, *columns]).cast_column(image, datasets.Image(decode=False))
        kept: dict[str, list[Any]] = {name: [] for name in columns}
        chosen, seen = look, dict[str, int]()
        types = {name: str(getattr(rows.features[name], "dtype", "")) for name in columns}
        for row, item in enumerate(progress(_rows(rows, where), len(rows), f"decoding {where}"), 1):
            here = f"{where}, row {row}"
            for name in columns:
                kept[name].append(kept_value(item[name], here, name, types[name]))
            content = _content(item[image], copy, here)
            _check_repeat(item[image], seen, row, copy, here)
            pixels = decode(content, here, chosen)
            if len(pixels) == 3:
                chosen = replace(look, channels=3)  # a grey image among coloured ones is no fault
            sink.add(pixels, here)
        names = {name: f.names for name in columns if isinstance(f := rows.features[name], datasets.ClassLabel)}
        del rows
    return {"columns": kept, "names": names}


def _may_hold_images(feature: Any) -> bool:
    """Whether a column is one of images, or of encoded images or paths that are not declared as such."""
    import datasets

    if isinstance(feature, dict):
        return set(feature) == {"bytes", "path"}
    kinds = ("binary", "large_binary", "string", "large_string")
    return isinstance(feature, datasets.Image) or getattr(feature, "dtype", "") in kinds


def _load(chosen: Chosen, split: str, scratch: str, where: str) -> Any:
    """The rows of a split, mapped from a file in the scratch folder. Raises DataError."""
    from datasets.data_files import DataFilesDict, DataFilesList
    from datasets.exceptions import DatasetGenerationError
    from datasets.load import import_main_class

    try:
        module = importlib.import_module(f"datasets.packaged_modules.{chosen.builder}.{chosen.builder}")
        lists = {name: DataFilesList([str(file) for file in each], []) for name, each in chosen.files.items()}
        builder = builder_of(import_main_class(module.__name__))
        made = builder(cache_dir=scratch, data_files=DataFilesDict(lists), **chosen.options)
        assert made.config.data_files == lists, "what is opened is what was chosen"
        made.download_and_prepare()
        rows = made.as_dataset(split=split)
    except Exception as error:  # of pyarrow, fsspec and many others
        cause = error.__cause__ if isinstance(error, DatasetGenerationError) and error.__cause__ else error
        told = " ".join(str(cause).split())
        raise DataError(f"{where}: cannot be read as a data set: {told or type(cause).__name__}") from error
    if len(rows) > LARGEST_ROWS:
        raise DataError(f"{where}: {len(rows)} rows; at most {LARGEST_ROWS} are read")
    return rows


def _rows(rows: Any, where: str) -> Iterator[dict[str, Any]]:
    """The rows of a split. Raises DataError for a cell that has no value, such as a date beyond the calendar."""
    for start in range(0, len(rows), ROWS):
        try:
            batch = rows[start : start + ROWS]
        except Exception:
            table = rows.with_format("arrow")[start : start + ROWS]
            for name in table.column_names:
                cells_of(table.column(name), name, start, where)
            raise
        names = list(batch)
        for values in zip(*batch.values(), strict=True):
            yield dict(zip(names, values, strict=True))


def _check_repeat(value: dict[str, Any], seen: dict[str, int], row: int, copy: Repository, here: str) -> None:
    """Raises DataError where a row names a file that an earlier one names."""
    if value["bytes"] is None:
        name = os.path.relpath(copy.folder / str(value["path"]), copy.folder)
        if seen.setdefault(name, row) != row:
            raise DataError(f"{here}: {name!r:.200} stands there already: row {seen[name]}")


def _content(value: dict[str, Any] | None, copy: Repository, here: str) -> bytes:
    """The encoded image of a row: its bytes, or the file of the repository that it names. Raises DataError."""
    if value is None or (value["bytes"] is None and value["path"] is None):
        raise DataError(f"{here}: no image (an empty cell)")
    if value["bytes"] is not None:
        return bytes(value["bytes"])
    path = os.path.normpath(copy.folder / str(value["path"]))
    if not Path(path).is_relative_to(copy.folder):
        raise DataError(f"{here}: the image {value['path']!r:.200} lies outside {copy.folder}")
    file = copy.file(Path(path).relative_to(copy.folder).as_posix(), here)
    try:
        if file.stat().st_size > LARGEST_IMAGE:
            raise DataError(f"{here}: {file} has more than {LARGEST_IMAGE >> 20} MiB")
        return file.read_bytes()
    except OSError as error:
        raise DataError(f"{here}: {file} cannot be read: {error.strerror}") from None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Switch off the bars and messages of `datasets`: its work is the smaller part, and its errors are told here."""
    from datasets.utils import logging

    shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()


def _from_torchvision(
    root: Path, found: Found, sink: Sink, asked: tuple[str, str, Sequence[str]], look: Look, where: str
) -> Mapping[str, Any]:
    """Read the files by torchvision's own class; columns are named as in the hub's repository. Raises DataError."""
    import numpy as np
    from PIL import Image
    from torchvision import datasets

    split, image, columns = asked
    source = found.source
    assert source is not None
    for name in (image, *columns):
        if name not in (source.image, "label"):
            raise DataError(unknown("column", name, (source.image, "label"), where))
    if split not in ("train", "test"):
        raise DataError(unknown("split", split, ("train", "test"), f"{where} ({found.folder})"))
    try:
        whole = getattr(datasets, source.torchvision)(str(root), train=split == "train", download=False)
    except Exception as error:
        told = " ".join(str(error).split())
        raise DataError(f"{where}: torchvision's {source.torchvision} cannot read {found.folder}: {told}") from error
    for pixels in np.asarray(whole.data):  # (H, W) or (H, W, C)
        sink.add(pixels_of(Image.fromarray(pixels), where, look), where)
    labels = [int(label) for label in whole.targets]
    return {"columns": dict.fromkeys(columns, labels), "names": {name: list(source.names) for name in columns}}


def content_digest(images: Tensor, labels: Tensor) -> str:
    """The sha256 of pixels and labels, whatever files they came from: images uint8 (N, C, H, W), labels (N,)."""
    total = hashlib.sha256()
    for start in range(0, len(images), ROWS):
        total.update(images[start : start + ROWS].numpy().tobytes())
    total.update(labels.to(torch.uint8).numpy().tobytes())
    return total.hexdigest()
