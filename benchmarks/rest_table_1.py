"""Table 1 of REST (Zhao et al., 2023) recomputed: FLOPs and weights at the true input size, as a markdown table."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from benchbias.network.cost import layer_flops, training_flops
from benchbias.sparse.cutting import budget_counts, erk_densities
from benchbias_plugins.networks.literature.resnet import resnet18
from benchbias_plugins.networks.small_networks import simple_cnn

DENSITY = 0.005
EPOCHS, BATCH, EVERY = 100, 256, 1000  # the released scripts' settings
CLASSES = 10


@dataclass(frozen=True)
class Printed:
    """A column of the printed table."""

    train: float
    test: float
    weights: str
    train_ratio: float
    test_ratio: float
    sparse_weights: str


@dataclass(frozen=True)
class Case:
    """One network on its data set: examples, the sizes to count at (the true one first), the printed column."""

    name: str
    make: Callable[[], nn.Module]
    examples: int
    sizes: tuple[int, ...]
    printed: Printed


CASES = (
    Case(
        "Simple CNN, Colored MNIST",
        functools.partial(simple_cnn, (3, 28, 28), CLASSES),
        55_000,
        (28, 224),
        Printed(5.68e16, 3.44e9, "0.661M", 0.007, 0.0075, "0.0032M"),
    ),
    Case(
        "ResNet-18, corrupted CIFAR-10",
        functools.partial(resnet18, (3, 32, 32), CLASSES, Path()),
        45_000,
        (32, 224),
        Printed(4.41e16, 3.27e9, "11.17M", 0.02, 0.016, "0.056M"),
    ),
)


@dataclass(frozen=True)
class Counted:
    """FLOPs of one forward pass and of training, dense and with REST, and the weights of both."""

    test: int
    sparse_test: float
    train: int
    sparse_train: int
    weights: int
    erk_weights: float
    sparse_weights: int
    dense_layers: int


def count(case: Case, size: int) -> Counted:
    """Count a network at an input size. Sparse FLOPs are those of the exact counts that a mask is made with."""
    model = case.make()
    layers = layer_flops(model, torch.zeros(1, 3, size, size))
    parameters = {name: parameter for name, parameter in model.named_parameters() if name in layers}
    totals = {name: parameter.numel() for name, parameter in parameters.items()}
    kept = budget_counts(parameters, {"density": DENSITY}, "erk")
    densities = erk_densities({name: tuple(p.shape) for name, p in parameters.items()}, DENSITY)
    examples = EPOCHS * case.examples
    steps = EPOCHS * -(-case.examples // BATCH)
    return Counted(
        test=sum(layers.values()),
        sparse_test=sum(flops * kept[name] / totals[name] for name, flops in layers.items()),
        train=training_flops(layers, totals, [(0, {})], (), steps, examples),
        sparse_train=training_flops(
            layers, totals, [(0, kept)], range(steps // EVERY), steps, examples
        ),  # only how many
        weights=sum(totals.values()),
        erk_weights=sum(densities[name] * totals[name] for name in totals),
        sparse_weights=sum(kept.values()),
        dense_layers=sum(density == 1 for density in densities.values()),
    )


def rows(case: Case) -> list[tuple[str, ...]]:
    """The lines of one network: what is counted, printed, then at each size."""
    counted = [count(case, size) for size in case.sizes]
    p = case.printed
    return [
        ("dense forward, FLOPs", f"{p.test:.3g}", *(f"{c.test:.4g}" for c in counted)),
        ("dense forward, MACs", "–", *(f"{c.test / 2:.4g}" for c in counted)),
        ("printed / recomputed, forward", "–", *(f"{p.test / c.test:.3g}" for c in counted)),
        ("dense training, FLOPs", f"{p.train:.3g}", *(f"{c.train:.4g}" for c in counted)),
        ("REST forward, FLOPs", f"{p.test * p.test_ratio:.3g}*", *(f"{c.sparse_test:.4g}" for c in counted)),
        ("REST / dense, forward", f"{p.test_ratio}", *(f"{c.sparse_test / c.test:.4f}" for c in counted)),
        ("REST training, FLOPs", f"{p.train * p.train_ratio:.3g}*", *(f"{c.sparse_train:.4g}" for c in counted)),
        ("REST / dense, training", f"{p.train_ratio}", *(f"{c.sparse_train / c.train:.4f}" for c in counted)),
        ("weights", p.weights, *(f"{c.weights:,}" for c in counted)),
        ("REST weights, ERK as real numbers", p.sparse_weights, *(f"{c.erk_weights:,.1f}" for c in counted)),
        ("REST weights, kept", p.sparse_weights, *(f"{c.sparse_weights:,}" for c in counted)),
        ("layers that ERK leaves dense", "–", *(str(c.dense_layers) for c in counted)),
    ]


def main() -> None:
    for case in CASES:
        steps = EPOCHS * -(-case.examples // BATCH)
        print(f"## {case.name}: {case.examples:,} examples, {EPOCHS} epochs, {steps // EVERY} mask updates\n")
        print("| | printed |" + "".join(f" at {size}x{size} |" for size in case.sizes))
        print("|:---|" + "---:|" * (1 + len(case.sizes)))
        for row in rows(case):
            print("| " + " | ".join(row) + " |")
        print()
    print("\\* the printed ratio times the printed dense number; the paper prints only the ratio.")


if __name__ == "__main__":
    main()
