"""One's own data: from a folder of PNGs and ten lines of TOML to a board, and every mistake in one message."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchbias.errors import DataError
from benchbias.plan.trials import Selection
from benchbias.runner.workspace import Workspace
from benchbias.store.store import Store
from benchbias_plugins.datasets.own_data import hub, image_folder
from support import ROOT
from support.picture_folder import PIXELS, SIZES, picture, write_pictures, write_table

PAGE = (ROOT / "docs" / "own-data.md").read_text()
TOML = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)[1]
SMALLER = TOML.replace("size = 32", "size = 12").replace('"lenet_small"', '"lenet_small", width = 0.2')
QUICK = ["--set", "recipe.epochs=1", "--set", "jtt.identify_epochs=1"]


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/pictures and own.toml. Read it, never write to it."""
    folder = tmp_path_factory.mktemp("mine")
    write_pictures(folder / "data" / "pictures")
    (folder / "mine.toml").write_text(SMALLER)
    return folder


@pytest.fixture(autouse=True)
def no_other_data_folder(monkeypatch: pytest.MonkeyPatch):
    """Real data that the machine has elsewhere are not what is looked for here."""
    monkeypatch.delenv("BENCHBIAS_DATA", raising=False)


@pytest.fixture
def pictures(tmp_path: Path):
    """A data folder with pictures of its own, and its rows."""
    return tmp_path, write_pictures(tmp_path / "pictures")


def built(root: Path, seed: int = 0, **options):
    return image_folder(root, seed, **{"folder": "pictures"} | options)


# --- from nothing to a board


@pytest.mark.slow
def test_one_command_gives_a_board_of_all_methods(mine: Path, cli):
    assert len(TOML.strip().splitlines()) <= 10
    run, prepare = (shlex.split(line)[1:] for line in re.findall(r"```sh\n(.*)\n```", PAGE))
    prepared = cli(*prepare, "--offline", cwd=mine)
    assert prepared.returncode == 0, prepared.stderr
    assert "train: 80 images of 3 x 12 x 12: disc/green 35, disc/red 5" in prepared.stdout
    done = cli(*run, "--seeds", "1", "--offline", "-j", "1", "-q", *QUICK, cwd=mine)
    assert done.returncode == 0, done.stderr
    board = (mine / "results" / "leaderboards" / "details" / "mine.md").read_text()
    made = "bilinear to 12 x 12, the middle square, rgb, normalised by the mean and deviation of the training images"
    assert f"Images: {made}." in board
    for method in ("erm", "erm-ft", "magnitude", "random", "jtt", "rigl", "rest"):
        assert f" {method}" in board.replace("_", " ")
    assert str(mine) not in board
    store = Store(mine / "results")
    texts = [store.object_path(key).read_text() for key in sorted(store.keys())]
    assert texts
    assert not any(str(mine) in text for text in texts), "no product names a path of this machine"


# --- what is read


def test_the_images_labels_and_groups_are_those_of_the_folder(mine: Path):
    rows = [row for row in _rows(mine / "data" / "pictures") if row["split"] == "test"]
    data = built(mine / "data")
    test = data.splits["test"]
    assert test.groups.group_names == ("disc/green", "disc/red", "square/green", "square/red")
    for row, image, group in zip(rows, test.split.images, test.groups.groups.tolist(), strict=True):
        wanted = np.asarray(Image.open(mine / "data" / "pictures" / row["image"]))
        assert np.array_equal(image.numpy().transpose(1, 2, 0), wanted)
        assert test.groups.group_names[group] == f"{row['label']}/{row['attribute']}"
    assert {name: len(item.split) for name, item in data.splits.items()} == SIZES
    usual = [(row["label"] == "square") == (row["attribute"] == "red") for row in rows]
    assert test.groups.aligned.tolist() == usual
    pixels = data.splits["train"].split.images.double() / 255
    assert torch.allclose(torch.tensor(data.mean).double(), pixels.mean((0, 2, 3)))
    assert torch.allclose(torch.tensor(data.std).double(), pixels.std((0, 2, 3), correction=0))


