"""Names and numbers as markdown that means what it says. No torch."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from benchbias.statistics.estimates import Estimate

NOTHING = "<!-- -->"
"""Stands in a word that a host would make a link of, and is not shown: to GitHub an escaped `@` is an address still."""

_LIVE = re.compile(
    r"""(?P<mark>[\\`*_{}\[\]<>()+!|~&$]|\#(?!\d)|@(?!\w))  # markup
    |(?P<name>@(?=\w)|\#(?=\d)|:(?=[a-z0-9_+-]+:))           # an address, a person, an issue, a picture
    |(?P<link>://|(?<=www)\.|(?<=\w)\.(?=[^\W\d_]{2})|(?<!:)//)   # a bare address
    |(?P<head>^(?:-(?=\s)|[-=]{2,}$|\d+(?=\.(?:\s|$))))  # a list, a line, a heading""",
    re.VERBOSE | re.IGNORECASE,
)


def escaped(text: str) -> str:
    """Text that means itself in a markdown table: one line, no markup, no links, no control characters."""
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(text.split()))
    return _LIVE.sub(_escaped, plain)


def _escaped(found: re.Match[str]) -> str:
    if found["name"]:
        return f"\\{found[0]}{NOTHING}"
    return f"{found[0]}\\" if found[0].isdigit() else f"\\{found[0]}"


EXAMPLES_ALONE = "\N{DAGGER}"
"""Marks an interval that is of the test examples alone, for fewer than three seeds."""


def points_text(value: Estimate | None) -> str:
    """A fraction in percent, with its interval: `43.0 (33.6–52.4)`."""
    if value is None:
        return "undefined"
    return f"{100 * value.mean:.1f}{_interval(value)}"


def gap_text(value: Estimate | None) -> str:
    """A difference of fractions in points, with its sign and interval: `+25.9 ± 5.1`; its bounds where one is cut."""
    if value is None:
        return "–"
    return f"{100 * value.mean:+.1f}{_interval(value)}"


def _interval(value: Estimate) -> str:
    if value.half_width is None:
        return ""
    lower, upper = value.interval()
    half, note = value.half_width, "" if value.over_seeds else EXAMPLES_ALONE
    if value.bounds[0] == 0:
        return f" ({100 * lower:.1f}–{100 * upper:.1f}){note}"
    if value.mean - half < lower or upper < value.mean + half:
        return f" ({100 * lower:+.1f} to {100 * upper:+.1f}){note}"
    return f" ± {100 * half:.1f}{note}"


def number_text(value: Estimate) -> str:
    """A mean with two digits of its interval's half width: `-3.21 ± 0.45`; four digits where there is none."""
    width = value.half_width
    if not width or not math.isfinite(width):
        return f"{value.mean:.4g}"
    digits = max(0, 1 - math.floor(math.log10(width)))
    if digits > 6 or width >= 1e6:
        return f"{value.mean:.3g} ± {width:.2g}"
    mean = round(value.mean, digits) + 0.0  # no -0.0
    return f"{mean:.{digits}f} ± {width:.{digits}f}"


def rank_text(rank: tuple[int, int] | None) -> str:
    """A rank for readers: `3`, or `2–5`; an en dash where there is none."""
    if rank is None:
        return "–"
    return str(rank[0]) if rank[0] == rank[1] else f"{rank[0]}–{rank[1]}"


def resolved_points(difference: float) -> str:
    """A difference of shares in points; there is none above 100."""
    return f"{100 * difference:.1f}" if difference <= 1 else "more than 100"


def count(value: float) -> str:
    """A large number with its unit: `1.23 G`."""
    for size, unit in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g}"


def title(metric: str) -> str:
    """A metric's name for readers."""
    return escaped(metric.replace("_", " "))


def no_formula(value: Any) -> Any:
    """A text that no spreadsheet computes: one that begins like a formula gets an apostrophe before it."""
    formula = isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) and len(value) > 1
    return f"'{value}" if formula else value


def table_lines(cells: Sequence[Sequence[str]], header: Sequence[str]) -> list[str]:
    """A table of cells that are markdown already."""
    from tabulate import tabulate

    table: str = tabulate(cells, header, tablefmt="pipe", disable_numparse=True)
    return table.split("\n")
