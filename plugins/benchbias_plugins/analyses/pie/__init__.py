"""Pruning-identified exemplars (Hooker, Courville, Clark, Dauphin and Frome, 2019, arXiv:1911.05248), and controls.

Two populations of models are compared: a row of the suite and the row that its method names as its baseline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchbias import hookimpl

from .classes import pie_classes
from .corrupted import pie_corrupted
from .counts import pie_counts
from .gallery import pie_gallery
from .subsets import pie_subsets

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchbias import Table


@hookimpl
def benchbias_analyses() -> dict[str, Callable[..., Table]]:
    return {
        "pie_classes": pie_classes,
        "pie_counts": pie_counts,
        "pie_subsets": pie_subsets,
        "pie_corrupted": pie_corrupted,
        "pie_gallery": pie_gallery,
    }
