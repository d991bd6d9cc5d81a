"""Waterbirds, CelebA and BFFHQ in their own layouts, made small: what is read, and every fault in one message."""

from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from benchbias import DataError
from benchbias_plugins.datasets.photographs import bffhq_128, bffhq_224, celeba_hub, waterbirds_hub
from benchbias_plugins.datasets.photographs.bffhq import FOLDERS
from benchbias_plugins.datasets.photographs.celeba import BLOND_MALE, TOTALS, celeba, opposed
from benchbias_plugins.datasets.photographs.published import held_out
from benchbias_plugins.datasets.photographs.waterbirds import FOLDER, waterbirds
from support.photograph_folders import (
    ATTRIBUTES,
    BIRD_COLUMNS,
    BIRDS,
    FACES,
    HEADS,
    encoded,
    face_rows,
    group_rows,
    picture,
    write_birds,
    write_csv,
    write_face_texts,
    write_faces,
    write_heads,
    write_hub,
)

SIZE = 28
SMALL = {"size": SIZE, "partial": True}


@pytest.fixture(autouse=True)
def nothing_is_fetched(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BENCHBIAS_OFFLINE", "1")


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory):
    """A data folder with all three sets, and their rows. Read it, never write to it."""
    root = tmp_path_factory.mktemp("originals")
    rows = {"birds": write_birds(root / FOLDER), "faces": write_faces(root / "celeba", text=True)}
    return root, rows | {"heads": write_heads(root / "bffhq")}


@pytest.fixture
def birds(tmp_path: Path):
    """A data folder with Waterbirds, to be spoilt, and its rows."""
    return tmp_path, write_birds(tmp_path / FOLDER)


@pytest.fixture
def faces(tmp_path: Path):
    return tmp_path, write_faces(tmp_path / "celeba", text=False)


@pytest.fixture
def heads(tmp_path: Path):
    return tmp_path, write_heads(tmp_path / "bffhq")


def cells(item):
    return tuple(torch.bincount(item.groups.groups, minlength=4).tolist())


def same(one, other):
    return all(
        torch.equal(item.split.images, other.splits[name].split.images)
        and torch.equal(item.groups.groups, other.splits[name].groups.groups)
        and torch.equal(item.groups.aligned, other.splits[name].groups.aligned)
        for name, item in one.splits.items()
    )


def pixels(image):
    return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)


# --- Waterbirds


def test_every_bird_has_its_rows_labels_and_the_pixels_of_group_dros_transform(originals):
    root, rows = originals
    data = waterbirds(root, 0, **SMALL)
    rows = sorted(rows["birds"], key=lambda row: row["img_filename"])
    transform = transforms.Compose([transforms.Resize((32, 32)), transforms.CenterCrop(SIZE)])  # 256/224 of 28
    seen = []
    for name, item in data.splits.items():
        for image, number, group in zip(item.split.images, item.cluster, item.groups.groups, strict=True):
            row = rows[int(number)]
            with Image.open(root / FOLDER / row["img_filename"]) as file:
                assert torch.equal(image, pixels(transform(file)))
            assert data.splits[name].groups.group_names[int(group)] == (
                f"{('landbird', 'waterbird')[int(row['y'])]}/{('land', 'water')[int(row['place'])]}"
            )
            assert row["split"] in {"train": "0", "val": "0", "val_balanced": "1", "test": "2"}[name]
            seen.append(int(number))
        assert item.groups.aligned.tolist() == (item.split.labels == item.groups.attributes).tolist()
    assert sorted(seen) == list(range(len(rows))), "every image is in one split"


def test_val_is_a_part_of_training_that_follows_it_and_the_given_validation_is_val_balanced(originals):
    root, _ = originals
    one, again, other = (waterbirds(root, seed, val_fraction=0.25, **SMALL) for seed in (0, 0, 1))
    assert cells(one.splits["val"]) == (5, 1, 1, 2)
    assert cells(one.splits["train"]) == (15, 3, 2, 7)
    assert cells(one.splits["val_balanced"]) == BIRDS["1"]
    assert cells(one.splits["test"]) == BIRDS["2"]
    assert same(one, again)
    assert not torch.equal(one.splits["val"].cluster, other.splits["val"].cluster)
    assert torch.equal(one.splits["test"].split.images, other.splits["test"].split.images)
    assert torch.equal(one.splits["test"].cluster, other.splits["test"].cluster)


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5])
def test_every_group_of_two_has_an_example_on_either_side_and_the_share_that_is_asked(fraction):
    groups = torch.tensor([0] * 200 + [1] * 2 + [2] * 1 + [3] * 57)[torch.randperm(260)]
    fit, val = held_out(groups, fraction, 3)
    assert torch.equal(torch.cat([fit, val]).sort().values, torch.arange(260))
    counts = torch.bincount(groups[val], minlength=4).tolist()
    assert counts[1:3] == [1, 0]
    assert abs(counts[0] - 200 * fraction) <= 1
    assert abs(counts[3] - 57 * fraction) <= 1


