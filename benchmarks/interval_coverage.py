"""How often the board's intervals hold the true value, in simulations, beside the intervals that it does not use.

Prints markdown tables, the same bytes for the same arguments and versions; docs/coverage.md has those of the defaults.
The board's intervals are computed by the functions that the board itself calls, in benchbias/. Three minutes on one
core.

    python benchmarks/interval_coverage.py [--repetitions 1000] [--draws 300] [--seed 0]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from interval_bootstrap import crossed, nested
from interval_scenarios import PAIRS, ROWS, Scenario, Truth, draw, truth

from benchbias.statistics.estimates import spread, spread_over_seeds
from benchbias.statistics.influence import Measured, accuracies, measure
from benchbias.statistics.worst_group import cross_fit, half_accuracies, least_bounds

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from benchbias.statistics.cells import Cells
    from benchbias.statistics.estimates import Spread

    Values = NDArray[np.float64]
    Bounds = tuple[Values, Values]

CHUNK = 20  # repetitions at a time: bounds memory, and a chunk shares the bootstraps' draws of examples

BOARD = "t, seeds and examples"
SEEDS_ONLY = "t, seeds only"
NESTED = "percentile, nested"
CROSSED = "percentile, crossed"
UNPAIRED = "t, unpaired"


@dataclass(frozen=True)
class Coverage:
    """The coverage of one interval over all repetitions: shares that hold the truth and leave out zero, mean width."""

    held: float
    width: float
    rejected: float

    @staticmethod
    def of(lower: Values, upper: Values, true: float) -> Coverage:
        held = (lower <= true) & (true <= upper)
        return Coverage(float(held.mean()), float((upper - lower).mean()), float(((lower > 0) | (upper < 0)).mean()))


@dataclass(frozen=True)
class Simulated:
    """A scenario's repetitions: bounds (R,) by interval, and point estimates (R,) by name."""

    bounds: dict[str, Bounds]
    points: dict[str, Values]


def simulate(
    scenario: Scenario, one_chunk: Callable[..., Simulated], repetitions: int, draws: int, numbers: Generator
) -> Simulated:
    """All repetitions of a scenario, a chunk at a time."""
    sizes = [min(CHUNK, repetitions - start) for start in range(0, repetitions, CHUNK)]
    chunks = [one_chunk(scenario, size, draws, numbers) for size in sizes]
    bounds = {
        name: (
            np.concatenate([chunk.bounds[name][0] for chunk in chunks]),
            np.concatenate([chunk.bounds[name][1] for chunk in chunks]),
        )
        for name in chunks[0].bounds
    }
    points = {name: np.concatenate([chunk.points[name] for chunk in chunks]) for name in chunks[0].points}
    return Simulated(bounds, points)


def simulate_rows(scenario: Scenario, repetitions: int, draws: int, numbers: Generator) -> Simulated:
    """Intervals of one row."""
    (row,) = draw(scenario, repetitions, numbers)
    measured = _worst(row, scenario)
    values = np.stack([one.value for one in measured], axis=-1)  # (R, S)
    by_group = [accuracies(cells.correct, cells.total, cells.group, scenario.groups) for cells in row]
    bounds = {
        BOARD: _interval(spread_over_seeds(measured)),
        SEEDS_ONLY: _interval(spread(values)),
        NESTED: nested([row], draws, numbers),
        CROSSED: crossed([row], draws, numbers),
        "groups": least_bounds(row, scenario.groups),
    }
    points = {
        "cross-fitted": cross_fit(np.stack(half_accuracies(row, scenario.groups))),
        "least mean": np.mean(by_group, axis=0).min(axis=-1),
        "mean least": values.mean(axis=-1),
    }
    return Simulated(bounds, points)


def simulate_pairs(scenario: Scenario, repetitions: int, draws: int, numbers: Generator) -> Simulated:
    """Intervals of the second row minus the first."""
    rows = draw(scenario, repetitions, numbers)
    first, second = (_worst(row, scenario) for row in rows)
    gaps = [two - one for one, two in zip(first, second, strict=True)]
    values = [np.stack([one.value for one in row], axis=-1) for row in (first, second)]
    bounds = {
        BOARD: _interval(spread_over_seeds(gaps)),
        SEEDS_ONLY: _interval(spread(values[1] - values[0])),
        NESTED: nested(rows, draws, numbers),
        UNPAIRED: _unpaired(values[0], values[1]),
    }
    return Simulated(bounds, {"difference": (values[1] - values[0]).mean(axis=-1)})


