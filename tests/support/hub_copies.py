"""Small copies of repositories of the hub, as people make them and as nobody should."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def encoded(value: int, side: int = 6) -> dict[str, Any]:
    """A cell with a PNG of one grey level, in its corner the same again one level higher: no two values are alike."""
    pixels = np.full((side, side, 3), value, np.uint8)
    pixels[0, 0] += 1
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": None}


def write_parquet(path: Path, cells: Sequence[Any], columns: Mapping[str, Sequence[Any]], **features: Any) -> None:
    """A parquet file as `datasets` writes it, with a column `image` and others; features: of those that need one."""
    import datasets

    path.parent.mkdir(parents=True, exist_ok=True)
    plain = datasets.Dataset.from_dict({name: list(values) for name, values in columns.items()}).features
    kinds = datasets.Features({"image": datasets.Image(), **plain, **features})
    datasets.Dataset.from_dict({"image": list(cells), **columns}, features=kinds).to_parquet(path)


def write_copy(home: Path, first: int = 10, number: int = 8, splits: Sequence[str] = ("train", "test")) -> None:
    """A copy with a parquet file a split; its images have the grey levels `first`, `first` + 2, ..."""
    for split in splits:
        labels = {"label": [n % 2 for n in range(number)], "ground": ["ab"[n // 2 % 2] for n in range(number)]}
        cells = [encoded(first + 2 * n) for n in range(number)]
        write_parquet(home / "data" / f"{split}-00000-of-00001.parquet", cells, labels)
        first += 2 * number


def write_card(home: Path, head: str) -> None:
    home.mkdir(parents=True, exist_ok=True)
    (home / "README.md").write_text(f"---\n{head}---\n# a card\n")


def card_of(**paths: str) -> str:
    """The head of a README with one configuration: split -> path."""
    rows = "".join(f"  - split: {split}\n    path: {path}\n" for split, path in paths.items())
    return f"configs:\n- config_name: default\n  data_files:\n{rows}"
