"""Layers compared where pruning them has cost the same average accuracy: which one costs the worst group least?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchbias.board.row_trials import Rows
from benchbias.board.sweeps import LayerSweep, at_equal_accuracy, layer_sweeps
from benchbias.board.text import gap_text
from benchbias.figures.material import Material
from benchbias.statistics.estimates import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NEEDS = "a method with `sweep = { layers = [...], sparsity = [...] }` of two amounts or more, and a `baseline`"
LOSSES = (0.005, 0.01, 0.02, 0.05)  # of average accuracy, groups weighted as in training
WIDTH, HEIGHT = 7.0, 2.9  # inches, of one sweep's panel


def fits(material: Material) -> bool:
    """Whether some method was swept over layers and at least two amounts, and its baseline is there."""
    return bool(_sweeps(material.rows))


def draw(material: Material) -> tuple[Figure, list[str]]:
    """One panel a sweep: the change of the metric that ranks at equal losses of average accuracy."""
    from matplotlib.figure import Figure

    rows = material.rows
    sweeps = _sweeps(rows)
    metric = str(rows[0].first["suite"]["rank_by"]).removeprefix("-")
    figure = Figure(figsize=(WIDTH, HEIGHT * len(sweeps)), layout="constrained")
    lines: list[str] = []
    for sweep, axes in zip(sweeps, figure.subplots(len(sweeps), 1, squeeze=False)[:, 0], strict=True):
        found = {layers: [at_equal_accuracy(sweep, layers, metric, loss) for loss in LOSSES] for layers in sweep.layers}
        _panel(sweep, metric, found, axes)
        lines.append(f"{sweep.title}: {metric.replace('_', ' ')}, points from the baseline, by points of average lost")
        for layers, values in found.items():
            cells = (f"{100 * loss:g}: {gap_text(value)}" for loss, value in zip(LOSSES, values, strict=True))
            lines.append(f"  {layers}, at {'; at '.join(cells)}")
    return figure, lines


def _sweeps(rows: Rows) -> list[LayerSweep]:
    return [sweep for sweep in layer_sweeps(rows) if sweep.whole is not None and len(sweep.amounts) > 1]


def _panel(sweep: LayerSweep, metric: str, found: dict[str, list[Estimate | None]], axes: Axes) -> None:
    for number, (layers, values) in enumerate(found.items()):
        at = [(place, value) for place, value in enumerate(values) if value is not None]
        offset = 0.08 * (number - (len(found) - 1) / 2)
        axes.errorbar(
            [place + offset for place, _ in at],
            [100 * value.mean for _, value in at],
            [100 * (value.half_width or 0.0) for _, value in at],
            fmt="o",
            markersize=3,
            capsize=2,
            color=f"C{number}",
            label=layers,
        )
    axes.axhline(0, color="grey", linewidth=0.5)
    axes.set_xticks(range(len(LOSSES)), [f"{100 * loss:g}" for loss in LOSSES])
    axes.set_xlim(-0.5, len(LOSSES) - 0.5)
    axes.set_xlabel("points of average accuracy lost (groups weighted as in training)")
    axes.set_ylabel(f"{metric.replace('_', ' ')},\npoints from the baseline")
    axes.set_title(sweep.title, loc="left")
    axes.legend(title="pruned layers", fontsize=7, loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
