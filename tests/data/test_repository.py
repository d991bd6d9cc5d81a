"""Copies of hub repositories: the files that are read are those that the key's digest has seen, and no others."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from benchbias.data.reading import hub as hub_module
from benchbias.data.reading import repository as repository_module
from benchbias.data.reading.hub import hub_images
from benchbias.data.reading.raw_files import files_of
from benchbias.data.reading.repository import Repository, chosen_files, matches
from benchbias.errors import DataError
from benchbias.stages import data as data_stage
from benchbias.stages.job import Job
from benchbias.store.store import Store
from benchbias.util.connections import no_connections
from support.hub_copies import card_of, encoded, write_card, write_copy

INNER = "data/test-00000-of-00001.parquet"


@pytest.fixture
def root(tmp_path: Path, monkeypatch) -> Path:
    """A data folder with a good copy `own/good`, and a secret beside it: a parquet file and a picture."""
    monkeypatch.setenv("BENCHBIAS_OFFLINE", "1")
    write_copy(tmp_path / "own" / "good")
    write_copy(tmp_path / "secret", first=100)
    (tmp_path / "secret" / "x.png").write_bytes(encoded(77)["bytes"])
    return tmp_path


def opened_below(root: Path, action) -> set[str]:
    """The files below a folder that Python code, or a library by its own code's name, opens while an action runs."""
    seen: set[str] = set()
    active = [True]

    def watch(event: str, arguments: tuple) -> None:
        if active[0] and event == "open" and isinstance(arguments[0], str) and arguments[0].startswith(str(root)):
            seen.add(os.path.relpath(os.path.realpath(arguments[0]), root))

    sys.addaudithook(watch)
    try:
        action()
    finally:
        active[0] = False
    return seen


# --- what a README may name

ESCAPES = {
    "a folder above": card_of(train="../../secret/data/*.parquet", test=INNER),
    "above in the middle": card_of(train="data/../../../secret/data/train*", test=INNER),
    "an absolute path": card_of(train="{root}/secret/data/train-00000-of-00001.parquet", test=INNER),
    "a home": card_of(train="~/x.parquet", test=INNER),
    "an address": card_of(train="http://127.0.0.1:9/x.parquet", test=INNER),
    "the hub": card_of(train="hf://datasets/own/other/x.parquet", test=INNER),
    "a file's address": card_of(train="file://{root}/secret/data/train-00000-of-00001.parquet", test=INNER),
    "an archive": card_of(train="zip://x.parquet::data/a.zip", test=INNER),
    "a folder by data_dir": "configs:\n- config_name: default\n  data_dir: ../../secret\n",
    "an absolute data_dir": "configs:\n- config_name: default\n  data_dir: {root}/secret\n",
    "a backslash": card_of(train="..\\\\secret\\\\x.parquet", test=INNER),
    "a list": "configs:\n- config_name: default\n  data_files:\n    train: [data/train*, ../../secret/data/*]\n",
    "no text": "configs:\n- config_name: default\n  data_files:\n    train: 7\n",
}


@pytest.mark.parametrize("case", ESCAPES)
def test_a_readme_that_names_what_is_outside_is_refused_before_anything_is_opened(root: Path, case: str):
    write_card(root / "own" / "good", ESCAPES[case].replace("{root}", str(root)))

    def read():
        with pytest.raises(DataError, match=r"README\.md: data_(files|dir) names .*only files of the repository"):
            hub_images(root, "own/good", "train")

    assert not {name for name in opened_below(root, read) if name.startswith("secret")}


