"""Cells as text, names that are near, and tables in bounds."""

from __future__ import annotations

import datetime
import decimal
import unicodedata
from pathlib import Path

import numpy as np
import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbias.data.reading import tables as tables_module
from benchbias.data.reading.cells import cell_text, is_empty, kept_value, normalised, required_text
from benchbias.data.reading.names import check_name, mixed_scripts, near_names
from benchbias.data.reading.tables import table_rows
from benchbias.errors import DataError
from benchbias.util import canonical

VALUES = st.one_of(
    st.text(max_size=20),
    st.integers(-(2**70), 2**70),
    st.booleans(),
    st.floats(),
    st.floats(width=32).map(np.float32),
    st.decimals(),
    st.binary(max_size=8),
    st.datetimes(),
    st.dates(),
    st.none(),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
    st.timedeltas(),
    st.just(pandas.NaT),
    st.just(pandas.NA),
)


def told(value: object) -> tuple[str, str]:
    """The text of a cell, or its fault."""
    try:
        return cell_text(value, "here", "column"), ""
    except DataError as error:
        return "", str(error)


@settings(max_examples=300, deadline=None)
@given(VALUES)
def test_any_cell_is_one_clean_text_or_one_clear_message(value):
    text, fault = told(value)
    if fault:
        assert fault.startswith("here: column 'column' ")
        assert fault.isprintable()
        return
    assert text == normalised(text)
    assert text == "" or not is_empty(value)
    if text:
        assert required_text(value, "here", "column") == text
    else:
        with pytest.raises(DataError, match="here: column 'column' is empty"):
            required_text(value, "here", "column")
    kept = kept_value(value, "here", "column")
    assert cell_text(kept, "here", "column") == text, "what is kept as JSON says the same"
    canonical.dumps({"kept": kept})


@settings(max_examples=200, deadline=None)
@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_written_shortly_and_read_back(single: float, double: float):
    assert np.float32(cell_text(np.float32(single), "", "")) == np.float32(single)
    assert float(cell_text(double, "", "")) == double
    assert len(cell_text(np.float32(single), "", "")) <= max(16, len(str(int(single))))
    assert kept_value(float(np.float32(single)), "", "", "float32") == float(str(np.float32(single)))


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=30))
def test_two_spellings_of_one_text_are_one(text: str):
    forms = {cell_text(unicodedata.normalize(form, f" {text}\t"), "", "") for form in ("NFC", "NFD")}
    assert len(forms) == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (-0.0, "0"),
        (1e300, str(int(1e300))),
        (0.1, "0.1"),
        (np.float32(0.1), "0.1"),
        (np.float16(0.1), "0.1"),
        (np.int8(-3), "-3"),
        (np.bool_(True), "True"),
        (decimal.Decimal("1.500"), "1.5"),
        (decimal.Decimal("1E+2"), "100"),
        (datetime.datetime(2020, 1, 2), "2020-01-02"),
        (datetime.datetime(2020, 1, 2, 3, 4), "2020-01-02T03:04:00"),
        (datetime.date(2020, 1, 2), "2020-01-02"),
        ("cafe\u0301".encode(), "caf\u00e9"),
        (pandas.Timestamp("2020-01-02"), "2020-01-02"),
    ],
)
def test_a_value_is_the_text_that_a_user_would_write(value, text: str):
    assert cell_text(value, "here", "column") == text


# --- names


@pytest.mark.parametrize(
    "names",
    [
        ("1", "1.0"), ("01", "1"), ("1e0", "1"), ("-0", "0"), ("DISC", "disc"), ("a b", "a_b"), ("a-b", "ab"),
        ("carr\u00e9", "carre"), ("\uff11", "1"), ("stra\u00dfe", "STRASSE"), ("a\u200db", "ab"),
        ("disc", "disc\ufe0f"), ("1", "1\ufe0f"), ("ab", "a\u034fb"), ("ab", "a\u3164b"), ("ab", "a\U000e0101b"),
    ],
)  # fmt: skip
def test_names_that_differ_in_writing_alone_are_near(names):
    assert near_names(["other", *names]) == [sorted(names)]


def test_names_that_mix_scripts_are_told_and_others_are_not():
    assert mixed_scripts("di\u0455c") == ["CYRILLIC", "LATIN"]
    assert not any(map(mixed_scripts, ("disc", "\u0434\u0438\u0441\u043a", "carr\u00e9", "5 \u00b5m", "\u72ac a", "1")))


def test_a_name_with_a_time_of_day_is_refused_with_the_remedy():
    with pytest.raises(DataError, match=r"none of .*; write a time of day without colons, or keep the date alone"):
        check_name("2020-01-01T03:04:05", "label", "here")


@pytest.mark.parametrize("names", [("1", "-1"), ("1", "10"), ("a", "b"), ("0.1", "01"), ("+", "-"), ("", " ")])
def test_names_that_differ_are_not(names):
    assert near_names(names) == [] or names == ("", " ")


@pytest.mark.parametrize(
    "text", ["", "x" * 65, "a/b", "a:b", "a|b", "<b>", "`x`", "[x]", "\x1b[31m", "a\nb", "a\u200bb"]
)
def test_what_is_printed_is_a_name(text: str):
    with pytest.raises(DataError, match=r"here: the label .*: at most 64 printable characters") as caught:
        check_name(text, "label", "here")
    assert str(caught.value).isprintable()