def test_the_order_of_the_rows_is_of_no_account(birds):
    root, rows = birds
    wanted = waterbirds(root, 0, **SMALL)
    random.Random(0).shuffle(rows)
    write_csv(root / FOLDER / "metadata.csv", BIRD_COLUMNS, rows)
    assert same(wanted, waterbirds(root, 0, **SMALL))


@pytest.mark.slow
def test_all_of_waterbirds_passes_without_partial_and_one_image_less_does_not(tmp_path: Path):
    """In the published number of images, all links to one: 11,788 rows."""
    home = tmp_path / FOLDER
    home.mkdir()
    picture(0, 12, 12).save(home / "one.png")
    counts = {"0": (3_498, 184, 56, 1_057), "1": (467, 466, 133, 133), "2": (2_255, 2_255, 642, 642)}
    rows = []
    for number, split, label, place in group_rows(counts):
        name = f"{number:05}.png"
        os.link(home / "one.png", home / name)
        row = {"img_id": number, "img_filename": name, "y": label, "split": split, "place": place}
        rows.append(row | {"place_filename": "x"})
    assert [sum(each) for each in counts.values()] == [4_795, 1_199, 5_794]
    write_csv(home / "metadata.csv", BIRD_COLUMNS, rows)
    data = waterbirds(tmp_path, 0, size=8)
    assert cells(data.splits["val"]) == (350, 18, 6, 106)
    assert cells(data.splits["train"]) == (3_148, 166, 50, 951)
    write_csv(home / "metadata.csv", BIRD_COLUMNS, rows[1:])
    with pytest.raises(DataError, match=r"train landbird/land 3497 \(published: 3498\); partial = true"):
        waterbirds(tmp_path, 0, size=8)


def hub_birds(root: Path, **changes):
    import datasets

    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=["landbird", "waterbird"])}
    features |= {"place": datasets.ClassLabel(names=["land", "water"])} | changes.pop("features", {})
    for split, name in {"0": "train", "1": "validation", "2": "test"}.items():
        rows = [row for row in group_rows(BIRDS) if row[1] == split]
        columns = {
            "image": [encoded(picture(number, 60 + number % 5, 90 - number % 7)) for number, *_ in rows],
            "label": [label for *_, label, _ in rows],
            "place": [changes.get("place", lambda place: place)(place) for *_, place in rows],
        }
        write_hub(root / "grodino" / "waterbirds", name, columns, features)


def test_the_hubs_copy_of_the_birds_is_the_same_data(originals, tmp_path: Path):
    root, _ = originals
    hub_birds(tmp_path)
    copy, files = waterbirds_hub(tmp_path, 0, **SMALL), waterbirds(root, 0, **SMALL)
    for name in ("val_balanced", "test"):
        assert in_any_order(copy.splits[name]) == in_any_order(files.splits[name])
    assert cells(copy.splits["val"]) == cells(files.splits["val"])
    clusters = torch.cat([item.cluster for item in copy.splits.values()])
    assert len(clusters.unique()) == len(clusters) == sum(map(sum, BIRDS.values()))


def in_any_order(item):
    images = [image.numpy().tobytes() for image in item.split.images]
    return sorted(zip(images, item.groups.groups.tolist(), item.groups.aligned.tolist(), strict=True))


def test_the_hubs_numbers_are_read_by_the_names_of_the_classes(tmp_path: Path):
    import datasets

    hub_birds(tmp_path / "usual")
    turned = {"place": datasets.ClassLabel(names=["water", "land"])}
    hub_birds(tmp_path / "turned", features=turned, place=lambda place: 1 - place)
    assert same(waterbirds_hub(tmp_path / "usual", 0, **SMALL), waterbirds_hub(tmp_path / "turned", 0, **SMALL))
    hub_birds(tmp_path / "other", features={"place": datasets.ClassLabel(names=["land", "sea"])})
    with pytest.raises(
        DataError, match=r"grodino/waterbirds, split train, row 21: place is 'sea' \(known: land, water"
    ):
        waterbirds_hub(tmp_path / "other", 0, **SMALL)
    with pytest.raises(DataError, match=r"grodino/waterbirds: not the published images: train landbird/land 20 \(pub"):
        waterbirds_hub(tmp_path / "usual", 0, size=SIZE)
    with pytest.raises(DataError, match=r"'me/none' is not there: looked for .*benchbias prepare"):
        waterbirds_hub(tmp_path / "usual", 0, repository="me/none", **SMALL)


