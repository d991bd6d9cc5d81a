"""Figures from records alone: a registry of what can be drawn, and the file that it is written to. No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from benchbias.cells import CellLayout
from benchbias.errors import UsageError, unknown
from benchbias.figures import equal_accuracy, layer_sweep
from benchbias.files import storage_errors
from benchbias.results import TrialRecord
from benchbias.rows import Trials, trials_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".svg", ".pdf", ".png")
STYLE: Mapping[str, Any] = MappingProxyType(
    {
        "svg.hashsalt": "benchbias",  # else ids differ from run to run
        "svg.fonttype": "none",  # text stays text: small, and searchable
        "font.family": "DejaVu Sans",  # matplotlib's own, so that a figure does not depend on the machine's fonts
        "font.size": 8.0,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
)


@dataclass(frozen=True)
class Drawing:
    """One kind of figure.

    needs: what a suite must have, for messages. fits: whether the rows have it. draw: rows -> the figure, and lines
    of text that say its numbers.
    """

    needs: str
    fits: Callable[[Sequence[Trials]], bool]
    draw: Callable[[Sequence[Trials]], tuple[Figure, list[str]]]


FIGURES: Mapping[str, Drawing] = MappingProxyType(
    {
        "layer-sweep": Drawing(layer_sweep.NEEDS, layer_sweep.fits, layer_sweep.draw),
        "equal-accuracy": Drawing(equal_accuracy.NEEDS, equal_accuracy.fits, equal_accuracy.draw),
    }
)
"""By name; of those that fit a suite the first is drawn unless another is asked for."""


def check_path(path: Path) -> None:
    """Refuse a file whose name says no format. Raises UsageError."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"--plot {path}: the file's name must end in {', '.join(SUFFIXES)}")


def write_figure(
    suite: str,
    records: Sequence[TrialRecord],
    layouts: Mapping[str, CellLayout],
    path: Path,
    name: str | None = None,
) -> list[str]:
    """Draw a figure of a suite's records into a file, the same bytes every time; its lines of text are returned.

    name: of FIGURES; None: the first that fits. Raises UsageError for an unknown name, where nothing fits, and for a
    file that is no SVG, PDF or PNG.
    """
    import matplotlib

    check_path(path)
    rows = trials_of(records, layouts)
    chosen = _chosen(suite, rows, name)
    with matplotlib.rc_context(cast(Any, dict(STYLE))):
        figure, lines = chosen.draw(rows)
        with storage_errors(f"--plot: cannot write {path}"):
            figure.savefig(path, format=path.suffix.lower()[1:], metadata=_undated(path), dpi=150)
    return lines


def _chosen(suite: str, rows: Sequence[Trials], name: str | None) -> Drawing:
    if name is not None and name not in FIGURES:
        raise UsageError(unknown("figure", name, FIGURES, "--figure"))
    wanted = FIGURES if name is None else {name: FIGURES[name]}
    fitting = [drawing for drawing in wanted.values() if drawing.fits(rows)]
    if not fitting:
        needs = "; ".join(f"{key} needs {drawing.needs}" for key, drawing in wanted.items())
        raise UsageError(f"the records of suite {suite!r} hold nothing to draw: {needs}")
    return fitting[0]


def _undated(path: Path) -> dict[str, None]:
    """What matplotlib would write of the time."""
    return {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".png": {}}[path.suffix.lower()]
