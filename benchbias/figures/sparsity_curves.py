"""Metrics over sparsity: a curve of every method swept over it, and beside it every other row of the board."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchbias.board.row_trials import Rows, Trials, twin
from benchbias.board.sweeps import metric_at
from benchbias.board.text import points_text
from benchbias.figures.material import Material, band, colour
from benchbias.figures.row_strips import Strip, draw_strip, is_dense, look, looks_of, name_of, sparsity_of, strips_of
from benchbias.statistics.estimates import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

NEEDS = "a method with `sweep = { sparsity = [...] }` (or density) of two amounts or more"
AMOUNTS = ({"sparsity"}, {"density"})
CURVES, LEGEND, PLACE, EDGE = 3.4, 1.9, 0.17, 0.5  # inches: of a panel of curves, of the legend, of a row in a strip
HEIGHT, NAMES = 1.9, 1.9  # inches: of one row of panels, of the names below
TICKS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)


@dataclass(frozen=True)
class Picture:
    """All rows of one task. curves: the rows of each swept method, by sparsity. baselines: theirs, by method."""

    task: str
    curves: dict[str, list[Trials]]
    baselines: dict[str, Trials]
    others: tuple[Trials, ...]
    strips: tuple[Strip, ...]

    @property
    def sparse(self) -> list[Trials]:
        """The rows without a curve that have lost weights."""
        return [row for row in self.others if not is_dense(row)]

    @property
    def width(self) -> float:
        return CURVES + LEGEND + sum(PLACE * len(strip.rows) + EDGE for strip in self.strips)


def fits(material: Material) -> bool:
    """Whether some method was swept over sparsity or density alone, at two amounts or more."""
    return bool(_pictures(material.rows))


def draw(material: Material) -> tuple[Figure, list[str]]:
    """One block a task, a line of panels a metric with one scale: dense rows, rows of one sparsity, and curves."""
    from matplotlib.figure import Figure

    pictures, metrics = _pictures(material.rows), _metrics(material.rows[0])
    tall = HEIGHT * len(metrics) + NAMES
    size = (max(picture.width for picture in pictures), tall * len(pictures))
    figure = Figure(figsize=size, layout="constrained")
    lines: list[str] = []
    for picture, block in zip(pictures, figure.subfigures(len(pictures), 1, squeeze=False)[:, 0], strict=True):
        lines += _block(picture, metrics, material.rows, block)
    return figure, lines


def _pictures(rows: Rows) -> list[Picture]:
    """The tasks of which a method has two amounts."""
    tasks: dict[str, list[Trials]] = {}
    for row in rows:
        tasks.setdefault(row.first["task"], []).append(row)
    found = [_picture(task, members, rows) for task, members in tasks.items()]
    return [picture for picture in found if picture is not None]


def _picture(task: str, members: Sequence[Trials], rows: Rows) -> Picture | None:
    swept: dict[str, list[Trials]] = {}
    for row in members:
        if set(row.first["swept"]) in AMOUNTS:
            swept.setdefault(row.first["method"], []).append(row)
    curves = {method: sorted(own, key=sparsity_of) for method, own in swept.items() if len(own) > 1}
    if not curves:
        return None
    drawn = {id(row) for own in curves.values() for row in own}
    others = tuple(row for row in members if id(row) not in drawn)
    rank_by = members[0].first["suite"]["rank_by"]
    strips = strips_of(others, rank_by.removeprefix("-"), descending=not rank_by.startswith("-"))
    return Picture(task, curves, _baselines(curves, rows), others, tuple(strips))


def _metrics(row: Trials) -> list[str]:
    """The one that ranks, the conflicting examples' accuracy, and the average: as training weighs it, if there."""
    suite = row.first["suite"]
    average = "accuracy_train_weighted" if "accuracy_train_weighted" in suite["metrics"] else "accuracy"
    wanted = [suite["rank_by"].removeprefix("-"), "conflicting_accuracy", average]
    return [name for name in dict.fromkeys(wanted) if name in suite["metrics"]]


def _baselines(curves: dict[str, list[Trials]], rows: Rows) -> dict[str, Trials]:
    """Baselines by method, but for those that are swept themselves, which would be curves."""
    found = [twin(members[0], members[0].first["baseline"], rows) for members in curves.values()]
    return {row.first["method"]: row for row in found if row is not None and not row.first["swept"]}


