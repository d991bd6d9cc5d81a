"""Predict once, score all groups in one pass; count parameters, non-zeros and FLOPs from the model itself."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from benchbias.network.by_weight import forward_pass
from benchbias.network.weights import layer_weights, unreached
from benchbias.util import canonical

if TYPE_CHECKING:
    from benchbias.data.values import Predictions


@dataclass(frozen=True)
class Cost:
    """Counted from the weights: what a plugin claims is never used.

    parameters, nonzero_parameters: all parameters. weights, nonzero_weights: those that can be pruned
    (`layer_weights`), head included; their sparsity is what the leaderboard shows. flops, sparse_flops: of one forward
    pass of one example, multiplications and additions of all its products; those with a weight by its non-zeros.
    matrix_weights: `weights`, and those of all other matrices that the pass uses: embeddings, bare parameters. Pruning
    does not reach these.
    """

    parameters: int
    nonzero_parameters: int
    weights: int
    nonzero_weights: int
    flops: int
    sparse_flops: int
    matrix_weights: int

    def to_json(self) -> dict[str, int]:
        """The counts as a body holds them: `matrix_weights` only where pruning does not reach all of them."""
        counts = asdict(self)
        return counts if self.weights < self.matrix_weights else {k: counts[k] for k in counts if k != "matrix_weights"}


def count_cost(model: nn.Module, images: Tensor) -> Cost:
    """Count a model's cost on one example, images (1, C, H, W). A weight that is used twice counts twice in FLOPs."""
    seen = forward_pass(model, images)
    by_name = seen.flops
    named = dict(model.named_parameters())
    weights = [weight.parameter for weight in layer_weights(model).values()]
    return Cost(
        sum(p.numel() for p in named.values()),
        sum(int(p.count_nonzero()) for p in named.values()),
        sum(w.numel() for w in weights),
        sum(int(w.count_nonzero()) for w in weights),
        sum(by_name.values()),
        sum(
            flops * int(named[name].count_nonzero()) // named[name].numel() if name in named else flops
            for name, flops in by_name.items()
        ),
        sum(w.numel() for w in weights) + sum(named[name].numel() for name in unreached(model, seen.used)),
    )


def layer_flops(model: nn.Module, images: Tensor) -> dict[str, int]:
    """Dense FLOPs of one forward pass of one example, by the name of the weight; images (1, C, H, W).

    Multiplications and additions of all products, counted as they run. Those that no single weight decides, as of
    queries with keys, stand under the empty name.
    """
    return dict(forward_pass(model, images).flops)


def training_flops(
    layers: Mapping[str, int],
    totals: Mapping[str, int],
    history: Sequence[tuple[int, Mapping[str, int]]],
    dense_steps: Sequence[int],
    steps: int,
    examples: int,
) -> int:
    """FLOPs of a training run (Evci et al. 2020, appendix H): 3 f_S an example and step, f_S of the mask held then.

    Forward, input gradients and weight gradients cost one forward pass each. A step that reads dense gradients
    costs 2 f_S + f_D. layers: f_D by weight; totals: weights by name; history: (step, kept weights) of each mask;
    dense_steps: the steps that read dense gradients, each at most once.
    """
    if steps == 0:
        return 0
    dense = sum(layers.values())
    total = 0.0
    for number, (start, kept) in enumerate(history):
        stop = history[number + 1][0] if number + 1 < len(history) else steps
        sparse = sum(flops * kept[name] / totals[name] if name in kept else flops for name, flops in layers.items())
        total += 3 * sparse * (stop - start) + (dense - sparse) * sum(start <= step < stop for step in dense_steps)
    return round(total * examples / steps)


def group_counts(predictions: Predictions, num_groups: int) -> tuple[list[int], list[int]]:
    """(correct, total) of every group, in one pass; a group without an example has total 0."""
    total = torch.bincount(predictions.groups, minlength=num_groups)
    correct = torch.bincount(predictions.groups[predictions.correct], minlength=num_groups)
    return correct.tolist(), total.tolist()


@dataclass(frozen=True)
class ExampleCells:
    """The cells (example cluster, group) of a test split, and how many examples each holds: int64 (M,) each."""

    cluster: Tensor
    group: Tensor
    total: Tensor
    cell: Tensor  # int64 (N,): the cell of every example

    @staticmethod
    def of(cluster: Tensor, groups: Tensor) -> ExampleCells:
        """Cells in the order of cluster, then group."""
        pairs = torch.stack([cluster, groups], dim=1)
        cells, cell, total = torch.unique(pairs, dim=0, return_inverse=True, return_counts=True)
        return ExampleCells(cells[:, 0].contiguous(), cells[:, 1].contiguous(), total, cell)

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name).tolist() for name in ("cluster", "group", "total")}

    @property
    def digest(self) -> str:
        """Equal for equal test splits: two records can be paired example by example."""
        return canonical.digest(self.to_json())


def pack_counts(correct: Tensor, layout: ExampleCells) -> dict[str, Any]:
    """How many examples of each cell are correct, packed with as few bits as the fullest cell needs."""
    counts = torch.bincount(layout.cell[correct], minlength=len(layout.total)).numpy().astype(np.uint32)
    bits = max(int(layout.total.max()).bit_length(), 1)
    plane = ((counts[:, None] >> np.arange(bits, dtype=np.uint32)) & 1).astype(np.uint8)
    packed = base64.b64encode(np.packbits(plane).tobytes()).decode()
    return {"cells": len(counts), "bits": bits, "counts": packed, "layout": layout.digest}
