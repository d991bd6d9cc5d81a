"""BFFHQ (Kim et al., 2021; Lee et al., 2021: DisEnt): faces of FFHQ, young or old, most of the young ones women."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import torch

from benchbias import BiasedDataset, DataError, folder_images, reads

from .published import Kind, Photos, check_counts, dataset, require

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHARE = "0.5pct"  # the folder of the training images: one conflicting share is given out
FOLDERS = {"train": (f"{SHARE}/align", f"{SHARE}/conflict"), "val": ("valid",), "test": ("test",)}
NAME = re.compile(r".+_([01])_([01])\.[A-Za-z]+")  # any_<age>_<gender>.png
PUBLISHED = {"training images in align": 19_104, "training images in conflict": 96}
BFFHQ = Kind(
    "bffhq",
    ("young", "old"),
    ("female", "male"),
    "BFFHQ (Kim et al., 2021), in the files of DisEnt (Lee et al., 2021), of FFHQ (Karras et al., 2019)",
    "CC BY-NC-SA 4.0 (FFHQ)",
    mean=(0.4914, 0.4822, 0.4465),  # as DisEnt's code normalises: CIFAR-10's
    std=(0.2023, 0.1994, 0.2010),
)


@reads(folder="{folder}")
def bffhq_128(root: Path, seed: int, *, folder: str = "bffhq", partial: bool = False) -> BiasedDataset:
    """Young and old faces whose gender mostly agrees, at 128 x 128 pixels, as REST and DCWP scale them.

    folder: below the data folder, with 0.5pct/align, 0.5pct/conflict, valid and test, as DisEnt gives it out. The class
    is the age and the attribute the gender; young men and old women conflict. val follows training. partial: take other
    counts than the published ones.
    """
    return _bffhq(root, folder, 128, partial=partial)


@reads(folder="{folder}")
def bffhq_224(root: Path, seed: int, *, folder: str = "bffhq", partial: bool = False) -> BiasedDataset:
    """Young and old faces whose gender mostly agrees, at 224 x 224 pixels, as DisEnt scales them; see `bffhq_128`."""
    return _bffhq(root, folder, 224, partial=partial)


def _bffhq(root: Path, folder: str, size: int, *, partial: bool) -> BiasedDataset:
    home = root / folder
    names = {split: list(_names(home, folders)) for split, folders in FOLDERS.items()}
    counts = [sum(f"{SHARE}/{kind}/" in name for name in names["train"]) for kind in ("align", "conflict")]
    check_counts(str(home), dict(zip(PUBLISHED, counts, strict=True)), PUBLISHED, partial=partial)
    parts, start = {}, 0
    for split, found in names.items():
        if found:
            pairs = torch.tensor([_pair(home, name) for name in found], dtype=torch.int64)  # (N, 2)
            files = [(str(home), name) for name in found]
            images = folder_images(root, folder, files, size=size, channels=3, stretch=size)
            numbers = torch.arange(start, start + len(found))
            parts[split] = Photos(images, pairs[:, 0].clone(), pairs[:, 1].clone(), numbers)
        start += len(found)
    require(BFFHQ, parts, tuple(FOLDERS), str(home))
    return dataset(BFFHQ, parts)


def _names(home: Path, folders: tuple[str, ...]) -> Iterator[str]:
    """The images below some folders, relative to `home`, in order; hidden files are left out. Raises DataError."""
    for folder in folders:
        if not (home / folder).is_dir():
            raise DataError(
                f"{home}: the folder {folder!r} is not there (known: {', '.join(sum(FOLDERS.values(), ()))})"
            )
        found = (path for path in (home / folder).rglob("*") if path.is_file() and not path.name.startswith("."))
        yield from sorted(path.relative_to(home).as_posix() for path in found)


def _pair(home: Path, name: str) -> tuple[int, int]:
    """(age, gender) of an image by its name. Raises DataError where the name, or its folder, does not say so."""
    match = NAME.fullmatch(name.rpartition("/")[2])
    if match is None:
        raise DataError(f"{home}: {name!r:.200}: a name ends in _<age>_<gender>.png, both 0 or 1")
    age, gender = int(match[1]), int(match[2])
    said = {f"{SHARE}/align": True, f"{SHARE}/conflict": False}.get("/".join(name.split("/")[:2]))
    if said is not None and said != (age == gender):
        raise DataError(f"{home}: {name!r:.200}: an image of {'align' if said else 'conflict'} by its folder only")
    return age, gender
