"""Pictures of a report: the data set's bytes, each once, within a budget; sheets count what the data set has."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from benchbias.report.gathering.task_data import LabelledImages, TaskData
from benchbias.report.images.album import LARGEST_SIDE, Album, png_of
from benchbias.report.images.sheets import FEWEST, sheet_of

NAMES = ["0/red", '<img src=x onerror="1">', "\u202eleft", "x" * 200]


def images(number: int, channels: int = 3, size: int = 8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (number, channels, size, size), dtype=np.uint8)


def decoded(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_picture_has_the_bytes_of_the_image(channels: int):
    (image,) = images(1, channels)
    found = decoded(png_of(image))
    assert (found == (image[:3].transpose(1, 2, 0) if channels > 2 else image[0])).all()


def test_a_large_image_becomes_small_and_keeps_its_shape():
    image = images(1, size=300)[0][:, :150]  # (3, 150, 300)
    found = decoded(png_of(image))
    assert found.shape == (LARGEST_SIDE // 2, LARGEST_SIDE, 3)


def test_an_image_stands_in_an_album_once():
    album = Album()
    one, two = images(2)
    names = [album.add(one), album.add(two), album.add(one.copy())]
    assert names[0] == names[2] != names[1]
    assert len(album.pictures) == 2
    assert album.used == sum(map(len, album.pictures.values()))
    assert (decoded(base64.b64decode(album.pictures[names[1]])) == two.transpose(1, 2, 0)).all()


def test_an_album_keeps_within_its_budget_and_counts_what_is_left_out():
    album = Album(most_bytes=2_000)
    names = [album.add(image) for image in images(40)]
    assert sum(map(len, album.pictures.values())) == album.used <= 2_000
    assert album.left_out == names.count(None) > 0
    assert album.pictures.keys() == {name for name in names if name}


def split(number: int, seed: int) -> LabelledImages:
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 3, number)  # none in the last group
    return LabelledImages(images(number, seed=seed), groups // 2, groups, np.arange(number), groups % 2 == 0)


def test_a_sheet_has_a_row_for_every_group_with_its_number_of_examples():
    data = TaskData("layout", {"group_names": NAMES}, {"train": split(60, 1), "test": split(40, 2)})
    album = Album()
    sheet = sheet_of(data, album)
    assert [one["split"] for one in sheet] == ["train", "test"]
    for one in sheet:
        own = data.splits[one["split"]]
        assert [row["group"] for row in one["rows"]] == NAMES
        assert sum(row["count"] for row in one["rows"]) == one["total"] == len(own.labels)
        for group, row in enumerate(one["rows"]):
            assert row["count"] == int((own.groups == group).sum())
            for at, picture in row["tiles"]:
                assert own.groups[at] == group
                shown = decoded(base64.b64decode(album.pictures[picture]))
                assert (shown == own.images[at].transpose(1, 2, 0)).all()
            assert len(row["tiles"]) >= min(FEWEST, row["count"])
        assert one["rows"][3] == {"group": NAMES[3], "count": 0, "aligned": None, "tiles": []}
