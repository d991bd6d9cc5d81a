"""The core's sources that decide what each kind of stage computes. No torch."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchbias.plugin.registry import files_digest

CORE = Path(__file__).parent.parent

_SHARED = ("data", "network", "sparse", "stages.job", "stages.seeding")
_MASKING = ("training", "stages.make_mask")
SOURCES: Mapping[str, tuple[str, ...]] = {
    "data": (*_SHARED, "stages.data"),
    "init": (*_SHARED, "training", "stages.init", "stages.loaded"),
    "train": (*_SHARED, *_MASKING, "stages.masking", "stages.train"),
    "prune": (*_SHARED, *_MASKING, "stages.prune"),
    "predict": (*_SHARED, "training", "stages.predict"),
    "score": (*_SHARED, "stages.score"),
    "probe": (*_SHARED, "training", "stages.probe"),
    "analyse": (
        *(*_SHARED, "training", "statistics", "records"),
        *("stages.analyse", "stages.predict", "stages.score"),
    ),
}
"""The packages, and modules of `stages`, that decide what each kind of stage computes. A test holds them complete."""

READING = ("data.reading",)
"""The package that turns raw files into images: part of the key of a data stage that reads some."""


def source_files(names: Iterable[str]) -> list[Path]:
    """The files of packages (without their sub-packages) and of modules, by name below `benchbias`."""
    found: list[Path] = []
    for name in names:
        path = CORE / name.replace(".", "/")
        found += sorted(path.glob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    return found


@functools.cache
def _digest(names: tuple[str, ...]) -> str:
    return files_digest(source_files(names))


def core_digest(kind: str) -> str:
    """The sha256 of the core's sources that a kind of stage runs."""
    return _digest(SOURCES[kind])


def reading_digest() -> str:
    """The sha256 of the core's sources that turn raw files into images."""
    return _digest(READING)