def _rows(home: Path) -> list[dict[str, str]]:
    import csv

    with (home / "labels.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_same_table_as_parquet_or_with_a_bom_and_semicolons_gives_the_same(pictures):
    import pandas

    root, rows = pictures
    wanted = built(root)
    home = root / "pictures"
    pandas.DataFrame(rows).to_parquet(home / "labels.parquet")
    text = (home / "labels.csv").read_text()
    (home / "bom.csv").write_bytes(b"\xef\xbb\xbf" + text.replace(",", ";").replace("\n", "\r\n").encode())
    for table in ("labels.parquet", "bom.csv"):
        found = built(root, table=table)
        for name, item in wanted.splits.items():
            other = found.splits[name]
            assert torch.equal(item.split.images, other.split.images)
            assert torch.equal(item.groups.groups, other.groups.groups)
            assert torch.equal(item.cluster, other.cluster)


def test_alignment_can_be_said(pictures):
    root, _ = pictures
    usual = built(root).splits["test"].groups.aligned
    said = built(root, aligned=("disc:red", "square:green")).splits["test"].groups.aligned
    assert torch.equal(said, ~usual)


def test_a_part_of_training_becomes_val_by_the_seed(pictures):
    root, rows = pictures
    write_table(root / "pictures" / "labels.csv", [row for row in rows if row["split"] != "val"])
    one, again, other = (built(root, seed, val_fraction=0.25) for seed in (0, 0, 1))
    parts = [data.splits["val"].split.images for data in (one, again, other)]
    assert len(parts[0]) == 20
    assert len(one.splits["train"].split) == 60
    assert torch.equal(parts[0], parts[1])
    assert not torch.equal(parts[0], parts[2])
    for data in (one, other):
        assert data.splits["test"].cluster.tolist() == list(range(32)), "seeds are paired by test example"


def test_copies_of_one_image_are_one_cluster_and_stay_in_one_split(pictures):
    root, rows = pictures
    for number in range(0, 80, 2):
        picture(number // 8 + 1000, "disc", "red").save(root / "pictures" / rows[number]["image"])
    write_table(root / "pictures" / "labels.csv", [row for row in rows if row["split"] != "val"])
    data = built(root, val_fraction=0.5)  # would be refused if copies were on both sides
    clusters = [data.splits[name].cluster for name in ("train", "val")]
    assert len(torch.cat(clusters).unique()) == 10 + 40
    assert not set(clusters[0].tolist()) & set(clusters[1].tolist())


def test_images_are_scaled_to_the_middle_square(pictures):
    root, rows = pictures
    wide = Image.new("RGB", (90, 30), (255, 0, 0))
    wide.paste((0, 0, 255), (30, 0, 60, 30))
    wide.save(root / "pictures" / rows[0]["image"])
    images = built(root, size=6).splits["train"].split.images
    assert images.shape[1:] == (3, 6, 6)
    assert bool((images[0, 2] > 200).all())
    assert bool((images[0, 0] < 50).all())
    assert built(root, size=6, channels=1).splits["train"].split.images.shape[1:] == (1, 6, 6)


# --- what goes wrong

HOME = Path("pictures")
CASES = {
    "no folder": ({"folder": "nothing"}, None, r"folder 'nothing' is not there.*--data-dir"),
    "an absolute folder": ({"folder": "/etc"}, None, r"folder '/etc': a path relative to"),
    "a folder outside": ({"folder": "../x"}, None, r"folder '\.\./x': a path relative to"),
    "no table": ({"table": "no.csv"}, None, r"no\.csv: no such file"),
    "a column": ({"attribute": "colour"}, None, r"labels\.csv: unknown column 'colour' \(known: attribute, image"),
    "an empty cell": ({}, (3, {"label": " "}), r"labels\.csv, row 5: column 'label' is empty"),
    "a split": ({}, (3, {"split": "valid"}), r"row 5: unknown split 'valid' \(known: train, val, test"),
    "an absolute path": ({}, (3, {"image": "/etc/passwd"}), r"row 5: image '/etc/passwd': a path relative to"),
    "a path outside": ({}, (3, {"image": "../secret.png"}), r"row 5: image '\.\./secret\.png': a path relative to"),
    "a missing file": ({}, (3, {"image": "pictures/no.png"}), r"row 5: no such file: .*no\.png"),
    "a hidden file": ({}, (3, {"image": ".hidden.png"}), r"row 5: '\.hidden\.png' is hidden"),
    "a link outside": ({}, (3, {"image": "link.png"}), r"row 5: image 'link\.png': a link that leads out of"),
    "a file twice": ({}, (3, {"image": "pictures/0.png"}), r"row 5: 'pictures/0\.png' stands there already: row 2"),
    "no image": ({}, (3, {"image": "labels.csv"}), r"row 5: labels\.csv: no image of a known format"),
    "a truncated image": ({}, (3, {"image": "short.png"}), r"row 5: short\.png: the image cannot be read"),
    "16 bits": ({}, (3, {"image": "deep.png"}), r"row 5: deep\.png: an image of mode I;16"),
    "another size": ({}, (3, {"image": "large.png"}), r"row 5: large\.png: the image is 13 x 12 colour.*size = 64"),
    "another size in test": ({}, (110, {"image": "large.png"}), r"row 112: large\.png: the image is 13 x 12"),
    "a colour among grey": ({}, (0, {"image": "grey.png"}), r"row 3: pictures/1\.png: .* colour.*grey.*channels"),
    "a bomb": ({}, (3, {"image": "bomb.png"}), r"row 5: bomb\.png: the image has more than \d+ pixels"),
    "an overlap": ({}, (110, {"image": "copy.png"}), r"row 8: this image of train is in test too \(.*row 112\)"),
    "a long path": ({}, (3, {"image": "x" * 300}), r"labels\.csv, row 5: image 'x+: no such file"),
    "a longer path": ({}, (3, {"image": "x/" * 2040}), r"labels\.csv, row 5: image '[x/]+: no such file"),
    "a word of no row": ({"splits": {"dev": "val"}}, None, r"no row has the word 'dev' \(there: test, train, val\)"),
    "a word twice": ({"splits": {"val": "val", " val": "val"}}, None, r"splits: ' val' stands there twice"),
    "a label of test alone": ({}, (110, {"label": "ring"}), r"row 112: the label 'ring' of test does not occur"),
    "a label": ({}, (3, {"label": "a/b"}), r"row 5: the label 'a/b': at most 64 printable characters"),
    "a loud label": ({}, (3, {"label": "\x1b[31m"}), r"row 5: the label .*printable"),
    "alignment": ({"aligned": ("disc:blue",)}, None, r"aligned = \[\.\.\., 'disc:blue'\].*attributes: green, red"),
    "half an alignment": ({"aligned": ("disc:red",)}, None, r"aligned names no label for the attribute 'green'"),
    "val twice": ({"val_fraction": 0.1}, None, r"row 82: the table has a split val"),
}  # fmt: skip


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory):
    """A folder with one file of every bad kind, and its good rows."""
    root = tmp_path_factory.mktemp("spoilt")
    rows = write_pictures(root / HOME)
    home = root / HOME
    (root / "secret.png").write_bytes((home / rows[0]["image"]).read_bytes())
    (home / "link.png").symlink_to(root / "secret.png")
    (home / ".hidden.png").write_bytes((home / rows[0]["image"]).read_bytes())
    (home / "copy.png").write_bytes((home / rows[6]["image"]).read_bytes())
    whole = (home / rows[3]["image"]).read_bytes()
    (home / "short.png").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(np.zeros((12, 12), np.uint16)).save(home / "deep.png")
    Image.new("RGB", (PIXELS + 1, PIXELS)).save(home / "large.png")
    Image.new("L", (PIXELS, PIXELS)).save(home / "grey.png")
    Image.new("1", (11000, 9000)).save(home / "bomb.png")
    return root, rows


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_one_message_with_its_file_and_row(spoilt, case: str):
    root, rows = spoilt
    options, change, message = CASES[case]
    changed = [dict(row) for row in rows]
    if change is not None:
        changed[change[0]] |= change[1]
    write_table(root / HOME / "labels.csv", changed)
    with pytest.raises(DataError, match=message) as caught:
        built(root, **options)
    assert str(caught.value).isprintable()


RAW = {
    "no rows": (b"image,split,label,attribute\n", r"labels\.csv: no rows"),
    "nothing": (b"", r"labels\.csv: unknown column 'image'"),
    "not UTF-8": (b"image,split,label,attribute\n\xff,a,b,c\n", r"labels\.csv: not UTF-8 \(.* at byte \d+\)"),
    "a cell too few": (b"image,split,label,attribute\na,train,b\n", r"row 2: 3 cells, but the header has 4"),
    "a quote": (b'image,split,label,attribute\n"a,train,b,c\n', r"labels\.csv, row \d: not a CSV file"),
    "a column twice": (b"image,split,label,label,attribute\na,b,c,d,e\n", r"two columns are called 'label'"),
    "no test": (b"image,split,label,attribute\na,train,b,c\nd,val,b,c\n", r"labels\.csv: no row of the split 'test'"),
    "no val": (b"image,split,label,attribute\na,train,b,c\nd,test,b,c\n", r"no row of the split 'val'; val_fraction"),
}


@pytest.mark.parametrize("case", RAW)
def test_a_table_that_is_none_is_one_message(spoilt, case: str):
    root, _ = spoilt
    content, message = RAW[case]
    (root / HOME / "labels.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        built(root)
    (root / HOME / "labels.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"labels\.parquet: not a parquet file"):
        built(root, table="labels.parquet")


def test_an_attribute_that_tells_nothing_a_group_without_example_and_one_class_are_refused(pictures):
    root, rows = pictures
    table = root / "pictures" / "labels.csv"
    even = [row | {"attribute": ("red", "green")[n // 2 % 2]} if row["split"] == "train" else row for n, row in enumerate(rows)]  # fmt: skip  # noqa: E501
    write_table(table, even)
    with pytest.raises(DataError, match=r"occurs 20 times each with .*aligned = \["):
        built(root)
    assert built(root, aligned=("disc:red", "square:green"))
    write_table(
        table, [row for row in rows if (row["split"], row["label"], row["attribute"]) != ("test", "disc", "red")]
    )
    with pytest.raises(DataError, match=r"labels\.csv: test has no example of disc/red"):
        built(root)
    write_table(table, [row | {"label": "disc"} for row in rows])
    with pytest.raises(DataError, match="all training examples have the label 'disc'"):
        built(root)


def test_a_column_that_says_all_everywhere_is_no_attribute(pictures):
    root, rows = pictures
    write_table(root / HOME / "labels.csv", [row | {"attribute": "all"} for row in rows])
    with pytest.raises(DataError, match=r"column 'attribute' says 'all' in every row.*attribute = \"\" asks for that"):
        built(root)


def test_duplicates_can_be_counted_instead(pictures):
    root, rows = pictures
    copy = (root / "pictures" / rows[6]["image"]).read_bytes()
    (root / "pictures" / rows[110]["image"]).write_bytes(copy)
    with pytest.raises(DataError, match='duplicates = "count"'):
        built(root)
    data = built(root, duplicates="count")
    assert data.splits["train"].cluster[6] in data.splits["test"].cluster


# --- the hub's layout


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a local copy of a made-up repository: train and test, label with names, ground as text."""
    import datasets

    root = tmp_path_factory.mktemp("hub")
    write_pictures(root / "pictures")
    rows = _rows(root / "pictures")
    features = {"picture": datasets.Image(), "shape": datasets.ClassLabel(names=["disc", "square"])}
    features |= {"ground": datasets.Value("string"), "bright": datasets.Value("bool")}
    for split in ("train", "test"):
        chosen = [row for row in rows if row["split"] == split]
        columns = {
            "picture": [{"bytes": (root / "pictures" / row["image"]).read_bytes(), "path": None} for row in chosen],
            "shape": [row["label"] for row in chosen],
            "ground": [row["attribute"] for row in chosen],
            "bright": [row["attribute"] == "red" for row in chosen],
        }
        (root / "me" / "pictures" / "data").mkdir(parents=True, exist_ok=True)
        table = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
        table.to_parquet(root / "me" / "pictures" / "data" / f"{split}-00000-of-00001.parquet")
    return root


def test_a_repository_and_a_folder_of_the_same_pictures_are_the_same_data(repository: Path):
    named = {"repository": "me/pictures", "image": "picture", "label": "shape", "attribute": "ground"}
    data, folder = hub(repository, 0, **named), built(repository)
    assert torch.equal(data.splits["test"].split.images, folder.splits["test"].split.images)
    assert torch.equal(data.splits["test"].groups.groups, folder.splits["test"].groups.groups)
    assert data.splits["test"].groups.group_names == folder.splits["test"].groups.group_names
    assert len(data.splits["val"].split) == 8
    bright = hub(repository, 0, **named | {"attribute": "bright"})
    assert bright.splits["test"].groups.group_names[:2] == ("disc/False", "disc/True")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"repository": "me/none"}, r"'me/none' is not there: looked for .*me/none.*benchbias prepare.*--data-dir"),
        ({"repository": "../me"}, "no name of a repository"),
        ({"attribute": "colour"}, r"me/pictures, split train: unknown column 'colour' \(known: bright, ground"),
        ({"image": "bright"}, r"column 'bright' holds no images \(columns of images: picture\)"),
        (
            {"test_split": "testing"},
            r"split testing: unknown split 'testing'; did you mean 'test'\? \(known: test, train\)",
        ),
    ],
)
def test_a_mistake_in_a_repository_is_one_message(repository: Path, monkeypatch, change, message):
    monkeypatch.setenv("BENCHBIAS_OFFLINE", "1")
    named = {"repository": "me/pictures", "image": "picture", "label": "shape", "attribute": "ground"}
    with pytest.raises(DataError, match=message):
        hub(repository, 0, **named | change)


# --- attributes that are missing, several, or none


def write_any(path: Path, rows: list[dict[str, str]]) -> None:
    """A table with the columns that the first row has."""
    import csv

    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def names_of(data) -> tuple[str, ...]:
    return data.splits["train"].groups.group_names


def test_rows_without_an_attribute_are_refused_left_out_or_a_group_of_their_own(pictures):
    root, rows = pictures
    gone = {4, 7, 9, 12, 90, 111, 112, 113, 114}
    write_table(
        root / "pictures" / "labels.csv",
        [row | {"attribute": "" if number in gone else row["attribute"]} for number, row in enumerate(rows)],
    )
    with pytest.raises(DataError, match=r"row 6: column 'attribute' is empty; missing = \"group\" .*\"leave-out\""):
        built(root)
    left = built(root, missing="leave-out")
    assert sum(len(item.split) for item in left.splits.values()) == len(rows) - len(gone)
    assert left.notes == ("pictures/labels.csv: 9 rows are left out: no attribute stands there",)
    data = built(root, missing="group", aligned=("disc:green", "square:red", "disc:missing"))
    assert names_of(data)[:3] == ("disc/green", "disc/missing", "disc/red")
    groups = torch.cat([item.groups.attributes for item in data.splits.values()])
    assert int((groups == 1).sum()) == len(gone)
    write_table(
        root / "pictures" / "labels.csv",
        [row | {"attribute": "missing" if number == 3 else row["attribute"]} for number, row in enumerate(rows)],
    )
    with pytest.raises(DataError, match="row 5: column 'attribute' says 'missing', the name of the group of empty"):
        built(root, missing="group")


def test_several_attributes_are_their_product(pictures):
    root, rows = pictures
    table = root / "pictures" / "labels.csv"
    ages = [row | {"age": ("old", "young")[number // 4 % 2]} for number, row in enumerate(rows)]
    write_any(table, ages)
    data = built(root, further_attributes=("age",))
    assert names_of(data)[:4] == ("disc/green+old", "disc/green+young", "disc/red+old", "disc/red+young")
    test = data.splits["test"]
    parts = [test.groups.group_names[group] for group in test.groups.groups.tolist()]
    assert parts == [f"{row['label']}/{row['attribute']}+{row['age']}" for row in ages if row["split"] == "test"]
    for options, message in (
        ({"further_attributes": ("attribute",)}, "a column stands in two places"),
        ({"attribute": "label"}, "a column stands in two places"),
        ({"attribute": "", "further_attributes": ("age",)}, "further_attributes goes without it"),
        ({"further_attributes": ("weight",)}, "unknown column 'weight'"),
    ):
        with pytest.raises(DataError, match=message):
            built(root, **options)
    write_any(table, [row | {"age": "a+b"} for row in ages])
    with pytest.raises(DataError, match=r"row 2: column 'age' has a '\+', which joins the attributes of a row"):
        built(root, further_attributes=("age",))


def test_a_table_of_classes_alone_is_asked_for(pictures):
    root, rows = pictures
    write_any(root / "pictures" / "labels.csv", [{k: row[k] for k in ("image", "split", "label")} for row in rows])
    with pytest.raises(DataError, match="unknown column 'attribute'"):
        built(root)
    data = built(root, attribute="")
    assert names_of(data) == ("disc/all", "square/all")
    assert bool(data.splits["test"].groups.aligned.all())
    assert data.splits["test"].groups.groups.tolist() == data.splits["test"].split.labels.tolist()


def test_groups_without_a_test_image_can_be_allowed(pictures):
    root, rows = pictures
    kept = [row for row in rows if (row["split"], row["label"], row["attribute"]) != ("test", "disc", "red")]
    write_table(root / "pictures" / "labels.csv", kept)
    with pytest.raises(DataError, match='test has no example of disc/red; empty_groups = "allow"'):
        built(root)
    data = built(root, empty_groups="allow")
    assert data.notes == ("test has no example of disc/red: metrics that need it are undefined",)
    assert data.splits["test"].groups.groups.bincount(minlength=4).tolist() == [8, 0, 8, 8]


# --- preprocessing


def test_normalisation_is_named_given_or_that_of_the_training_images(pictures):
    root, _ = pictures
    own, imagenet = built(root), built(root, normalise="imagenet")
    assert imagenet.mean == (0.485, 0.456, 0.406)
    assert imagenet.std == (0.229, 0.224, 0.225)
    assert own.mean != imagenet.mean
    assert built(root, normalise="imagenet", channel_order="bgr").mean == (0.406, 0.456, 0.485)
    assert built(root, normalise="half", channels=1).mean == (0.5,)
    assert built(root, mean=(0.1, 0.2, 0.3), std=(1.0,)).std == (1.0, 1.0, 1.0)
    assert torch.equal(own.splits["test"].split.images, imagenet.splits["test"].split.images)
    for options, message in (
        ({"mean": (0.1,)}, "mean and std go together"),
        ({"mean": (0.1,), "std": (0.0,)}, "std is positive"),
        ({"mean": (0.1, 0.2), "std": (1.0, 1.0)}, "the images have 3 channels, mean and std 2 and 2"),
        ({"normalise": "imagenet", "channels": 1}, "the images have 1 channels, mean and std 3 and 3"),
        ({"normalise": "imagenet", "mean": (0.1,), "std": (1.0,)}, "'imagenet' goes without mean and std"),
    ):
        with pytest.raises(DataError, match=message):
            built(root, **options)


def test_scaling_and_the_order_of_channels_are_those_that_the_task_names(pictures):
    root, rows = pictures
    with Image.open(root / "pictures" / rows[0]["image"]) as file:
        whole = file.convert("RGB")
    for name in ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"):
        wanted = np.asarray(whole.resize((7, 7), Image.Resampling[name.upper()]))
        found = built(root, size=7, interpolation=name).splits["train"].split.images[0].numpy()
        assert np.array_equal(found.transpose(1, 2, 0), wanted)
    rgb, bgr = (built(root, channel_order=order).splits["train"].split.images for order in ("rgb", "bgr"))
    assert torch.equal(rgb.flip(1), bgr)
    stretched = np.asarray(whole.resize((9, 9), Image.Resampling.BILINEAR))[1:8, 1:8]
    found = built(root, size=7, stretch=9).splits["train"].split.images[0].numpy()
    assert np.array_equal(found.transpose(1, 2, 0), stretched)


def test_the_hub_takes_the_same_options(repository: Path):
    named = {"repository": "me/pictures", "image": "picture", "label": "shape", "attribute": "ground"}
    data = hub(repository, 0, **named, normalise="clip", further_attributes=("bright",))
    assert data.mean[0] == 0.48145466
    assert names_of(data) == ("disc/green+False", "disc/red+True", "square/green+False", "square/red+True")
    alone = hub(repository, 0, **named | {"attribute": ""})
    assert names_of(alone) == ("disc/all", "square/all")
    size = {name: len(item.split) for name, item in alone.splits.items()}
    assert size == {"train": 72, "val": 8, "test": 32}


# --- what prepare and a run tell


NEAR = """
schema = 1
[tasks.near]
dataset = { use = "image_folder", folder = "pictures", splits = { "0" = "train", "1" = "val", "2" = "test" }, empty_groups = "allow" }
model = { use = "lenet_small", width = 0.2 }
recipe = { epochs = 1, augment = "shift" }
[tasks.wrong]
dataset = { use = "image_folder", folder = "pictures" }
model = { use = "lenet_small", weights = "no.safetensors" }
[suites.near]
title = "Near"
version = "1"
tasks = ["near"]
methods = ["erm"]
seeds = 2
metrics = ["worst_group_accuracy", "accuracy"]
rank_by = "accuracy"
[suites.wrong]
title = "Wrong"
version = "1"
tasks = ["wrong"]
methods = ["erm", "erm-ft"]
seeds = 3
metrics = ["accuracy"]
rank_by = "accuracy"
"""  # noqa: E501


def test_what_a_user_should_know_is_told_by_prepare_and_once_by_a_run(pictures, tmp_path: Path, cli):
    root, rows = pictures
    words = {"train": "0", "val": "1", "test": "2"}
    rows = [row | {"split": words[row["split"]]} for row in rows]
    rows[10]["label"] = rows[10]["label"].upper()
    write_table(root / "pictures" / "labels.csv", rows)
    (tmp_path / "own.toml").write_text(NEAR)
    options = ["-s", "near", "--config", "own.toml", "--data-dir", str(root), "--offline"]
    note = f"the labels '{rows[10]['label']}', '{rows[10]['label'].lower()}' differ in writing alone"
    prepared = cli("prepare", *options, cwd=tmp_path)
    assert prepared.returncode == 0, prepared.stderr
    assert f"  note: {note}" in prepared.stdout
    assert "normalised by mean 0." in prepared.stdout
    done = cli("run", *options, "-j", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(note) == 1, "once, not once a seed"
    assert "data: not looked at; `benchbias prepare -s near`" in cli("plan", *options[:-1], cwd=tmp_path).stdout


def test_one_fault_is_one_line_in_prepare_and_in_a_run(pictures, tmp_path: Path, cli):
    root, rows = pictures
    (tmp_path / "own.toml").write_text(
        NEAR.replace(
            'model = { use = "lenet_small", weights = "no.safetensors" }',
            'model = { use = "resnet18", weights = "no.safetensors" }',
        )
    )
    options = ["-s", "wrong", "--config", "own.toml", "--data-dir", str(root), "--offline"]
    prepared = cli("prepare", *options, cwd=tmp_path)
    assert prepared.returncode == 2
    assert "80 images of 3 x 12 x 12" in prepared.stdout, "the data are right"
    assert prepared.stderr.count("\n") == 1
    assert "resnet18: the weights 'no.safetensors' are not there" in prepared.stderr
    write_table(root / "pictures" / "labels.csv", rows[:90])
    prepared = cli("prepare", *options, cwd=tmp_path)
    assert prepared.stderr.splitlines() == [
        f"benchbias: image_folder: {root}/pictures/labels.csv: no row of the split 'test'"
    ]
    done = cli("run", *options, "-j", "1", cwd=tmp_path)
    lines = [line for line in done.stderr.splitlines() if line.startswith("failed: ")]
    assert len(lines) == 2
    assert lines[1].startswith("failed: 2 more for the same reason: ")


NORMED = """
from torch import nn
from benchbias import hookimpl

def normed(input_shape, num_classes):
    size = input_shape[0] * input_shape[1] * input_shape[2]
    return nn.Sequential(nn.Flatten(), nn.utils.parametrizations.spectral_norm(nn.Linear(size, num_classes)))

@hookimpl
def benchbias_models():
    return {"normed": normed}
"""


def test_prepare_refuses_the_networks_that_init_refuses(pictures, tmp_path: Path, cli):
    root, _ = pictures
    (tmp_path / "normed.py").write_text(NORMED)
    (tmp_path / "own.toml").write_text(
        NEAR.replace('{ use = "lenet_small", weights = "no.safetensors" }', '{ use = "normed" }')
    )
    options = ["-s", "wrong", "--config", "own.toml", "--plugin", "normed.py", "--data-dir", str(root), "--offline"]
    prepared, done = cli("prepare", *options, cwd=tmp_path), cli("run", *options, "-j", "1", cwd=tmp_path)
    assert prepared.returncode == done.returncode == 1
    told = "layers whose weight is computed from other tensors in each pass cannot be masked (1"
    faults = [line for line in prepared.stderr.splitlines() if line.startswith("benchbias: ")]
    assert len(faults) == 1
    assert told in faults[0]
    assert told in done.stderr


def test_weights_of_a_file_that_do_not_fit_the_images_are_told_before_anything_is_pruned(pictures, tmp_path: Path, cli):
    from safetensors.torch import save_file

    from benchbias_plugins.networks.literature.resnet import resnet18

    root, _ = pictures
    torch.manual_seed(0)
    save_file(resnet18((3, 12, 12), 2, root, width=0.1).state_dict(), root / "w.safetensors")
    sha256 = hashlib.sha256((root / "w.safetensors").read_bytes()).hexdigest()
    model = f'{{ use = "resnet18", width = 0.1, weights = "w.safetensors", sha256 = "{sha256}" }}'
    wrong = '{ use = "lenet_small", weights = "no.safetensors" }'
    (tmp_path / "own.toml").write_text(NEAR.replace(wrong, model).replace('["erm", "erm-ft"]', '["erm"]'))
    options = ["-s", "wrong", "--config", "own.toml", "--data-dir", str(root), "--offline"]
    prepared = cli("prepare", *options, cwd=tmp_path)
    assert prepared.returncode == 0, prepared.stderr
    assert "  note: resnet18: the network with weights from a file answers" in prepared.stdout
    done = cli("run", *options, "--seeds", "2", "-j", "1", "--set", "recipe.epochs=1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("note: resnet18: the network with weights from a file answers") == 1


# --- keys


def test_files_that_change_change_the_keys_and_nothing_else_does(pictures, tmp_path: Path):
    root, rows = pictures
    (tmp_path / "own.toml").write_text(TOML)
    workspace = Workspace.open(tmp_path / "own.toml", quiet=True, data=root)

    def keys() -> list[str]:
        plan = workspace.plan("mine", Selection(methods=["erm"]))
        assert not plan.missing
        assert str(root) not in json.dumps(plan.payload())
        return list(plan.stages)

    first = keys()
    path = root / "pictures" / rows[0]["image"]
    content = path.read_bytes()
    path.write_bytes(content)  # the same again, at another time
    assert keys() == first
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert not set(keys()) & set(first)
    path.write_bytes(content)
    assert keys() == first
    path.rename(path.with_name("other.png"))
    assert not set(keys()) & set(first)


def test_a_folder_that_is_missing_is_said_before_anything_runs(tmp_path: Path, cli):
    (tmp_path / "own.toml").write_text(TOML)
    options = ["-s", "mine", "--config", "own.toml", "--data-dir", "elsewhere"]
    planned = cli("plan", *options, cwd=tmp_path)
    assert planned.returncode == 0
    assert "no such folder: pictures" in planned.stdout
    done = cli("run", *options, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"looked for {tmp_path}/elsewhere/pictures" in done.stderr
    assert not (tmp_path / "results").exists()
