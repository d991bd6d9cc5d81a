"""A parquet file as a table: columns are read whole and coded by arrow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchbias.auditing.tables.columns import Coded, Matrix, Values, coded_array, merged, text_of
from benchbias.auditing.tables.table import Kind, check_names, not_numbers, not_numeric
from benchbias.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

BATCH = 4096  # rows of lists


class ParquetTable:
    """A parquet file."""

    def __init__(self, path: Path) -> None:
        self._path, self.where = path, str(path)
        with self._open() as file:
            self._schema = file.schema_arrow
            self._rows = file.metadata.num_rows
        self.names = check_names(self.where, self._schema.names)
        self._own = dict(zip(self.names, self._schema.names, strict=True))

    def listed(self, name: str) -> bool:
        """Whether a column is one of arrow's lists."""
        return _is_list(self._schema.field(self._own[name]).type)

    def row(self, number: int) -> str:
        """The place of a row: the first example is row 1."""
        return f"{self.where}, row {number + 1}"

    def read(self, wanted: Mapping[str, Kind]) -> dict[str, Values]:
        """The columns, see Table. Raises DataError for a file that is damaged, and cells of other kinds."""
        if not self._rows:
            raise DataError(f"{self.where}: no rows")
        found: dict[str, Values] = {}
        for name, kind in wanted.items():
            if kind == "list":
                found[name] = self._lists(name)
                continue
            column = self._column(name)
            found[name] = self._coded(name, column) if kind == "text" else self._numbers(name, column)
        return found

    def _coded(self, name: str, column: Any) -> Coded:
        import pyarrow
        from pyarrow import compute, types

        if types.is_nested(column.type):
            kind = "maps" if types.is_map(column.type) else "structs" if types.is_struct(column.type) else "lists"
            remedy = "one text, number, date or true/false a row is needed; give its parts columns of their own"
            raise DataError(f"{self.where}: column {name!r:.80} holds {kind}: {remedy}")
        if types.is_floating(column.type):
            exact = {16: np.float16, 32: np.float32}.get(column.type.bit_width, np.float64)
            return coded_array(column.to_numpy().astype(exact), self.where, name)
        try:
            if types.is_dictionary(column.type):
                parts = column.combine_chunks()
            else:
                parts = compute.dictionary_encode(column).combine_chunks()
            values = parts.dictionary.to_pylist()
        except (pyarrow.ArrowException, ValueError, OverflowError, ImportError) as error:
            told = " ".join(str(error).split())
            place = f"{self.where}: column {name!r:.80} of type {column.type}"
            raise DataError(f"{place} cannot be read: {told:.200}") from None
        codes = parts.indices.fill_null(len(values)).to_numpy(zero_copy_only=False)
        return merged(codes, [text_of(value, self.where, name) for value in [*values, None]])

    def _numbers(self, name: str, column: Any) -> Matrix:
        kind = column.type
        if not _is_number(kind):
            raise not_numeric(self.where, name, f"of type {kind}")
        return Matrix(np.asarray(column.to_numpy())[:, None])

    def _lists(self, name: str) -> Matrix:
        """The lists of a column, batch by batch: a thousand logits a row are large."""
        from pyarrow import compute

        kind = self._schema.field(self._own[name]).type.value_type
        if not _is_number(kind):
            raise not_numeric(self.where, name, f"of lists of type {kind}")
        found: NDArray[Any] | None = None
        before = 0
        with self._open() as file:
            for batch in file.iter_batches(BATCH, columns=[self._own[name]]):
                column = batch.column(0)
                sizes = compute.list_value_length(column).fill_null(-1).to_numpy(zero_copy_only=False)
                width = int(sizes[0]) if found is None else found.shape[1]
                if (odd := (sizes != width) | (sizes < 1)).any():
                    other = int(np.argmax(odd))
                    raise self._uneven(before + other, name, int(sizes[other]), width)
                flat = column.flatten()
                if flat.null_count:
                    hole = int(np.argmax(flat.is_null().to_numpy(zero_copy_only=False))) // width
                    raise not_numbers(self.row(before + hole), name, "null")
                values = flat.to_numpy(zero_copy_only=False).reshape(len(sizes), width)
                found = np.empty((self._rows, width), values.dtype) if found is None else found
                found[before : before + len(sizes)] = values
                before += len(sizes)
        assert found is not None
        return Matrix(found)

    def _uneven(self, number: int, name: str, size: int, width: int) -> DataError:
        """The error for a list of another size than that of the first row. size: -1 where there is none."""
        told = "null instead of a list of numbers" if size < 0 else "an empty list"
        if size > 0:
            told = f"a list of {size} numbers; the first row has {width}"
        return DataError(f"{self.row(number)}: column {name!r:.80} holds {told}")

    def _column(self, name: str) -> Any:
        own = self._own[name]
        with self._open([own] if _is_text(self._schema.field(own).type) else None) as file:
            return file.read(columns=[own]).unify_dictionaries().column(own)

    @contextmanager
    def _open(self, texts: list[str] | None = None) -> Iterator[Any]:
        import pyarrow
        import pyarrow.parquet

        try:
            with pyarrow.parquet.ParquetFile(self._path, read_dictionary=texts) as file:
                yield file
        except (OSError, ValueError, OverflowError, pyarrow.ArrowException) as error:
            told = " ".join(str(error).split())
            raise DataError(f"{self.where}: not a parquet file, or a damaged one: {told:.300}") from None


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    return any(test(kind) for test in (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary))


def _is_list(kind: Any) -> bool:
    from pyarrow import types

    return any(test(kind) for test in (types.is_list, types.is_large_list, types.is_fixed_size_list))


def _is_number(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_integer(kind) or types.is_floating(kind))
