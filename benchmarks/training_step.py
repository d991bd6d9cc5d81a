"""CPU time of fit() and of a masked fit() over a bare loop on the same batches; median ratio of paired rounds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

from benchbias.data.augment import normalise
from benchbias.data.values import Split, TrainingData
from benchbias.sparse.holding import enforced
from benchbias.sparse.masks import Mask
from benchbias.suite.tables import Recipe
from benchbias.training.fit import fit
from benchbias_plugins.networks.lenet import lenet_small

ROUNDS = 9
COUNT, BATCH, EPOCHS = 1280, 64, 5
RECIPE = Recipe(epochs=EPOCHS, batch_size=BATCH, optimizer="adamw", lr=3e-3, schedule="onecycle")


def bare(model: nn.Module, data: TrainingData) -> None:
    """Forward, backward, step: nothing else."""
    images, labels = normalise(data.train.images, data.mean, data.std), data.train.labels
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, fused=True)
    model.train()
    for _ in range(EPOCHS):
        for index in torch.randperm(COUNT).split(BATCH):
            optimizer.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(model(images[index]), labels[index]).backward()
            optimizer.step()


def ours(model: nn.Module, data: TrainingData) -> None:
    fit(model, data, RECIPE, torch.Generator())


def masked(model: nn.Module, data: TrainingData) -> None:
    mask = Mask({name: torch.rand(p.shape) < 0.2 for name, p in model.named_parameters() if p.ndim > 1})
    with enforced(model, mask):
        ours(model, data)


def seconds(call: Callable[[nn.Module, TrainingData], None], size: int, data: TrainingData) -> float:
    torch.manual_seed(0)
    model = lenet_small((3, size, size), 2)
    started = time.process_time()
    call(model, data)
    return time.process_time() - started


def main() -> None:
    torch.set_num_threads(1)
    for size in (8, 28):
        images = torch.randint(0, 256, (COUNT, 3, size, size), dtype=torch.uint8)
        split = Split(images, torch.randint(0, 2, (COUNT,)), 2, "train")
        data = TrainingData(split, split, (0.5,) * 3, (1.0,) * 3, BATCH)
        rounds = [[seconds(call, size, data) for call in (bare, ours, masked)] for _ in range(ROUNDS + 1)][1:]
        steps = EPOCHS * COUNT // BATCH
        print(
            f"lenet_small on 3x{size}x{size}, batch {BATCH}: bare step {1e3 * min(r[0] for r in rounds) / steps:.2f} ms"
        )
        for name, column in (("fit() / bare", 1), ("masked fit() / fit()", 2)):
            ratios = sorted(r[column] / r[column - 1] for r in rounds)
            print(
                f"  {name:22s} {statistics.median(ratios):.2f}  ({ratios[0]:.2f} to {ratios[-1]:.2f}, {ROUNDS} rounds)"
            )


if __name__ == "__main__":
    main()
