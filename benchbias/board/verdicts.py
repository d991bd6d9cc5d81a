"""The verdict on a row against its control, from one adjusted analysis of a task. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from benchbias.statistics.estimates import LEVEL, MARGIN, Estimate, equivalence_p_value, p_value
from benchbias.statistics.ranking import holm

Verdict = Literal["helps", "harms", "no difference", "undecided"]


def verdicts(gaps: Sequence[Estimate], sign: int) -> list[Verdict]:
    """The verdict on each gap of a task to a control.

    gaps: row less control. sign: 1 where a higher value is better, -1 where a lower one is.
    `helps`, `harms`: the gap differs from zero at 5 %. `no difference`: it does not, and is within MARGIN of zero at
    5 %, by two one-sided tests. Each kind is adjusted for all gaps (Holm, 1979). Else `undecided`; always where fewer
    than three seeds leave no doubt over seeds.
    """
    differ = holm([p_value(gap) for gap in gaps])
    alike = holm([equivalence_p_value(gap, MARGIN) for gap in gaps])
    return [_verdict(sign * gap.mean, one, other) for gap, one, other in zip(gaps, differ, alike, strict=True)]


def _verdict(gain: float, differs: float, alike: float) -> Verdict:
    if differs <= 1 - LEVEL:
        return "helps" if gain > 0 else "harms"
    return "no difference" if alike <= 1 - LEVEL else "undecided"
