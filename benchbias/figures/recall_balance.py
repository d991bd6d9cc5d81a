"""Recall balance: alpha over compression, and what became of every class's balance, as a scatter and as boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from benchbias.figures.material import Line, Material, by_text, colour, half, told

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW = {"row": "text", "control": "text"}
ALPHA = ROW | {"compression": "number", "alpha": "estimate", "mark": "text"}
ALPHA |= {"alpha lower": "number", "alpha upper": "number", "alpha if uniform": "estimate"}
BALANCE = ROW | {"balance before": "number", "balance after": "number"}
NEEDS = (
    f"an analysis with the columns {', '.join(ALPHA)} (such as `recall_balance`), or one with "
    f"{', '.join(BALANCE)} and class or group (such as `intensification`)"
)
OTHER_SEED = ", another seed"  # how the control of a baseline that is compared with itself ends: A/A
WIDTH, HEIGHT = 12.0, 3.2  # inches, of one task's panels
ASIDE = 1.03  # by how much points of one compression stand apart

Colours = Mapping[str, Any]


def fits(material: Material) -> bool:
    """Whether some analysis has alpha, or balances before and after."""
    return bool(_tasks(material))


def draw(material: Material) -> tuple[Figure, list[str]]:
    """Three panels a task; one of which the suite has no table stays empty."""
    from matplotlib.figure import Figure

    tasks = _tasks(material)
    figure = Figure(figsize=(WIDTH, HEIGHT * len(tasks)), layout="constrained")
    lines: list[str] = []
    for (task, (alphas, balances)), axes in zip(
        tasks.items(), figure.subplots(len(tasks), 3, squeeze=False), strict=True
    ):
        names = dict.fromkeys(line["row"] for line in [*alphas, *balances])
        colours = {row: colour(number) for number, row in enumerate(names)}
        if alphas:
            lines += _slopes(task, alphas, colours, axes[0])
        if balances:
            lines += _scatter(task, balances, colours, axes[1])
            _boxes(balances, colours, axes[2])
            axes[2].sharey(axes[1])
        for panel in ([] if alphas else [axes[0]]) + ([] if balances else [axes[1], axes[2]]):
            panel.set_axis_off()
        for row, shade in colours.items():
            axes[2].plot([], [], "o", markersize=4, color=shade, label=row)
        axes[2].legend(fontsize=6, loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    return figure, lines


def _tasks(material: Material) -> dict[str, tuple[list[Line], list[Line]]]:
    """Lines by task: those with alpha, and those with balances."""
    alphas = {record.task: lines for record, lines in material.tables(ALPHA)}
    balances = {
        record.task: lines
        for kind in ("class", "group")
        for record, lines in material.tables({**BALANCE, kind: "text"})
    }
    tasks = dict.fromkeys(record.task for record in material.analyses)
    return {t: (alphas.get(t, []), balances.get(t, [])) for t in tasks if t in alphas or t in balances}


def _slopes(task: str, lines: Sequence[Line], colours: Colours, axes: Axes) -> list[str]:
    """Alpha with its interval, the rows of a method joined; the numbers are returned."""
    from matplotlib.ticker import LogLocator

    controls = {line["control"] for line in lines}
    places = _places(lines)
    methods: dict[str, list[tuple[float, float]]] = {}
    for line, place in zip(lines, places, strict=True):
        another = line["control"].endswith(OTHER_SEED)
        if place is not None:
            _point(line, place, "s" if another else "^" if line["row"] in controls else "o", colours, axes)
            if line["alpha"] is not None and not another:
                methods.setdefault(line["row"].partition("[")[0], []).append((place, line["alpha"].mean))
    for points in methods.values():
        axes.plot(*zip(*sorted(points), strict=True), color="lightgrey", linewidth=0.8, zorder=0)
    axes.axhline(1, color="grey", linewidth=0.5)
    axes.set_xscale("log", subs=())
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("compression")
    axes.set_ylabel("alpha, with its bounds")
    axes.set_title(f"{task}\n■ A/A   ▲ a control   ◇ if uniform", loc="left")
    return [f"{task}: alpha of every row against its control", *map(_said, lines)]


def _places(lines: Sequence[Line]) -> list[float | None]:
    """Where on the axis a line stands: its compression, and a little aside of those that stand there already."""
    there: dict[str, int] = {}
    places: list[float | None] = []
    for line in lines:
        at = line["compression"]
        if at is None or at <= 0:
            places.append(None)
            continue
        near = f"{at:.2g}"
        places.append(at * ASIDE ** there.get(near, 0))
        there[near] = there.get(near, 0) + 1
    return places


def _point(line: Line, place: float, shape: str, colours: Colours, axes: Axes) -> None:
    shade, alpha, uniform = colours[line["row"]], line["alpha"], line["alpha if uniform"]
    if alpha is not None:
        low, high = _bounds(line)
        spread = [[max(0.0, alpha.mean - low)], [max(0.0, high - alpha.mean)]]
        axes.errorbar([place], [alpha.mean], spread, fmt=shape, markersize=4, capsize=2, color=shade)
    if uniform is not None:
        axes.plot([place], [uniform.mean], "D", markersize=5, color=shade, markerfacecolor="none")


def _bounds(line: Line) -> tuple[float, float]:
    """The table's own, which need not lie evenly about alpha; else the 95 % interval."""
    low, high, alpha = line["alpha lower"], line["alpha upper"], line["alpha"]
    return (low, high) if None not in (low, high) else (alpha.mean - half(alpha), alpha.mean + half(alpha))


