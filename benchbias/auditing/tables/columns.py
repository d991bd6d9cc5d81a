"""The cells of a column as codes of texts: equal cells have one text, whatever type and format they come in.

Missing are empty cells, null, NaN, NaT, and the texts that numpy and pandas write for them: nan, NaN, NaT, <NA>.
Other words for it (NA, None, unknown) are values: they may be names. A whole number has no point (1.0 is 1), true and
false are True and False, and a date with a time is written as ISO 8601 does.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchbias.data.reading.cells import LONGEST_CELL, cell_text
from benchbias.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

INFINITE = ("inf", "-inf", "Infinity", "-Infinity")
EMPTY = ("nan", "NaN", "NAN", "NaT", "<NA>")
TRUTHS = {"true": "True", "TRUE": "True", "True": "True", "false": "False", "FALSE": "False", "False": "False"}
WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]*))\.0+")
SINGLE = (str, bytes, bool, int, float, type(None), np.generic, datetime.date)
SCIENTIFIC = re.compile(r"-?[0-9]\.[0-9]+e[+-][0-9]{2,3}")  # as numpy.savetxt writes every number
LARGEST = 2**53  # whole numbers beyond are no longer exact
MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}.*")


@dataclass(frozen=True)
class Coded:
    """A column. codes: int (N,), -1 where the cell is empty; names: the text of each code, sorted, no two alike."""

    codes: NDArray[Any]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Matrix:
    """The logits or probabilities of every example: float or int (N, C), with no not-a-numbers checked yet."""

    values: NDArray[Any]


Values = Coded | Matrix
"""A column of a table: one text a row, or one list of numbers a row."""


def canonical(text: str) -> str:
    """One text for cells that are equal: "" for an empty one."""
    if text in EMPTY:
        return ""
    if text in TRUTHS:
        return TRUTHS[text]
    if "." in text and (found := WHOLE.fullmatch(text)):
        return "0" if found[1] == "-0" else found[1]
    if "e" in text and SCIENTIFIC.fullmatch(text) and float(text) % 1 == 0 and abs(float(text)) < LARGEST:
        return str(int(float(text)))
    if ":" in text and MOMENT.fullmatch(text):
        try:
            return cell_text(datetime.datetime.fromisoformat(text), "", "")
        except ValueError:
            return text
    return text


def text_of(value: object, where: str, column: str) -> str:
    """The canonical text of any cell. Raises DataError for one that is no text, number, date or true/false."""
    if type(value) is str and value.isascii() and len(value) <= LONGEST_CELL and value == value.strip():
        text = value  # nothing to normalise: fast for millions of ids
    else:
        text = cell_text(value, where, column)
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise DataError(f"{where}: column {column!r:.80} holds half a character ({text!a:.80})")
    if text in INFINITE:
        raise DataError(f"{where}: column {column!r:.80} holds an infinite number ({text})")
    return canonical(text)


def merged(codes: NDArray[Any], texts: Sequence[str]) -> Coded:
    """A column whose code k has the text texts[k]: equal texts become one, sorted, and "" becomes -1."""
    names = sorted(set(texts) - {""})
    place = {"": -1} | {name: code for code, name in enumerate(names)}
    table = np.array([place[text] for text in texts], np.int64)
    return Coded(table[codes] if len(table) else np.zeros(0, np.int64), tuple(names))


class Coder:
    """Codes of the cells of one column, batch by batch, without a copy of the cells."""

    def __init__(self, column: str, row: Callable[[int], str]) -> None:
        self._column, self._row = column, row
        self._seen: dict[Any, int] = {}
        self._batches: list[NDArray[Any]] = []

    def add(self, values: Sequence[Any]) -> None:
        """Take in the next cells: all texts, or of any types."""
        keys: Sequence[Any] = values
        kinds = set(map(type, values))
        if kinds - {str}:
            self._check_single(values, kinds)
            keys = [(type(value), value) for value in values]
        for key in dict.fromkeys(keys):
            self._seen.setdefault(key, len(self._seen))
        self._batches.append(np.fromiter(map(self._seen.__getitem__, keys), np.int64, len(keys)))

    def done(self) -> Coded:
        """The column. Raises DataError, which names the row, for a cell that is no text, number, date or true/false."""
        codes = np.concatenate(self._batches) if self._batches else np.zeros(0, np.int64)
        texts = []
        for code, key in enumerate(self._seen):
            value = key if type(key) is str else key[1]
            try:
                texts.append(text_of(value, "", self._column))
            except DataError:
                first = self._row(int(np.argmax(codes == code)))
                text_of(value, first, self._column)
                raise
        return merged(codes, texts)

    def _check_single(self, values: Sequence[Any], kinds: set[type]) -> None:
        if all(issubclass(kind, SINGLE) for kind in kinds):
            return
        for number, value in enumerate(values, sum(map(len, self._batches))):
            if isinstance(value, list | dict | set | tuple | bytearray | np.ndarray):
                cell_text(value, self._row(number), self._column)  # raises DataError


def coded_array(array: NDArray[Any], where: str, column: str) -> Coded:
    """The column of an array (N,) of any type. Raises DataError for what is no text, number, date or true/false."""

    def row(number: int) -> str:
        return f"{where}, row {number + 1}"

    if isinstance(array, np.ma.MaskedArray):
        masked, array = np.ma.getmaskarray(array), np.array(np.ma.getdata(array), object)
        array[masked] = None
    if array.dtype.kind in "biuf":
        distinct, codes = np.unique(array, return_inverse=True)
        if array.dtype.kind == "f" and np.isinf(distinct).any():
            raise DataError(f"{row(int(np.argmax(np.isinf(array))))}: column {column!r:.80} holds an infinite number")
        return merged(codes.reshape(-1), [text_of(value, where, column) for value in distinct])
    if array.dtype.kind == "M":
        array = array.astype("datetime64[us]").astype(object)
    if array.dtype.kind not in "OUST":
        raise DataError(f"{where}: column {column!r:.80} has the type {array.dtype}: texts, numbers or dates are read")
    coder = Coder(column, row)
    coder.add(array.tolist())
    return coder.done()


def integers(names: Sequence[str]) -> list[int] | None:
    """The texts as whole numbers, None where one is none."""
    return [int(name) for name in names] if all(re.fullmatch(r"0|-?[1-9][0-9]*", name) for name in names) else None
