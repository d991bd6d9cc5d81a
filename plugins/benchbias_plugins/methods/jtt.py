"""Just Train Twice: up-weight what a short first training gets wrong (Liu et al., ICML 2021).

`jtt_identify` is the official code's identification: it records errors while it trains.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Annotated, Literal

import torch
from torch.nn.functional import cross_entropy

from benchbias import BenchbiasError, Range, hookimpl, predicted_classes, step_count, weighted_cross_entropy

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from benchbias import Batch, TrainContext, TrainingData

ONLINE = "online_error_set"  # what jtt_identify saves


def jtt_identify(model: nn.Module, data: TrainingData, context: TrainContext) -> None:
    """Train as erm does, and save which examples were wrong in the last epoch, for jtt.

    The official code's error set: in training mode, augmented, and while the weights move through the last epoch. An
    example that no batch of that epoch held is not in it, whatever it was before.
    """
    wrong = torch.zeros_like(data.train.labels, dtype=torch.bool)  # (N,), by index
    steps = itertools.count()
    a_epoch = step_count(data, context.recipe) // max(context.recipe.epochs, 1)

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        if next(steps) % a_epoch == 0:
            wrong.fill_(False)  # an epoch's last batch of one example is left out
        logits = model(batch.images)  # (B, K)
        wrong[batch.index] = logits.detach().argmax(1) != batch.labels
        return cross_entropy(logits, batch.labels)

    context.fit(model, data, loss=loss)
    context.save(ONLINE, wrong)


def error_set(reference: nn.Module, data: TrainingData) -> Tensor:
    """Training examples that the identification model gets wrong, bool (N,), by example index."""
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

    The error set is what jtt_identify saved, or else what that model gets wrong once it is trained.
    multiplicity: `total`: an error stands `upweight` times in all (SpuCo; 1 is ERM); `extra`: that many extra
    copies (the official code; 0 is ERM). weighting: copies in the epoch, or weights of the loss.
    """
    if multiplicity == "total" and upweight < 1:
        raise BenchbiasError(
            "upweight counts an error's copies in all, so it is at least 1 (or multiplicity = 'extra')"
        )
    if context.reference is None:
        raise BenchbiasError("jtt needs an identification model: a train stage before it")
    online = ONLINE in context.earlier
    errors = context.saved(ONLINE).bool() if online else error_set(context.reference, data)
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
    return {"jtt": jtt, "jtt_identify": jtt_identify}
