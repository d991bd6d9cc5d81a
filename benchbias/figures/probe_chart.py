"""Probes that modify a model: the change of every group beside that of the control, for every modification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchbias.board.markdown.probe_tables import averaged, by_texts
from benchbias.board.row_trials import Trials
from benchbias.figures.material import Material, colour, half, told
from benchbias.records.table import Table
from benchbias.statistics.estimates import Estimate, estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KINDS = {"group": "text", "change": "number", "control": "number", "difference": "number"}
NEEDS = f"a probe whose table has the columns {', '.join(KINDS)}"
BAR, LEAST, HEIGHT, LEGEND = 0.055, 4.0, 3.0, 1.6  # inches: of a bar, of the narrowest panel, of a panel, beside it
NUMBERS = ("change", "control", "difference")

UPRIGHT = 12  # names of modifications, from which on they are turned

Bars = dict[str, dict[str, tuple[Estimate | None, ...]]]
"""By modification, then group: change, control and difference."""


@dataclass(frozen=True)
class Panel:
    """One probe of one row of the board. always: the texts that all modifications share."""

    title: str
    always: str
    bars: Bars

    @property
    def groups(self) -> list[str]:
        return list(dict.fromkeys(group for block in self.bars.values() for group in block))


def fits(material: Material) -> bool:
    """Whether some probe has changes by group beside those of a control."""
    return bool(_panels(material.rows))


def draw(material: Material) -> tuple[Figure, list[str]]:
    """One panel a probe and row of the board, below each other: means over seeds with 95 % intervals."""
    from matplotlib.figure import Figure

    panels = _panels(material.rows)
    width = max(LEAST, *(BAR * len(panel.bars) * (2 * len(panel.groups) + 2) for panel in panels)) + LEGEND
    figure = Figure(figsize=(width, HEIGHT * len(panels)), layout="constrained")
    lines: list[str] = []
    for panel, axes in zip(panels, figure.subplots(len(panels), 1, squeeze=False)[:, 0], strict=True):
        lines.append(f"{panel.title}{panel.always}: change of accuracy, points; of the control; difference")
        lines += _draw_panel(panel, axes)
    return figure, lines


def _panels(rows: Sequence[Trials]) -> list[Panel]:
    found = []
    for row in rows:
        tables: dict[str, list[Table]] = {}
        for record in row.records.values():
            for name, value in record.body.get("probes", {}).items():
                tables.setdefault(name, []).append(Table.from_json(value))
        for name, members in tables.items():
            if all(_has_columns(table) for table in members):
                found.append(_panel(f"{row.first['task']}: {row.label}, {name}", members))
    return found


def _has_columns(table: Table) -> bool:
    return all(name in table.columns and table.columns[name][0] == kind for name, kind in KINDS.items())


def _panel(title: str, tables: Sequence[Table]) -> Panel:
    """Rows of a seed with equal texts are averaged first, as on the board."""
    texts = [name for name, (kind, _, _) in tables[0].columns.items() if kind == "text" and name != "group"]
    seeds: dict[tuple[str, ...], list[dict[str, list[float]]]] = {}
    for table in tables:
        for key, values in by_texts(table, [*texts, "group"], NUMBERS).items():
            seeds.setdefault(key, []).append(values)
    varied = [at for at in range(len(texts)) if len({key[at] for key in seeds}) > 1]
    bars: Bars = {}
    for key, members in seeds.items():
        name = ", ".join(f"{texts[at]} {key[at]}" for at in varied)
        bars.setdefault(name, {})[key[-1]] = tuple(estimate(averaged(members, number)) for number in NUMBERS)
    shared = next(iter(seeds), ())
    always = "".join(f", {text} {shared[at]}" for at, text in enumerate(texts) if at not in varied)
    return Panel(title, always, bars)


def _draw_panel(panel: Panel, axes: Axes) -> list[str]:
    """A block of bars a modification: of every group the change, filled, and beside it the control's, open."""
    spoken, groups = [], panel.groups
    size = 2 * len(groups) + 2  # of a block, with a gap
    for block, (modification, bars) in enumerate(panel.bars.items()):
        for group, values in bars.items():
            number = groups.index(group)
            spoken.append(f"  {', '.join(filter(None, (modification, group)))}: {'; '.join(map(told, values))}")
            for beside, value in enumerate(values[:2]):
                if value is not None:
                    _bar(axes, block * size + 2 * number + beside, value, number, filled=not beside)
    for number, group in enumerate(groups):
        axes.bar([0], [0], color=colour(number), label=group)
    axes.axhline(0, color="grey", linewidth=0.5)
    middles = [block * size + len(groups) - 0.5 for block in range(len(panel.bars))]
    names = [name.replace(", ", "\n") for name in panel.bars]
    axes.set_xticks(middles, names, rotation=90 if len(names) > UPRIGHT else 0, fontsize=6)
    axes.set_ylabel("change of accuracy, points")
    axes.set_title(f"{panel.title}{panel.always}; open: the control", loc="left")
    axes.legend(title="group", fontsize=6, loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    return spoken


def _bar(axes: Axes, place: float, value: Estimate, number: int, *, filled: bool) -> None:
    shade = colour(number)
    axes.bar([place], [value.mean], color=shade if filled else "none", edgecolor=shade, linewidth=0.7)
    axes.errorbar([place], [value.mean], [half(value)], fmt="none", ecolor="black", elinewidth=0.5)
