"""Forms of pictures, dialects of CSV, types of columns, words of splits: each loads right, or is refused with its row.

Right is what the plain table gives: the same images, groups, alignment and clusters, and groups of the same names.
"""

from __future__ import annotations

import io
import itertools
import shutil
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from benchbias.data.values import BiasedDataset
from benchbias.errors import DataError
from benchbias_plugins.datasets.own_data import hub, image_folder
from support.picture_forms import GREY, LOSSY, NONE, WHOLE
from support.table_forms import (
    COLUMNS,
    DIALECTS,
    REFUSED,
    TYPES,
    Rows,
    base_rows,
    column_of,
    csv_bytes,
    pixels,
    table_of,
    write_base,
    write_hub,
)

NAMED = {"repository": "me/pictures", "attribute": "attribute", "val_split": "validation"}


@pytest.fixture(scope="module", autouse=True)
def offline():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCHBIAS_OFFLINE", "1")
        yield


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Rows, BiasedDataset]:
    """A data folder with the pictures, their rows, and what the plain table gives. Tests write tables there."""
    root = tmp_path_factory.mktemp("zoo")
    rows = write_base(root / "pictures")
    (root / "pictures" / "labels.csv").write_bytes(csv_bytes(rows))
    return root, rows, image_folder(root, 0, folder="pictures")


def read(root: Path, content: bytes, **options) -> BiasedDataset:
    (root / "pictures" / "labels.csv").write_bytes(content)
    return image_folder(root, 0, folder="pictures", **options)


def same(found: BiasedDataset, wanted: BiasedDataset, names: tuple[str, ...] | None = None) -> None:
    assert found.splits.keys() == wanted.splits.keys()
    assert (found.mean, found.std) == (wanted.mean, wanted.std)
    for name, one in wanted.splits.items():
        other = found.splits[name]
        assert torch.equal(other.split.images, one.split.images)
        assert torch.equal(other.split.labels, one.split.labels)
        assert torch.equal(other.groups.groups, one.groups.groups)
        assert torch.equal(other.groups.aligned, one.groups.aligned)
        assert torch.equal(other.cluster, one.cluster)
        assert other.groups.group_names == (names or one.groups.group_names)


def test_the_plain_table_is_what_was_written(zoo):
    """The reference of everything below, beside what was put into the files."""
    _, rows, plain = zoo
    at = 0
    for split in ("train", "val", "test"):
        item = plain.splits[split]
        for image, group in zip(item.split.images, item.groups.groups.tolist(), strict=True):
            assert np.array_equal(image.numpy().transpose(1, 2, 0), pixels(at))
            assert item.groups.group_names[group] == f"{rows[at]['label']}/{rows[at]['attribute']}"
            at += 1
    assert at == len(rows)
    assert plain.splits["train"].groups.aligned.float().mean() == 2 / 3


# --- dialects


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_dialect_of_csv_says_the_same(zoo, dialect: str):
    root, rows, plain = zoo
    same(read(root, DIALECTS[dialect](rows)), plain)


@pytest.mark.parametrize(("name", "of"), [("L.CSV", "csv"), ("l.tsv", "csv"), ("l.PARQUET", "parquet"), ("l", "csv")])
def test_the_ending_of_a_tables_name_has_no_case(zoo, name: str, of: str):
    root, rows, plain = zoo
    path = root / "pictures" / name
    try:
        if of == "csv":
            path.write_bytes(csv_bytes(rows, delimiter="\t"))
        else:
            pq.write_table(table_of(rows), path)
        same(image_folder(root, 0, folder="pictures", table=name), plain)
    finally:
        path.unlink()