def test_links_that_lead_out_are_refused_and_links_to_folders_are_not_followed(root: Path):
    home = root / "own" / "good"
    (home / "data" / "train-00000-of-00001.parquet").unlink()
    (home / "data" / "train-00000-of-00001.parquet").symlink_to(root / "secret/data/train-00000-of-00001.parquet")
    with pytest.raises(DataError, match=r"is a link that leads out of .*copy the file itself"):
        hub_images(root, "own/good", "train")
    (home / "data" / "train-00000-of-00001.parquet").unlink()
    (home / "more").symlink_to(root / "secret" / "data")
    write_card(home, card_of(train="more/train*", test=INNER))
    with pytest.raises(DataError, match=r"no file of .* is of the split 'train'"):
        hub_images(root, "own/good", "train")


def test_a_copy_may_itself_lie_behind_a_link(root: Path):
    (root / "elsewhere").mkdir()
    (root / "own" / "good").rename(root / "elsewhere" / "good")
    (root / "own" / "good").symlink_to(root / "elsewhere" / "good")
    assert len(hub_images(root, "own/good", "train").images) == 8


@pytest.mark.parametrize("path", ["/etc/passwd", "../../secret/x.png", "link.png", "folder/x.png", ".hidden.png"])
def test_a_cell_names_a_file_of_the_copy_and_no_other(root: Path, path: str):
    home = root / "own" / "good"
    (home / "link.png").symlink_to(root / "secret" / "x.png")
    (home / "folder").symlink_to(root / "secret")
    (home / ".hidden.png").write_bytes(encoded(5)["bytes"])
    (home / "inner.png").write_bytes(encoded(5)["bytes"])
    file = home / "data" / "train-00000-of-00001.parquet"
    table = pq.read_table(file)

    def with_path(name: str) -> None:
        cells = table["image"].to_pylist()
        cells[2] = {"bytes": None, "path": name}
        field = table.schema.field("image")
        pq.write_table(
            table.set_column(table.schema.get_field_index("image"), field, pa.array(cells, field.type)), file
        )

    with_path("inner.png")
    assert int(hub_images(root, "own/good", "train").images[2, 0, 1, 1]) == 5
    with_path(path)
    with pytest.raises(DataError, match=r"own/good, split train, row 3: .*(outside|leads out|no file of the repo)"):
        hub_images(root, "own/good", "train")


def test_pictures_by_a_metadata_table_stay_inside(root: Path):
    home = root / "own" / "pictures"
    for split in ("train", "test"):
        (home / split).mkdir(parents=True)
        for number in range(3):
            (home / split / f"{number}.PNG").write_bytes(encoded(10 + number)["bytes"])
        (home / split / ".DS_Store").write_bytes(b"x")
        (home / split / "Thumbs.db").write_bytes(b"x")
        rows = [f"{number}.PNG,{'xy'[number % 2]}\n" for number in range(3)]
        (home / split / "metadata.csv").write_text("file_name,label\n" + "".join(rows))
    found = hub_images(root, "own/pictures", "train")
    assert found.images[:, 0, 1, 1].tolist() == [10, 11, 12]
    assert found.columns["label"] == ["x", "y", "x"]
    for name in ("../../../secret/x.png", str(root / "secret" / "x.png"), "../test/0.PNG"):
        (home / "train" / "metadata.csv").write_text(f"file_name,label\n{name},x\n")
        with pytest.raises(DataError, match="own/pictures, split train"):
            hub_images(root, "own/pictures", "train")


def test_other_files_that_steer_a_loader_are_never_read(root: Path):
    home, plain = root / "own" / "good", hub_images(root, "own/good", "train").images.clone()
    outside = str(root / "secret" / "data" / "train-00000-of-00001.parquet")
    (home / ".huggingface.yaml").write_text(card_of(train=outside))
    (home / "dataset_infos.json").write_text(json.dumps({"default": {"data_files": {"train": outside}}}))
    (home / "good.py").write_text(f"open({str(root / 'sprung')!r}, 'w')\n")
    assert torch.equal(hub_images(root, "own/good", "train").images, plain)
    assert not (root / "sprung").exists()


