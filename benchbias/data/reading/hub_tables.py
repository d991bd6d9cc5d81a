"""CSV tables of hub copies, read as the text that stands there: no type is guessed before a cell is seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

EMPTY = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "<NA>")
"""Words for an empty cell, in columns that are declared to hold numbers or true/false."""


def builder_of(found: type[Any]) -> type[Any]:
    """A builder of `datasets` of that kind (csv, imagefolder, ...) that reads the cells of CSV files as text."""
    import datasets
    from datasets.packaged_modules.csv.csv import Csv
    from datasets.packaged_modules.imagefolder.imagefolder import ImageFolder

    if found is Csv:

        class TextCsv(Csv):  # type: ignore[misc]
            def _generate_tables(self, base_files: Any, files_iterables: Any) -> Iterator[Any]:
                for part, files in enumerate(files_iterables):
                    for file in files:
                        options = {**self.config.pd_read_csv_kwargs}
                        for number, table in enumerate(_tables(file, self.config.features, options)):
                            yield datasets.builder.Key(part, number), self._cast_table(table)

        return TextCsv
    if found is ImageFolder:

        class TextImageFolder(ImageFolder):  # type: ignore[misc]
            def _read_metadata(self, metadata_file: str, metadata_ext: str = "") -> Iterator[Any]:
                if metadata_ext == ".csv":
                    return _tables(metadata_file, self.config.features, {"chunksize": 10_000})
                return iter(super()._read_metadata(metadata_file, metadata_ext=metadata_ext))

        return TextImageFolder
    return found


def _tables(file: str | Path, features: Any, options: dict[str, Any]) -> Iterator[Any]:
    """The rows of a CSV file in tables of arrow: text, but for columns that the README declares of another type."""
    import pandas  # datasets requires it
    import pyarrow
    from datasets.features.features import require_storage_cast

    header = pandas.read_csv(file, **options | {"nrows": 0, "chunksize": None}).columns
    cells: dict[str, Callable[[str], str | None]] = {}
    types: dict[str, Any] = {}
    for name in header:
        feature = (features or {}).get(name)
        if feature is None or getattr(feature, "dtype", "") in ("string", "large_string"):
            cells[name] = str
        elif require_storage_cast(feature):  # of a class: its name, or its number
            cells[name] = _name_or_none
        else:
            types[name] = features.arrow_schema.field(name).type.to_pandas_dtype()
    empty = {name: list(EMPTY) for name in types}
    told = {"dtype": types, "converters": cells, "keep_default_na": False, "na_values": empty}
    with pandas.read_csv(file, **options | told) as frames:
        for frame in frames:
            if not isinstance(frame.index, pandas.RangeIndex):
                raise ValueError(f"{file}: its rows have more cells than the header")
            yield pyarrow.Table.from_pandas(frame)


def _name_or_none(text: str) -> str | None:
    return text if text.strip() else None
