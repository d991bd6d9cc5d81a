"""The trainer `dfr`: the head of a trained network, refitted on its features of the validation split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import torch
from torch import nn

from benchbias import BenchbiasError, Range, Skip

from .refit import Examples, Refit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from benchbias import GroupLabels, TrainContext, TrainingData

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

GRID = (1.0, 0.7, 0.3, 0.1, 0.07, 0.03, 0.01)  # the released code's inverse strengths of the L1 penalty


def refuse_rare(kinds: Ints, names: Sequence[str], least: int) -> None:
    """Raises Skip where a kind has fewer than `least` examples, and names it."""
    counts = np.bincount(kinds, minlength=len(names))
    rare = [f"{name} ({count})" for name, count in zip(names, counts, strict=True) if count < least]
    if rare:
        why = "" if least == 1 else ", two to choose C on halves (or set one value of c)"
        raise Skip(f"dfr needs validation examples of every group{why}; too few: {', '.join(rare)}")


def dfr(
    model: nn.Module,
    data: TrainingData,
    context: TrainContext,
    val_groups: GroupLabels,
    *,
    subsamples: Annotated[int, Range(1, 1000)] = 20,
    c: tuple[float, ...] = GRID,
    balance: Literal["groups", "classes"] = "groups",
    logistic: Literal["multinomial", "as_published"] = "multinomial",
) -> None:
    """Leave the network and replace its head by logistic regression on its features of the validation split.

    The head is the mean over `subsamples` balanced subsamples. c: inverse strengths of the L1 penalty; of several
    the best on halves of the validation split is taken. balance: `classes` is the control. logistic: `as_published`
    fits each of more than two classes against the rest, and chooses C by a single head on one half.
    """
    if not c or min(c) <= 0:
        raise BenchbiasError(f"c: inverse strengths above 0, at least one, not {c}")
    head = context.head(model)
    if not isinstance(head, nn.Linear) or head.bias is None:
        raise BenchbiasError("dfr refits a head that is an nn.Linear with a bias")
    kinds = val_groups.groups if balance == "groups" else data.val.labels
    names = val_groups.group_names if balance == "groups" else [f"class {k}" for k in range(data.val.num_classes)]
    refuse_rare(kinds.cpu().numpy(), names, 1 if len(c) == 1 else 2)

    mean, scale = standard(context.split_features(model, data.train).double().numpy())
    features = (context.split_features(model, data.val).double().numpy() - mean) / scale  # (N, D)
    val = Examples(features, data.val.labels.cpu().numpy(), kinds.cpu().numpy())
    refit = Refit(kept_weights(model, head, context), subsamples, logistic == "as_published", context.generator)
    strength = c[0] if len(c) == 1 else refit.chosen(val, c)
    found = refit.averaged(val, strength, subsamples)

    weight = found.weight / scale  # the standardisation, folded into the head
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weight))
        head.bias.copy_(torch.from_numpy(found.bias - weight @ mean))
    context.save("c", torch.tensor(strength))


def standard(features: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation of features (N, D), (D,) each; 1 where a feature never changes."""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(features)
    return scaler.mean_, scaler.scale_


def kept_weights(model: nn.Module, head: nn.Linear, context: TrainContext) -> NDArray[np.bool_]:
    """The head's weights that the mask in force leaves, bool (K, D)."""
    name = next(name for name, parameter in model.named_parameters() if parameter is head.weight)  # its first, if tied
    masks = context.mask.tensors if context.mask is not None else {}
    kept: NDArray[np.bool_] = masks.get(name, torch.ones_like(head.weight).bool()).cpu().numpy()
    return kept
