"""Whether the intervals of memorisation hold the truth, and how noise of single examples raises a share, simulated.

Prints a markdown table, the same bytes for the same arguments and versions; docs/analyses/memorization.md has that of
the defaults. One minute on one core.

    python benchmarks/memorization_simulation.py [--repetitions 500] [--seed 0]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from pie_worlds import Training
from simulated_intervals import against_mean, over, show, told

from benchbias_plugins.analyses.memorization import over_models

if TYPE_CHECKING:
    from numpy.random import Generator
    from simulated_intervals import Lines

    from benchbias import Estimate

SHARE = 0.7


def memorization_lines(repetitions: int, numbers: Generator) -> Lines:
    """Intervals over models, and, as a warning, what an interval over examples holds."""
    lines = []
    scenarios = {"alike": (0.0, 0.0), "differ": (0.7, 0.0), "differ, examples help": (0.7, 0.3)}
    for name, (spread, help_) in scenarios.items():
        training = Training.of(400, 40, spread, help_, numbers)
        for models in (10, 20, 50, 200):
            found: dict[str, list[Estimate]] = {}
            shares = []
            for _ in range(repetitions):
                trials = training.trials(models, SHARE, numbers)
                known = ~np.isnan(trials.memorization)
                few, many = training.conflicting & known, ~training.conflicting & known
                groups = {"all": [(known, 1.0)], "conflicting": [(few, 1.0)]}
                groups["conflicting - aligned"] = [(few, 1.0), (many, -1.0)]
                for group, parts in groups.items():
                    one = over_models(trials, *parts)
                    found.setdefault(group, []).extend([] if one is None else [one])
                found.setdefault("all, over examples", []).append(over(100 * trials.memorization[known]))
                shares.append(100 * (trials.memorization[many] >= 0.25).mean())
            for group, estimates in found.items():
                share = f"{np.mean(shares):.1f}" if group == "all" else ""
                lines.append((name, str(models), group, *told(against_mean(estimates))[:3], share))
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Simulated coverage of the intervals of memorisation.")
    parser.add_argument("--repetitions", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    command = f"--repetitions {given.repetitions} --seed {given.seed}"
    print(f"Made by `python benchmarks/memorization_simulation.py {command}` with numpy {np.__version__}.\n")
    head = ("models", "number", "examples", "mean", "held", "width", "aligned with 0.25 or more, %")
    show("Memorisation", head, memorization_lines(given.repetitions, np.random.default_rng(given.seed)))


if __name__ == "__main__":
    main()
