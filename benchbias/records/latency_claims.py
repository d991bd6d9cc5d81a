"""Claims on a ratio of times: a gain, none, or neither of the two shown."""

from __future__ import annotations

from typing import Literal

LEAST_GAIN = 0.02  # of the dense network's time: less is none
Interval = tuple[float, float, float]  # (median, lower, upper)
Claim = Literal["gain", "no gain", "not shown"]


def is_gain(ratio: Interval, again: Interval) -> bool:
    """Whether a ratio to the dense network is a gain: its interval lies below one by more than copies differ.

    again: the ratio of a second copy of the dense network, with its interval. Where memory lies decides on some
    percent, so LEAST_GAIN is asked for in any case. A copy that is slower by a factor counts as one that is faster.
    """
    return ratio[2] < min(again[1], 1 / again[2], 1 - LEAST_GAIN)


def is_none(ratio: Interval, again: Interval) -> bool:
    """Whether an interval shows that there is no gain worth the name, over whichever copy is the slower one."""
    return ratio[1] > (1 - LEAST_GAIN) * max(1.0, again[2])


def claim(ratio: Interval, again: Interval, *, busy: bool) -> Claim:
    """The claim that a ratio allows. busy: the machine had other work: then nothing is shown."""
    if busy:
        return "not shown"
    if is_gain(ratio, again):
        return "gain"
    return "no gain" if is_none(ratio, again) else "not shown"
