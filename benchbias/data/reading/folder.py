"""The images of a user's own folder, decoded once into a mapped cache."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from benchbias.data.reading.decoding import LARGEST_IMAGE, Look, decode
from benchbias.data.reading.pixel_cache import Sink, decoded
from benchbias.data.reading.raw_files import check_unchanged, inside, raw_digest
from benchbias.errors import DataError
from benchbias.util import canonical
from benchbias.util.progress import progress


def folder_images(
    root: Path,
    folder: str,
    files: Sequence[tuple[str, str]],
    *,
    size: int | None = None,
    channels: int | None = None,
    stretch: int | None = None,
    interpolation: str = "bilinear",
    channel_order: str = "rgb",
) -> Tensor:
    """Images of a user's folder, uint8 (N, C, H, W), mapped from a cache, not held in memory.

    files: (where it is named, path relative to `<root>/<folder>`). the others: as in `hub_images`. Raises
    DataError, which begins with `where`, for a path that is not there, leaves the folder or is hidden, and for what
    is no whole image of the first one's shape.
    """
    home = inside(root, folder, "folder")
    names = [name for _, name in files]
    look = Look(size, channels, stretch, interpolation, channel_order)
    raw = raw_digest(root, home)
    made_from = {"raw": raw, "files": canonical.digest(names), **asdict(look)}

    def build(sink: Sink) -> Mapping[str, Any]:
        chosen = look
        for where, name in progress(files, len(files), f"decoding {folder}"):
            here = f"{where}: {name}"
            pixels = decode(_content(home, where, name), here, chosen)
            if len(pixels) == 3:
                chosen = replace(look, channels=3)  # a grey image among coloured ones is no fault
            sink.add(pixels, here)
        check_unchanged(root, home, raw)
        return {}

    return decoded(root, made_from, build).images


def _content(home: Path, where: str, name: str) -> bytes:
    """The bytes of an image file below `home`, whichever Unicode form its name has there. Raises DataError."""
    spellings = dict.fromkeys((name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)))
    paths = [inside(home, spelling, f"{where}: image") for spelling in spellings]
    path = next((path for path in paths if path.exists()), paths[0])
    if not path.is_file():
        what = "not a plain file" if path.exists() else "no such file"
        raise DataError(f"{where}: {what}: {path}")
    if any(part.startswith(".") for part in path.resolve().relative_to(home.resolve()).parts):
        raise DataError(f"{where}: {name!r} is hidden: its name or a folder's begins with a point")
    try:
        if path.stat().st_size > LARGEST_IMAGE:
            raise DataError(f"{where}: {name!r} has more than {LARGEST_IMAGE >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{where}: {path} cannot be read: {error.strerror}") from None
