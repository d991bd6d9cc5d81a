"""The groups of an audit that matter: harmed first, then those that are not decided, then a few that are safe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from benchbias.auditing.pages.wording import Name, Sentence, bound, counted, interval, p_text
from benchbias.auditing.values import ALL, Audit, Compared, Discovery, Line

HARMED, OPEN, SAFE = 20, 10, 3
"""The most groups of each kind on a short page."""

KINDS = ("harmed", "undecided", "too small", "safe")


@dataclass(frozen=True)
class Chosen:
    """Groups in the order of a page, without the one of all examples. hidden: those that are left out."""

    shown: tuple[Line, ...]
    hidden: tuple[Line, ...]

    def left_out(self) -> str | None:
        """Say how many groups of each verdict are not shown; None where all are."""
        if not self.hidden:
            return None
        count: Counter[str] = Counter(line.verdict for line in self.hidden)
        kinds = ", ".join(f"{count[kind]} {kind}" for kind in KINDS if count[kind])
        verb = "is" if len(self.hidden) == 1 else "are"
        return f"{counted(len(self.hidden), 'group')} {verb} not shown ({kinds})"


def ordered(compared: Compared) -> list[Line]:
    """All groups but the one of all examples: harmed by harm; then open ones, gated first, and safe ones by bound."""
    return sorted((line for line in compared.lines if line.group.name != ALL), key=_rank)


def _rank(line: Line) -> tuple[int, int, float, str]:
    if line.verdict == "harmed":
        return 0, 0, -line.harm, line.group.name
    kind = 2 if line.verdict == "safe" else 1
    return kind, int(kind == 1 and not line.group.gated), -line.upper, line.group.name


def chosen(compared: Compared, *, everything: bool = False) -> Chosen:
    """The groups of a short page, or all of them."""
    lines = ordered(compared)
    if everything:
        return Chosen(tuple(lines), ())
    shown: list[Line] = []
    for rank, most in enumerate((HARMED, OPEN, SAFE)):
        shown += [line for line in lines if _rank(line)[0] == rank][:most]
    return Chosen(tuple(shown), _others(lines, shown))


def _others(lines: Sequence[Line], shown: Sequence[Line]) -> tuple[Line, ...]:
    names = {line.group.name for line in shown}
    return tuple(line for line in lines if line.group.name not in names)


SLICES = ("model", "slice", "verdict", "n", "lost", "gained", "harm", "bounds", "p, adjusted")
"""The heads of the table of slices; the first three are words."""


def slices(found: Discovery, audit: Audit) -> list[list[str]]:
    """The rows of the table of slices: all numbers are of examples that nothing was looked for in."""
    margin = audit.options.margin
    return [
        [
            *(one.model, one.text, "harmed" if one.harmed else "not shown", str(one.n), str(one.lost), str(one.gained)),
            *(bound(one.harm, margin), interval(one, margin), p_text(one.adjusted)),
        ]
        for one in found.slices
    ]


def looked_for(found: Discovery) -> Sentence:
    """Say in how many examples slices were looked for, and by which features."""
    parts: list[str] = [f"Looked for in {counted(found.explored, 'example')}, tested on {found.tested} others, by "]
    for at, name in enumerate(found.features):
        parts += [", " if at else "", Name(name)]
    nothing = "" if found.slices else " No slice lost more examples than it gained."
    return [*parts, f". Slices decide no verdict.{nothing}"]
