"""The classes of an audit: their names, from labels, from answers and from a list in the order of the logits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchbias.auditing.tables.columns import Coded, Matrix, Values, canonical, integers
from benchbias.data.reading.cells import normalised
from benchbias.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

TRUTH = ("False", "True")
BITS = ("0", "1")


def class_names(classes: Sequence[str] | Path | None) -> tuple[str, ...] | None:
    """The names of classes in the order of logits: a sequence, or a file with one a line or a JSON list (or object).

    Raises DataError for a file that cannot be read, an empty name, and two classes of one name.
    """
    if classes is None:
        return None
    where = str(classes) if isinstance(classes, Path) else "classes"
    texts = _from_file(classes) if isinstance(classes, Path) else [str(name) for name in classes]
    names = tuple(canonical(normalised(text)) for text in texts)
    if not names:
        raise DataError(f"{where}: no classes")
    for number, name in enumerate(names):
        if not name:
            raise DataError(f"{where}: class {number} has no name")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        numbers = [number for number, name in enumerate(names) if name == twice]
        told = f"classes {numbers[0]} and {numbers[1]} (counted from 0) are both called {twice!r:.80}"
        raise DataError(f"{where}: {told}: give them different names")
    return names


def _from_file(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror} (a file of classes, one a line)") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 ({error.reason} at byte {error.start})") from None
    if path.suffix.lower() != ".json":
        return [line for line in text.splitlines() if line.strip()]
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON: {error}") from None
    if isinstance(found, dict):
        found = [found.get(str(number)) for number in range(len(found))]
    if not isinstance(found, list) or not all(isinstance(name, str | int) for name in found):
        raise DataError(f"{path}: a list of names, or an object of the numbers 0, 1, ... and names, is read")
    return [str(name) for name in found]


def order_of(label: Coded, models: Mapping[str, Values], given: tuple[str, ...] | None) -> tuple[str, ...]:
    """The names of the columns of logits in their order, () where no model has logits.

    Raises DataError where two models have different numbers of classes or only one column, where a given list has
    another number, and where labels are names whose order is unknown.
    """
    widths = {name: values.values.shape[1] for name, values in models.items() if isinstance(values, Matrix)}
    if not widths:
        return ()
    told = ", ".join(f"{name} {width}" for name, width in widths.items())
    first, width = next(iter(widths.items()))
    if len(set(widths.values())) > 1:
        raise DataError(f"the models have different numbers of classes: {told}: both answer the same question")
    if width < 2:
        raise DataError(
            f"{first}: one column of numbers is no answer: give the class that it stands for, or all logits"
        )
    if given is not None:
        if len(given) != width:
            raise DataError(f"{len(given)} classes are named, but the logits have {width} columns")
        return given
    if label.names and set(label.names) <= set(TRUTH) and width == 2:
        return TRUTH
    numbers = integers(label.names)
    if numbers is None:
        known = ", ".join(label.names[:5])
        raise DataError(
            f"class order unknown: labels are names ({known:.200}) and answers are {width} logits; "
            "name the classes in the order of the logits (classes=, --classes FILE)"
        )
    wrong = next((number for number in numbers if not 0 <= number < width), None)
    if wrong is not None:
        raise DataError(f"label {wrong} has no column among {width} logits, which are numbered from 0")
    return tuple(str(number) for number in range(width))


def on_one_scale(columns: Mapping[str, Coded], given: tuple[str, ...] | None) -> dict[str, Coded]:
    """The same columns of classes with one way to name a class: numbers of a given list, and 0/1 for false/true.

    Raises DataError for a class that a given list does not have, and for answers that are scores.
    """
    found = dict(columns)
    if given is not None:
        return {what: _of_list(what, column, given) for what, column in found.items()}
    seen = [set(column.names) for column in found.values() if column.names]
    truths, bits = (any(names <= set(two) for names in seen) for two in (TRUTH, BITS))
    if truths and bits and all(names <= set(TRUTH) or names <= set(BITS) for names in seen):
        found = {what: _renamed(column, dict(zip(BITS, TRUTH, strict=True))) for what, column in found.items()}
    labels = set(found["label"].names)
    for what, column in found.items():
        score = next((name for name in column.names if name not in labels and _is_fraction(name)), None)
        if what != "label" and score is not None:
            raise DataError(f"{what}: {score} is a score and no class: give the class that was answered, or all logits")
    return found


def _of_list(what: str, column: Coded, given: tuple[str, ...]) -> Coded:
    known = set(given)
    strange = [name for name in column.names if name not in known]
    if not strange:
        return column
    numbers = integers(column.names)
    if numbers is not None and all(0 <= number < len(given) for number in numbers):
        return _renamed(column, {str(number): given[number] for number in numbers})
    shown = ", ".join(given[:5]) + (", ..." if len(given) > 5 else "")
    raise DataError(f"{what}: {strange[0]!r:.80} is none of the {len(given)} classes that are named ({shown:.300})")


def _renamed(column: Coded, names: Mapping[str, str]) -> Coded:
    renamed = [names.get(name, name) for name in column.names]
    order = sorted(range(len(renamed)), key=renamed.__getitem__)
    place = np.empty(len(renamed) + 1, np.int64)
    place[order] = np.arange(len(order))
    place[-1] = -1  # of an empty cell
    return Coded(place[column.codes], tuple(renamed[at] for at in order))


def codes_in(column: Coded, classes: tuple[str, ...]) -> NDArray[Any]:
    """The codes of a column among classes that have all its names, int (N,), -1 where empty."""
    place = {name: code for code, name in enumerate(classes)}
    table = np.array([*(place[name] for name in column.names), -1], np.int64)
    return np.asarray(table[column.codes])


def _is_fraction(name: str) -> bool:
    try:
        return float(name) % 1 != 0
    except ValueError:
        return False
