"""How often the analyses against the twin are right, in simulations: changes by part, breaking sparsity, slopes.

Prints markdown tables, the same bytes for the same arguments and versions; docs/analyses/twin.md has those of the
defaults. The intervals are computed by the functions that the analyses call. Five minutes on one core.

    python benchmarks/twin_simulation.py [--repetitions 1000] [--seed 0]
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from interval_scenarios import Scenario, draw_rows, truth
from scipy.optimize import brentq
from scipy.special import expit

from benchbias.board.text import table_lines
from benchbias.statistics.estimates import Estimate, equivalence_p_value, p_value, spread_over_seeds
from benchbias.statistics.influence import Measured, measure_least
from benchbias.statistics.ranking import holm
from benchbias_plugins.analyses.against_the_twin.breaking import broken_from
from benchbias_plugins.analyses.against_the_twin.slope import through_origin

if TYPE_CHECKING:
    from numpy.random import Generator

    from benchbias.statistics.cells import Cells

Logits = tuple[float, ...]

CHUNK = 20  # repetitions at a time: bounds memory
MARGIN = 3.0
PARTS = {
    "all": [range(4)],
    "aligned": [[0, 3]],
    "conflicting": [[1, 2]],
    "worst group": [[0], [1], [2], [3]],
    "class 0": [[0, 1]],
    "group 1": [[1]],
}
BASE = Scenario("", (3.5, -0.3, 0.3, 3.5), (200,) * 4, 5, 0.5, 1.5)
FOLDS = "5 folds twice, 4 copies in 2 groups, 10 seeds"
DESIGNS = (
    replace(BASE, name="5 seeds"),
    replace(BASE, name="10 seeds", seeds=10),
    replace(BASE, name="5 seeds, other examples are hard", example_correlation=0.5),
    replace(BASE, name=FOLDS, examples=(900, 0, 900, 0), seeds=10, folds=5, in_groups=2, copies=4),
)
HARM: Logits = (-0.2, -0.6, -0.6, -0.2)
LEVELS = (0.5, 0.8, 0.9, 0.95)
CURVES = {  # of every level, the true change in points
    "none loses": (0.0, 0.0, 0.0, 0.0),
    "all lose just the margin": (-3.0, -3.0, -3.0, -3.0),
    "the margin at 0.8, more from 0.9": (0.0, -3.0, -12.0, -24.0),
    "more from 0.8": (0.0, -10.0, -20.0, -30.0),
    "more at 0.8 and 0.9, the margin at 0.95": (0.0, -12.0, -12.0, -3.0),
}


def chunks(repetitions: int) -> list[int]:
    return [min(CHUNK, repetitions - start) for start in range(0, repetitions, CHUNK)]


def changes(control: Sequence[Cells], row: Sequence[Cells], part: str) -> list[Measured]:
    """Changes in points, one a seed, for all repetitions of a chunk."""
    sets = PARTS[part]
    return [100.0 * (measure_least(sets, b) - measure_least(sets, a)) for a, b in zip(control, row, strict=True)]


def disparities(control: Sequence[Cells], row: Sequence[Cells]) -> list[Measured]:
    """The change of conflicting less aligned accuracy."""
    both = (changes(control, row, part) for part in ("conflicting", "aligned"))
    return [one - other for one, other in zip(*both, strict=True)]


def estimates(measured: Sequence[Measured]) -> list[Estimate]:
    """Estimates, one a repetition."""
    found = spread_over_seeds(measured)
    columns = (found.mean, found.standard_error, found.freedom)
    seeds = len(measured)
    return [Estimate.of(*map(float, parts), seeds) for parts in zip(*columns, strict=True)]


@functools.cache
def true_value(logits: Logits, part: str) -> float:
    """The expected accuracy of a part, in percent; by the spreads that all designs share, and the same drawn seeds."""
    if part == "worst group":
        return 100 * truth(BASE, logits, np.random.default_rng(0)).mean_least
    nodes, weights = np.polynomial.hermite_e.hermegauss(61)
    width = np.hypot(BASE.seed_spread, BASE.example_spread)
    by_group = expit(np.array(logits)[:, None] + width * nodes) @ (weights / weights.sum())
    (groups,) = PARTS[part]
    return 100 * float(by_group[list(groups)].mean())  # groups are of one size


def true_change(change: Logits, part: str) -> float:
    changed = tuple(a + b for a, b in zip(BASE.logits, change, strict=True))
    return true_value(changed, part) - true_value(BASE.logits, part)


def losing(points: float, part: str) -> Logits:
    """The change of the conflicting groups' logits that changes a part by so many points."""
    if points == 0:
        return (0.0,) * 4
    found = brentq(lambda by: true_change((0.0, by, by, 0.0), part) - points, -12, 0, xtol=1e-6)
    return (0.0, float(found), float(found), 0.0)


