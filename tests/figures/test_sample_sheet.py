"""Sheets of samples: every tile is the image of its row, names are text, and published tasks have their picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchbias.errors import StorageError
from benchbias.figures.sample_sheet import MARGIN, Samples, draw_sheet
from benchbias.runner.publishing import published_records
from support import ROOT

HOSTILE = ["<script>alert(1)</script>", "x" * 200, "中文/شيء", "$\\frac{1}{0}$", "`|`*_[a](javascript:b)", "%s {0}"]


def samples(names=("0/red", "0/green", "1/red", "1/green"), attributes=2, count=40, side=28, channels=3, seed=0):
    """Images each of one colour of its own; the last group has no image."""
    numbers = np.random.default_rng(seed)
    groups = numbers.integers(0, len(names) - 1, count)
    colours = numbers.integers(0, 256, (count, channels, 1, 1), dtype=np.uint8)
    images = np.broadcast_to(colours, (count, channels, side, side)).copy()
    aligned = np.arange(len(names)) % attributes == np.arange(len(names)) // attributes % attributes
    return Samples(images, groups, aligned, tuple(names), attributes)


def colours_of(sheet: Path, side: int, rows: int, blocks: int, columns: int) -> list[list[list[tuple[int, ...]]]]:
    """The colour in the middle of every place for an image, by row and block."""
    with Image.open(sheet) as opened:
        image = np.asarray(opened.convert("RGB"))
    across, down = side + MARGIN, max(side, 28) + MARGIN
    top, left = image.shape[0] - rows * down, image.shape[1] - blocks * (columns * across + MARGIN)
    return [
        [
            [
                tuple(
                    int(level)
                    for level in image[
                        top + row * down + side // 2,
                        left + block * (columns * across + MARGIN) + column * across + side // 2,
                    ]
                )
                for column in range(columns)
            ]
            for block in range(blocks)
        ]
        for row in range(rows)
    ]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_row_has_the_first_images_of_its_group_and_nothing_else(tmp_path: Path, channels: int):
    made = samples(side=48, channels=channels)
    lines = draw_sheet(made, tmp_path / "a.png")
    for group, (row,) in enumerate(colours_of(tmp_path / "a.png", 48, 4, 1, 12)):
        members = np.flatnonzero(made.groups == group)
        wanted = [tuple(int(level) for level in np.resize(made.images[m, :, 0, 0], 3)) for m in members[:12]]
        assert row[: len(wanted)] == wanted
        assert f"row {group + 1}: group {made.names[group]}, {len(members)} of 40 training images, " in lines[group]
        if wanted:
            assert set(row[len(wanted) :]) <= {(255, 255, 255)}
    assert [line.split(", ")[-1] for line in lines] == ["aligned", "conflicting", "conflicting", "aligned"]


def test_a_row_of_a_class_has_aligned_images_left_and_conflicting_ones_right_from_every_group(tmp_path: Path):
    names = [f"{label}/{attribute}" for label in "01" for attribute in "abc"]
    made = samples(names, attributes=3, count=60, side=48)
    lines = draw_sheet(made, tmp_path / "a.png", by="class")
    by_colour = {tuple(int(x) for x in made.images[i, :, 0, 0]): int(made.groups[i]) for i in range(60)}
    assert len(by_colour) == 60
    for label, blocks in enumerate(colours_of(tmp_path / "a.png", 48, 2, 2, 6)):
        for block, aligned in zip(blocks, (True, False), strict=True):
            groups = [by_colour[colour] for colour in block if colour != (255, 255, 255)]
            members = [g for g in made.groups if g // 3 == label and made.aligned[g] == aligned]
            assert len(groups) == min(6, len(members))
            assert all(g // 3 == label and made.aligned[g] == aligned for g in groups)
            assert set(groups) == set(members), "each group has its turn"
    counts = [int(sum(made.aligned[g] == kind for g in made.groups if g < 3)) for kind in (True, False)]
    assert lines[0] == f"row 1: class 0, {counts[0]} aligned and {counts[1]} conflicting of 60 training images"


@pytest.mark.parametrize("side", [8, 28, 48])
@pytest.mark.parametrize("width", [200, 560, 2000])
@pytest.mark.parametrize("by", ["group", "class"])
def test_a_sheet_keeps_to_its_width_where_two_images_fit(tmp_path: Path, side: int, width: int, by: str):
    draw_sheet(samples(("x" * 200 + "/a", "0/b", "1/a", "1/b"), side=side), tmp_path / "a.png", by, width)
    with Image.open(tmp_path / "a.png") as image:
        assert width / 2 < image.width <= width
        assert image.mode == "P", "few colours"


@pytest.mark.parametrize("name", HOSTILE, ids=lambda text: ascii(text)[:12])
@pytest.mark.parametrize("by", ["group", "class"])
def test_any_name_is_drawn_and_the_sheet_stays_a_sheet(tmp_path: Path, name: str, by: str):
    made = samples((f"{name}/a", f"{name}/b", "1/a", "1/b"), side=48)
    lines = draw_sheet(made, tmp_path / "a.png", by)
    assert name in lines[0]
    with Image.open(tmp_path / "a.png") as image:
        assert image.width < 900
        ink = np.asarray(image.convert("L"))[:, :30]
    assert (ink < 128).any(), "names are drawn"


def test_a_letter_that_the_font_lacks_is_drawn_as_its_number(tmp_path: Path):
    for text, same in (("\U0001faa8", "\\U0001faa8"), ("中", "\\u4e2d")):
        sheets = []
        for number, name in enumerate((text, same)):
            path = tmp_path / f"{number}.png"
            draw_sheet(samples((f"{name}/a", f"{name}/b", "1/a", "1/b")), path)
            sheets.append(path.read_bytes())
        assert sheets[0] == sheets[1]


def test_a_group_without_an_image_says_so_and_a_file_that_cannot_be_written_is_one_line(tmp_path: Path):
    assert "0 of 40 training images" in draw_sheet(samples(), tmp_path / "a.png")[-1]
    with pytest.raises(StorageError, match="cannot write"):
        draw_sheet(samples(), tmp_path / "absent" / "a.png")


def test_every_published_task_has_a_small_picture_and_no_other():
    board = ROOT / "leaderboard"
    suites = [folder.name for folder in (board / "records").iterdir()]
    tasks = {record.body["task"] for suite in suites for record in published_records(suite, board)[0]}
    found = {path.stem: path for path in (board / "pictures").iterdir()}
    assert set(found) == tasks
    for path in found.values():
        with Image.open(path) as image:
            assert image.format == "PNG"
            assert 300 <= image.width <= 560
        assert path.stat().st_size <= 60_000