BIRD_FAULTS = {  # change of a row, or of the options -> message
    "a split": ({"split": "3"}, r"metadata\.csv, row 5: split is '3' \(known: 0, 1, 2\)"),
    "a label": ({"y": "2"}, r"metadata\.csv, row 5: y is '2' \(known: 0, 1\)"),
    "a place": ({"place": "sea"}, r"metadata\.csv, row 5: place is 'sea' \(known: 0, 1\)"),
    "an empty cell": ({"place": ""}, r"metadata\.csv, row 5: column 'place' is empty"),
    "no image": ({"img_filename": "no.jpg"}, r"metadata\.csv, row 5: no such file: .*no\.jpg"),
    "a path outside": ({"img_filename": "../a.jpg"}, r"row 5: image '\.\./a\.jpg': a path relative to"),
    "an image twice": ({"img_filename": "000.Species_0/Bird_0000.jpg"}, r"stands there already: row"),
}


@pytest.mark.parametrize("case", BIRD_FAULTS)
def test_a_fault_of_a_bird_is_one_message_with_its_row(birds, case):
    root, rows = birds
    change, message = BIRD_FAULTS[case]
    rows[3] |= change
    write_csv(root / FOLDER / "metadata.csv", BIRD_COLUMNS, rows)
    with pytest.raises(DataError, match=message):
        waterbirds(root, 0, **SMALL)


def test_a_folder_a_table_or_a_column_that_is_missing_is_said(birds):
    root, rows = birds
    with pytest.raises(DataError, match=r"the folder 'waterbirds_v1\.0' is not there: looked for .*--data-dir"):
        waterbirds(root, 0, folder="waterbirds_v1.0", **SMALL)
    kept = [name for name in BIRD_COLUMNS if name != "place"]
    write_csv(root / FOLDER / "metadata.csv", kept, [{name: row[name] for name in kept} for row in rows])
    with pytest.raises(DataError, match=r"metadata\.csv: unknown column 'place' \(known: img_filename"):
        waterbirds(root, 0, **SMALL)
    (root / FOLDER / "metadata.csv").unlink()
    with pytest.raises(DataError, match=r"metadata\.csv: no such file"):
        waterbirds(root, 0, **SMALL)


def test_a_truncated_bird_and_counts_that_are_not_the_published_ones_are_said(birds):
    root, rows = birds
    with pytest.raises(DataError, match=r"not the published images: train landbird/land 20 \(published: 3498\), train"):
        waterbirds(root, 0, size=SIZE)
    path = root / FOLDER / rows[3]["img_filename"]
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"row 5: 003\.Species_3/Bird_0003\.jpg: the image cannot be read"):
        waterbirds(root, 0, **SMALL)


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        (lambda row: row["split"] != "2", "has no image of the split test"),
        (lambda row: row["split"] != "0", "has no image of the split train"),
        (lambda row: row["split"] != "0" or row["y"] == "0", "all training images have the class 'landbird'"),
        (lambda row: row["split"] != "0" or row["place"] == "1", "all training images have the attribute 'water'"),
        (lambda row: (row["split"], row["y"], row["place"]) != ("2", "1", "0"), "test has no image of waterbird/land"),
    ],
)
def test_a_part_that_says_nothing_is_refused(birds, keep, message):
    root, rows = birds
    write_csv(root / FOLDER / "metadata.csv", BIRD_COLUMNS, [row for row in rows if keep(row)])
    with pytest.raises(DataError, match=message):
        waterbirds(root, 0, **SMALL)


# --- CelebA


@pytest.fixture
def torchvisions(monkeypatch: pytest.MonkeyPatch):
    """torchvision's own class, on files whose sums are not the published ones."""
    from torchvision.datasets import CelebA

    monkeypatch.setattr(CelebA, "_check_integrity", lambda self: True)
    return CelebA


