"""The table of a task's card: quantities with their intervals, and what each says of the task in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from benchbias import BenchbiasError, Table

from .failure import failure
from .separation import separation
from .shortcut import shortcut

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from benchbias import Population


def task_validity(
    population: Population,
    *,
    metric: Literal["worst_group_accuracy", "conflicting_accuracy", "accuracy"] | None = None,
    margin: float = 3.0,
    splits: int = 200,
    seed: int = 0,
) -> Table:
    """The validity of a task: whether plain training fails, methods separate, and the shortcut is the easier rule.

    The first two are ERM failure and discriminative power (Bell, Bouchacourt and Sagun, 2024, arXiv:2409.04188). Their
    third, whether tasks agree, takes the records of several tasks (benchmarks/task_agreement.py). Plain training is the
    suite's `reference`; the methods are its ranked rows.

    metric: by which methods are compared; None: the suite's rank_by, or worst_group_accuracy where that is none of
    these. margin: a difference within it, in points, is none. splits: at most so many halvings of the seeds, drawn by
    `seed` where there are more.
    Raises Skip without a reference row, BenchbiasError for a margin that is none.
    """
    if not 0 < margin <= 100:
        raise BenchbiasError(f"margin is in points, above 0 and at most 100, not {margin}")
    chosen = metric or _rank_metric(population.members[0].record.body)
    lines = [
        *failure(population, margin),
        *separation(population, chosen, splits, seed),
        *shortcut(population, margin),
    ]
    return Table(
        {
            "question": ("text", "", tuple(line.question for line in lines)),
            "quantity": ("text", "", tuple(line.quantity for line in lines)),
            "value": ("estimate", "", tuple(line.value for line in lines)),
            "answer": ("text", "", tuple(line.answer for line in lines)),
        },
        f"Task validity (after Bell et al., 2024), methods by {chosen}. Differences in points, ± half of the 95 % "
        "interval; other quantities have their interval in the answer.",
    )


def _rank_metric(body: Mapping[str, Any]) -> str:
    ranked = str(body["suite"].get("rank_by", "")).removeprefix("-")
    return ranked if ranked in ("worst_group_accuracy", "conflicting_accuracy", "accuracy") else "worst_group_accuracy"
