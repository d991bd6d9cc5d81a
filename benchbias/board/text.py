"""Names and numbers as markdown that means what it says. No torch."""

from __future__ import annotations

import re
from collections.abc import Sequence

from benchbias.statistics.estimates import Estimate
from benchbias.statistics.worst_group import CrossFitted


def escaped(text: str) -> str:
    """Text that means itself in a markdown table: one line, no markup, no control characters."""
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(text.split()))
    marked = re.sub(r"([\\`*_{}\[\]<>()#+!|~&$@])", r"\\\1", plain)
    return re.sub(r"(?i)(://)|(?<=www)(\.)", r"\\\g<0>", marked)  # GitHub makes links of bare addresses


def points_text(value: Estimate | None) -> str:
    """A fraction in percent, with its interval: `43.0 ± 9.4`."""
    if value is None:
        return "undefined"
    if value.half_width is None:
        return f"{100 * value.mean:.1f}"
    return f"{100 * value.mean:.1f} ± {100 * value.half_width:.1f}"


def bounds_text(value: CrossFitted | None) -> str:
    """An accuracy in percent with the bounds of its interval: `43.0 (38.1 to 47.9)`."""
    if value is None:
        return "–"
    return f"{100 * value.value:.1f} ({100 * value.lower:.1f} to {100 * value.upper:.1f})"


def gap_text(value: Estimate | None) -> str:
    """A difference of fractions in points, with its sign and interval: `+25.9 ± 5.1`."""
    if value is None:
        return "–"
    spread = "" if value.half_width is None else f" ± {100 * value.half_width:.1f}"
    return f"{100 * value.mean:+.1f}{spread}"


def count(value: float) -> str:
    """A large number with its unit: `1.23 G`."""
    for size, unit in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g}"


def title(metric: str) -> str:
    """A metric's name for readers."""
    return escaped(metric.replace("_", " "))


def table_lines(cells: Sequence[Sequence[str]], header: Sequence[str]) -> list[str]:
    """A table of cells that are markdown already."""
    from tabulate import tabulate

    table: str = tabulate(cells, header, tablefmt="pipe", disable_numparse=True)
    return table.split("\n")
