"""Simulate the analyses of PIEs: what chance alone gives them, and whether their intervals hold.

Prints markdown tables, the same bytes for the same arguments and versions; docs/analyses/pie.md has those of the
defaults. Five minutes on one core.

    python benchmarks/pie_simulation.py [--repetitions 150] [--seed 0]
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pie_worlds import World, recalls
from simulated_intervals import against_mean, show, told

from benchbias_plugins.analyses.pie import pie_counts, pie_subsets
from benchbias_plugins.analyses.pie.welch import welch

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray
    from simulated_intervals import Lines

    from benchbias import Estimate

    Values = NDArray[np.float64]

HARMS = (0.0, 1.0)
MODELS = (12, 30)
BESIDE = ("entropy-matched", "A/A PIE of quarters")
CONTRASTS = ("PIE harder, dense", "PIE harder, pruned", "PIE change beyond")
ESTIMATES = ("PIE share", "significant classes", "significant, Holm")


def rejections(sd: Values, together: float, shift: str, repetitions: int, numbers: Generator) -> Values:
    """How often each class is significant at 5 % though both populations of 30 are alike, (K,)."""
    found = []
    for _ in range(repetitions):
        both = [recalls(sd, together, 30, numbers) for _ in range(2)]
        accuracy = [one.mean(axis=1, keepdims=True) for one in both]
        less = accuracy if shift == "model" else [one.mean() for one in accuracy]
        found.append(welch(both[0] - less[0], both[1] - less[1]).p <= 0.05)
    return np.mean(found, axis=0)


def class_lines(repetitions: int, numbers: Generator) -> Lines:
    alike = np.full(10, 0.02)
    quiet = np.array([0.002, *alike[1:]])
    scenarios = {"all vary alike": (alike, 0.0), "one varies a tenth": (quiet, 0.0), "all move together": (alike, 0.04)}
    lines = []
    for name, (sd, together) in scenarios.items():
        for shift in ("model", "population_as_published"):
            found = 100 * rejections(sd, together, shift, repetitions, numbers)
            lines.append((name, f"`{shift}`", f"{found[0]:.1f}", f"{found[1:].mean():.1f}"))
    return lines


def count_lines(repetitions: int, numbers: Generator) -> tuple[Lines, Lines]:
    """Lines of what is found in halves and by chance, and of the intervals and p of what goes beyond chance."""
    counts, beyond = [], []
    for harm in HARMS:
        for models in MODELS:
            world, what = World.of(600, 10, harm, numbers), (f"{harm:g}", f"{models} v {models}")
            lines: dict[str, list[dict[str, Any]]] = {}
            for _ in range(repetitions):
                table = pie_counts(world.population(models, numbers), repeats=5, exchanges=39)
                for place, name in enumerate(table.columns["compared"][2]):
                    lines.setdefault(name, []).append({key: kept[2][place] for key, kept in table.columns.items()})
            for name in ("all models", "halves", "A/A halves"):
                means = [np.mean([line[key].mean for line in lines[name]]) for key in ESTIMATES]
                counts.append((*what, name, *(f"{mean:.2f}" for mean in means)))
            for key, p in zip(ESTIMATES, ("p of PIEs", "p of classes"), strict=False):
                found = told(against_mean([line[key] for line in lines["beyond A/A"]]))
                rejected = np.mean([line[p] <= 0.05 for line in lines["all models"]])
                beyond.append((*what, key, *found, f"{100 * rejected:.1f}"))
    return counts, beyond


def subset_lines(repetitions: int, numbers: Generator) -> Lines:
    """Intervals for other models at the same images, and for other models and other images."""
    lines = []
    for harm in HARMS:
        for models in MODELS:
            found: dict[tuple[str, str], tuple[list[Estimate], list[Estimate]]] = {}
            fixed = World.of(600, 10, harm, numbers)
            for new in (False, True):
                for _ in range(repetitions):
                    world = World.of(600, 10, harm, numbers) if new else fixed
                    table = pie_subsets(world.population(models, numbers), repeats=5)
                    texts = table.columns["subset"][2]
                    for subset, name in itertools.product(BESIDE, CONTRASTS):
                        one = table.columns[name][2][texts.index(subset)]
                        found.setdefault((subset, name), ([], []))[new].append(one)
            for names, estimates in found.items():
                (_, same, _, _), told_new = (told(against_mean(one)) for one in estimates)
                mean, new_held, width, apart = told_new
                lines.append((f"{harm:g}", f"{models} v {models}", *names, mean, same, new_held, width, apart))
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Simulated chance and coverage of the PIE analyses.")
    parser.add_argument("--repetitions", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    numbers, repetitions = np.random.default_rng(given.seed), given.repetitions
    command = f"--repetitions {repetitions} --seed {given.seed}"
    print(f"Made by `python benchmarks/pie_simulation.py {command}` with numpy {np.__version__}.\n")
    classes = class_lines(20 * repetitions, numbers)
    show("Equal populations: classes significant, in %", ("classes", "shift", "the first", "the others"), classes)
    counts, beyond = count_lines(repetitions, numbers)
    what = ("harm", "models")
    show("Found, and found by chance", (*what, "compared", *ESTIMATES), counts)
    show("Beyond chance", (*what, "estimate", "mean", "held", "width", "not zero", "p below 5 %"), beyond)
    head = (*what, "subset", "estimate", "mean", "held, same images", "held, new images", "width", "not zero")
    show("On PIEs, beside other images", head, subset_lines(repetitions, numbers))


if __name__ == "__main__":
    main()