@pytest.mark.parametrize(("target", "attribute"), [("Blond_Hair", "Male"), ("Eyeglasses", "5_o_Clock_Shadow")])
def test_faces_splits_and_attributes_are_those_that_torchvision_reads(originals, torchvisions, target, attribute):
    root, _ = originals
    data = celeba(root, 0, target=target, attribute=attribute, **SMALL)
    crop = transforms.Compose([transforms.CenterCrop(178), transforms.Resize(SIZE)])
    start = 0
    for name, own in {"train": "train", "val": "valid", "test": "test"}.items():
        item, wanted = data.splits[name], torchvisions(str(root), split=own)
        columns = [wanted.attr_names.index(column) for column in (target, attribute)]
        assert item.split.labels.tolist() == wanted.attr[:, columns[0]].tolist()
        assert item.groups.attributes.tolist() == wanted.attr[:, columns[1]].tolist()
        assert item.cluster.tolist() == list(range(start, start + len(wanted)))
        start += len(wanted)
        for image, (face, _) in zip(item.split.images, wanted, strict=True):
            away = (image.int() - pixels(crop(face)).int()).abs()
            assert int(away[:, 1:-1].max()) <= 1, "but for the uppermost and the lowest row, which see beyond the crop"
            assert int(away.max()) <= 16


def test_the_layouts_of_celeba_are_the_same_data(originals, tmp_path: Path):
    root, _ = originals
    wanted = celeba(root, 0, **SMALL)
    write_faces(tmp_path / "celebA" / "data", text=False)
    write_faces(tmp_path / "kaggle", text=False, images="img_align_celeba/img_align_celeba")
    for folder in ("celebA/data", "kaggle"):
        assert same(wanted, celeba(tmp_path, 0, folder=folder, **SMALL))


def test_the_order_of_celebas_rows_is_of_no_account(faces):
    root, rows = faces
    wanted = celeba(root, 0, **SMALL)
    random.Random(0).shuffle(rows)
    for name in ("list_attr_celeba", "list_eval_partition"):
        (root / "celeba" / f"{name}.csv").unlink()
    write_face_texts(root / "celeba", rows)
    assert same(wanted, celeba(root, 0, **SMALL))


def test_blond_men_and_women_who_are_not_blond_conflict(originals):
    train = celeba(originals[0], 0, **SMALL).splits["train"]
    assert cells(train) == FACES["0"]
    assert train.groups.group_names == ("not-blond/female", "not-blond/male", "blond/female", "blond/male")
    assert set(train.groups.groups[~train.groups.aligned].tolist()) == {0, 3}


def test_which_value_is_aligned_follows_from_training():
    def groups(*counts):
        return torch.repeat_interleave(torch.arange(4), torch.tensor(counts))

    assert opposed(groups(71_629, 66_874, 22_880, 1_387))
    assert not opposed(groups(3_498, 184, 56, 1_057))
    assert not opposed(groups(5, 5, 0, 1))
    with pytest.raises(DataError, match="as frequent with the attribute as without"):
        opposed(groups(4, 2, 6, 3))


def test_the_groups_of_celeba_add_up_to_its_published_splits_and_these_to_all_of_its_images():
    assert {split: sum(counts) for split, counts in BLOND_MALE.items()} == TOTALS
    assert sum(TOTALS.values()) == 202_599


def hub_faces(root: Path):
    import datasets

    rows = face_rows()
    kinds = {name: datasets.Value("bool") for name in ATTRIBUTES} | {"image": datasets.Image()}
    home = root / "flwrlabs" / "celeba"
    for split, name in {"0": "train", "1": "valid", "2": "test"}.items():
        part = [(number, row) for number, row in enumerate(rows) if row["partition"] == split]
        columns = {attribute: [row[attribute] == 1 for _, row in part] for attribute in ATTRIBUTES}
        columns["image"] = [encoded(picture(number, 178, 218)) for number, _ in part]
        write_hub(home, name, columns, kinds)
    files = "".join(f"  - split: {name}\n    path: data/{name}-*\n" for name in ("train", "valid", "test"))
    name = "configs:\n- config_name: img_align+identity+attr\n  data_files:\n"
    (home / "README.md").write_text(f"---\n{name}{files}---\n# CelebA\n")


