"""Coloured digits of scikit-learn: two classes or ten, and ten with corrupted copies of the test split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchbias import hookimpl

from .corrupted import corrupted_ten_digits
from .digits import colored_digits, colored_ten_digits

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchbias import BiasedDataset

IMPORTED_WHEN_CALLED = ("scipy.special",)
"""Modules that its functions import, for an engine that does so once for all stages."""


@hookimpl
def benchbias_datasets() -> dict[str, Callable[..., BiasedDataset]]:
    return {
        "colored_digits": colored_digits,
        "colored_ten_digits": colored_ten_digits,
        "corrupted_ten_digits": corrupted_ten_digits,
    }
