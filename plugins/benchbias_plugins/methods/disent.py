"""DisEnt: two encoders, for the class and for the bias, and a swapping of their features (Lee et al., NeurIPS 2021)."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Annotated, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear

from benchbias import (
    BenchbiasError,
    LossAverages,
    Range,
    generalised_cross_entropy,
    head_name,
    hookimpl,
    step_count,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchbias import Batch, TrainContext, TrainingData

EPSILON = 1e-8  # of the difficulty weights' denominator, as published


class BiasHead(nn.Module):
    """C_b, a linear layer that only training uses: no nn.Linear, so that no pruner or sparsity counts its weights."""

    def __init__(self, features: int, num_classes: int) -> None:
        super().__init__()
        layer = nn.Linear(features, num_classes)
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, features: Tensor) -> Tensor:
        """features (B, 2D) -> logits (B, K)."""
        return linear(features, self.weight, self.bias)


class TwoEncoders(nn.Module):
    """E_i and E_b, the task's network without its head, twice; C_i, which predicts from both; C_b."""

    head_name = "head"

    def __init__(self, intrinsic: nn.Module, bias: nn.Module, features: int, num_classes: int, divisor: float) -> None:
        super().__init__()
        self.intrinsic, self.bias, self.divisor = intrinsic, bias, divisor
        self.head = nn.Linear(2 * features, num_classes)
        self.bias_head = BiasHead(2 * features, num_classes)

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """images (B, C, H, W) -> z_i and z_b, (B, D) each."""
        if self.divisor != 1:
            images = images / self.divisor
        return self.intrinsic(images), self.bias(images)

    def answers(self, z_i: Tensor, z_b: Tensor) -> tuple[Tensor, Tensor]:
        """The logits of C_i and of C_b, (B, K) each: neither teaches the other's encoder."""
        return self.head(torch.cat([z_i, z_b.detach()], 1)), self.bias_head(torch.cat([z_i.detach(), z_b], 1))

    def forward(self, images: Tensor) -> Tensor:
        """images (B, C, H, W) -> logits (B, K), C_i's: both encoders are at work."""
        logits: Tensor = self.head(torch.cat(self.encode(images), 1))
        return logits


def without_head(network: nn.Module, images: Tensor) -> tuple[nn.Module, int]:
    """A network whose head is taken off, in place, and how many features it makes; images (1, C, H, W)."""
    name = head_name(network, images)
    head = network.get_submodule(name)
    if not isinstance(head, nn.Linear):
        raise BenchbiasError(
            f"disent takes the head off its backbone: {name!r} is {type(head).__name__}, not nn.Linear"
        )
    owner, _, last = name.rpartition(".")
    setattr(network.get_submodule(owner), last, nn.Identity())
    return network, head.in_features


def disent(
    input_shape: tuple[int, int, int],
    num_classes: int,
    backbone: Callable[[], nn.Module],
    *,
    input_scale: Literal["as_given", "as_published"] = "as_given",
) -> nn.Module:
    """Two of the task's networks without their heads, and a head on the features of both: twice the cost.

    input_scale: `as_published` divides the images by 255 once more, as the released MLP for Coloured MNIST does.
    """
    images = torch.zeros(1, *input_shape)
    intrinsic, features = without_head(backbone(), images)
    bias, _ = without_head(backbone(), images)
    return TwoEncoders(intrinsic, bias, features, num_classes, 255.0 if input_scale == "as_published" else 1.0)


def disent_mlp(input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    """The network of the paper's Coloured MNIST: hidden layers of 100, 100 and 16 units, ReLU after each."""
    sizes = (math.prod(input_shape), 100, 100, 16)
    hidden = [layer for a, b in itertools.pairwise(sizes) for layer in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(sizes[-1], num_classes))


class Difficulty:
    """W = l_b / (l_b + l_i): near 1 for an example that the bias does not explain (LfF, Nam et al., Eq. 4).

    l_b, l_i: moving averages of an example's cross-entropy under C_b and C_i, over the largest of its class.
    """

    def __init__(self, labels: Tensor, keep: float) -> None:
        self.intrinsic, self.bias = LossAverages(labels, keep), LossAverages(labels, keep)

    def weights(self, index: Tensor, intrinsic: Tensor, bias: Tensor) -> Tensor:
        """Note the cross-entropies (B,) of examples `index` (B,) under both heads; their W, (B,), a constant."""
        self.intrinsic.update(index, intrinsic)
        self.bias.update(index, bias)
        l_i, l_b = self.intrinsic.relative(index), self.bias.relative(index)
        return l_b / (l_b + l_i + EPSILON)


def train_disent(
    model: nn.Module,
    data: TrainingData,
    context: TrainContext,
    *,
    swap_start: Annotated[float, Range(0, 1)] = 0.2,
    lambda_dis: Annotated[float, Range(0, 100)] = 10.0,
    lambda_swap: Annotated[float, Range(0, 100)] = 1.0,
    lambda_swap_b: Annotated[float, Range(0, 100)] = 10.0,
    keep: Annotated[float, Range(0, 0.999)] = 0.7,
    q: Annotated[float, Range(0.01, 1)] = 0.7,
    gce: Literal["textbook", "as_published"] = "textbook",
) -> None:
    """Minimise L_dis, and after a while L_dis + lambda_swap L_swap; what it trains is the model `disent`.

    swap_start: fraction of the steps after which features are swapped. lambda_dis, lambda_swap_b: weights of C_b's
    loss in L_dis and in L_swap. keep: of the moving averages. q: of the generalised cross-entropy; gce:
    `as_published` has q times its gradient.
    """
    if not isinstance(model, TwoEncoders):
        raise BenchbiasError(
            'disent trains a network of its own: set model = { use = "disent" } in the method\'s table'
        )
    network, difficulty = model, Difficulty(data.train.labels, keep)
    last_plain_step = swap_start * step_count(data, context.recipe)
    step = 0

    def loss(_: nn.Module, batch: Batch) -> Tensor:
        nonlocal step
        labels = batch.labels
        z_i, z_b = network.encode(batch.images)  # (B, D) each
        logits_i, logits_b = network.answers(z_i, z_b)  # (B, K) each
        hard = cross_entropy(logits_i, labels, reduction="none")  # (B,)
        weights = difficulty.weights(batch.index, hard, cross_entropy(logits_b, labels, reduction="none"))
        easy = generalised_cross_entropy(logits_b, labels, q, gradient=gce)
        total = (weights * hard).mean() + lambda_dis * easy.mean()  # L_dis
        if step > last_plain_step:
            swap = torch.randperm(len(labels), generator=context.generator).to(labels.device)
            logits_i, logits_b = network.answers(z_i, z_b[swap])
            hard = cross_entropy(logits_i, labels, reduction="none")
            easy = generalised_cross_entropy(logits_b, labels[swap], q, gradient=gce)
            total = total + lambda_swap * ((weights * hard).mean() + lambda_swap_b * easy.mean())  # L_swap
        step += 1
        return total

    context.fit(model, data, loss=loss)


@hookimpl
def benchbias_models() -> dict[str, Callable[..., nn.Module]]:
    return {"disent": disent, "disent_mlp": disent_mlp}


@hookimpl
def benchbias_trainers() -> dict[str, Callable[..., None]]:
    return {"disent": train_disent}
