"""One picture in every form in which pictures are kept: what is read whole, what is read in part, what is refused."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image

Encode = Callable[[np.ndarray], bytes]
ORIENTATION = 0x0112


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _of(kind: str, mode: str = "RGB", **options: object) -> Encode:
    return lambda pixels: saved(Image.fromarray(pixels).convert(mode), kind, **options)


def _palette(**options: object) -> Encode:
    return lambda pixels: saved(Image.fromarray(pixels).quantize(8, dither=Image.Dither.NONE), "PNG", **options)


def _several(kind: str, **options: object) -> Encode:
    def encode(pixels: np.ndarray) -> bytes:
        return saved(
            Image.fromarray(pixels), kind, save_all=True, append_images=[Image.fromarray(255 - pixels)], **options
        )

    return encode


def _turned(kind: str) -> Encode:
    """A picture that lies on its side, and says so: orientation 6 is turned clockwise to be looked at."""

    def encode(pixels: np.ndarray) -> bytes:
        exif = Image.Exif()
        exif[ORIENTATION] = 6
        return saved(Image.fromarray(np.ascontiguousarray(np.rot90(pixels))), kind, exif=exif)

    return encode


def _alpha(pixels: np.ndarray) -> np.ndarray:
    alpha = (np.indices(pixels.shape[:2]).sum(0) % 2 * 255).astype(np.uint8)
    return np.concatenate([pixels, alpha[:, :, None]], axis=2)


def deep_png(pixels: np.ndarray) -> bytes:
    """A PNG of 16 bits a channel: colour type 2, written by hand, since PIL cannot."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = pixels.shape[:2]
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in pixels.astype(np.uint16) * 257)
    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def _rgba(pixels: np.ndarray) -> bytes:
    return saved(Image.fromarray(_alpha(pixels)), "PNG")


WHOLE: Mapping[str, Encode] = {
    "png": _of("PNG"),
    "bmp": _of("BMP"),
    "gif": _of("GIF"),
    "tiff": _of("TIFF"),
    "tiff lzw": _of("TIFF", compression="tiff_lzw"),
    "ppm": _of("PPM"),
    "webp": _of("WEBP", lossless=True),
    "png of a palette": _palette(),
    "png of a palette, one entry transparent": _palette(transparency=0),
    "png of a palette, entries transparent": _palette(transparency=bytes([0, 128, 255])),
    "png with alpha": _rgba,
    "webp with alpha": lambda pixels: saved(Image.fromarray(_alpha(pixels)), "WEBP", lossless=True, exact=True),
    "tiff with alpha": lambda pixels: saved(Image.fromarray(_alpha(pixels)), "TIFF"),
    "apng of two": _several("PNG"),
    "gif of two": _several("GIF"),
    "webp of two": _several("WEBP", lossless=True),
    "tiff of two": _several("TIFF"),
    "png on its side": _turned("PNG"),
    "tiff on its side": _turned("TIFF"),
    "webp on its side": lambda pixels: saved(
        Image.fromarray(np.ascontiguousarray(np.rot90(pixels))), "WEBP", lossless=True,
        exif=b"Exif\0\0" + b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0",
    ),
    "png of 16 bits": deep_png,
    "png with a transparent colour": lambda pixels: saved(
        Image.fromarray(pixels), "PNG", transparency=tuple(int(level) for level in pixels[0, 0])
    ),
}  # fmt: skip
"""Forms that keep every pixel: what is read is the picture itself."""

LOSSY: Mapping[str, Encode] = {
    "jpeg": _of("JPEG", quality=95),
    "jpeg, progressive": _of("JPEG", progressive=True),
    "jpeg of cmyk": _of("JPEG", "CMYK"),
    "tiff of cmyk": _of("TIFF", "CMYK"),
    "jpeg of several": _several("MPO"),
    "webp, lossy": _of("WEBP", quality=80),
    "jpeg of ycc": _of("JPEG", "YCbCr"),
}
"""Forms that change pixels: what is read is what PIL itself decodes."""

GREY: Mapping[str, Encode] = {
    "grey png": _of("PNG", "L"),
    "grey png with alpha": _of("PNG", "LA"),
    "grey tiff": _of("TIFF", "L"),
    "black and white png": _of("PNG", "1"),
    "grey jpeg": _of("JPEG", "L"),
    "pgm": _of("PPM", "L"),
}
"""Forms of one channel, beside what PIL decodes."""

NONE: Mapping[str, tuple[Encode, str]] = {
    "grey png of 16 bits": (
        lambda pixels: saved(Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 257), "PNG"),
        "an image of mode I;16; 8 bits a channel are read",
    ),
    "tiff of floats": (
        lambda pixels: saved(Image.fromarray(pixels[:, :, 0].astype(np.float32)), "TIFF"),
        "an image of mode F; 8 bits",
    ),
    "tiff of int32": (
        lambda pixels: saved(Image.fromarray(pixels[:, :, 0].astype(np.int32)), "TIFF"),
        "an image of mode I; 8 bits",
    ),
    "ico": (_of("ICO"), "no image of a known format"),
    "eps": (_of("EPS"), "no image of a known format"),
    "a short jpeg": (lambda pixels: _of("JPEG")(pixels)[:-40], "the image cannot be read"),
    "a short png": (lambda pixels: _of("PNG")(pixels)[:-30], "the image cannot be read"),
    "nothing": (lambda pixels: b"", "no image of a known format"),
    "a page": (lambda pixels: b"<html>404 not found</html>", "no image of a known format"),
    "a pointer": (lambda pixels: b"version https://git-lfs.github.com/spec/v1\noid x\n", "git lfs pull"),
    "another size": (lambda pixels: _of("PNG")(np.tile(pixels, (2, 2, 1))), "size = 64"),
}
"""Bytes that are refused, and what is said."""
