"""Images as data of a page: every picture once, small, and within a budget."""

from __future__ import annotations

import base64
import hashlib
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST_SIDE = 96  # pixels: a larger image is made smaller
MOST_BYTES = 3 << 20  # of all images of a suite


def png_of(image: NDArray[Any]) -> bytes:
    """An image, uint8 (C, H, W), as PNG: grey with one channel, else its first three; no side above LARGEST_SIDE."""
    import numpy as np
    from PIL import Image

    colours = image[:3] if image.shape[0] > 2 else image[:1]
    plain = colours[0] if len(colours) == 1 else colours.transpose(1, 2, 0)
    picture = Image.fromarray(np.ascontiguousarray(plain))
    picture.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    file = io.BytesIO()
    picture.save(file, format="PNG", optimize=True)
    return file.getvalue()


@dataclass
class Album:
    """The pictures of one suite's pages, by name. most_bytes: of all; a picture beyond it is left out, and counted."""

    most_bytes: int = MOST_BYTES
    pictures: dict[str, str] = field(default_factory=dict)
    used: int = 0
    left_out: int = 0

    def add(self, image: NDArray[Any]) -> str | None:
        """The name of a picture that the page then has; None where the budget is used up."""
        content = png_of(image)
        name = hashlib.sha256(content).hexdigest()[:16]
        if name in self.pictures:
            return name
        text = base64.b64encode(content).decode()
        if self.used + len(text) > self.most_bytes:
            self.left_out += 1
            return None
        self.used += len(text)
        self.pictures[name] = text
        return name
