"""The examples of an audit of networks: a folder of images with a table or sub-folders, or a plugin's data set."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from benchbias.auditing.models.pictures import FilePictures, Pictures, PixelPictures
from benchbias.auditing.models.specs import ImageSpec, LookSpec
from benchbias.auditing.tables.classes import TRUTH, class_names
from benchbias.auditing.tables.reading import read_columns
from benchbias.auditing.tables.table import counted
from benchbias.auditing.values import Column
from benchbias.data.reading.names import EMPTY_WORDS, near_names
from benchbias.data.reading.raw_files import data_folder, inside
from benchbias.data.values import BiasedDataset
from benchbias.errors import DataError, UsageError, unknown
from benchbias.plugin.components import resolve_options
from benchbias.plugin.loading import components_of
from benchbias.plugin.registry import load_registry
from benchbias.stages.job import call_component
from benchbias.stages.seeding import seed_everything

ENDINGS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""The endings that torchvision's ImageFolder takes for images."""
SHOWN = 3
DATASET, ATTRIBUTE = "dataset:", "attribute"


@dataclass(frozen=True)
class Examples:
    """Images with their labels as texts, and what else is known of each. order: the classes in the network's order.

    order is None where only a file of classes, or labels that are numbers, can give it.
    """

    pictures: Pictures
    labels: tuple[str, ...]
    order: tuple[str, ...] | None
    ids: tuple[str, ...]
    files: tuple[str, ...] | None
    attributes: Mapping[str, Column] = field(default_factory=dict)
    cluster: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    look: LookSpec | None = None  # the preprocessing that the data carry, if any


def opened_examples(spec: ImageSpec, *, upright: bool) -> Examples:
    """The examples. Raises DataError for a file or a column that is not there, naming the first."""
    if "label" in spec.attributes:
        raise UsageError("an attribute is called 'label', as the groups of one label are: rename its column")
    if spec.data.startswith(DATASET):
        return _of_data_set(spec, spec.data.removeprefix(DATASET))
    home = Path(spec.data)
    if not home.is_dir():
        raise DataError(f"{home}: no such folder of images")
    if spec.table is not None:
        return _of_table(spec, home, upright)
    if spec.attributes or spec.cluster is not None:
        what = spec.attributes[0] if spec.attributes else spec.cluster
        raise DataError(f"{what!r:.80} is a column: name the table that has it (--table FILE, with a row for an image)")
    return _of_sub_folders(home, upright)


def _of_table(spec: ImageSpec, home: Path, upright: bool) -> Examples:
    assert spec.table is not None
    table = spec.table if spec.table.is_file() else home / spec.table
    if not table.is_file():
        raise DataError(f"{spec.table}: no such table (looked for it here and in {home})")
    columns = [spec.image, spec.label, *spec.attributes, *([] if spec.cluster is None else [spec.cluster])]
    roles = {**dict.fromkeys(spec.attributes, "attribute"), spec.label: "label", spec.image: "image"}
    found = read_columns(table, columns, roles=roles)
    names, labels = (_texts(found[column], table, column) for column in (spec.image, spec.label))
    paths = [_image(home, name, f"{table}, example {row}") for row, name in enumerate(names, 1)]
    files = [(f"{table}, example {row}", path) for row, path in enumerate(paths, 1) if path is not None]
    if len(files) < len(names):
        row = paths.index(None)
        more = f", and {len(names) - len(files) - 1} more of {len(names)}" if len(names) - len(files) > 1 else ""
        raise DataError(
            f"{table}, example {row + 1}: no image {names[row]!r:.200} in {home}{more}: the column {spec.image!r} has "
            "paths relative to the folder, with their endings"
        )
    attributes = {name: found[name] for name in spec.attributes}
    return Examples(
        FilePictures(files, upright),
        labels,
        None,
        names,
        tuple(str(path) for _, path in files),
        attributes,
        None if spec.cluster is None else _texts(found[spec.cluster], table, spec.cluster),
        tuple(note for name, column in attributes.items() for note in _odd_values(name, column)),
    )


def _texts(column: Column, table: Path, name: str) -> tuple[str, ...]:
    """The text of every row. Raises DataError for an empty cell."""
    empty = np.flatnonzero(column.codes < 0)
    if len(empty):
        raise DataError(
            f"{table}, example {empty[0] + 1}: column {name!r:.80} is empty ({counted(len(empty), 'such row')})"
        )
    return tuple(column.names[code] for code in column.codes)


def _image(home: Path, name: str, where: str) -> Path | None:
    """The image file of a row, whichever Unicode form its name has there; None where there is none."""
    if Path(name).is_absolute():
        if not Path(name).is_relative_to(home.absolute()):
            raise DataError(f"{where}: the image {name!r:.200} lies outside the folder {home}")
        name = str(Path(name).relative_to(home.absolute()))
    spellings = dict.fromkeys((name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)))
    paths = (inside(home, spelling, f"{where}: image") for spelling in spellings)
    return next((path for path in paths if path.is_file()), None)


def _of_sub_folders(home: Path, upright: bool) -> Examples:
    """A sub-folder for each class, as ImageFolder has it: the classes are their names, sorted."""
    with_dot = [entry.name for entry in os.scandir(home) if entry.is_dir()]
    classes = sorted(name for name in with_dot if not name.startswith("."))
    if not classes:
        raise DataError(
            f"{home}: neither a table (--table FILE with a row for each image) nor sub-folders, one for each class"
        )
    found = [(name, path) for name in classes for path in _image_files(home / name)]
    if not found:
        raise DataError(
            f"{home}: no image in its sub-folders ({', '.join(classes[:SHOWN])}); endings: {' '.join(ENDINGS)}"
        )
    ids = tuple(str(path.relative_to(home)) for _, path in found)
    files = [("", path) for _, path in found]
    names = tuple(str(path) for _, path in found)
    return Examples(
        FilePictures(files, upright), tuple(name for name, _ in found), tuple(classes), ids, names,
        notes=tuple(_order_notes(classes)),
    )  # fmt: skip