BAD_CARDS = {
    "no YAML": ("a: [\n", "head cannot be read as a table of YAML"),
    "a tag": ("a: !!python/object/apply:os.system [x]\n", "head cannot be read as a table of YAML"),
    "a list": ("- 1\n", "head cannot be read as a table"),
    "configs is no list": ("configs: 3\n", "`configs` is a list of tables"),
    "an option": (card_of(train="data/train*") + "  on_bad_files: skip\n", "unknown option 'on_bad_files'"),
    "nothing there": (card_of(train="no/*.parquet"), "no file of .* is of the split 'train'"),
    "another split": (card_of(test=INNER), r"unknown split 'train' \(known: test\)"),
    "archives": (card_of(train="a*.zip"), r"files of these kinds are not read: \.zip .*unpack"),
    "several": ("configs:\n- config_name: a\n- config_name: b\n", "config = one of a, b"),
    "features": ("dataset_info:\n  features:\n  - name: x\n    dtype: {a: [1]}\n", "features cannot be read|as a data"),
}


@pytest.mark.parametrize("case", BAD_CARDS)
def test_a_card_that_cannot_be_followed_is_one_message(root: Path, case: str):
    head, message = BAD_CARDS[case]
    (root / "own" / "good" / "a.zip").write_bytes(b"PK")
    write_card(root / "own" / "good", head)
    with pytest.raises(DataError, match=message) as caught:
        hub_images(root, "own/good", "train")
    assert str(caught.value).isprintable()


def test_files_that_are_no_data_are_one_message(root: Path):
    path = root / "own" / "good" / "data" / "train-00000-of-00001.parquet"
    content = path.read_bytes()
    for spoilt, message in (
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:aa\n", "a pointer of Git LFS.*git lfs pull"),
        (content[:1000], "cannot be read"),
        (b"", "cannot be read"),
    ):
        path.write_bytes(spoilt)
        with pytest.raises(DataError, match=message):
            hub_images(root, "own/good", "train")


