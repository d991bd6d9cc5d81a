"""Data sets of one's own: a folder of images with a table, or any image data set of the hub.

Every example has a label (the class) and an attribute (what may be spurious), or a label alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchbias import hookimpl

from .folder import image_folder
from .hub import hub

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchbias import BiasedDataset


@hookimpl
def benchbias_datasets() -> dict[str, Callable[..., BiasedDataset]]:
    return {"hub": hub, "image_folder": image_folder}