# --- bounds


def test_a_table_is_bounded_before_its_rows_are_read(tmp_path: Path, monkeypatch):
    """Sixty million rows in a few hundred KB: the count in its footer is enough."""
    (tmp_path / "p").mkdir()
    part = pa.table({n: pa.DictionaryArray.from_arrays(pa.array(np.zeros(5_000_000, np.int32)), ["x"]) for n in "ab"})
    with pq.ParquetWriter(tmp_path / "p" / "t.parquet", part.schema, compression="zstd") as writer:
        writer.write_table(part)
        writer.write_table(part.slice(0, 1))
    assert (tmp_path / "p" / "t.parquet").stat().st_size < 1 << 20
    monkeypatch.setattr(tables_module, "_values", lambda *a: pytest.fail("nothing is read"))
    with pytest.raises(DataError, match=r"t\.parquet: 5000001 rows; at most 5000000 are read"):
        table_rows(tmp_path, "p", "t.parquet", ["a", "b"])


def test_a_csv_file_is_bounded_by_bytes_and_rows(tmp_path: Path, monkeypatch):
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "t.csv").write_text("a\n" + "x\n" * 9)
    monkeypatch.setattr(tables_module, "LARGEST_ROWS", 9)
    assert len(table_rows(tmp_path, "p", "t.csv", ["a"])) == 9
    monkeypatch.setattr(tables_module, "LARGEST_ROWS", 8)
    with pytest.raises(DataError, match=r"t\.csv, row 10: at most 8 rows are read"):
        table_rows(tmp_path, "p", "t.csv", ["a"])
    monkeypatch.setattr(tables_module, "LARGEST_TABLE", 10)
    with pytest.raises(DataError, match=r"t\.csv: more than 0 MiB"):
        table_rows(tmp_path, "p", "t.csv", ["a"])


def test_a_long_text_that_many_rows_share_is_not_repeated_in_memory(tmp_path: Path):
    (tmp_path / "p").mkdir()
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(3000, np.int32)), ["x" * 1_000_000])
    pq.write_table(pa.table({"a": text}), tmp_path / "p" / "t.parquet", compression="zstd")
    with pytest.raises(DataError, match=r"t\.parquet, after row 0: column 'a' has a cell of 1000000 bytes"):
        table_rows(tmp_path, "p", "t.parquet", ["a"])


def test_optional_columns_may_be_empty_and_rows_are_counted_as_spreadsheets_do(tmp_path: Path):
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "t.csv").write_text('a,b\n1,\n\n"x\ny",2\n,3\n')
    rows = table_rows(tmp_path, "p", "t.csv", ["b", "a"], optional=["a", "b"])
    assert [(row.where.rpartition(" ")[2], row.values["a"], row.values["b"]) for row in rows] == [
        ("2", "1", ""),
        ("4", "x\ny", "2"),
        ("5", "", "3"),
    ]
    with pytest.raises(DataError, match=r"row 5: column 'a' is empty"):
        table_rows(tmp_path, "p", "t.csv", ["b", "a"], optional=["b"])


def test_a_column_is_found_in_either_unicode_form(tmp_path: Path):
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "t.csv").write_text("e\u0301cole\nx\n", encoding="utf-8")
    pq.write_table(pa.table({"e\u0301cole": ["x"]}), tmp_path / "p" / "t.parquet")
    for name in ("t.csv", "t.parquet"):
        (row,) = table_rows(tmp_path, "p", name, ["\u00e9cole"])
        assert row.values == {"\u00e9cole": "x"}


def moments(tmp_path: Path, values: list[int | None], kind: pa.DataType) -> list[str]:
    (tmp_path / "own").mkdir(exist_ok=True)
    pq.write_table(pa.table({"when": pa.array(values, pa.int64()).cast(kind)}), tmp_path / "own" / "t.parquet")
    return [row.values["when"] for row in table_rows(tmp_path, "own", "t.parquet", ["when"])]


def test_nanoseconds_are_kept_apart(tmp_path: Path):
    day = 86400 * 10**9
    texts = moments(tmp_path, [day, day + 1, day + 2, day + 1000], pa.timestamp("ns"))
    assert texts == ["1970-01-02", *(f"1970-01-02T00:00:00.{end}" for end in ("000000001", "000000002", "000001"))]


@pytest.mark.parametrize("kind", [pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("us"), pa.timestamp("s", "UTC")])
def test_a_moment_beyond_the_calendar_is_refused_with_its_row_and_column(tmp_path: Path, kind: pa.DataType):
    with pytest.raises(DataError, match=r"t\.parquet, row 4099: column 'when' holds a value of type .*timestamp"):
        moments(tmp_path, [0] * 4098 + [10**18 if kind.unit == "us" else 10**15], kind)


def test_an_unknown_time_zone_is_refused_with_its_row_and_column(tmp_path: Path):
    with pytest.raises(
        DataError, match=r"t\.parquet, row 1: column 'when' .*Mars/Phobos.*time zones those of the IANA"
    ):
        moments(tmp_path, [0], pa.timestamp("us", "Mars/Phobos"))
