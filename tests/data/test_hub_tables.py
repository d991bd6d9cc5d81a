"""Tables of hub copies: a CSV cell is the text that stands there, as in a folder; faults name row and remedy."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchbias.data.reading.cells import cell_text
from benchbias.data.reading.hub import HubImages, hub_images
from benchbias.data.reading.tables import table_rows
from benchbias.errors import DataError
from benchbias_plugins.datasets.own_data import hub
from support.hub_copies import encoded, write_card

CODES = ["007", "7", "0.1", "0.1000000000000000055", "9007199254740993", "", "NA", "None", "nan", "1.0", "1e5", "true"]


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCHBIAS_OFFLINE", "1")


def write_rows(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def as_folder(root: Path, cells: Sequence[str]) -> Path:
    """A copy of images with a table metadata.csv; its folder."""
    home = root / "own" / "copy" / "train"
    home.mkdir(parents=True, exist_ok=True)
    for number in range(len(cells)):
        (home / f"{number}.png").write_bytes(encoded(2 * number)["bytes"])
    write_rows(home / "metadata.csv", ("file_name", "code"), [(f"{n}.png", cell) for n, cell in enumerate(cells)])
    return home


def as_csv(root: Path, cells: Sequence[str]) -> Path:
    """A copy whose table names the images, as plain CSV; its folder."""
    home = root / "own" / "copy"
    (home / "im").mkdir(parents=True, exist_ok=True)
    for number in range(len(cells)):
        (home / "im" / f"{number}.bin").write_bytes(encoded(2 * number)["bytes"])
    write_rows(home / "train.csv", ("image", "code"), [(f"im/{n}.bin", cell) for n, cell in enumerate(cells)])
    return home


def texts(found: HubImages) -> list[str]:
    values = found.columns["code"]
    return [cell_text(v, "here", "code") for v in (values.tolist() if isinstance(values, torch.Tensor) else values)]


def read(root: Path) -> HubImages:
    return hub_images(root, "own/copy", "train", columns=("code",))


@pytest.mark.parametrize("write", [as_folder, as_csv])
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.sampled_from(CODES), st.from_regex(r"[0-9.eE+_-]{1,9}", fullmatch=True)), min_size=1))
def test_a_cell_of_csv_is_the_text_that_a_folder_reads(tmp_path_factory, write: Callable, cells: list[str]):
    root = tmp_path_factory.mktemp("copy")
    cells = [*cells, *CODES][:60]
    table = next(path for path in (write(root, cells), *root.rglob("*.csv")) if path.is_file())
    rows = table_rows(root, str(table.parent.relative_to(root)), table.name, ["code"], optional=["code"])
    assert texts(read(root)) == [row.values["code"] for row in rows]


@pytest.mark.parametrize("write", [as_folder, as_csv])
def test_whole_numbers_alone_stay_as_they_are_written(tmp_path: Path, write: Callable):
    write(tmp_path, ["01", "1", "2"])
    assert texts(read(tmp_path)) == ["01", "1", "2"]


def test_types_that_the_readme_declares_are_kept(tmp_path: Path):
    cells = ["NA", "7", "NA", ""]
    home = as_csv(tmp_path, cells)
    rows = [(f"im/{n}.bin", cell, ("other", "NA")[n % 2], "007") for n, cell in enumerate(cells)]
    write_rows(home / "train.csv", ("image", "code", "kind", "text"), rows)
    kinds = (
        "  - name: image\n    dtype: string\n  - name: code\n    dtype: float64\n  - name: text\n    dtype: string\n"
    )
    kinds += "  - name: kind\n    dtype:\n      class_label:\n        names:\n          '0': other\n          '1': NA\n"
    write_card(home, f"dataset_info:\n  features:\n{kinds}")
    found = hub_images(tmp_path, "own/copy", "train", columns=("code", "kind", "text"))
    assert found.columns["code"] == [None, 7.0, None, None]
    assert torch.equal(torch.as_tensor(found.columns["kind"]), torch.tensor([0, 1, 0, 1]))
    assert found.columns["text"] == ["007"] * 4


def test_rows_with_more_cells_than_the_header_are_refused(tmp_path: Path):
    home = as_csv(tmp_path, ["a", "b"])
    write_rows(home / "train.csv", ("image", "code"), [("x", "im/0.bin", "a"), ("y", "im/1.bin", "b")])
    with pytest.raises(DataError, match="more cells than the header"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["../x.png", "https://example.org/x.png", "/etc/passwd"])
def test_a_path_that_leads_out_is_told_with_its_cause(tmp_path: Path, name: str):
    home = as_folder(tmp_path, ["a", "b"])
    write_rows(home / "metadata.csv", ("file_name", "code"), [("0.png", "a"), (name, "b")])
    with pytest.raises(DataError, match=f"Invalid metadata file_name '{name}'") as caught:
        read(tmp_path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("second", ["0.png", "./0.png"])
def test_a_file_that_stands_twice_is_refused(tmp_path: Path, second: str):
    home = as_folder(tmp_path, ["a", "b"])
    write_rows(home / "metadata.csv", ("file_name", "code"), [("1.png", "a"), ("0.png", "a"), (second, "b")])
    with pytest.raises(DataError, match=r"split train, row 3: 'train/0\.png' stands there already: row 2"):
        read(tmp_path)


def write_parquet(root: Path, column: pa.Array) -> Path:
    home = root / "own" / "copy"
    home.mkdir(parents=True)
    images = pa.array([encoded(n % 200) for n in range(len(column))])
    pq.write_table(pa.table({"image": images, "code": column}), home / "train.parquet")
    return home


def test_a_number_of_no_class_is_told_with_its_cause(tmp_path: Path):
    home = write_parquet(tmp_path, pa.array([0, 1, 2]))
    kinds = "  - name: image\n    dtype: image\n  - name: code\n    dtype:\n      class_label:\n        names:\n"
    write_card(home, f"dataset_info:\n  features:\n{kinds}          '0': a\n          '1': b\n")
    with pytest.raises(DataError, match=r"Class label 2 greater than configured num_classes 2"):
        read(tmp_path)


def test_an_option_of_another_kind_of_files_is_named(tmp_path: Path):
    home = write_parquet(tmp_path, pa.array([0, 1]))
    write_card(home, "configs:\n- config_name: default\n  drop_labels: true\n")
    with pytest.raises(DataError, match=r"the option 'drop_labels' is of imagefolder, and the files are parquet"):
        read(tmp_path)


@pytest.mark.parametrize(("row", "zone"), [(258, None), (1, "Mars/Phobos")])
def test_a_moment_that_no_calendar_has_is_refused_with_its_row(tmp_path: Path, row: int, zone: str | None):
    moments = pa.array([0] * 257 + [0 if zone else 10**15], pa.timestamp("s", zone))
    write_parquet(tmp_path, moments)
    with pytest.raises(DataError, match=rf"split train, row {row}: column 'code' holds a value of type timestamp"):
        read(tmp_path)


def test_a_column_that_says_all_everywhere_is_no_attribute(tmp_path: Path):
    home = as_folder(tmp_path, ["all", "all"])
    write_rows(home / "metadata.csv", ("file_name", "label", "code"), [("0.png", "a", "all"), ("1.png", "b", "all")])
    with pytest.raises(DataError, match=r"split train: column 'code' says 'all' in every row"):
        hub(tmp_path, 0, repository="own/copy", attribute="code")