def test_the_hubs_copy_of_celeba_is_the_same_data(originals, tmp_path: Path):
    root, _ = originals
    hub_faces(tmp_path)
    files, copy = celeba(root, 0, **SMALL), celeba_hub(tmp_path, 0, **SMALL)
    assert same(files, copy)
    assert all(torch.equal(item.cluster, copy.splits[name].cluster) for name, item in files.splits.items())
    with pytest.raises(DataError, match=r"flwrlabs/celeba, split train: unknown column 'Beard' \(known: 5_o_Clock"):
        celeba_hub(tmp_path, 0, target="Beard", **SMALL)
    with pytest.raises(DataError, match=r"flwrlabs/celeba: not the published images: train not-blond/female 9 \(publi"):
        celeba_hub(tmp_path, 0, size=SIZE)
    with pytest.raises(DataError, match=r"flwrlabs/celeba: not the published images: train 25 \(published: 162770\)"):
        celeba_hub(tmp_path, 0, target="Eyeglasses", size=SIZE)


def test_a_copy_of_celeba_without_its_readme_is_read_too(originals, tmp_path: Path):
    """Without the README's list of files `datasets` calls the split of `valid-*` validation."""
    root, _ = originals
    hub_faces(tmp_path)
    (tmp_path / "flwrlabs/celeba/README.md").unlink()
    assert same(celeba(root, 0, **SMALL), celeba_hub(tmp_path, 0, **SMALL))


def test_a_copy_of_celeba_without_validation_is_refused_by_the_name_that_the_hub_has(tmp_path: Path):
    hub_faces(tmp_path)
    for path in [*(tmp_path / "flwrlabs/celeba").rglob("valid-*"), tmp_path / "flwrlabs/celeba/README.md"]:
        path.unlink()
    with pytest.raises(DataError, match="flwrlabs/celeba, split valid: "):
        celeba_hub(tmp_path, 0, **SMALL)


@pytest.mark.parametrize("text", [True, False])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"partition": "4"}, r"list_eval_partition\.(txt|csv), row \d: partition is '4' \(known: 0, 1, 2\)"),
        ({"Male": 7}, r"list_attr_celeba\.(txt|csv), row \d: Male is '7' \(known: -1, 1, 0\)"),
        ({"image_id": "000001.jpg"}, r"row \d: '000001\.jpg' stands there already"),
        ({"image_id": "none.jpg"}, r"row \d: no such file: .*img_align_celeba/none\.jpg"),
    ],
)
def test_a_fault_of_a_face_is_one_message_with_its_row(tmp_path: Path, monkeypatch, text, change, message):
    rows = face_rows()
    rows[3] |= change
    monkeypatch.setattr("support.photograph_folders.face_rows", lambda: rows)
    write_faces(tmp_path / "celeba", text=text)
    (tmp_path / "celeba" / "img_align_celeba" / "none.jpg").unlink(missing_ok=True)
    with pytest.raises(DataError, match=message):
        celeba(tmp_path, 0, **SMALL)


def test_what_is_missing_of_celeba_is_said(faces):
    root, rows = faces
    home = root / "celeba"
    with pytest.raises(DataError, match=r"the folder 'celebA/data' is not there"):
        celeba(root, 0, folder="celebA/data", **SMALL)
    with pytest.raises(DataError, match=r"unknown column 'Beard' \(known: 5_o_Clock_Shadow"):
        celeba(root, 0, attribute="Beard", **SMALL)
    with pytest.raises(DataError, match=r"target and attribute are both 'Male'"):
        celeba(root, 0, target="Male", **SMALL)
    write_csv(home / "list_eval_partition.csv", ("image_id", "partition"), [
        {name: row[name] for name in ("image_id", "partition")} for row in rows[1:]
    ])  # fmt: skip
    with pytest.raises(DataError, match=r"row 2: '000001\.jpg' stands in no row of list_eval_partition"):
        celeba(root, 0, **SMALL)
    (home / "list_eval_partition.csv").unlink()
    with pytest.raises(DataError, match=r"neither list_eval_partition\.txt nor list_eval_partition\.csv is there"):
        celeba(root, 0, **SMALL)
    write_face_texts(home, rows)
    (home / "img_align_celeba").rename(home / "faces")
    with pytest.raises(DataError, match=r"celeba: the folder img_align_celeba is not there"):
        celeba(root, 0, **SMALL)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda lines: [*lines[:4], lines[4] + " 1", *lines[5:]], r"row 5: 6 cells, but there are 5 columns"),
        (lambda lines: [*lines[:4], lines[4][:12], *lines[5:]], r"row 5: 1 cells, but there are 5 columns"),
        (lambda lines: lines[:1], r"list_attr_celeba\.txt: unknown column 'Blond_Hair' \(known: \)"),
        (lambda lines: ["\0\xff"], r"unknown column"),
    ],
)
def test_a_spoilt_text_table_is_one_message(tmp_path: Path, spoil, message):
    write_faces(tmp_path / "celeba", text=True)
    path = tmp_path / "celeba" / "list_attr_celeba.txt"
    path.write_text("\n".join(spoil(path.read_text().splitlines())))
    with pytest.raises(DataError, match=message):
        celeba(tmp_path, 0, **SMALL)


