"""Small folders laid out as Waterbirds, CelebA and BFFHQ are distributed, and copies as the hub has them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

BIRDS = {"0": (20, 4, 3, 9), "1": (4, 4, 2, 2), "2": (3, 3, 2, 2)}  # split -> images of each group
BIRD_COLUMNS = ("img_id", "img_filename", "y", "split", "place", "place_filename")
FACES = {"0": (9, 8, 6, 2), "1": (3, 3, 2, 1), "2": (2, 2, 2, 2)}
ATTRIBUTES = ("5_o_Clock_Shadow", "Blond_Hair", "Eyeglasses", "Male")
HEADS = {"0.5pct/align": (6, 0, 0, 5), "0.5pct/conflict": (0, 2, 1, 0), "valid": (3, 1, 1, 3), "test": (2, 2, 2, 2)}


def picture(number: int, width: int, height: int) -> Image.Image:
    """A smooth picture of its own: a few random patches, scaled."""
    patches = np.random.default_rng(number).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(patches).resize((width, height), Image.Resampling.BICUBIC)


def group_rows(counts: Mapping[str, Sequence[int]]) -> Iterator[tuple[int, str, int, int]]:
    """(number, split, label, attribute) of every example, groups in turn."""
    number = 0
    for split, each in counts.items():
        for group, count in enumerate(each):
            for _ in range(count):
                yield number, split, group // 2, group % 2
                number += 1


def write_csv(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def write_birds(home: Path, counts: Mapping[str, Sequence[int]] = BIRDS) -> list[dict[str, str]]:
    """Waterbirds as group DRO and WILDS have it: metadata.csv and a folder a species; its rows."""
    rows = []
    for number, split, label, place in group_rows(counts):
        name = f"{number % 7:03}.Species_{number % 7}/Bird_{number:04}.jpg"
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        picture(number, 60 + number % 5, 90 - number % 7).save(home / name, quality=95)
        row = {"img_id": number + 1, "img_filename": name, "y": label, "split": split, "place": place}
        rows.append({column: str(value) for column, value in row.items()} | {"place_filename": f"/o/{number}.jpg"})
    write_csv(home / "metadata.csv", BIRD_COLUMNS, rows)
    return rows


def face_rows() -> list[dict[str, Any]]:
    """Rows of CelebA's tables: image_id, partition and -1 or 1 for every attribute."""
    rows = []
    for number, split, label, male in group_rows(FACES):
        flags = (number // 2 % 2, label, number % 2, male)
        signs = {name: 2 * flag - 1 for name, flag in zip(ATTRIBUTES, flags, strict=True)}
        rows.append({"image_id": f"{number + 1:06}.jpg", "partition": split} | signs)
    return rows


def write_faces(home: Path, *, text: bool, images: str = "img_align_celeba") -> list[dict[str, Any]]:
    """CelebA with its tables as .txt (its authors, torchvision) or as .csv (Kaggle, group DRO, WILDS); its rows."""
    rows = face_rows()
    (home / images).mkdir(parents=True)
    for number, row in enumerate(rows):
        picture(number, 178, 218).save(home / images / row["image_id"], quality=95)
    if text:
        write_face_texts(home, rows)
    else:
        kept = [{name: row[name] for name in ("image_id", *ATTRIBUTES)} for row in rows]
        write_csv(home / "list_attr_celeba.csv", ("image_id", *ATTRIBUTES), kept)
        parts = [{name: row[name] for name in ("image_id", "partition")} for row in rows]
        write_csv(home / "list_eval_partition.csv", ("image_id", "partition"), parts)
    return rows


def write_face_texts(home: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """All of the authors' tables, those too that torchvision reads and we do not."""
    names = [str(row["image_id"]) for row in rows]
    cells = [" ".join(f"{row[name]:2}" for name in ATTRIBUTES) for row in rows]
    head = f"{len(rows)}\n{' '.join(ATTRIBUTES)} \n"
    body = "".join(f"{name} {cell}\n" for name, cell in zip(names, cells, strict=True))
    (home / "list_attr_celeba.txt").write_text(head + body)
    (home / "list_eval_partition.txt").write_text("".join(f"{row['image_id']} {row['partition']}\n" for row in rows))
    (home / "identity_CelebA.txt").write_text("".join(f"{name} 1\n" for name in names))
    for table, columns in (("list_bbox_celeba", "image_id x_1"), ("list_landmarks_align_celeba", "lefteye_x")):
        head = f"{len(rows)}\n{columns}\n"
        (home / f"{table}.txt").write_text(head + "".join(f"{name} 1\n" for name in names))


def write_heads(home: Path) -> list[tuple[str, int, int]]:
    """BFFHQ as DisEnt gives it out; (path, age, gender) of every image."""
    found = []
    for number, folder, age, gender in group_rows(HEADS):
        below = f"/{age}" if folder.startswith("0.5pct") else ""
        path = f"{folder}{below}/{number}_{age}_{gender}.png"
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        picture(number, 128, 128).save(home / path)
        found.append((path, age, gender))
    return found


def write_hub(home: Path, split: str, columns: Mapping[str, Sequence[Any]], features: Mapping[str, Any]) -> None:
    """A split of a copy of a repository, as a parquet file."""
    import datasets

    (home / "data").mkdir(parents=True, exist_ok=True)
    table = datasets.Dataset.from_dict(dict(columns), features=datasets.Features(dict(features)))
    table.to_parquet(home / "data" / f"{split}-00000-of-00001.parquet")


def encoded(image: Image.Image) -> dict[str, Any]:
    """A picture as the hub's cells hold it."""
    content = io.BytesIO()
    image.save(content, "JPEG", quality=95)
    return {"bytes": content.getvalue(), "path": None}
