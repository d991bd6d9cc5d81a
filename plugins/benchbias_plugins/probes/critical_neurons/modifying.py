"""Modifications: what is done to a neuron's weights, and how often where chance has a part in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import torch

from benchbias import BenchbiasError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

How = Literal["zero", "init", "noise"]
Distribution = Literal["normal", "uniform_as_published"]


@dataclass(frozen=True)
class Modification:
    """A way to modify one neuron's weights in place. runs: how often it is made. texts: what tells it from others."""

    apply: Callable[[Tensor], object]
    runs: int = 1
    texts: Mapping[str, str] = field(default_factory=dict)


def modifications(
    how: How, sigma: Sequence[float], distribution: Distribution, repeats: int, generator: torch.Generator
) -> list[Modification]:
    """One modification to zero, or one of each sigma, made `repeats` times. Raises BenchbiasError without a sigma."""
    if how == "zero":
        return [Modification(lambda part: part.zero_())]
    if not sigma:
        raise BenchbiasError("critical neurons: init and noise need a sigma")
    return [
        Modification(random_change(how, size, distribution, generator), repeats, {"sigma": str(size)}) for size in sigma
    ]


def random_change(
    how: Literal["init", "noise"], sigma: float, distribution: Distribution, generator: torch.Generator
) -> Callable[[Tensor], object]:
    """Set a neuron's weights to sigma e (init) or add sigma e (noise); e is standard normal, or uniform from 0 to 1."""

    def random(part: Tensor) -> Tensor:
        draw = torch.randn if distribution == "normal" else torch.rand
        return sigma * draw(part.shape, generator=generator).to(part)

    return (lambda part: part.copy_(random(part))) if how == "init" else (lambda part: part.add_(random(part)))
