"""The UCLA study's claims on the records of prune-layers-spuco: the tables of docs/findings.md.

    python benchmarks/layer_claims.py leaderboard

U1: worst group accuracy is stable up to 70 % sparsity. U2: the last layer (fc2) costs least. U3: the predictability of
the spurious attribute does not change. Differences are paired by seed and test image, in points, with 95 % intervals.
Each is looked at alone: nothing is adjusted, so no cell is a verdict.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping
from pathlib import Path

from benchbias.board.row_trials import Trials, trials_of
from benchbias.board.text import gap_text, points_text, table_lines
from benchbias.runner.publishing import published_records
from benchbias.statistics.estimates import Estimate, difference, equivalence_p_value, over_seeds
from benchbias.statistics.influence import Measured

SUITE, DENSE = "prune-layers-spuco", "jtt-ucla"
LAYERS = ("!head", "conv1", "conv2", "fc1", "fc2")
WEIGHTS = {"conv1": 450, "conv2": 2_400, "fc1": 48_000, "fc2": 10_080, "!head": 60_930}
WORST, CONFLICTING, AVERAGE, SPURIOUS = (
    "worst_group_accuracy",
    "conflicting_accuracy",
    "accuracy_train_weighted",
    "spurious_attribute_accuracy",
)
MARGIN = 0.03
EQUAL_NUMBERS = ((("fc2", 0.5), ("fc1", 0.1)), (("fc2", 0.3), ("conv2", 0.9)), (("fc2", 0.1), ("conv2", 0.5)))
LOSSES = (0.01, 0.03)  # of average accuracy, at which layers are compared

Rows = Mapping[str, Trials]


def main() -> None:
    rows = {row.label: row for row in trials_of(*published_records(SUITE, Path(sys.argv[1])))}
    for metric in (WORST, CONFLICTING, AVERAGE, SPURIOUS):
        against_dense(rows, metric)
    criteria(rows)
    equal_sparsity(rows)
    equal_numbers(rows)
    equal_average(rows)


def label(method: str, layers: str, sparsity: float) -> str:
    return f"{method}[layers={layers}, sparsity={sparsity}]"


def values(rows: Rows, name: str, metric: str) -> dict[int, Measured]:
    found = rows[name].measured(metric)
    assert found is not None
    return found


def gap(rows: Rows, one: str, other: str, metric: str) -> Estimate | None:
    return difference(values(rows, one, metric), values(rows, other, metric))


def told(found: Estimate | None) -> str:
    """A difference; = where two one-sided tests at 5 %, not adjusted, put it within the margin."""
    return f"{gap_text(found)} =" if equivalence_p_value(found, MARGIN) <= 0.05 else gap_text(found)


def show(title: str, header: list[str], cells: list[list[str]]) -> None:
    print(f"\n{title}\n")
    print("\n".join(table_lines(cells, header)))


def against_dense(rows: Rows, metric: str) -> None:
    """The change by pruning small weights, by layer and sparsity."""
    levels = sorted({row.first["swept"]["sparsity"] for row in rows.values() if row.first["method"] == "layers-jtt"})
    cells = [
        [f"`{layer}`", *(told(gap(rows, label("layers-jtt", layer, level), DENSE, metric)) for level in levels)]
        for layer in LAYERS
    ]
    dense = over_seeds(list(values(rows, DENSE, metric).values()))
    assert dense is not None
    show(f"{metric}: {points_text(dense)} before, {dense.n} seeds", ["layers", *map(str, levels)], cells)


def criteria(rows: Rows) -> None:
    """Show what removing the largest or random weights does."""
    cells = []
    for layer in LAYERS:
        names = [label("layers-jtt-largest", layer, 0.1), label("layers-jtt-random", layer, 0.5)]
        names.append(label("layers-jtt", layer, 0.5))
        cells.append([f"`{layer}`", *(told(gap(rows, name, DENSE, CONFLICTING)) for name in names)])
    show(CONFLICTING, ["layers", "largest first, 0.1", "random, 0.5", "smallest first, 0.5"], cells)


def equal_sparsity(rows: Rows) -> None:
    """fc2 minus every other layer at the same sparsity."""
    cells = [
        [
            f"`{layer}`",
            *(
                told(gap(rows, label("layers-jtt", "fc2", level), label("layers-jtt", layer, level), WORST))
                for level in (0.5, 0.7, 0.9)
            ),
        ]
        for layer in LAYERS[1:-1]
    ]
    show(f"{WORST}: fc2 minus the layer, equal sparsity", ["layer", "0.5", "0.7", "0.9"], cells)


def equal_numbers(rows: Rows) -> None:
    """fc2 minus another layer where about as many weights are removed."""
    cells = []
    for one, other in EQUAL_NUMBERS:
        counts = [f"`{layer}` at {level}: {round(level * WEIGHTS[layer]):,}" for layer, level in (one, other)]
        found = gap(rows, label("layers-jtt", *one), label("layers-jtt", *other), WORST)
        cells.append([*counts, told(found)])
    show(f"{WORST}: fc2 minus another layer, about as many weights", ["fc2", "other", "difference"], cells)


def equal_average(rows: Rows) -> None:
    """The worst group of every layer where pruning has cost the same average accuracy; interpolated, seed by seed."""
    cells = []
    for loss in LOSSES:
        for layer in LAYERS:
            curves = {seed: curve(rows, layer, seed) for seed in rows[DENSE].records}
            found = [(points[0][1], at(points, loss)) for points in curves.values()]
            reached = [Measured(there - before) for before, there in found if there is not None]
            text = told(over_seeds(reached)) if len(reached) > 1 else "–"
            cells.append([f"{100 * loss:.0f}", f"`{layer}`", text, f"{len(reached)} of {len(found)}"])
    header = ["average lost", "layers", "change of the worst group", "seeds that lose so much"]
    show(f"{WORST} at equal average accuracy", header, cells)


def curve(rows: Rows, layer: str, seed: int) -> list[tuple[float, float]]:
    """(average, worst group) of one seed, dense first, then by sparsity."""
    names = [DENSE, *(label("layers-jtt", layer, level) for level in (0.1, 0.3, 0.5, 0.7, 0.9))]
    return [(float(values(rows, n, AVERAGE)[seed].value), float(values(rows, n, WORST)[seed].value)) for n in names]


def at(points: list[tuple[float, float]], loss: float) -> float | None:
    """The worst group where the average first is `loss` below the first point; None where it never is."""
    target = points[0][0] - loss
    for (high, one), (low, other) in itertools.pairwise(points):
        if low <= target:
            share = (high - target) / (high - low) if high > low else 1.0
            return one + share * (other - one)
    return None


if __name__ == "__main__":
    main()