def _block(picture: Picture, metrics: Sequence[str], rows: Rows, block: SubFigure) -> list[str]:
    """The panels of one task; their numbers are returned."""
    widths = [*(PLACE * len(strip.rows) + EDGE for strip in picture.strips), CURVES]
    panels = block.subplots(len(metrics), len(widths), squeeze=False, sharey="row", sharex="col", width_ratios=widths)
    lines = []
    for metric, across in zip(metrics, panels, strict=True):
        lines.append(f"{picture.task}: {_words(metric)}, %, at the sparsity reached")
        lines += _curve_panel(picture, metric, across[-1])
        for strip, axes in zip(picture.strips, across, strict=False):
            lines += [line for line in draw_strip(strip, metric, rows, axes) if _is_new(line, picture)]
        for axes in across:
            axes.grid(axis="y", color="#e4e4e4", linewidth=0.6)
            axes.set_axisbelow(True)
        across[0].set_ylabel(f"{_words(metric)}, %")
    for strip, axes in zip(picture.strips, panels[0], strict=False):
        axes.set_title(strip.title, loc="left")
    panels[0][-1].set_title(f"{picture.task}: swept over sparsity", loc="left")
    shown = [row for members in picture.curves.values() for row in members]
    _axis(panels[-1][-1], [sparsity_of(row) for row in (*shown, *picture.sparse)])
    _legend(picture, panels[0][-1])
    return lines


def _is_new(line: str, picture: Picture) -> bool:
    """Whether a line of a strip is of a row that stands in no line yet: baselines do."""
    return not any(line.startswith(f"  {row.label}, ") for row in picture.baselines.values())


def _curve_panel(picture: Picture, metric: str, axes: Axes) -> list[str]:
    lines = []
    for number, (method, members) in enumerate(picture.curves.items()):
        found = [(sparsity_of(row), row.label, metric_at(row, metric)) for row in members]
        lines += [f"  {label}, {at:.4g}: {points_text(value)}" for at, label, value in found]
        _curve(axes, method, number, [(at, value) for at, _, value in found if value is not None])
    for number, (method, row) in enumerate(picture.baselines.items(), len(picture.curves)):
        value = metric_at(row, metric)
        lines.append(f"  {method}, baseline: {points_text(value)}")
        if value is not None:
            label = f"{name_of(row)}, dense baseline"
            axes.axhline(100 * value.mean, color=colour(number), linestyle="--", linewidth=1, label=label)
            low, high = band(value)
            axes.axhspan(100 * low, 100 * high, color=colour(number), alpha=0.1, linewidth=0)
    for row in picture.sparse:
        value = metric_at(row, metric)
        if value is not None:
            shape, shade, _ = look(row)
            axes.plot([1 - sparsity_of(row)], [100 * value.mean], shape, markersize=3, color=shade, alpha=0.45)
    return lines


def _curve(axes: Axes, method: str, number: int, points: Sequence[tuple[float, Estimate]]) -> None:
    """Points joined in a band of 95 % intervals."""
    places = [1 - at for at, _ in points]  # density: see _axis
    means = [100 * value.mean for _, value in points]
    low, high = ([100 * band(value)[side] for _, value in points] for side in (0, 1))
    axes.plot(places, means, marker="o", markersize=3, color=colour(number), label=method)
    axes.fill_between(places, low, high, color=colour(number), alpha=0.15, linewidth=0)


def _axis(axes: Axes, reached: Sequence[float]) -> None:
    """Density from right to left, on a logarithmic scale unless nothing was kept, named by sparsity."""
    low, high = min(reached), max(reached)
    axes.set_xscale("log" if high < 1 else "linear")
    axes.invert_xaxis()
    shown = [tick for tick in TICKS if low - 0.05 <= tick <= high + (1 - high) / 4] or [low, high]
    axes.set_xticks([1 - tick for tick in shown], [f"{tick:g}" for tick in shown])
    axes.minorticks_off()
    axes.set_xlabel("sparsity")


def _legend(picture: Picture, axes: Axes) -> None:
    """Swept methods and their baselines, then what the shapes of single rows say."""
    from matplotlib.lines import Line2D

    handles: list[Any] = list(axes.get_legend_handles_labels()[0])
    for shape, shade, words in looks_of(picture.others):
        handles.append(Line2D([], [], linestyle="none", marker=shape, markersize=4, color=shade, label=words))
    if picture.others:
        hollow = {"linestyle": "none", "marker": "o", "markersize": 4, "color": "#1b1b1b", "markerfacecolor": "white"}
        handles.append(Line2D([], [], label="hollow: marked on the board", **hollow))  # type: ignore[arg-type]
    told = {"title": "one scale a line of panels", "title_fontsize": 7, "alignment": "left"}
    axes.legend(handles=handles, **told, fontsize=7, loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)


def _words(metric: str) -> str:
    return metric.replace("_", " ")