def _said(line: Line) -> str:
    compression, low, high = (
        "–" if line[name] is None else f"{line[name]:.3g}" for name in ("compression", "alpha lower", "alpha upper")
    )
    bounds = f"{told(line['alpha'])} ({low} to {high}) {line['mark']}"
    return (
        f"  {line['row']} against {line['control']}, compression {compression}: {bounds}; "
        f"if uniform {told(line['alpha if uniform'])}"
    )


def _scatter(task: str, lines: Sequence[Line], colours: Colours, axes: Axes) -> list[str]:
    """Balance after against balance before, a point a class; the numbers are returned, a line a row."""
    unit = _unit(lines[0])
    spoken = [f"{task}: balance of every {unit}, before to after"]
    for row, members in by_text(lines, "row").items():
        points = [line for line in members if None not in (line["balance before"], line["balance after"])]
        before, after = ([line[f"balance {when}"] for line in points] for when in ("before", "after"))
        axes.plot(before, after, "o", markersize=3, alpha=0.8, color=colours[row])
        parts = (f"{line[unit]} {line['balance before']:+.3f} to {line['balance after']:+.3f}" for line in points)
        spoken.append(f"  {row} against {members[0]['control']}: {'; '.join(parts)}")
    axes.axline((0, 0), slope=1, color="grey", linewidth=0.5)
    axes.axhline(0, color="lightgrey", linewidth=0.5, zorder=0)
    axes.axvline(0, color="lightgrey", linewidth=0.5, zorder=0)
    axes.set_xlabel("balance (R - A) / A before")
    axes.set_ylabel("after")
    axes.set_title(f"{task}\nbalance of every {unit}, line: unchanged", loc="left")
    return spoken


def _boxes(lines: Sequence[Line], colours: Colours, axes: Axes) -> None:
    """Boxes over classes: the balances of every control, grey, and after it those of its rows."""
    place = 0
    for members in by_text(lines, "control").values():
        first = next(iter(by_text(members, "row").values()))
        boxes = [("grey", [line["balance before"] for line in first])]
        for row, own in by_text(members, "row").items():
            boxes.append((colours[row], [line["balance after"] for line in own]))
        for shade, values in boxes:
            known = [value for value in values if value is not None]
            axes.boxplot([known], positions=[place], widths=0.6, **_strokes(shade))
            place += 1
    axes.axhline(0, color="lightgrey", linewidth=0.5, zorder=0)
    axes.set_xticks([])
    axes.set_ylabel("balance (R - A) / A")
    axes.set_title("\nthe same as boxes; grey: of the control", loc="left")


def _strokes(shade: Any) -> dict[str, Any]:
    """Options of matplotlib that draw all of a box in one colour."""
    parts = ("boxprops", "whiskerprops", "capprops", "medianprops")
    return {name: {"color": shade} for name in parts} | {"flierprops": {"markeredgecolor": shade, "markersize": 3}}


def _unit(line: Line) -> str:
    return "class" if "class" in line else "group"
