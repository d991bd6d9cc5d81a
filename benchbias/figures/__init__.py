"""Figures of a suite: a registry of what can be drawn, and the file that it is written to. No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from benchbias.errors import UsageError, printable, unknown
from benchbias.figures import (
    class_impact,
    equal_accuracy,
    equal_fit,
    layer_sweep,
    pie_sheet,
    probe_chart,
    recall_balance,
    sparsity_curves,
)
from benchbias.figures.material import Material as Material
from benchbias.figures.material import Pictures as Pictures
from benchbias.util.files import storage_errors
from benchbias.util.packages import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".svg", ".pdf", ".png")
STYLE: Mapping[str, Any] = MappingProxyType(
    {
        "svg.hashsalt": "benchbias",  # else ids differ from run to run
        "svg.fonttype": "none",  # text stays text: small, and searchable
        "font.family": "DejaVu Sans",  # matplotlib's own, so that a figure does not depend on the machine's fonts
        "font.size": 8.0,
        "text.parse_math": False,  # a name with two dollar signs is no formula
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
)


@dataclass(frozen=True)
class Drawing:
    """One kind of figure.

    needs: what a suite must have, for messages. fits: whether the material has it. draw: material -> the figure, and
    lines of text that say its numbers.
    """

    needs: str
    fits: Callable[[Material], bool]
    draw: Callable[[Material], tuple[Figure, list[str]]]


FIGURES: Mapping[str, Drawing] = MappingProxyType(
    {
        "layer-sweep": Drawing(layer_sweep.NEEDS, layer_sweep.fits, layer_sweep.draw),
        "equal-accuracy": Drawing(equal_accuracy.NEEDS, equal_accuracy.fits, equal_accuracy.draw),
        "sparsity-curves": Drawing(sparsity_curves.NEEDS, sparsity_curves.fits, sparsity_curves.draw),
        "recall-balance": Drawing(recall_balance.NEEDS, recall_balance.fits, recall_balance.draw),
        "class-impact": Drawing(class_impact.NEEDS, class_impact.fits, class_impact.draw),
        "pie-sheet": Drawing(pie_sheet.NEEDS, pie_sheet.fits, pie_sheet.draw),
        "probe-chart": Drawing(probe_chart.NEEDS, probe_chart.fits, probe_chart.draw),
        "equal-fit": Drawing(equal_fit.NEEDS, equal_fit.fits, equal_fit.draw),
    }
)
"""By name; of those that fit a suite the first is drawn unless another is asked for."""


def check_path(path: Path) -> None:
    """Refuse a file whose name says no format, and any where matplotlib is absent. Raises UsageError."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"--plot {path}: the file's name must end in {', '.join(SUFFIXES)}")
    require("matplotlib", extra="figures", what="a figure")


def fitting(material: Material) -> list[str]:
    """The names of the figures that can be drawn of a suite."""
    return [name for name, drawing in FIGURES.items() if drawing.fits(material)]


def write_figure(suite: str, material: Material, path: Path, name: str | None = None) -> list[str]:
    """Draw a figure of a suite into a file, the same bytes every time; its lines of text are returned.

    name: of FIGURES; None: the first that fits. Raises UsageError for an unknown name, where nothing fits, and for a
    file that is no SVG, PDF or PNG, or matplotlib absent.
    """
    check_path(path)
    import matplotlib

    chosen = _chosen(suite, material, name)
    with matplotlib.rc_context(cast(Any, dict(STYLE))):
        figure, lines = chosen.draw(material)
        _letter(figure)
        with storage_errors(f"--plot: cannot write {path}"):
            figure.savefig(path, format=path.suffix.lower()[1:], metadata=_undated(path), dpi=150)
    return lines


LONGEST_LINE = 200  # characters of a text in a figure


def _letter(figure: Figure) -> None:
    """Leave no control character in any text of a figure, which would break an SVG, and no endless line."""
    from matplotlib.text import Text
    from matplotlib.ticker import FixedFormatter

    for text in figure.findobj(Text):
        if isinstance(text, Text):
            text.set_text(_lettering(text.get_text()))
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            formatter = axis.get_major_formatter()
            if isinstance(formatter, FixedFormatter):
                formatter.seq = [_lettering(str(label)) for label in formatter.seq]


def _lettering(text: str) -> str:
    return "\n".join(line[:LONGEST_LINE] for line in printable(text).split("\n"))


def _chosen(suite: str, material: Material, name: str | None) -> Drawing:
    if name is not None and name not in FIGURES:
        raise UsageError(unknown("figure", name, FIGURES, "--figure"))
    wanted = FIGURES if name is None else {name: FIGURES[name]}
    found = [drawing for drawing in wanted.values() if drawing.fits(material)]
    if not found:
        needs = "; ".join(f"{key} needs {drawing.needs}" for key, drawing in wanted.items())
        raise UsageError(f"the records of suite {suite!r} hold nothing to draw: {needs}")
    return found[0]


def _undated(path: Path) -> dict[str, None]:
    """Metadata that keep matplotlib from writing the time, by the kind of file."""
    return {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".png": {}}[path.suffix.lower()]
