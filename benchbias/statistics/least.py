"""The least of several accuracies: how far counting few examples draws it down, so that it can be put right. No torch.

The least of noisy numbers is too low, the more so the more of them are tied. The bias is found by a parametric
bootstrap whose expectation is computed, not drawn (Efron and Tibshirani, 1993, chapter 10).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

STEPS = 200  # of the integral over accuracies from 0 to 1
INSIDE = 1e-9  # accuracies of 0 and 1 have no spread; so near to them they have
DECIDED = 50.0  # a probability below exp(-50) is lost beside 1, whose last digit is 1e-16


def bias_of_least(accuracy: NDArray[Any], number: NDArray[Any]) -> NDArray[Any]:
    """Expected least counted accuracy minus the true one, at most 0: (..., P) -> (...).

    accuracy: counted ones of P parts, from 0 to 1; number: of independent examples that each is counted on, (..., P)
    or (P,). Accuracies are drawn together first, so far that they differ as much as the true ones: counted ones
    differ more, by their noise, and would have it that fewer are tied. NaN where an accuracy is.
    """
    import numpy as np

    if accuracy.shape[-1] < 2:
        return np.where(np.isnan(accuracy).any(axis=-1), np.nan, 0.0)
    true = np.clip(_drawn_together(accuracy, number), INSIDE, 1 - INSIDE)
    bias: NDArray[Any] = np.minimum(_expected_least(true, number) - true.min(axis=-1), 0.0)
    return bias


def _drawn_together(accuracy: NDArray[Any], number: NDArray[Any]) -> NDArray[Any]:
    """Accuracies moved towards their mean until their variance is that of the counted ones less their noise."""
    import numpy as np

    noise = (accuracy * (1 - accuracy) / number).mean(axis=-1, keepdims=True)
    seen = accuracy.var(axis=-1, ddof=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = np.sqrt(np.clip(1 - noise / seen, 0, 1))
    mean = accuracy.mean(axis=-1, keepdims=True)
    drawn: NDArray[Any] = mean + np.where(seen > 0, kept, 0) * (accuracy - mean)
    return drawn


def _expected_least(true: NDArray[Any], number: NDArray[Any]) -> NDArray[Any]:
    """The expectation of the least of beta variables of these means, each as variable as a count on so many."""
    import numpy as np
    from scipy.special import betainc

    size = np.broadcast_to(np.maximum(number - 1, INSIDE), true.shape)
    steps = (np.arange(STEPS)[:, None] + 0.5) / STEPS
    above, open_ = _decided(true, size, steps)  # (..., STEPS, P)
    ones, zeros = (np.broadcast_to(x[..., None, :], above.shape)[open_] for x in (true * size, (1 - true) * size))
    above[open_] = 1 - betainc(ones, zeros, np.broadcast_to(steps, above.shape)[open_])
    found: NDArray[Any] = above.prod(axis=-1).mean(axis=-1)  # the integral of the probability that all are above
    return found


def _decided(true: NDArray[Any], size: NDArray[Any], steps: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The probability of each variable to be above each step where it is 0 or 1, and where it must be computed.

    Chernoff: a beta variable is beyond x with a probability of at most exp(-size * KL(mean, x)). Where one variable is
    surely below a step, the product is 0 whatever the others are.
    """
    import numpy as np

    mean, log, other = true[..., None, :], np.log(steps), np.log(1 - steps)
    entropy = mean * np.log(mean) + (1 - mean) * np.log(1 - mean)
    far = size[..., None, :] * (entropy - mean * log - (1 - mean) * other) > DECIDED
    above = (mean > steps).astype(float)
    return above, ~far & ~(far & (above == 0)).any(axis=-1, keepdims=True)
