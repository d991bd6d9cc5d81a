"""The images on which two populations of models disagree: their labels, and what most models of each predict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchbias.errors import UsageError
from benchbias.figures.material import Line, Material, Pictures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

KINDS = {"row": "text", "image": "image", "label": "text", "dense mode": "text", "pruned mode": "text"}
NEEDS = f"an analysis with the columns {', '.join(KINDS)} (such as `pie_gallery`), and the task's images"
COLUMNS = 10
TILE, TEXT = 1.0, 0.55  # inches: an image is a square; the lines of text under it


def fits(material: Material) -> bool:
    """Whether some analysis has images with both modes."""
    return bool(material.tables(KINDS))


def draw(material: Material) -> tuple[Figure, list[str]]:
    """One panel a task. Raises BenchbiasError where its images cannot be had, or are not those of the table."""
    from matplotlib.figure import Figure

    found = material.tables(KINDS)
    heights = [(TILE + TEXT) * -(-len(table) // COLUMNS) + 0.4 for _, table in found]
    figure = Figure(figsize=(COLUMNS * TILE, sum(heights)), layout="constrained")
    panels = figure.subplots(len(found), 1, squeeze=False, height_ratios=heights)[:, 0]
    lines: list[str] = []
    for (record, table), axes in zip(found, panels, strict=True):
        pictures = material.pictures(record.task)
        _require_labels(record.task, table, pictures)
        rows = ", ".join(dict.fromkeys(line["row"] for line in table))
        axes.set_title(f"{record.task}: {rows}", loc="left")
        lines.append(f"{record.task}: {rows}: image of the test split, label, dense mode, pruned mode")
        lines += _sheet(table, pictures.images, axes)
    return figure, lines


def _require_labels(task: str, table: Sequence[Line], pictures: Pictures) -> None:
    """Raises UsageError where an image of the table is none of the task's, or has another label."""
    for line in table:
        number = line["image"]
        if number >= len(pictures.labels) or str(int(pictures.labels[number])) != line["label"]:
            raise UsageError(f"{task}: test image {number} is not the one that the analysis saw: run the suite again")


def _sheet(table: Sequence[Line], images: NDArray[Any], axes: Axes) -> list[str]:
    """A grid of images, from the left, from the top."""
    spoken = []
    step = (TILE + TEXT) / TILE  # an image is one unit wide
    for place, line in enumerate(table):
        down, across = divmod(place, COLUMNS)
        top, left = down * step, across + 0.04
        place_of_image = (left, left + 0.92, top + 0.92, top)
        axes.imshow(_tile(images[line["image"]]), extent=place_of_image, interpolation="nearest")
        text = f"label {line['label']}\ndense {line['dense mode']}\npruned {line['pruned mode']}"
        axes.text(left, top + 0.96, text, va="top", fontsize=6)
        spoken.append(f"  {line['image']}: {line['label']}, {line['dense mode']}, {line['pruned mode']}")
    axes.set_xlim(0, COLUMNS)
    axes.set_ylim(step * -(-len(table) // COLUMNS), 0)
    axes.set_aspect("equal")
    axes.set_axis_off()
    return spoken


def _tile(image: NDArray[Any]) -> NDArray[Any]:
    """(C, H, W) as matplotlib has it, (H, W, 3): of one channel grey, else of the first three."""
    colours: NDArray[Any] = image[[0, 0, 0]] if image.shape[0] < 3 else image[:3]
    return colours.transpose(1, 2, 0)
