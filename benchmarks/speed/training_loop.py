"""fit() against a loop of forward, backward and step alone; with augmentation, under a mask; its share of sgemm."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import nn

from benchbias.data.augment import normalise
from benchbias.data.values import TrainingData
from benchbias.network.cost import layer_flops
from benchbias.sparse.holding import enforced
from benchbias.sparse.masks import Mask
from benchbias.suite.tables import Recipe
from benchbias.training.fit import fit

from .rows import Goal, Row, Setting
from .subjects import Subject, prepare_torch
from .timing import Spread, cpu_seconds, interleaved, ratios

SUBJECTS = (
    Subject("lenet_small", (3, 8, 8), 2, 64, steps=100, epochs=4),
    Subject("LeNet", (3, 28, 28), 5, 64, steps=60, epochs=3),
    Subject("SimpleCNN", (3, 28, 28), 10, 64, steps=10, epochs=1),
    Subject("ResNet-18", (3, 32, 32), 10, 64, steps=12, epochs=1),
)
QUICK = (Subject("lenet_small", (3, 8, 8), 2, 64, steps=8, epochs=1),)
SMALL = ("lenet_small", "LeNet")
SGEMM = {"LeNet": 20.0, "SimpleCNN": 70.0, "ResNet-18": 70.0}  # percent
DENSITY = 0.2


def bare(model: nn.Module, batches: list[tuple[torch.Tensor, torch.Tensor]], epochs: int) -> None:
    """Forward, backward, step on batches that lie ready: nothing else."""
    optimizer = torch.optim.SGD(model.parameters(), 1e-3, momentum=0.9, fused=True)
    model.train()
    for _ in range(epochs):
        for images, labels in batches:
            optimizer.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()


def calls(subject: Subject) -> dict[str, Callable[[], object]]:
    """The loops that are compared; each trains a copy of the same network."""
    data, network = subject.data(), subject.network()
    recipe = Recipe(epochs=subject.epochs, batch_size=subject.batch, lr=1e-3, schedule="onecycle")
    images = normalise(data.train.images, data.mean, data.std)
    batches = [
        (part.clone(), labels.clone())
        for part, labels in zip(images.split(subject.batch), data.train.labels.split(subject.batch), strict=True)
    ]
    draw = torch.Generator().manual_seed(1)
    weights = {name: value for name, value in network.named_parameters() if value.ndim > 1}
    mask = Mask({name: torch.rand(value.shape, generator=draw) < DENSITY for name, value in weights.items()})
    shifted, shifting = replace(data, augment="shift"), recipe.model_copy(update={"augment": "shift"})

    def ours(data: TrainingData, recipe: Recipe, held: Mask | None = None) -> None:
        model = copy.deepcopy(network)
        with enforced(model, held):
            fit(model, data, recipe, torch.Generator().manual_seed(0))

    return {
        "bare": lambda: bare(copy.deepcopy(network), batches, subject.epochs),
        "fit": lambda: ours(data, recipe),
        "shift": lambda: ours(shifted, shifting),
        "masked": lambda: ours(data, recipe, mask),
    }


def sgemm_rate(seconds: float = 0.5) -> float:
    """The best GFLOP/s of float32 matrix products of three sizes, on one thread."""
    best = 0.0
    for size in (512, 1024, 2048):
        one, other = torch.randn(size, size), torch.randn(size, size)
        before, made = cpu_seconds(), 0
        while cpu_seconds() - before < seconds:
            torch.mm(one, other)
            made += 1
        best = max(best, 2e-9 * size**3 * made / (cpu_seconds() - before))
    return best


def training_gflop(subject: Subject) -> float:
    """GFLOP of forward and backward on one image: three times the forward, less the first layer's input gradient."""
    flops = list(layer_flops(subject.network(), torch.zeros(1, *subject.shape)).values())
    return 1e-9 * (3 * sum(flops) - flops[0])


def rows(setting: Setting) -> Iterator[Row]:
    prepare_torch()
    rate = sgemm_rate(0.02 if setting.quick else 0.5)
    for subject in QUICK if setting.quick else SUBJECTS:
        found = interleaved(calls(subject), setting.rounds)
        small = subject.name in SMALL
        title = subject.title
        yield Row(f"`fit()` over a bare loop, {title}", ratios(found, "fit", "bare"), Goal(1.05))
        augmented = ratios(found, "shift", "bare")
        yield Row(f"the same with `shift`, {title}", augmented, Goal(1.10) if small else None)
        yield Row(f"masked over dense, {title}", ratios(found, "masked", "fit"), Goal(1.05))
        work = training_gflop(subject) * subject.batch * subject.steps * subject.epochs
        shares = Spread.of([100 * work / seconds / rate for seconds in found["fit"]])
        goal = Goal(SGEMM[subject.name], at_least=True) if subject.name in SGEMM else None
        yield Row(f"`fit()`'s share of sgemm's rate, {title}", shares, goal, "%", f"sgemm {rate:.0f} GFLOP/s")
