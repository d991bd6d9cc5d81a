"""Recall balance (Good, Lin et al., 2022, arXiv:2206.02976): does pruning widen the gaps between classes?

Of a class with recall R in a model of accuracy A the normalised recall balance is (R - A) / A. alpha is the slope of
the balances after on those before, over classes: above 1 the gaps between classes grew.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchbias import hookimpl

from .analysis import recall_balance
from .classes import intensification

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchbias import Table


@hookimpl
def benchbias_analyses() -> dict[str, Callable[..., Table]]:
    published = partial(recall_balance, halves=False, deattenuate=False, average="models", images=False)
    return {
        "recall_balance": recall_balance,
        "recall_balance_as_published": published,
        "intensification": intensification,
    }
