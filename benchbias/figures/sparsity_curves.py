"""Metrics over sparsity: the curve of every method swept over it, with bands, and its baseline as a dashed line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchbias.board.row_trials import Rows, Trials, twin
from benchbias.board.sweeps import metric_at
from benchbias.board.text import points_text
from benchbias.figures.material import Material, band, colour
from benchbias.statistics.estimates import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NEEDS = "a method with `sweep = { sparsity = [...] }` (or density) of two amounts or more"
AMOUNTS = ({"sparsity"}, {"density"})
WIDTH, HEIGHT, LEGEND = 3.4, 2.9, 2.6  # inches, of one panel; of the legend beside them
ASIDE = 1.008  # by how much of its density
TICKS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)

Curves = dict[str, list[Trials]]
"""The rows of one task by method."""


def fits(material: Material) -> bool:
    """Whether some method was swept over sparsity or density alone, at two amounts or more."""
    return bool(_curves(material.rows))


def draw(material: Material) -> tuple[Figure, list[str]]:
    """One line of panels a task, one panel a metric: against the sparsity that was reached, the mean over seeds."""
    from matplotlib.figure import Figure

    tasks = _curves(material.rows)
    metrics = _metrics(material.rows[0])
    size = (WIDTH * len(metrics) + LEGEND, HEIGHT * len(tasks))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(tasks), len(metrics), squeeze=False)
    lines: list[str] = []
    for (task, curves), across in zip(tasks.items(), panels, strict=True):
        baselines = _baselines(curves, material.rows)
        for metric, axes in zip(metrics, across, strict=True):
            lines.append(f"{task}: {_words(metric)}, %, at the sparsity reached")
            lines += _panel(curves, baselines, metric, axes)
            axes.set_title(task, loc="left")
        across[-1].legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    return figure, lines


def _curves(rows: Sequence[Trials]) -> dict[str, Curves]:
    """Curves by task, where a method has two amounts; a method of one is a point among the curves."""
    found: dict[str, Curves] = {}
    for row in rows:
        if set(row.first["swept"]) in AMOUNTS:
            found.setdefault(row.first["task"], {}).setdefault(row.first["method"], []).append(row)
    return {
        task: {method: sorted(members, key=_sparsity) for method, members in curves.items()}
        for task, curves in found.items()
        if any(len(members) > 1 for members in curves.values())
    }


def _metrics(row: Trials) -> list[str]:
    """The one that ranks, the conflicting examples' accuracy, and the average: as training weighs it, if there."""
    suite = row.first["suite"]
    average = "accuracy_train_weighted" if "accuracy_train_weighted" in suite["metrics"] else "accuracy"
    wanted = [suite["rank_by"].removeprefix("-"), "conflicting_accuracy", average]
    return [name for name in dict.fromkeys(wanted) if name in suite["metrics"]]


def _baselines(curves: Curves, rows: Rows) -> dict[str, Trials]:
    """Baselines by method, but for those that are swept themselves, which would be curves."""
    found = [twin(members[0], members[0].first["baseline"], rows) for members in curves.values()]
    return {row.first["method"]: row for row in found if row is not None and not row.first["swept"]}


def _sparsity(row: Trials) -> float:
    """The sparsity that a row reached, the mean over seeds."""
    return float(sum(record.body["sparsity"] for record in row.records.values()) / len(row.records))


def _panel(curves: Curves, baselines: dict[str, Trials], metric: str, axes: Axes) -> list[str]:
    lines = []
    for number, (method, members) in enumerate(curves.items()):
        found = [(_sparsity(row), row.label, metric_at(row, metric)) for row in members]
        lines += [f"  {label}, {at:.4g}: {points_text(value)}" for at, label, value in found]
        _curve(axes, method, number, [(at, value) for at, _, value in found if value is not None])
    for number, (method, row) in enumerate(baselines.items(), len(curves)):
        value = metric_at(row, metric)
        lines.append(f"  {method}, baseline: {points_text(value)}")
        if value is not None:
            axes.axhline(100 * value.mean, color=colour(number), linestyle="--", linewidth=1, label=method)
            low, high = band(value)
            axes.axhspan(100 * low, 100 * high, color=colour(number), alpha=0.1, linewidth=0)
    _axis(axes, [_sparsity(row) for members in curves.values() for row in members])
    axes.set_ylabel(f"{_words(metric)}, %")
    return lines


def _curve(axes: Axes, method: str, number: int, points: Sequence[tuple[float, Estimate]]) -> None:
    """Points joined in a band of 95 % intervals; a single one with its interval as a bar, a little aside of others."""
    places = [1 - at for at, _ in points]  # density: see _axis
    means = [100 * value.mean for _, value in points]
    low, high = ([100 * band(value)[side] for _, value in points] for side in (0, 1))
    shade = colour(number)
    if len(points) == 1:
        places = [place * ASIDE ** (number % 20 - 10) for place in places]
        spread = [[means[0] - low[0]], [high[0] - means[0]]]
        axes.errorbar(places, means, spread, fmt="o", markersize=3, capsize=2, color=shade, label=method)
        return
    axes.plot(places, means, marker="o", markersize=3, color=shade, label=method)
    axes.fill_between(places, low, high, color=shade, alpha=0.15, linewidth=0)


def _axis(axes: Axes, reached: Sequence[float]) -> None:
    """Density from right to left, on a logarithmic scale unless nothing was kept, named by sparsity."""
    axes.set_xscale("log" if max(reached) < 1 else "linear")
    axes.invert_xaxis()
    low, high = min(reached), max(reached)
    shown = [tick for tick in TICKS if low - 0.05 <= tick <= high + (1 - high) / 4] or [low, high]
    axes.set_xticks([1 - tick for tick in shown], [f"{tick:g}" for tick in shown])
    axes.minorticks_off()
    axes.set_xlabel("sparsity")


def _words(metric: str) -> str:
    return metric.replace("_", " ")
