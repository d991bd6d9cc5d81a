"""The harm of groups drawn as rows: a dot with its bounds, the margin as a line. SVG that stretches to any width."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from benchbias.auditing.pages import wording
from benchbias.auditing.values import Line
from benchbias.errors import plain

KINDS = {"harmed": "harmed", "safe": "safe", "undecided": "open", "too small": "open"}
"""The class of a row's colours by its verdict."""


@dataclass(frozen=True)
class Scale:
    """The part of the axis that is drawn, in shares, and its ticks. A bound outside of it ends in an arrow."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def at(self, share: float) -> float:
        """The place of a share from the left, in percent of the width, from 0 to 100."""
        return 100 * (min(self.high, max(self.low, share)) - self.low) / (self.high - self.low)


def scale_of(lines: Sequence[Line], margin: float) -> Scale:
    """A scale with 0, the margin, every harm and the bounds of groups that are large enough to have narrow ones."""
    narrow = [line for line in lines if line.verdict != "too small"]
    least = 2.5 * margin
    high = max(least, *(line.harm for line in lines), *(line.upper for line in narrow), 0.0)
    low = min(-margin, *(line.harm for line in lines), *(line.lower for line in narrow), 0.0)
    pad = 0.04 * (high - low)
    low, high = low - pad, high + pad
    step = _step(high - low)
    first = math.ceil(low / step - 1e-9)
    ticks = tuple(step * at for at in range(first, math.floor(high / step + 1e-9) + 1))
    return Scale(low, high, ticks)


def _step(width: float) -> float:
    """A round step that gives four to eight ticks."""
    rough = width / 5
    size = 10.0 ** math.floor(math.log10(rough))
    return next(factor * size for factor in (1, 2, 5, 10) if factor * size >= rough)


def chart(lines: Sequence[Line], margin: float) -> str:
    """The rows of a chart as HTML, with an axis below."""
    scale = scale_of(lines, margin)
    rows = "".join(_row(line, scale, margin) for line in lines)
    return f'<div class="chart">{rows}{_axis(scale, margin)}</div>'


def _row(line: Line, scale: Scale, margin: float) -> str:
    name, told = escape(plain(line.group.name)), escape(wording.judged(line, margin))
    return (
        f'<div class="row {KINDS[line.verdict]}">'
        f'<div class="name"><bdi>{name}</bdi> <small>n {line.group.n}</small></div>'
        f'<div class="bar">{_bar(line, scale, margin)}</div>'
        f'<div class="value"><span><b>{wording.bound(line.harm, margin)}</b> {_bounds(line, margin)}</span> '
        f'<span class="verdict">{told}</span></div></div>'
    )


def _bounds(line: Line, margin: float) -> str:
    return f"[{wording.bound(line.lower, margin)}, {wording.bound(line.upper, margin)}]"


def _bar(line: Line, scale: Scale, margin: float) -> str:
    """One row, 100 wide and 10 high, stretched: lines keep their strength, and a dot is a line of no length."""
    low, dot, high = (f"{scale.at(share):.2f}" for share in (line.lower, line.harm, line.upper))
    told = [wording.bound(share, margin) for share in (line.harm, line.lower, line.upper)]
    label = f"harm {told[0]}, bounds {told[1]} to {told[2]} points"
    arrows = ""
    if line.lower < scale.low:
        arrows += '<path class="arrow" d="M1.6 3L0 5L1.6 7z"/>'
    if line.upper > scale.high:
        arrows += '<path class="arrow" d="M98.4 3L100 5L98.4 7z"/>'
    return (
        f'<svg viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label="{label}">'
        f'<path class="grid" d="{"".join(f"M{scale.at(tick):.2f} 0V10" for tick in scale.ticks)}"/>'
        f'<path class="zero" d="M{scale.at(0):.2f} 0V10"/><path class="margin" d="M{scale.at(margin):.2f} 0V10"/>'
        f'<path class="whisker" d="M{low} 5H{high}"/>{arrows}<path class="dot" d="M{dot} 5h0.001"/></svg>'
    )


def _axis(scale: Scale, margin: float) -> str:
    places = (
        (100 * max(abs(a - b) for a, b in zip(scale.ticks, scale.ticks[1:], strict=False))) if scale.ticks[1:] else 1
    )
    digits = 0 if places >= 1 else 1 if places >= 0.1 else 2
    ticks = "".join(
        f'<span style="left:{scale.at(tick):.2f}%">{wording.points(tick, digits)}</span>' for tick in scale.ticks
    )
    note = f'<span class="at" style="left:{scale.at(margin):.2f}%">margin {wording.margin_text(margin)}</span>'
    return (
        '<div class="row axis" aria-hidden="true"><div class="name"></div>'
        f'<div class="bar">{ticks}{note}</div><div class="value">harm in points [bounds]</div></div>'
    )
