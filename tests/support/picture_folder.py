"""A tiny folder of one's own: squares and discs on red or green grounds, as PNGs with a table."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

SIZES = {"train": 80, "val": 24, "test": 32}
COLUMNS = ("image", "split", "label", "attribute")
PIXELS = 12


def picture(number: int, label: str, attribute: str) -> Image.Image:
    """A white square or disc, a little noise, no two alike."""
    random = np.random.default_rng(number)
    pixels = random.integers(0, 60, (PIXELS, PIXELS, 3))
    pixels[:, :, 0 if attribute == "red" else 1] += 150
    down, right = (axis - (PIXELS - 1) / 2 for axis in np.ogrid[:PIXELS, :PIXELS])
    inside = np.maximum(abs(down), abs(right)) < 4 if label == "square" else down**2 + right**2 < 20
    pixels[inside] = 255 - random.integers(0, 30, (int(inside.sum()), 3))
    return Image.fromarray(pixels.astype(np.uint8))


def write_pictures(home: Path) -> list[dict[str, str]]:
    """Write the folder; its rows. In train and val one of eight is on the other ground, in test half."""
    (home / "pictures").mkdir(parents=True)
    rows = []
    for split, count in SIZES.items():
        for number in range(count):
            label = ("square", "disc")[number % 2]
            usual = "red" if label == "square" else "green"
            other = "green" if usual == "red" else "red"
            conflicts = number // 2 % 2 if split == "test" else number // 2 % 8 == 0
            row = {"image": f"pictures/{len(rows)}.png", "split": split, "label": label}
            rows.append(row | {"attribute": other if conflicts else usual})
            picture(len(rows), label, rows[-1]["attribute"]).save(home / rows[-1]["image"])
    write_table(home / "labels.csv", rows)
    return rows


def write_table(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