def _image_files(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder, followlinks=True):
        folders.sort()
        for name in sorted(files):
            if name.lower().endswith(ENDINGS) and not name.startswith("."):
                yield Path(place, name)


def _order_notes(classes: Sequence[str]) -> list[str]:
    """A note where names of sub-folders are numbers whose order as texts, which ImageFolder takes, is another."""
    if all(name.isdecimal() for name in classes) and [*classes] != sorted(classes, key=int):
        told = ", ".join(classes[:4])
        return [
            f"the classes are the sub-folders sorted as texts, as ImageFolder does: {told}, ...; --classes says others"
        ]
    return []


def _odd_values(name: str, column: Column) -> list[str]:
    """Notes on values that are words for nothing, and on values that look like one another."""
    words = [value for value in column.names if value.casefold() in EMPTY_WORDS]
    notes = [
        f"{name}: the value {word!r} is a group of its own; leave cells empty where a value is missing"
        for word in words
    ]
    return notes + [f"{name}: are {' and '.join(map(repr, same))} one value?" for same in near_names(column.names)]


def _of_data_set(spec: ImageSpec, name: str) -> Examples:
    """One split of a data set of a plugin, as its factory makes it with seed 0; its one attribute is `attribute`."""
    registry = load_registry(quiet=True)
    component = registry.components.get(("dataset", name))
    if component is None:
        raise UsageError(unknown("data set", name, registry.names("dataset")))
    if spec.table is not None or spec.cluster is not None or set(spec.attributes) - {ATTRIBUTE}:
        raise UsageError(f"a data set of a plugin has no table: its attribute is called {ATTRIBUTE!r}")
    options = resolve_options(component, spec.options, f"data set {name!r}")
    factory = components_of(registry.plugins[component.plugin])["dataset", name]
    with torch.random.fork_rng(devices=[]):
        seed_everything(0, "data")
        made = call_component(factory, {"root": spec.root or data_folder(), "seed": 0}, options)
    if not isinstance(made, BiasedDataset):
        raise DataError(f"data set {name!r} returned {type(made).__name__}, not a BiasedDataset")
    if spec.split not in made.splits:
        raise UsageError(unknown("split", spec.split, made.splits, f"data set {name!r}"))
    chosen = made.splits[spec.split]
    groups, count = chosen.groups, made.num_attributes
    classes = tuple(groups.group_names[label * count].rpartition("/")[0] for label in range(made.num_classes))
    values = [one.rpartition("/")[2] for one in groups.group_names[:count]]
    names = tuple(sorted(set(values)))
    codes = np.array([names.index(value) for value in values], dtype=np.int64)[groups.attributes.numpy()]
    numbers = range(len(chosen.split))
    return Examples(
        PixelPictures(chosen.split.images, f"{name}, {spec.split}"),
        tuple(classes[label] for label in chosen.split.labels.tolist()),
        classes,
        tuple(f"{spec.split}-{number}" for number in numbers),
        None,
        {ATTRIBUTE: Column(codes, names)},
        tuple(map(str, chosen.cluster.tolist())) if len(torch.unique(chosen.cluster)) < len(numbers) else None,
        tuple(made.notes),
        LookSpec(tuple(made.mean), tuple(made.std)),
    )


def class_order(examples: Examples, classes: Path | None, outputs: int) -> tuple[str, ...]:
    """The names of the classes in the order of the network's outputs. Raises DataError where nobody gives it.

    Told by a file of classes, by sub-folders, or by labels that are the numbers of outputs, from 0.
    """
    given = class_names(classes)
    if given is not None:
        order, whence = given, str(classes)
    elif examples.order is not None:
        order, whence = examples.order, "the data"
    elif set(examples.labels) <= set(TRUTH) and outputs == len(TRUTH):
        return TRUTH
    elif all(label.isdecimal() for label in examples.labels):
        largest = max(map(int, examples.labels))
        if largest >= outputs:
            first = ": do they begin with 1?" if largest == outputs and "0" not in examples.labels else ""
            raise DataError(
                f"the label {largest} is no number of the network's {outputs} outputs, which are 0 to {outputs - 1}"
                f"{first}"
            )
        return tuple(map(str, range(outputs)))
    else:
        odd = next(label for label in examples.labels if not label.isdecimal())
        raise DataError(
            f"labels are names ({odd!r:.80}) and nothing says which output of the network each is: --classes FILE, "
            "one name in a line, in the order of the outputs"
        )
    if len(order) != outputs:
        raise DataError(f"{whence} has {len(order)} classes, and the network {outputs} outputs")
    return order


def label_numbers(examples: Examples, order: Sequence[str]) -> list[int]:
    """The output of each example's label. A label is a name of `order`, or else the number of an output."""
    places = {name: place for place, name in enumerate(order)}
    unknown = sorted({label for label in examples.labels if label not in places})
    numbers = {label: int(label) for label in unknown if label.isdecimal() and int(label) < len(order)}
    if len(numbers) < len(unknown) or (numbers and len(numbers) < len(set(examples.labels))):
        odd = next((label for label in unknown if label not in numbers), unknown[0])
        known = ", ".join(order[:SHOWN]) + (", ..." if len(order) > SHOWN else "")
        raise DataError(f"the label {odd!r:.80} is none of the {len(order)} classes ({known:.200})")
    places |= numbers
    return [places[label] for label in examples.labels]
