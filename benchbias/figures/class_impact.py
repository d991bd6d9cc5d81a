"""Bars of a row's change in every class, group or other part; those that differ from none are filled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchbias.figures.material import Line, Material, by_text, half, told
from benchbias.statistics.estimates import p_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Source:
    """The columns of a table that are drawn. part: the bars' names. change: an estimate, in points.

    verdict: a text column, by which a change differs from none where its text is one of `differing`. Without such a
    column it does where 0 is outside of the 95 % interval.
    """

    part: str
    change: str
    verdict: str | None = None
    differing: tuple[str, ...] = ()

    @property
    def kinds(self) -> dict[str, str]:
        columns = {"row": "text", self.part: "text", self.change: "estimate"}
        return columns | ({self.verdict: "text"} if self.verdict else {})

    def differs(self, line: Line) -> bool:
        """Whether the change of a line differs from none."""
        if self.verdict is not None:
            return line[self.verdict] in self.differing
        return p_value(line[self.change]) < 0.05


SOURCES = (
    Source("part", "change", "verdict", ("lower", "higher")),
    Source("class", "normalised change", "verdict holm", ("loss", "gain")),
    Source("class", "recall change"),
    Source("group", "recall change"),
)
NEEDS = "an analysis with the columns " + ", or with ".join(
    f"{', '.join(source.kinds)} (such as `{example}`)"
    for source, example in zip(
        SOURCES, ("twin_changes", "pie_classes", "intensification", "intensification"), strict=True
    )
)
BAR, LEAST, HEIGHT = 0.16, 2.8, 2.4  # inches: of a bar, of the narrowest panel, of a panel


@dataclass(frozen=True)
class Panel:
    """One row of the board in one analysis."""

    task: str
    analysis: str
    row: str
    lines: Sequence[Line]
    source: Source


def fits(material: Material) -> bool:
    """Whether some analysis has changes of classes, groups or other parts."""
    return bool(panels_of(material))


def draw(material: Material) -> tuple[Figure, list[str]]:
    """A line of panels for every row of the board: what each analysis says of it."""
    from matplotlib.figure import Figure

    across: dict[tuple[str, str], list[Panel]] = {}
    for panel in panels_of(material):
        across.setdefault((panel.task, panel.row), []).append(panel)
    columns = max(map(len, across.values()))
    widths = [
        max([LEAST, *(BAR * len(panels[at].lines) for panels in across.values() if at < len(panels))])
        for at in range(columns)
    ]
    figure = Figure(figsize=(sum(widths), HEIGHT * len(across)), layout="constrained")
    grid = figure.subplots(len(across), columns, squeeze=False, sharey="row", width_ratios=widths)
    lines: list[str] = []
    for panels, places in zip(across.values(), grid, strict=True):
        for panel, axes in zip(panels, places, strict=False):
            lines += _draw_panel(panel, axes)
        for axes in places[len(panels) :]:
            axes.set_axis_off()
    return figure, lines


def panels_of(material: Material) -> list[Panel]:
    """All rows of all analyses; each table is read as the first source that it has the columns of."""
    found: dict[str, list[Panel]] = {}
    for source in SOURCES:
        for record, lines in material.tables(source.kinds):
            by_row = by_text(lines, "row").items()
            found.setdefault(record.label, [Panel(record.task, record.name, row, own, source) for row, own in by_row])
    return [panel for record in material.analyses for panel in found.get(record.label, [])]


def _draw_panel(panel: Panel, axes: Axes) -> list[str]:
    source = panel.source
    spoken = [f"{panel.task}: {panel.row} ({panel.analysis}): {source.change}, points; *: differs from none"]
    for place, line in enumerate(panel.lines):
        change, differs = line[source.change], source.differs(line)
        spoken.append(f"  {line[source.part]}: {told(change)}{' *' if differs else ''}")
        if change is not None:
            shade = "C3" if change.mean < 0 else "C0"
            axes.bar([place], [change.mean], color=shade if differs else "none", edgecolor=shade, linewidth=0.8)
            axes.errorbar([place], [change.mean], [half(change)], fmt="none", ecolor="black", elinewidth=0.7)
    axes.axhline(0, color="grey", linewidth=0.5)
    axes.set_xticks(range(len(panel.lines)), [line[source.part] for line in panel.lines], rotation=90, fontsize=6)
    axes.set_ylabel(f"{source.change},\npoints")
    axes.set_xlim(-0.6, len(panel.lines) - 0.4)
    axes.set_title(f"{panel.task}: {panel.row}\n{panel.analysis}; filled: differs from none", loc="left", fontsize=7)
    return spoken
