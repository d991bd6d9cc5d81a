"""One encoded image -> uint8 (C, H, W), strictly: what is no whole image of a sensible size is one clear error."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

import numpy as np

from benchbias.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

LARGEST_IMAGE = 256 << 20  # bytes of one encoded image
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")  # no format for which PIL starts another program
GREY = ("L", "LA", "La", "1")
COLOUR = ("P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")


def decode(
    content: bytes, where: str, *, size: int | None, channels: int | None, stretch: int | None = None
) -> NDArray[np.uint8]:
    """The pixels of an image, uint8 (C, H, W). Raises DataError, which begins with `where`.

    The camera's orientation is applied, transparency dropped. size: the shorter side is scaled to it and the middle
    square cut out; None: as it is. stretch: both sides are scaled to it, whatever their ratio, and the middle square
    of `size` is cut out of that. channels: 1 (grey) or 3; None: 1 for a grey image, else 3.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            image: Image.Image = Image.open(io.BytesIO(content), formats=FORMATS)
            image.load()
            if 0x0112 in image.getexif():
                image = ImageOps.exif_transpose(image)
        except (Image.DecompressionBombWarning, Image.DecompressionBombError):
            limit = Image.MAX_IMAGE_PIXELS
            raise DataError(f"{where}: the image has more than {limit} pixels (a decompression bomb?)") from None
        except UnidentifiedImageError:
            raise DataError(f"{where}: no image of a known format ({', '.join(FORMATS)})") from None
        except Exception as error:  # PIL's decoders raise anything: OSError, SyntaxError, ValueError, struct.error
            raise DataError(f"{where}: the image cannot be read: {error}") from None
    if image.mode not in (*GREY, *COLOUR):
        raise DataError(f"{where}: an image of mode {image.mode}; 8 bits a channel are read, grey or colour")
    chosen = channels or (1 if image.mode in GREY else 3)
    image = image.convert("L" if chosen == 1 else "RGB")
    if stretch is not None:
        image = _stretched(image, stretch, size or stretch)
    elif size is not None:
        image = _square(image, size)
    pixels = np.asarray(image)  # (H, W) or (H, W, 3)
    return np.ascontiguousarray(pixels[None] if chosen == 1 else pixels.transpose(2, 0, 1))


def check_stretch(stretch: int | None, size: int | None) -> None:
    """Raises DataError where no square of `size` fits into one of `stretch`."""
    if stretch is not None and size is not None and stretch < size:
        raise DataError(f"stretch = {stretch}: a middle square of size = {size} is larger")


def _square(image: Image, size: int) -> Image:
    """The middle square of an image, its side scaled to `size`, bilinear and antialiased."""
    from PIL import Image as images

    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return image.resize((size, size), images.Resampling.BILINEAR, box=(left, top, left + side, top + side))


def _stretched(image: Image, stretch: int, size: int) -> Image:
    """The middle square of `size` of an image of which both sides were scaled to `stretch`, bilinear, antialiased."""
    from PIL import Image as images

    edge = round((stretch - size) / 2)
    return image.resize((stretch, stretch), images.Resampling.BILINEAR).crop((edge, edge, edge + size, edge + size))
