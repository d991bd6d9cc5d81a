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
    "prune": (*_SHARED, *_MASKING, "stages.prune", "stages.sweep"),
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


def source_places(names: Iterable[str]) -> list[Path]:
    """The files of packages and modules, and the folders in which another one could appear."""
    files = source_files(names)
    return [*files, *sorted({file.parent for file in files})]


def module_names() -> list[str]:
    """All modules whose sources stand in some key, by their full names."""
    everything = {name for names in SOURCES.values() for name in names} | set(READING)
    files = {file.relative_to(CORE.parent).with_suffix("") for file in source_files(sorted(everything))}
    return sorted(".".join(file.parts).removesuffix(".__init__") for file in files)


def digest_now(names: tuple[str, ...]) -> str:
    """The sha256 of sources as they lie on the disk at this moment. Raises UsageError where one cannot be read."""
    return files_digest(source_files(names))


@functools.cache
def _digest(names: tuple[str, ...]) -> str:
    return digest_now(names)


def core_digest(kind: str) -> str:
    """The sha256 of the core's sources that a kind of stage runs."""
    return _digest(SOURCES[kind])


def reading_digest() -> str:
    """The sha256 of the core's sources that turn raw files into images."""
    return _digest(READING)