def _worst(row: Sequence[Cells], scenario: Scenario) -> list[Measured]:
    found = [measure("worst_group_accuracy", cells, (True,) * scenario.groups) for cells in row]
    return [one for one in found if one is not None]


def _interval(found: Spread) -> Bounds:
    return found.mean - found.half_width, found.mean + found.half_width


def _unpaired(one: Values, other: Values) -> Bounds:
    """Welch's interval of other - one, over seeds that are not paired; (R, S) each."""
    from scipy import stats

    interval = stats.ttest_ind(other, one, axis=-1, equal_var=False).confidence_interval(0.95)
    return interval.low, interval.high


def rows_tables(repetitions: int, draws: int, numbers: Generator) -> list[str]:
    """Markdown of the scenarios of one row."""
    names = (BOARD, SEEDS_ONLY, NESTED, CROSSED)
    least = [_head("scenario", "true value", *names)]
    groups = [_head("scenario", "true value", "groups' t intervals", "cross-fitted", "least mean", "mean least")]
    for scenario in ROWS:
        true = truth(scenario, scenario.logits, numbers)
        found = simulate(scenario, simulate_rows, repetitions, draws, numbers)
        cells = [_covered(Coverage.of(*found.bounds[name], true.mean_least)) for name in names]
        least.append(_line(scenario.name, f"{100 * true.mean_least:.1f}", *cells))
        biases = [_bias(values, true.least_mean) for values in found.points.values()]
        covered = _covered(Coverage.of(*found.bounds["groups"], true.least_mean))
        groups.append(_line(scenario.name, f"{100 * true.least_mean:.1f}", covered, *biases))
    return [
        "## One row: the mean over seeds of the least group accuracy",
        "",
        "Coverage in percent (mean width in points).",
        "",
        *least,
        "",
        "## One row: the least over groups of the mean accuracy",
        "",
        "Coverage in percent (mean width in points) of the interval beside `wga_xf`; bias in points of `wga_xf`, of "
        "the least of the groups' means over seeds, and of the mean over seeds of the least.",
        "",
        *groups,
    ]


def pairs_table(repetitions: int, draws: int, numbers: Generator) -> list[str]:
    """Markdown of the scenarios of two rows."""
    names = (BOARD, SEEDS_ONLY, NESTED, UNPAIRED)
    lines = [_head("scenario", "true difference", *names, "bias")]
    for scenario in PAIRS:
        assert scenario.change is not None
        changed = tuple(a + b for a, b in zip(scenario.logits, scenario.change, strict=True))
        before, after = (_truth(scenario, logits) for logits in (scenario.logits, changed))
        true = after.mean_least - before.mean_least
        found = simulate(scenario, simulate_pairs, repetitions, draws, numbers)
        covered = [Coverage.of(*found.bounds[name], true) for name in names]
        cells = [f"{_covered(one)}, {100 * one.rejected:.1f}" for one in covered]
        bias = _bias(found.points["difference"], true)
        lines.append(_line(scenario.name, f"{100 * true:+.1f}", *cells, bias))
    return [
        "## Two rows: the difference of the means over seeds of the least group accuracy",
        "",
        "Coverage in percent (mean width in points), percent of repetitions in which zero is rejected.",
        "",
        *lines,
    ]


def _truth(scenario: Scenario, logits: tuple[float, ...]) -> Truth:
    """The truth, the same seeds drawn for both rows: without a change, the true difference is exactly zero."""
    return truth(scenario, logits, np.random.default_rng(0))


def _covered(one: Coverage) -> str:
    return f"{100 * one.held:.1f} ({100 * one.width:.1f})"


def _bias(values: Values, true: float) -> str:
    return f"{100 * (values.mean() - true):+.2f}"


def _head(*names: str) -> str:
    return _line(*names) + "\n|:---|" + "---:|" * (len(names) - 1)


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Simulated coverage of the board's intervals, as markdown.")
    parser.add_argument("--repetitions", type=int, default=1000, help="simulated boards a scenario")
    parser.add_argument("--draws", type=int, default=300, help="draws of a bootstrap")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    numbers = np.random.default_rng(given.seed)
    command = f"--repetitions {given.repetitions} --draws {given.draws} --seed {given.seed}"
    print(f"Made by `python benchmarks/interval_coverage.py {command}` with numpy {np.__version__}.\n")
    print("\n".join(rows_tables(given.repetitions, given.draws, numbers)) + "\n")
    print("\n".join(pairs_table(given.repetitions, given.draws, numbers)))


if __name__ == "__main__":
    main()
