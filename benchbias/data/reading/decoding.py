"""One encoded image -> uint8 (C, H, W), strictly: what is no whole image of a sensible size is one clear error."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchbias.data.reading.raw_files import POINTER
from benchbias.errors import DataError, unknown

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

LARGEST_IMAGE = 256 << 20  # bytes of one encoded image
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")  # no format for which PIL starts another program
INTERPOLATIONS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
ORDERS = ("rgb", "bgr")
GREY = ("L", "LA", "La", "1")
COLOUR = ("P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")


@dataclass(frozen=True)
class Look:
    """How an encoded image becomes pixels.

    size: the shorter side is scaled to it and the middle square cut out; None: as it is. stretch: both sides are scaled
    to it, whatever their ratio, and the middle square of `size` is cut out of that. channels: 1 (grey) or 3; None: 1
    for a grey image, else 3. interpolation: of scaling. channel_order: of the channels. Raises DataError.
    """

    size: int | None = None
    channels: int | None = None
    stretch: int | None = None
    interpolation: str = "bilinear"
    channel_order: str = "rgb"

    def __post_init__(self) -> None:
        if self.stretch is not None and self.size is not None and self.stretch < self.size:
            raise DataError(f"stretch = {self.stretch}: a middle square of size = {self.size} is larger")
        for what, value, known in (
            ("interpolation", self.interpolation, INTERPOLATIONS),
            ("channel_order", self.channel_order, ORDERS),
        ):
            if value not in known:
                raise DataError(unknown(what, value, known))


def decode(content: bytes, where: str, look: Look) -> NDArray[np.uint8]:
    """The pixels of an encoded image, uint8 (C, H, W). Raises DataError, which begins with `where`.

    The camera's orientation is applied, transparency dropped, of several pictures the first one taken.
    """
    if len(content) > LARGEST_IMAGE:
        raise DataError(f"{where}: an image of more than {LARGEST_IMAGE >> 20} MiB")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of palettes and odd metadata: what matters is an error
        return pixels_of(opened(content, where), where, look)


def pixels_of(image: Image, where: str, look: Look) -> NDArray[np.uint8]:
    """The pixels of an image, uint8 (C, H, W). Raises DataError, which begins with `where`."""
    if image.mode not in (*GREY, *COLOUR):
        raise DataError(f"{where}: an image of mode {image.mode}; 8 bits a channel are read, grey or colour")
    chosen = look.channels or (1 if image.mode in GREY else 3)
    try:
        image = image.convert("L" if chosen == 1 else "RGB")
    except Exception as error:  # of whatever the mode needs
        raise DataError(f"{where}: an image of mode {image.mode} cannot be converted: {error}") from None
    if look.stretch is not None:
        image = _stretched(image, look.stretch, look.size or look.stretch, look.interpolation)
    elif look.size is not None:
        image = _square(image, look.size, look.interpolation)
    pixels = np.asarray(image)  # (H, W) or (H, W, 3)
    if look.channel_order == "bgr" and chosen == 3:
        pixels = pixels[:, :, ::-1]
    return np.ascontiguousarray(pixels[None] if chosen == 1 else pixels.transpose(2, 0, 1))


def opened(content: bytes, where: str, *, upright: bool = True) -> Image:
    """The image of these bytes, whole; upright: with the camera's orientation applied. Raises DataError."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    warnings.simplefilter("error", Image.DecompressionBombWarning)
    try:
        image: Image.Image = Image.open(io.BytesIO(content), formats=FORMATS)
        image.load()
        return ImageOps.exif_transpose(image) if upright and 0x0112 in image.getexif() else image
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        limit = Image.MAX_IMAGE_PIXELS
        raise DataError(f"{where}: the image has more than {limit} pixels (a decompression bomb?)") from None
    except UnidentifiedImageError:
        if content.startswith(POINTER):
            raise DataError(f"{where}: a pointer of Git LFS, not the file: `git lfs pull` fetches it") from None
        raise DataError(f"{where}: no image of a known format ({', '.join(FORMATS)})") from None
    except Exception as error:  # PIL's decoders raise anything: OSError, SyntaxError, ValueError, struct.error
        raise DataError(f"{where}: the image cannot be read: {error}") from None


def _square(image: Image, size: int, interpolation: str) -> Image:
    """The middle square of an image, its side scaled to `size`, antialiased."""

    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return image.resize((size, size), _resampling(interpolation), box=(left, top, left + side, top + side))


def _stretched(image: Image, stretch: int, size: int, interpolation: str) -> Image:
    """The middle square of `size` of an image of which both sides were scaled to `stretch`, antialiased."""

    edge = round((stretch - size) / 2)
    return image.resize((stretch, stretch), _resampling(interpolation)).crop((edge, edge, edge + size, edge + size))


def _resampling(name: str) -> Any:
    from PIL import Image

    return Image.Resampling[name.upper()]
