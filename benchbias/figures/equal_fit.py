"""The harm of every row that remains beside dense networks like it in steps, FLOPs, weights, accuracy or fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchbias.figures.material import Line, Material, by_text, half, told

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KINDS = {"row": "text", "matched in": "text", "harm": "estimate", "outside": "count"}
NEEDS = f"an analysis with the columns {', '.join(KINDS)} (such as `equal_fit`)"
WIDTH, ROW = 7.5, 0.42  # inches, of a panel, and of a row in it


def fits(material: Material) -> bool:
    """Whether some analysis has harms by what was matched."""
    return bool(material.tables(KINDS))


def draw(material: Material) -> tuple[Figure, list[str]]:
    """One panel a task, one line of it a row of the board: the harm with its interval for all that was matched."""
    from matplotlib.figure import Figure

    found = material.tables(KINDS)
    heights = [1.0 + ROW * len(by_text(table, "row")) for _, table in found]
    figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained")
    panels = figure.subplots(len(found), 1, squeeze=False, height_ratios=heights)[:, 0]
    lines: list[str] = []
    for (record, table), axes in zip(found, panels, strict=True):
        lines.append(f"{record.task}: harm, points, beside dense networks matched in")
        lines += _panel(table, axes)
        axes.set_title(f"{record.task}; open: out of the dense networks' reach, beside the nearest", loc="left")
    return figure, lines


def _panel(table: list[Line], axes: Axes) -> list[str]:
    """Open points are bounds: in some seed no dense network reaches the row."""
    spoken, rows = [], by_text(table, "row")
    kinds = list(by_text(table, "matched in"))
    for down, (row, members) in enumerate(rows.items()):
        for line in members:
            number, harm, outside = kinds.index(line["matched in"]), line["harm"], line["outside"] or 0
            bound = f" (outside in {outside})" if outside else ""
            spoken.append(f"  {row}, {line['matched in']}: {told(harm)}{bound}")
            if harm is not None:
                place = down + 0.7 * ((number + 0.5) / len(kinds) - 0.5)
                shade = f"C{number}"
                face = "none" if outside else shade
                axes.errorbar([harm.mean], [place], xerr=[half(harm)], fmt="o", color=shade, markerfacecolor=face)
    for number, kind in enumerate(kinds):
        axes.plot([], [], "o", markersize=4, color=f"C{number}", label=kind)
    axes.axvline(0, color="grey", linewidth=0.5)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel("harm, points")
    axes.legend(title="matched in", fontsize=7, loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    return spoken
