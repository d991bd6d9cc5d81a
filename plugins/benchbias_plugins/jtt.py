"""Just Train Twice: up-weight what a short first training gets wrong (Liu et al., ICML 2021)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import torch

from benchbias import BenchbiasError, Range, hookimpl, predicted_classes, weighted_cross_entropy

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from benchbias import TrainContext, TrainingData


def error_set(reference: nn.Module, data: TrainingData) -> Tensor:
    """Which training examples the identification model gets wrong, bool (N,), by example index."""
    return predicted_classes(reference, data, data.train) != data.train.labels


def jtt(
    model: nn.Module,
    data: TrainingData,
    context: TrainContext,
    *,
    upweight: Annotated[int, Range(0, 1000)] = 10,
    multiplicity: Literal["total", "extra"] = "total",
    weighting: Literal["copies", "loss"] = "copies",
) -> None:
    """Train on all examples once and on the error set of the stage before's model `upweight` times.

    multiplicity: `total`: an error stands `upweight` times in all (SpuCo; 1 is ERM); `extra`: that many extra
    copies (the official code; 0 is ERM). weighting: copies in the epoch, or weights of the loss.
    """
    if multiplicity == "total" and upweight < 1:
        raise BenchbiasError(
            "upweight counts an error's copies in all, so it is at least 1 (or multiplicity = 'extra')"
        )
    if context.reference is None:
        raise BenchbiasError("jtt needs an identification model: a train stage before it")
    errors = error_set(context.reference, data)
    if not bool(errors.any()):
        raise BenchbiasError("the error set is empty: the identification model fits all of training; train it less")
    context.save("error_set", errors)
    times = torch.where(errors, upweight + (multiplicity == "extra"), 1)
    if weighting == "copies":
        every = torch.arange(len(times), device=times.device)
        context.fit(model, data, sampling=every.repeat_interleave(times))
    else:
        context.fit(model, data, loss=weighted_cross_entropy(times.float()))


@hookimpl
def benchbias_trainers() -> dict[str, Callable[..., None]]:
    return {"jtt": jtt}