# --- BFFHQ


@pytest.mark.parametrize(("make", "size"), [(bffhq_128, 128), (bffhq_224, 224)])
def test_heads_have_the_labels_of_their_names_and_the_pixels_of_disents_transform(originals, make, size):
    root, rows = originals
    data = make(root, 0, partial=True)
    transform = transforms.Resize((size, size))
    seen = 0
    for name, folders in FOLDERS.items():
        item = data.splits[name]
        wanted = [row for folder in folders for row in sorted(rows["heads"]) if row[0].startswith(f"{folder}/")]
        for image, label, gender, (path, *pair) in zip(
            item.split.images, item.split.labels, item.groups.attributes, wanted, strict=True
        ):
            assert [int(label), int(gender)] == pair
            with Image.open(root / "bffhq" / path) as file:
                assert torch.equal(image, pixels(transform(file)))
        assert item.cluster.tolist() == list(range(seen, seen + len(wanted)))
        seen += len(wanted)
    assert seen == sum(map(sum, HEADS.values()))
    train = data.splits["train"]
    assert cells(train) == (6, 2, 1, 5)
    assert train.groups.group_names == ("young/female", "young/male", "old/female", "old/male")
    assert set(train.groups.groups[~train.groups.aligned].tolist()) == {1, 2}, "young men and old women"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0.5pct/align", "0.5pct/aligned", r"bffhq: the folder '0\.5pct/align' is not there"),
        ("valid", "val", r"bffhq: the folder 'valid' is not there \(known: 0\.5pct/align, 0\.5pct/conflict, valid"),
        ("test/22_0_0.png", "test/22_0.png", r"'test/22_0\.png': a name ends in _<age>_<gender>\.png"),
        ("test/22_0_0.png", "test/22_0_2.png", r"'test/22_0_2\.png': a name ends in"),
        (
            "0.5pct/align/0/0_0_0.png",
            "0.5pct/align/0/0_0_1.png",
            r"'0\.5pct/align/0/0_0_1\.png': an image of align by its folder only",
        ),
    ],
)
def test_a_fault_of_a_head_is_one_message(heads, old, new, message):
    root, _ = heads
    (root / "bffhq" / old).rename(root / "bffhq" / new)
    with pytest.raises(DataError, match=message):
        bffhq_128(root, 0, partial=True)


def test_other_counts_a_truncated_head_and_an_empty_split_are_said(heads):
    root, _ = heads
    message = r"images in align 11 \(published: 19104\), training images in conflict 3 \(published: 96\); partial"
    with pytest.raises(DataError, match=message):
        bffhq_128(root, 0)
    path = root / "bffhq" / "valid" / "14_0_0.png"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DataError, match=r"valid/14_0_0\.png: the image cannot be read"):
        bffhq_128(root, 0, partial=True)
    for path in (root / "bffhq" / "valid").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"bffhq has no image of the split val"):
        bffhq_128(root, 0, partial=True)


def test_a_task_names_a_set_and_its_folder(originals, tmp_path: Path, cli):
    root, _ = originals
    (tmp_path / "own.toml").write_text(
        "schema = 1\n"
        'tasks.heads = { dataset = { use = "bffhq_128", partial = true, seed = 0 }, model = { use = "lenet_small" } }\n'
        'suites.mine = { title = "Heads", version = "1", tasks = ["heads"], methods = ["erm"], seeds = 1, '
        'metrics = ["accuracy"], rank_by = "accuracy" }\n'
    )
    done = cli("prepare", "-s", "mine", "--config", "own.toml", "--data-dir", str(root), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "train: 14 images of 3 x 128 x 128: young/female 6, young/male 2, old/female 1, old/male 5" in done.stdout
    wrong = cli("prepare", "-s", "mine", "--config", "own.toml", "--data-dir", str(tmp_path), cwd=tmp_path)
    assert wrong.returncode == 2
    assert wrong.stderr.count("\n") == 1
    assert "the folder 'bffhq' is not there" in wrong.stderr
