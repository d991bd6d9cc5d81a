"""REST: weight the bias-conflicting examples and train sparsely with RigL (Zhao et al., 2023).

This module is the weights of Eq. 6; the sparse half is `prune = { use = "rigl", budget = "erk" }` in the same stage,
or, as the released code does it, `use = "rest_release"`.
"""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Literal

import torch

from benchbias import Mask, Range, highest, hookimpl, independent_mask, random_mask

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor, nn

    from benchbias import GroupLabels, PruneContext, TrainContext, TrainingData

RATIOS = (0.005, 0.01, 0.02, 0.05)  # of conflicting examples in training
BETAS: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "paper": (10, 30, 50, 80),  # section 4.3: the rarer the conflicting examples, the less they weigh
        "paper_bffhq": (80, 80, 80, 80),  # section 4.3, of BFFHQ
        "code80": (80, 80, 80, 80),  # hard-coded in the released sampler
        "dcwp": (80, 50, 30, 10),  # DCWP's scripts, of the same code family
    }
)


def rest(
    model: nn.Module,
    data: TrainingData,
    context: TrainContext,
    train_groups: GroupLabels,
    *,
    upweight: Annotated[float, Range(1, 1000, log=True)] = 80.0,
    weighting: Literal["loss", "sampling"] = "loss",
) -> None:
    """Weight beta for bias-conflicting examples and 1 for aligned ones, given as an oracle.

    upweight: beta. weighting: `loss` is the paper's Eq. 6, normalised by the weights of the batch; `sampling` is
    the released code's sampler: N draws with replacement an epoch.
    """
    weights = torch.where(train_groups.aligned, 1.0, upweight)
    context.fit_weighted(model, data, weights, weighting)


def rest_preset(
    model: nn.Module,
    data: TrainingData,
    context: TrainContext,
    train_groups: GroupLabels,
    *,
    betas: Literal["paper", "paper_bffhq", "code80", "dcwp"] = "paper",
    weighting: Literal["loss", "sampling"] = "loss",
) -> None:
    """REST with a published weight for the share of conflicting examples in training.

    betas: for shares of 0.5, 1, 2 and 5 %: `paper` 10, 30, 50, 80; `dcwp` 80, 50, 30, 10; 80 for all in `paper_bffhq`
    (the text, of BFFHQ) and `code80` (the released sampler). The nearest share counts, on a logarithmic scale.
    weighting: as for `rest`.
    """
    rest(model, data, context, train_groups, upweight=beta(betas, train_groups), weighting=weighting)


def beta(betas: Literal["paper", "paper_bffhq", "code80", "dcwp"], train_groups: GroupLabels) -> float:
    """The weight of the nearest published conflict ratio; with no conflicting example, of the lowest."""
    share = 1 - float(train_groups.aligned.double().mean())
    near = min(range(len(RATIOS)), key=lambda at: abs(math.log(max(share, 1e-9) / RATIOS[at])))
    return BETAS[betas][near]


def rest_release(
    model: nn.Module,
    data: TrainingData,
    context: PruneContext,
    *,
    drop: Annotated[float, Range(0, 1)] = 0.5,
    final_drop: Annotated[float, Range(0, 1)] = 0.005,
    exact_init: bool = False,
) -> Mask:
    """The masks of REST's released code: random counts at first, ceil, thresholds that ties fall short of.

    drop, final_drop: the fraction dropped falls from one to the other by a cosine over all steps. exact_init: draw
    exact counts instead of every weight on its own. The rest are keys of the stage: `after_step`, `until`,
    `mask_gradients` (released: true, 1.0, false).
    """
    weights = context.prunable(model)
    if context.mask is None and exact_init:
        return random_mask(weights, context.layer_counts, context.generator)
    if context.mask is None:
        return independent_mask(weights, context.layer_densities, context.generator)
    if context.dense_gradients is None:
        return context.mask
    rate = context.cosine(drop, final=final_drop, gone=context.step / context.total_steps)
    masks = context.current_masks(weights)
    return Mask(
        {name: released_update(weight, masks[name], context.gradients[name], rate) for name, weight in weights.items()}
    )


def released_update(weight: Tensor, mask: Tensor, gradient: Tensor, rate: float) -> Tensor:
    """Drop and grow of sparselearning/core.py, with its ties: weight, mask, gradient of one shape -> bool mask.

    Kept are the weights strictly above the (zeros + ceil(rate non-zeros))-th smallest |w|: of equal ones none, and
    no weight that is exactly zero. As many as that removed are grown by |gradient|, which counts as 0 where a weight
    is kept: where too few others have a gradient, kept ones are grown again and the non-zeros become fewer.
    """
    nonzeros = int(mask.count_nonzero())
    sizes = weight.detach().abs()
    removed = math.ceil(rate * nonzeros)
    after = highest(sizes, nonzeros - removed, ties="none") if removed else sizes > 0
    growth = (gradient * ~after).abs()
    missing = nonzeros - int(after.count_nonzero())
    return after | highest(growth, max(missing, 0))


@hookimpl
def benchbias_trainers() -> dict[str, Callable[..., None]]:
    return {"rest": rest, "rest_preset": rest_preset}


@hookimpl
def benchbias_pruners() -> dict[str, Callable[..., Mask]]:
    return {"rest_release": rest_release}
