"""Arrays as a table: a npz file of numpy, whose pickles are never opened, or arrays that a program hands over."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchbias.auditing.tables.columns import Matrix, Values, coded_array
from benchbias.auditing.tables.table import Kind, check_names, counted, not_numeric
from benchbias.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray


class NpzTable:
    """A npz file: a column is an array (N,) of texts, numbers or dates, or (N, C) of numbers."""

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        try:
            self._file = np.load(path, allow_pickle=False)
            names = list(self._file.files)
        except (OSError, ValueError, AttributeError, zipfile.BadZipFile, EOFError) as error:
            raise DataError(f"{path}: not a npz file, or a damaged one: {_told(error)}") from None
        self.names = check_names(self.where, names)
        self._own = dict(zip(self.names, names, strict=True))
        self._arrays: dict[str, NDArray[Any]] = {}

    def listed(self, name: str) -> bool:
        """Whether an array has two dimensions, and more than one column."""
        array = self._array(name)
        return array.ndim == 2 and array.shape[1] != 1

    def row(self, number: int) -> str:
        """The place of a row: the first is row 1."""
        return f"{self.where}, row {number + 1}"

    def read(self, wanted: Mapping[str, Kind]) -> dict[str, Values]:
        """The columns, see Table. Raises DataError for Python objects, damage, and arrays of different lengths."""
        arrays = {name: self._array(name) for name in wanted}
        check_lengths(self.where, arrays)
        return {name: values_of(array, self.where, name, wanted[name]) for name, array in arrays.items()}

    def _array(self, name: str) -> NDArray[Any]:
        if name not in self._arrays:
            try:
                self._arrays[name] = np.asarray(self._file[self._own[name]])
            except ValueError as error:
                if "pickle" not in str(error):
                    raise DataError(f"{self.where}: array {name!r:.80} is damaged: {_told(error)}") from None
                told = f"{self.where}: array {name!r:.80} holds Python objects (a pickle), which are never opened"
                raise DataError(f"{told}: save texts with .astype(str), numbers as numbers") from None
            except Exception as error:  # zlib, zipfile, struct, tokenize: each has errors of its own for damage
                raise DataError(f"{self.where}: array {name!r:.80} is damaged: {_told(error)}") from None
        return self._arrays[name]


def check_lengths(where: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Raise DataError unless all arrays have the same number of rows, and at least one."""
    sizes = {name: len(array) if array.ndim else 0 for name, array in arrays.items()}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise DataError(f"{where}: the columns have different numbers of rows: {told}")
    if 0 in sizes.values():
        raise DataError(f"{where}: no rows")


def values_of(array: NDArray[Any], where: str, name: str, kind: Kind) -> Values:
    """An array (N,), (N, 1) or (N, C) as a column. Raises DataError for other shapes and types."""
    if kind == "list" or (kind == "number" and array.ndim == 1):
        if array.dtype.kind not in "iuf" or array.ndim > 2:
            raise not_numeric(where, name, f"an array of type {array.dtype} with {counted(array.ndim, 'dimension')}")
        return Matrix(array.reshape(len(array), -1))
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise DataError(f"{where}: column {name!r:.80} has the shape {array.shape}; one value a row is needed")
    return coded_array(array, where, name)


def as_array(values: Any, name: str) -> NDArray[Any]:
    """Anything like an array as numpy's: lists, series of pandas, tensors of torch (which is never imported).

    Raises DataError for what is none.
    """
    if hasattr(values, "detach"):  # a tensor: off the graph and its device; bfloat16 has no type of numpy
        values = values.detach().cpu()
        values = values.float() if "bfloat16" in str(values.dtype) else values
    if isinstance(values, np.ma.MaskedArray):
        return values if values.ndim == 1 else np.ma.filled(values.astype(float), np.nan)
    try:
        array = np.asarray(values)
        if isinstance(values, list | tuple) and array.dtype.kind in "US":
            array = np.asarray(values, object)  # None and numbers among texts stay what they are
        if array.dtype == object and array.ndim == 1:
            array = np.array([*map(_plain, array), None], object)[:-1]
    except Exception as error:  # rows of different lengths, and whatever a class of others does
        raise DataError(f"{name}: no array: {_told(error)}") from None
    if array.ndim not in (1, 2):
        raise DataError(f"{name}: an array of one dimension (classes) or two (logits) is needed, not {array.ndim}")
    return array


def _plain(value: Any) -> Any:
    """A range or a period of pandas as its text, which is how it is shown; other values as they are."""
    return str(value) if type(value).__name__ in ("Interval", "Period") else value


def _told(error: Exception) -> str:
    return f"{' '.join(str(error).split()) or type(error).__name__:.200}"
