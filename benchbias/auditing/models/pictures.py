"""The images of an audit, opened one by one: files of a folder, or the pixels that a data set of a plugin gave."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from benchbias.auditing.tables.table import counted
from benchbias.data.reading.decoding import LARGEST_IMAGE, opened
from benchbias.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

ORIENTATION, UPRIGHT = 0x0112, 1  # the tag of EXIF, and its value where nothing is to be turned
DEEP = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")


class Pictures(Protocol):
    """Images that can be asked for by number. where: the name of one, for messages."""

    def __len__(self) -> int: ...

    def where(self, number: int) -> str:
        """The name of an image, for messages."""

    def content(self, number: int) -> bytes:
        """The bytes that decide an image. Raises DataError."""

    def image(self, content: bytes, number: int) -> Image:
        """The image of these bytes. Raises DataError."""


@dataclass(frozen=True)
class Oddities:
    """Numbers of images that torchvision's loader treats in a way that a user may not expect."""

    turned: set[int] = field(default_factory=set)
    deep: set[int] = field(default_factory=set)
    clear: set[int] = field(default_factory=set)

    def see(self, image: Image, number: int) -> None:
        """Note an opened image."""
        for seen, odd in (
            (self.turned, image.getexif().get(ORIENTATION, UPRIGHT) != UPRIGHT),
            (self.deep, image.mode in DEEP),
            (self.clear, image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info),
        ):
            if odd:
                seen.add(number)

    def notes(self, *, upright: bool) -> list[str]:
        """Sentences for the reader on those that there were."""
        found = []
        if self.turned and not upright:
            found.append(
                f"{_images(self.turned)} a camera's orientation, which torchvision's loader leaves out, and "
                "so does this: --upright applies it"
            )
        if self.deep:
            found.append(
                f"{_images(self.deep, 'have', 'has')} more than 8 bits a channel: PIL cuts values above 255, as "
                "torchvision's loader does"
            )
        if self.clear:
            found.append(
                f"{_images(self.clear, 'have', 'has')} transparency, which is dropped, as torchvision's loader does"
            )
        return found


def _images(numbers: set[int], many: str = "carry", one: str = "carries") -> str:
    """The number of images with a verb: `1 image has`, `2 images have`."""
    return f"{counted(len(numbers), 'image')} {one if len(numbers) == 1 else many}"


@dataclass(frozen=True)
class FilePictures:
    """Image files. files: (where each is named, path)."""

    files: Sequence[tuple[str, Path]]
    upright: bool = False
    odd: Oddities = field(default_factory=Oddities, compare=False)

    def __len__(self) -> int:
        return len(self.files)

    def where(self, number: int) -> str:
        place, path = self.files[number]
        return f"{place}: {path}" if place else str(path)

    def content(self, number: int) -> bytes:
        path = self.files[number][1]
        try:
            if path.stat().st_size > LARGEST_IMAGE:
                raise DataError(f"{self.where(number)}: more than {LARGEST_IMAGE >> 20} MiB")
            return path.read_bytes()
        except OSError as error:
            raise DataError(f"{self.where(number)}: cannot be read: {error.strerror}") from None

    def image(self, content: bytes, number: int) -> Image:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of palettes and odd metadata: what matters is an error
            image = opened(content, self.where(number), upright=self.upright)
            self.odd.see(image, number)
            return image


@dataclass(frozen=True)
class PixelPictures:
    """Images that are there as pixels, uint8 (N, C, H, W)."""

    pixels: Tensor
    name: str

    def __len__(self) -> int:
        return len(self.pixels)

    def where(self, number: int) -> str:
        return f"{self.name}, image {number}"

    def content(self, number: int) -> bytes:
        pixels = self.pixels[number].contiguous()
        return str(tuple(pixels.shape)).encode() + b"\0" + pixels.numpy().tobytes()

    def image(self, content: bytes, number: int) -> Image:
        from PIL import Image

        pixels: Any = self.pixels[number].numpy()  # (C, H, W)
        return Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))


def digest(content: bytes) -> bytes:
    """The sha256 of an image's bytes."""
    return hashlib.sha256(content).digest()
