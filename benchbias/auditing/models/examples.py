"""The examples of an audit of networks: a folder of images with a table, or with a sub-folder for each class."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchbias.auditing.models.pictures import FilePictures, Pictures
from benchbias.auditing.models.specs import ImageSpec
from benchbias.auditing.values import Column
from benchbias.data.reading.names import EMPTY_WORDS, near_names
from benchbias.data.reading.raw_files import inside
from benchbias.data.reading.tables import Row, table_rows
from benchbias.errors import DataError

ENDINGS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""The endings that torchvision's ImageFolder takes for images."""
SHOWN = 3


@dataclass(frozen=True)
class Examples:
    """Images with their labels as texts, and what else is known of each. order: the classes in the network's order.

    order is None where only a file of classes, or labels that are numbers, can tell it.
    """

    pictures: Pictures
    labels: tuple[str, ...]
    order: tuple[str, ...] | None
    ids: tuple[str, ...]
    files: tuple[str, ...] | None
    attributes: Mapping[str, Column] = field(default_factory=dict)
    cluster: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


def folder_examples(spec: ImageSpec, *, upright: bool) -> Examples:
    """The examples of a folder. Raises DataError for a file or a column that is not there, naming the first."""
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
    rows = _rows(spec, home)
    paths = [_image(home, row, spec.image) for row in rows]
    missing = [place for place, path in enumerate(paths) if path is None]
    if missing:
        row = rows[missing[0]]
        more = f", and {len(missing) - 1} more of {len(rows)} rows" if len(missing) > 1 else ""
        raise DataError(
            f"{row.where}: no image {row.values[spec.image]!r:.200} in {home}{more}: the column {spec.image!r} has paths "
            "relative to the folder, with their endings"
        )
    files = [(row.where, path) for row, path in zip(rows, paths, strict=True) if path is not None]
    columns = {name: column_of([row.values[name] for row in rows]) for name in spec.attributes}
    notes = [note for name, column in columns.items() for note in _odd_values(name, column)]
    return Examples(
        FilePictures(files, upright),
        tuple(row.values[spec.label] for row in rows),
        None,
        tuple(row.values[spec.image] for row in rows),
        tuple(str(path) for _, path in files),
        columns,
        None if spec.cluster is None else tuple(row.values[spec.cluster] for row in rows),
        tuple(notes),
    )


def _rows(spec: ImageSpec, home: Path) -> list[Row]:
    """The rows of the table, which lies where the user says, or in the folder of images."""
    assert spec.table is not None
    table = spec.table if spec.table.is_file() else home / spec.table
    if not table.is_file():
        raise DataError(f"{spec.table}: no such table (looked for it here and in {home})")
    columns = [spec.image, spec.label, *spec.attributes, *([] if spec.cluster is None else [spec.cluster])]
    folder = table.resolve().parent
    if folder == folder.parent:
        raise DataError(f"{table}: put the table into a folder")
    return table_rows(folder.parent, folder.name, table.resolve().name, columns, optional=spec.attributes)


def _image(home: Path, row: Row, column: str) -> Path | None:
    """The image file of a row, whichever Unicode form its name has there; None where there is none."""
    name = row.values[column]
    if Path(name).is_absolute():
        if not Path(name).is_relative_to(home.absolute()):
            raise DataError(f"{row.where}: the image {name!r:.200} lies outside the folder {home}")
        name = str(Path(name).relative_to(home.absolute()))
    spellings = dict.fromkeys((name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)))
    paths = (inside(home, spelling, f"{row.where}: image") for spelling in spellings)
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


def column_of(texts: Sequence[str]) -> Column:
    """An attribute of these values; empty ones are missing."""
    names = tuple(sorted({text for text in texts if text}))
    codes = {name: code for code, name in enumerate(names)} | {"": -1}
    return Column(np.array([codes[text] for text in texts], dtype=np.int64), names)


def _odd_values(name: str, column: Column) -> list[str]:
    """Notes on values that are words for nothing, and on values that look like one another."""
    words = [value for value in column.names if value.casefold() in EMPTY_WORDS]
    notes = [
        f"{name}: the value {word!r} is a group of its own; leave cells empty where a value is missing"
        for word in words
    ]
    return notes + [f"{name}: are {' and '.join(map(repr, same))} one value?" for same in near_names(column.names)]


def class_order(examples: Examples, classes: Path | None, outputs: int) -> tuple[str, ...]:
    """The names of the classes in the order of the network's outputs. Raises DataError where nobody tells it.

    Told by a file of classes, by sub-folders, or by labels that are the numbers of outputs, from 0.
    """
    if classes is not None:
        order: tuple[str, ...] = _lines(classes)
        whence = str(classes)
    elif examples.order is not None:
        order, whence = examples.order, "the data"
    elif all(label.isdecimal() for label in examples.labels):
        largest = max(map(int, examples.labels))
        if largest >= outputs:
            first = " and from 1?" if largest == outputs and "0" not in examples.labels else ""
            raise DataError(
                f"the label {largest} is no number of the network's {outputs} outputs, which are 0 to {outputs - 1}"
                f"{' (do labels begin with 1?' + ' name them by --classes)' if first else ''}"
            )
        return tuple(map(str, range(outputs)))
    else:
        odd = next(label for label in examples.labels if not label.isdecimal())
        raise DataError(
            f"labels are names ({odd!r:.80}) and nothing tells which output of the network each is: --classes FILE, "
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
        raise DataError(
            f"the label {odd!r:.80} is none of the classes ({', '.join(order[:SHOWN])}{', ...' if len(order) > SHOWN else ''})"
        )
    places |= numbers
    return [places[label] for label in examples.labels]


def _lines(path: Path) -> tuple[str, ...]:
    """The names of classes in a text file, one in a line. Raises DataError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8; classes are a text file with one name in a line") from None
    names = [unicodedata.normalize("NFC", line).strip() for line in text.splitlines()]
    while names and not names[-1]:
        names.pop()
    if not names or "" in names:
        raise DataError(
            f"{path}: {'line ' + str(names.index('') + 1) + ' is' if names else 'it is'} empty: one name in a line"
        )
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{path}: two classes are called {twice!r:.80}")
    return tuple(names)
