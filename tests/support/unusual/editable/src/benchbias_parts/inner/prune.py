"""A pruner whose options' types stand under `from __future__ import annotations`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from benchbias import Range, hookimpl

from ..norms import size

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from benchbias import PruneContext, Scores, TrainingData


def parts(
    model: nn.Module,
    data: TrainingData,
    context: PruneContext,
    *,
    norm: Literal["l1", "l2"] = "l1",
    floor: Annotated[float, Range(0, 1)] | None = None,
    layers_first: tuple[str, ...] = (),
) -> Scores:
    """Score every weight by its size, as another module of the package measures it."""
    scores = {name: size(weight, norm) for name, weight in context.prunable(model).items()}
    return {name: score.clamp(min=floor) if floor is not None else score for name, score in scores.items()}


@hookimpl
def benchbias_pruners() -> dict[str, Callable[..., Scores]]:
    return {"parts": parts}
