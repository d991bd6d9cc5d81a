"""A layer sweep as heat maps and curves: what pruning each layer by each amount does to the metric that ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchbias.board.sweeps import LayerSweep, layer_sweeps, metric_at
from benchbias.board.text import gap_text
from benchbias.figures.material import Material, band

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NEEDS = "a method with `sweep = { layers = [...], sparsity = [...] }` (or density, or removed) and a `baseline`"
WIDTH, HEIGHT = 11.0, 2.9  # inches, of one sweep's two panels
LARGEST = 60  # points: where the colours of a heat map end


def fits(material: Material) -> bool:
    """Whether some method was swept over layers and an amount, and its baseline is there."""
    return any(sweep.whole is not None for sweep in layer_sweeps(material.rows))


def draw(material: Material) -> tuple[Figure, list[str]]:
    """One line of panels a sweep: a heat map of differences from the baseline, and curves with 95 % intervals."""
    from matplotlib.figure import Figure

    rows = material.rows
    sweeps = [sweep for sweep in layer_sweeps(rows) if sweep.whole is not None]
    metric = str(rows[0].first["suite"]["rank_by"]).removeprefix("-")
    figure = Figure(figsize=(WIDTH, HEIGHT * len(sweeps)), layout="constrained")
    panels = figure.subplots(len(sweeps), 2, squeeze=False)
    lines: list[str] = []
    for sweep, (left, right) in zip(sweeps, panels, strict=True):
        lines += _heat_map(sweep, metric, left)
        _curves(sweep, metric, right)
    return figure, lines


def _heat_map(sweep: LayerSweep, metric: str, axes: Axes) -> list[str]:
    """Cells of differences in points, the mean over seeds; the numbers with their intervals are returned."""
    import numpy as np

    lines = [f"{sweep.title}: {_words(metric)}, points from {sweep.whole.first['method']}"]  # type: ignore[union-attr]
    values = np.full((len(sweep.layers), len(sweep.amounts)), np.nan)
    for down, layers in enumerate(sweep.layers):
        for across, amount in enumerate(sweep.amounts):
            change = sweep.change(layers, amount, metric)
            if change is not None:
                values[down, across] = 100 * change.mean
                lines.append(f"  {layers}, {sweep.amount} {amount:g}: {gap_text(change)}")
                colour = "white" if abs(values[down, across]) > 0.7 * LARGEST else "black"
                text = f"{values[down, across]:+.0f}"
                axes.text(across + 0.5, down + 0.5, text, ha="center", va="center", color=colour)
    axes.pcolormesh(values, cmap="RdBu", vmin=-LARGEST, vmax=LARGEST, edgecolors="white")
    axes.invert_yaxis()
    axes.set_yticks(np.arange(len(sweep.layers)) + 0.5, sweep.layers)
    axes.set_xticks(np.arange(len(sweep.amounts)) + 0.5, [f"{amount:g}" for amount in sweep.amounts])
    axes.set_xlabel(_axis(sweep))
    axes.set_ylabel("pruned layers")
    axes.set_title(lines[0].replace(": ", "\n"), loc="left")
    return lines


def _curves(sweep: LayerSweep, metric: str, axes: Axes) -> None:
    for number, layers in enumerate(sweep.layers):
        found = [(amount, metric_at(row, metric)) for amount, row in sweep.curve(layers)]
        points = [(amount, value) for amount, value in found if value is not None]
        amounts = [amount for amount, _ in points]
        means = [100 * value.mean for _, value in points]
        low, high = ([100 * band(value)[side] for _, value in points] for side in (0, 1))
        colour = f"C{number}"
        axes.plot(amounts, means, marker="o", markersize=3, color=colour, label=layers)
        axes.fill_between(amounts, low, high, color=colour, alpha=0.12, linewidth=0)
    axes.set_ylim(0, 100)
    if sweep.amount == "density":
        axes.invert_xaxis()
    axes.set_xlabel(_axis(sweep))
    axes.set_ylabel(f"{_words(metric)}, %")
    axes.set_title("\nmean over seeds, 95 % interval", loc="left")
    axes.legend(title="pruned layers", fontsize=7, loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)


def _axis(sweep: LayerSweep) -> str:
    names: dict[str, Any] = {"removed": "weights removed", "sparsity": "sparsity of the pruned layers"}
    return str(names.get(sweep.amount, "density of the pruned layers"))


def _words(metric: str) -> str:
    return metric.replace("_", " ")
