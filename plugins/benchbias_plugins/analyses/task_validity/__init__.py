"""Task validity: is a task one on which plain training fails and methods separate? After Bell et al. (2024)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchbias import hookimpl

from .card import task_validity

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchbias import Table


@hookimpl
def benchbias_analyses() -> dict[str, Callable[..., Table]]:
    return {"task_validity": task_validity}
