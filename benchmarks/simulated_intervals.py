"""How often simulated intervals hold the truth, as lines of markdown tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchbias import Estimate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[np.float64]
    Lines = list[tuple[str, ...]]


@dataclass(frozen=True)
class Interval:
    """An estimate of one repetition, and the true value that it is an estimate of."""

    estimate: Estimate
    true: float


def told(found: Sequence[Interval]) -> tuple[str, ...]:
    """The mean, the share of intervals that hold the truth in %, their mean width, the share without zero in %."""
    bounds = np.array([one.estimate.interval() for one in found])
    true = np.array([one.true for one in found])
    held = (bounds[:, 0] <= true) & (true <= bounds[:, 1])
    apart = (bounds[:, 0] > 0) | (bounds[:, 1] < 0)
    mean, width = np.mean([one.estimate.mean for one in found]), np.ptp(bounds, axis=1).mean()
    return f"{mean:.2f}", f"{100 * held.mean():.1f}", f"{width:.2f}", f"{100 * apart.mean():.1f}"


def against_mean(found: Sequence[Estimate]) -> list[Interval]:
    """The truth is the mean over all repetitions: that of an unbiased estimate, of any models."""
    true = float(np.mean([one.mean for one in found]))
    return [Interval(one, true) for one in found]


def over(values: Values) -> Estimate:
    """The mean with the t interval over what is given."""
    number = len(values)
    return Estimate.of(float(values.mean()), float(values.std(ddof=1) / np.sqrt(number)), number - 1, number)


def show(title: str, head: Sequence[str], lines: Lines) -> None:
    """Print a table."""
    print(f"## {title}\n")
    print("| " + " | ".join(head) + " |")
    print("|" + ":---|" * len(head))
    print("\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n")