def changes_table(repetitions: int, numbers: Generator) -> list[str]:
    """Coverage of the change by part; and how often any part of an unchanged row is called different, after Holm."""
    lines = []
    for scenario in DESIGNS:
        at_margin = losing(-MARGIN, "conflicting")
        for name, change in (("no change", (0.0,) * 4), ("conflicting -3", at_margin), ("harm", HARM)):
            held = dict.fromkeys(PARTS, 0)
            wrong = alike = 0
            true = {part: true_change(change, part) for part in PARTS}
            for size in chunks(repetitions):
                control, row = draw_rows(scenario, [change], size, numbers)
                found = {part: estimates(changes(control, row, part)) for part in PARTS}
                for at in range(size):
                    gaps = [found[part][at] for part in PARTS]
                    for part, gap in zip(PARTS, gaps, strict=True):
                        low, high = gap.interval()
                        held[part] += low <= true[part] <= high
                    wrong += any(p <= 0.05 for p in holm([p_value(gap) for gap in gaps]))
                    same = holm([equivalence_p_value(gap, MARGIN) for gap in gaps])
                    alike += any(
                        p <= 0.05 and abs(true[part]) > MARGIN - 1e-3 for p, part in zip(same, PARTS, strict=True)
                    )
            shown = [f"{100 * count / repetitions:.1f}" for count in held.values()]
            told = f"{100 * wrong / repetitions:.1f}"
            lines.append([f"{scenario.name}, {name}", *shown, told, f"{100 * alike / repetitions:.1f}"])
    return table_lines(lines, ["scenario", *PARTS, "any difference", "any wrongly equivalent"])


def breaking_table(scenario: Scenario, part: str, repetitions: int, numbers: Generator) -> list[str]:
    """How often each level is found as the breaking one, and how often that is wrong."""
    lines = []
    for name, curve in CURVES.items():
        logits = [losing(points, part) for points in curve]
        counts = dict.fromkeys((*range(len(LEVELS)), None), 0)
        wrong = 0
        for size in chunks(repetitions):
            control, *rows = draw_rows(scenario, logits, size, numbers)
            by_level = [estimates(changes(control, row, part)) for row in rows]
            for at in range(size):
                found = broken_from([level[at] for level in by_level], MARGIN)
                counts[found] += 1
                wrong += found is not None and any(points >= -MARGIN for points in curve[found:])
        shown = [f"{100 * counts[at] / repetitions:.1f}" for at in (*range(len(LEVELS)), None)]
        curve_text = ", ".join(f"{points:g}" for points in curve)
        lines.append([name, curve_text, *shown, f"{100 * wrong / repetitions:.1f}"])
    return table_lines(lines, ["curve", "true changes", *map(str, LEVELS), "none", "wrong"])


def slopes_table(repetitions: int, numbers: Generator) -> list[str]:
    """Coverage of the slope of conflicting less aligned accuracy."""
    lines = []
    for scenario in DESIGNS:
        logits = [losing(points, "conflicting") for points in CURVES["more from 0.8"]]
        true = np.array([true_change(one, "conflicting") for one in logits])
        expected = float(np.dot(LEVELS, true) / np.dot(LEVELS, LEVELS))
        held, width = 0, 0.0
        for size in chunks(repetitions):
            control, *rows = draw_rows(scenario, logits, size, numbers)
            gaps = [disparities(control, row) for row in rows]
            for gap in estimates([through_origin(LEVELS, seed) for seed in zip(*gaps, strict=True)]):
                low, high = gap.interval()
                held += low <= expected <= high
                width += (high - low) / 2
        lines.append(
            [scenario.name, f"{expected:.1f}", f"{100 * held / repetitions:.1f}", f"{width / repetitions:.1f}"]
        )
    return table_lines(lines, ["scenario", "true slope", "held", "mean half width"])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Simulated errors of the analyses against the twin, as markdown.")
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    numbers = np.random.default_rng(given.seed)
    tables: dict[str, Callable[[], list[str]]] = {
        "Changes by part": lambda: changes_table(given.repetitions, numbers),
        **{
            f"Breaking sparsity by {part}, {scenario.name}": lambda scenario=scenario, part=part: breaking_table(
                scenario, part, given.repetitions, numbers
            )
            for part in ("conflicting", "worst group")
            for scenario in DESIGNS[:2]
        },
        "Disparity slope": lambda: slopes_table(given.repetitions, numbers),
    }
    command = f"--repetitions {given.repetitions} --seed {given.seed}"
    print(f"Made by `python benchmarks/twin_simulation.py {command}` with numpy {np.__version__}.")
    for title, made in tables.items():
        print(f"\n### {title}\n")
        print("\n".join(made()))


if __name__ == "__main__":
    main()