def test_the_files_are_those_that_the_library_itself_would_read(root: Path, tmp_path: Path):
    import datasets

    layouts = {
        "sharded": ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet", INNER],
        "flat": ["train.parquet", "test.parquet"],
        "folders": ["train/a.parquet", "train/b.parquet", "test/x.parquet"],
        "below": ["mnist/train-00000-of-00001.parquet", "mnist/test-00000-of-00001.parquet", "__x/train.parquet"],
    }
    for name, files in layouts.items():
        home = root / "own" / name
        for number, file in enumerate(files):
            write_copy(home / "made", first=10 + 20 * number, number=4, splits=("train",))
            (home / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.move(home / "made" / "data" / "train-00000-of-00001.parquet", home / file)
        shutil.rmtree(home / "made")
        for split in ("train", "test"):
            wanted = datasets.load_dataset(str(home), split=split, cache_dir=str(tmp_path / "cache"))
            found = hub_images(root, f"own/{name}", split)
            for image, row in zip(found.images, wanted, strict=True):
                assert np.array_equal(image.numpy().transpose(1, 2, 0), np.asarray(row["image"]))


def test_a_card_chooses_files_options_and_the_names_of_classes(root: Path):
    home = root / "own" / "good"
    info = "dataset_info:\n  features:\n  - name: image\n    dtype: image\n"
    info += "  - name: label\n    dtype:\n      class_label:\n        names:\n"
    info += "          '0': cat\n          '1': dog\n  - name: ground\n    dtype: string\n"
    two = "configs:\n- config_name: one\n  data_files: data/test*\n- config_name: two\n  data_dir: ./data\n"
    write_card(home, card_of(train="./data/train-*.parquet", late=INNER) + info)
    found = hub_images(root, "own/good", "late")
    assert found.names == {"label": ("cat", "dog")}
    assert found.columns["label"].tolist() == [0, 1] * 4
    assert len(hub_images(root, "own/good", "train[:5]+late").images) == 13, "slices and sums of splits"
    write_card(home, two)
    levels = hub_images(root, "own/good", "train", config="one").images[:, 0, 1, 1].tolist()
    assert levels == hub_images(root, "own/good", "test", config="two").images[:, 0, 1, 1].tolist()
    with pytest.raises(DataError, match=r"unknown config 'three' \(known: one, two\)"):
        hub_images(root, "own/good", "train", config="three")


# --- what is opened is what was digested


def test_every_file_that_is_opened_is_one_that_the_digest_has_seen(root: Path):
    digested = {os.path.relpath(path, root) for path in files_of(root / "own" / "good")}
    hub_images(root, "own/good", "train")  # all is imported
    shutil.rmtree(root / ".benchbias")
    seen = opened_below(root / "own", lambda: hub_images(root, "own/good", "train"))
    assert {f"own/{name}" for name in seen} <= digested
    chosen = chosen_files(Repository.of(root / "own" / "good"), "train", None, "here")
    assert {os.path.relpath(path, root) for each in chosen.files.values() for path in each} <= digested


def test_files_that_change_while_they_are_read_are_not_kept(root: Path, monkeypatch):
    path = root / "own" / "good" / "data" / "train-00000-of-00001.parquet"
    other = (root / "secret" / "data" / "train-00000-of-00001.parquet").read_bytes()
    real = hub_module.decode

    def late(*arguments, **named):
        path.write_bytes(other)
        return real(*arguments, **named)

    monkeypatch.setattr(hub_module, "decode", late)
    with pytest.raises(DataError, match="files changed while they were read: run again"):
        hub_images(root, "own/good", "train")
    assert not list((root / ".benchbias" / "decoded").glob("*.json"))


def test_rows_are_bounded_before_they_are_read(root: Path, monkeypatch):
    monkeypatch.setattr(repository_module, "LARGEST_ROWS", 7)
    monkeypatch.setattr(hub_module, "decode", lambda *a, **k: pytest.fail("nothing is read"))
    with pytest.raises(DataError, match="split train: 8 rows; at most 7 are read"):
        hub_images(root, "own/good", "train")


def test_patterns_mean_what_they_mean_on_the_hub(root: Path):
    names = ["README.md", "a/x.csv", "a/b/x.csv", "__m/x.csv", "x[1].csv"]
    assert matches(names, "**/*.csv") == ["a/x.csv", "a/b/x.csv", "x[1].csv"]
    assert matches(names, "a/*.csv") == ["a/x.csv"]
    assert matches(names, "**") == ["a/x.csv", "a/b/x.csv", "x[1].csv"]


# --- no connection


def test_no_component_opens_a_connection_in_a_data_stage_that_is_offline(root: Path):
    """Whatever a plugin's data set does: `root` has set BENCHBIAS_OFFLINE."""

    def curious(root: Path, seed: int) -> None:
        socket.create_connection(("127.0.0.1", 9), 1)

    inputs = {"component": {"name": "curious", "options": {}}, "seed": 0, "limit": None, "parents": {}}
    store = Store(root / "results").create()
    job = Job(store, inputs, {}, {("dataset", "curious"): curious}, torch.device("cpu"), root)
    with pytest.raises(OSError, match="no connection may be opened here"):
        data_stage.run(job)


def test_no_connection_can_be_opened_while_files_are_read():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        address = server.getsockname()
        with no_connections(), socket.socket() as one:
            for attempt in (
                lambda: socket.create_connection(address, 1),
                lambda: one.connect(address),
                lambda: one.connect_ex(address),
                lambda: socket.getaddrinfo("localhost", 80),
                lambda: socket.gethostbyname("localhost"),
            ):
                with pytest.raises(OSError, match="no connection may be opened here"):
                    attempt()
            left, right = socket.socketpair()
            with left, right:
                left.sendall(b"x")
                assert right.recv(1) == b"x", "sockets of this machine's own processes still work"
        socket.create_connection(address, 1).close()
