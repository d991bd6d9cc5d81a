"""An exact test of no harm in clusters: the signs of their sums are exchanged, 2 ** K ways without a list of them.

The sum of signed sums lies on whole numbers. Its distribution is tilted so that the observed sum is its mean, found
by one inverse Fourier transform around there, and tilted back: far tails keep their relative precision.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from benchbias.auditing.statistics.bounds import no_harm_p
from benchbias.auditing.statistics.weighted import LEAST

Floats = NDArray[np.float64]

NEGLIGIBLE = -50.0  # log of the share of a characteristic function that is left out
WIDTH = 24.0  # standard deviations that the transform holds


def sign_p(harm: Floats, number: Floats) -> tuple[float, float]:
    """p of no harm, and the least p that these clusters could give.

    harm: float (J,), whole sums of losses less gains; number: float (J,), how many clusters have each. With clusters
    of one example it is McNemar's exact one-sided test. It holds where the sums are symmetric about 0 if there is no
    harm.
    """
    size, back = np.unique(abs(harm[harm != 0]), return_inverse=True)
    count: Floats = np.bincount(back, number[harm != 0], minlength=len(size)).astype(np.float64)
    total = float((harm * number).sum())
    least = 0.5 ** float(count.sum())
    if total <= 0:
        return 1.0, least
    size = size / np.gcd.reduce(size.astype(np.int64))
    if len(size) == 1:
        lost = number[harm > 0].sum()
        return float(no_harm_p(lost, count[0] - lost)), least
    needed = float((number[harm > 0] * abs(harm[harm > 0])).sum()) * float(size[-1] / abs(harm).max())
    return min(1.0, max(_upper(size, count, round(needed)), least, LEAST)), least


def _upper(size: Floats, count: Floats, needed: int) -> float:
    """P(sum size * Binomial(count, 1/2) >= needed), where needed is above the mean."""
    tilt = _tilt(size, count, needed)
    chance = 1 / (1 + np.exp(-tilt * size))
    spread = math.sqrt(float((count * size**2 * chance * (1 - chance)).sum()))
    length = 2 ** math.ceil(math.log2(max(16.0, WIDTH * spread + 2)))
    mass = np.fft.irfft(_transform(size, count, chance, needed, length), length)  # at needed + 0, 1, ..., -2, -1
    beyond = np.arange(length // 2)
    tail = float((np.maximum(mass[: length // 2], 0.0) * np.exp(-tilt * beyond)).sum())
    log = float((count * (np.logaddexp(0.0, tilt * size) - math.log(2))).sum()) - tilt * needed
    return math.exp(log) * tail if log > -740 else LEAST


def _tilt(size: Floats, count: Floats, needed: int) -> float:
    """The exponent under which the sum has the mean `needed`, or nearly the largest one that it can have."""
    low, high = 0.0, 60.0
    goal = min(needed, float((size * count).sum()) - 0.5 * float(size[0]))
    for _ in range(60):
        middle = (low + high) / 2
        below = float((count * size / (1 + np.exp(-middle * size))).sum()) < goal
        low, high = (middle, high) if below else (low, middle)
    return low


def _transform(size: Floats, count: Floats, chance: Floats, needed: int, length: int) -> NDArray[np.complex128]:
    """The characteristic function of the tilted sum less `needed`, complex (length // 2 + 1,), sign of a transform.

    Frequencies at which it is negligible are dropped on the way, so that many different sizes cost little more.
    """
    left = np.arange(length // 2 + 1)
    log = np.zeros(len(left), dtype=np.complex128)
    for one, times, share in sorted(zip(size, count, chance, strict=True), key=lambda kind: -kind[1]):
        phase = (left * int(one) % length) * (-2 * math.pi / length)
        log += times * np.log1p(share * np.expm1(1j * phase))
        stays = log.real > NEGLIGIBLE
        left, log = left[stays], log[stays]
    found = np.zeros(length // 2 + 1, dtype=np.complex128)
    found[left] = np.exp(log + 1j * (left * (needed % length) % length) * (2 * math.pi / length))
    return found