BAD_TABLES = {
    "blanks between": (lambda rows: csv_bytes(rows, delimiter=" "), r"labels\.csv: unknown column 'image'"),
    "utf-16": (lambda rows: csv_bytes(rows).decode().encode("utf-16"), r"not UTF-8 .*save it as CSV in UTF-8"),
    "latin-1": (lambda rows: csv_bytes([r | {"label": "é"} for r in rows]).decode().encode("latin-1"), "not UTF-8"),
    "a comment": (lambda rows: b"# made by x\n" + csv_bytes(rows), "unknown column 'image'"),
    "other case": (lambda rows: csv_bytes(rows).replace(b"image,", b"Image,", 1), "did you mean 'Image'"),
    "too few": (lambda rows: csv_bytes(rows).replace(b",b\n", b"\n", 1), r"labels\.csv, row \d+: 3 cells"),
    "a nul": (lambda rows: csv_bytes(rows).replace(b",a\n", b",a\0b\n", 1), r"row \d+: the attribute 'a\\x00b'"),
    "a long cell": (lambda rows: csv_bytes(rows[:3]) + b"a,b,c," + b"x" * 200_000, r"row 5: not a CSV file: field"),
    "an open quote": (lambda rows: csv_bytes(rows[:3]) + b'"a,b,c,d\n', r"row 5: not a CSV file"),
    "backslashes": (lambda rows: csv_bytes(rows).replace(b"im/", b"im\\"), "row 2: image .*with / between folders"),
    "an address": (lambda rows: csv_bytes(rows).replace(b"im/0", b"https://x/0"), "row 2: no such file"),
    "a folder": (lambda rows: csv_bytes(rows).replace(b"im/0.png", b"im"), "row 2: not a plain file"),
    "twice": (lambda rows: csv_bytes([*rows, rows[2] | {"image": "./im//2.png"}]), "row 26: .*already: row 4"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_a_table_that_cannot_be_read_says_where(zoo, case: str):
    root, rows, _ = zoo
    make, message = BAD_TABLES[case]
    with pytest.raises(DataError, match=message) as caught:
        read(root, make(rows))
    assert str(caught.value).isprintable()


# --- types of columns


def renamed(kind: str, column: str) -> tuple[str, ...]:
    """The groups' names with a column of "0" and "1" as a type."""
    told = TYPES[kind][2]
    return tuple(
        "/".join(
            told(text) if name == column else text for name, text in zip(("label", "attribute"), pair, strict=True)
        )
        for pair in itertools.product("01", "01" if column == "attribute" else "ab")
    )


def digits(rows: Rows, column: str) -> list[str]:
    return [str("ab".find(row[column])) if column == "attribute" else row[column] for row in rows]


@pytest.mark.parametrize("column", ["label", "attribute"])
@pytest.mark.parametrize("kind", TYPES)
def test_a_column_of_a_type_in_parquet_is_the_text_that_a_user_reads(zoo, kind: str, column: str):
    root, rows, plain = zoo
    path = root / "pictures" / "labels.parquet"
    pq.write_table(table_of(rows, **{column: column_of(digits(rows, column), kind)}), path)
    found = image_folder(root, 0, folder="pictures", table="labels.parquet")
    same(found, plain, renamed(kind, column))


@pytest.mark.parametrize("kind", TYPES)
def test_a_column_of_a_type_in_a_copy_of_the_hub_is_the_same_text(zoo, kind: str, tmp_path: Path):
    root, rows, plain = zoo
    write_hub(
        tmp_path / "me" / "pictures", root / "pictures", rows, label=lambda part: column_of(digits(part, "label"), kind)
    )
    same(hub(tmp_path, 0, **NAMED), plain, renamed(kind, "label"))


@pytest.mark.parametrize("kind", REFUSED)
def test_a_cell_that_is_none_is_refused_with_its_row_column_and_value(zoo, kind: str, tmp_path: Path):
    root, rows, _ = zoo
    value, arrow, message = REFUSED[kind]
    good = _good(arrow)
    row = 1 if good is None else 5  # a type of which no cell is good is refused at once

    def column(part: Rows) -> pa.Array:
        return pa.array([value if good is None or one["image"] == "im/4.png" else good for one in part], arrow)

    pq.write_table(table_of(rows, label=column(rows)), root / "pictures" / "labels.parquet")
    with pytest.raises(DataError, match=rf"labels\.parquet, row {row}: column 'label' {message}") as caught:
        image_folder(root, 0, folder="pictures", table="labels.parquet")
    assert str(caught.value).isprintable()
    write_hub(tmp_path / "me" / "pictures", root / "pictures", rows, label=column)
    with pytest.raises(DataError, match=rf"me/pictures, split train, row {row}: column 'label' {message}"):
        hub(tmp_path, 0, **NAMED)


def _good(arrow: pa.DataType) -> object:
    """A good cell of a type; None where it has none."""
    if pa.types.is_floating(arrow):
        return 1.0
    if pa.types.is_boolean(arrow):
        return True
    if pa.types.is_timestamp(arrow):
        return 0
    return "0" if pa.types.is_string(arrow) else b"0" if pa.types.is_binary(arrow) else None


# --- words of splits

WORDS = {
    "WILDS": {"train": "0", "val": "1", "test": "2"},
    "floats": {"train": "0.0", "val": "1.0", "test": "2.0"},
    "capitals": {"train": "Train", "val": "Val", "test": "Test"},
    "long": {"train": "training", "val": "validation", "test": "testing"},
    "accents": {"train": "entraînement", "val": "réglage", "test": "essai"},
}


@pytest.mark.parametrize("words", WORDS)
def test_splits_under_other_words_are_named_by_the_task_or_refused_with_the_remedy(zoo, words: str):
    root, rows, plain = zoo
    content = csv_bytes([row | {"split": WORDS[words][row["split"]]} for row in rows])
    with pytest.raises(DataError, match=r'row 2: unknown split .*; splits = \{ ".*" = "train" \} says'):
        read(root, content)
    same(read(root, content, splits={word: name for name, word in WORDS[words].items()}), plain)


def test_rows_of_a_word_can_be_left_out(zoo):
    root, rows, plain = zoo
    more = [row | {"image": f"no/{number}.png", "split": "unlabeled"} for number, row in enumerate(rows)]
    same(read(root, csv_bytes([*rows, *more]), splits={"unlabeled": "left-out"}), plain)


@pytest.mark.parametrize(
    "name", ["test-", "test-\x1b[31mred", "test-../x", "test-a|b", "test-" + "x" * 90, "TEST", " "]
)
def test_a_split_is_called_by_a_plain_name(zoo, name: str):
    root, rows, _ = zoo
    with pytest.raises(
        DataError, match=r"labels\.csv, row 14: (unknown split|the split|column 'split' is empty)"
    ) as caught:
        read(
            root, csv_bytes([row | {"split": name} if row["split"] == "val" else row for row in rows]), val_fraction=0.2
        )
    assert str(caught.value).isprintable()


# --- forms of pictures


@pytest.fixture(scope="module")
def plain_pictures(zoo) -> list[np.ndarray]:
    return [pixels(number) for number in range(len(zoo[1]))]


def write_form(root: Path, encode, plain_pictures) -> None:
    """A folder `form` and a copy `me/form` with the pictures in a form, under names that tell nothing."""
    shutil.rmtree(root / "form", ignore_errors=True)
    (root / "form" / "im").mkdir(parents=True)
    rows = base_rows()
    for number, row in enumerate(rows):
        (root / "form" / row["image"]).write_bytes(encode(plain_pictures[number]))
    (root / "form" / "labels.csv").write_bytes(csv_bytes(rows))
    write_hub(root / "me" / "form", root / "form", rows)


def of_both(root: Path, **options) -> list[BiasedDataset]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing that PIL warns of leaks
        return [
            image_folder(root, 0, folder="form", **options),
            hub(root, 0, **NAMED | {"repository": "me/form"}, **options),
        ]


@pytest.mark.parametrize("form", WHOLE)
def test_a_form_that_keeps_pixels_gives_the_picture_itself(zoo, plain_pictures, form: str, tmp_path: Path):
    write_form(tmp_path, WHOLE[form], plain_pictures)
    for found in of_both(tmp_path):
        same(found, zoo[2])


@pytest.mark.parametrize("form", [*LOSSY, *GREY])
def test_a_form_that_changes_pixels_gives_what_pil_decodes(zoo, plain_pictures, form: str, tmp_path: Path):
    encode, mode = (LOSSY[form], "RGB") if form in LOSSY else (GREY[form], "L")
    write_form(tmp_path, encode, plain_pictures)
    for found in of_both(tmp_path):
        first = np.asarray(Image.open(io.BytesIO(encode(plain_pictures[0]))).convert(mode))
        image = found.splits["train"].split.images[0].numpy()
        assert np.array_equal(image, first[None] if mode == "L" else first.transpose(2, 0, 1))
        assert torch.equal(found.splits["test"].groups.groups, zoo[2].splits["test"].groups.groups)


@pytest.mark.parametrize("form", NONE)
def test_bytes_that_are_no_picture_are_refused_with_their_row(plain_pictures, form: str, tmp_path: Path):
    encode, message = NONE[form]
    numbers = iter(range(len(plain_pictures)))
    write_form(tmp_path, lambda one: encode(one) if next(numbers) == 4 else WHOLE["png"](one), plain_pictures)
    with pytest.raises(DataError, match=rf"labels\.csv, row 6: im/4\.png: .*{message}"):
        image_folder(tmp_path, 0, folder="form")
    with pytest.raises(DataError, match=rf"me/form, split train, row 5: .*{message}"):
        hub(tmp_path, 0, **NAMED | {"repository": "me/form"})


# --- the whole product


@pytest.mark.slow
@pytest.mark.parametrize("form", WHOLE)
def test_every_form_in_every_dialect(zoo, plain_pictures, form: str, tmp_path: Path):
    write_form(tmp_path, WHOLE[form], plain_pictures)
    rows = base_rows()
    for make in DIALECTS.values():
        (tmp_path / "form" / "labels.csv").write_bytes(make(rows))
        same(image_folder(tmp_path, 0, folder="form"), zoo[2])


@pytest.mark.slow
@pytest.mark.parametrize("kind", TYPES)
def test_every_type_beside_every_other(zoo, kind: str, tmp_path: Path):
    root, rows, plain = zoo
    for other in TYPES:
        names = tuple(
            "/".join(pair) for pair in itertools.product(*([TYPES[k][2](t) for t in "01"] for k in (kind, other)))
        )
        columns = {
            "label": column_of(digits(rows, "label"), kind),
            "attribute": column_of(digits(rows, "attribute"), other),
        }
        pq.write_table(table_of(rows, **columns), root / "pictures" / "labels.parquet")
        same(image_folder(root, 0, folder="pictures", table="labels.parquet"), plain, names)
        write_hub(
            tmp_path / "me" / "pictures", root / "pictures", rows,
            label=lambda part: column_of(digits(part, "label"), kind),
            attribute=lambda part, other=other: column_of(digits(part, "attribute"), other),
        )  # fmt: skip
        same(hub(tmp_path, 0, **NAMED), plain, names)


def test_the_columns_of_the_zoo_are_those_of_the_documentation():
    assert COLUMNS == ("image", "split", "label", "attribute")
