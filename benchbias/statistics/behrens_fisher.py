"""The Behrens-Fisher distribution: the sum of two independent t variables of unlike scale. No torch.

A mean over seeds has two unknown errors: that of the seeds, whose variance few degrees of freedom estimate, and that
of the test images, which all seeds share. Satterthwaite's single t replaces both by one whose degrees of freedom grow
where the seeds' spread is small by luck, so its tail is too short just there. The fiducial distribution (Behrens,
1929; Fisher, 1935) adds both errors as they are: its tests stay at or below their level (Robinson, 1976).
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

SMALLEST = 1e-14  # probability beyond the outermost nodes
NODES = 150  # on each side of zero
FEW_NODES, ROUGH = 20, 3.0  # of rough probabilities, and the factor that they are within of the exact ones
AT_ONCE = 20_000  # rough probabilities that are computed together
DEGREE = 30  # of the polynomial that quantiles are interpolated by
CURVES = 16  # numbers of degrees of freedom that quantiles are interpolated between
LARGEST_FREEDOM = 1e7  # beyond it a t variable is normal to all digits that are printed


def tail(distance: float, seed_share: float, seeds: float, images: float) -> float:
    """The probability, from 0 to 1, that the sum exceeds a distance; its whole variance factor is 1.

    The sum is sqrt(share) * t(seeds) + sqrt(1 - share) * t(images); seeds, images: degrees of freedom, above 0.
    """
    import numpy as np
    from scipy.special import stdtr

    first, second = (math.sqrt(seed_share), seeds), (math.sqrt(1 - seed_share), images)
    (small, inner), (large, outer) = sorted((first, second))
    if small == 0:
        return float(stdtr(min(outer, LARGEST_FREEDOM), -distance / large))
    nodes, weights = _nodes(min(inner, LARGEST_FREEDOM))
    return float(np.dot(weights, stdtr(min(outer, LARGEST_FREEDOM), (small * nodes - distance) / large)))


def quantile(
    seed_share: NDArray[Any] | float, seeds: float, images: NDArray[Any] | float, probability: float
) -> NDArray[Any]:
    """The value that the sum stays below with a probability between 0.5 and 1.

    For shares and degrees of freedom of the images of any one shape (...); NaN where either is none. Where the
    degrees of freedom are many different ones, it is interpolated between a few of them.
    """
    import numpy as np

    shares, freedoms = np.broadcast_arrays(np.asarray(seed_share, dtype=float), np.asarray(images, dtype=float))
    found = np.full(shares.shape, np.nan)
    known = ~np.isnan(shares) & (freedoms > 0)
    distinct = np.unique(freedoms[known])
    if len(distinct) > CURVES:
        found[known] = _between_curves(shares[known], seeds, freedoms[known], probability)
        return found
    for freedom in distinct:
        here = known & (freedoms == freedom)
        found[here] = _on_curve(shares[here], seeds, float(freedom), probability)
    return found


@functools.lru_cache(maxsize=1 << 16)
def one_quantile(seed_share: float, seeds: float, images: float, probability: float) -> float:
    """`quantile` of one share and one number of degrees of freedom of the images, to the last bit.

    An interval is asked for again and again: by the board, its details, its files of numbers.
    """
    import numpy as np
    from scipy.special import stdtrit

    if math.isnan(seed_share) or not images > 0:
        return math.nan
    angle = float(np.arcsin(math.sqrt(min(max(seed_share, 0.0), 1.0))))  # from 0 to pi / 2
    if angle <= 0 or angle >= math.pi / 2:
        return float(stdtrit(min(images if angle <= 0 else seeds, LARGEST_FREEDOM), probability))
    position = 4 * angle / math.pi - 1
    *rest, ahead, last = _curve(float(seeds), images, probability)
    for coefficient in reversed(rest):  # Clenshaw's recurrence, as `chebval` has it
        ahead, last = coefficient - last, ahead + last * (2 * position)
    return float(np.exp(ahead + last * position))


def _on_curve(shares: NDArray[Any], seeds: float, images: float, probability: float) -> NDArray[Any]:
    """Quantiles for shares (N,) at one number of degrees of freedom."""
    import numpy as np
    from numpy.polynomial import chebyshev
    from scipy.special import stdtrit

    angle = np.arcsin(np.sqrt(np.clip(shares, 0, 1)))  # from 0 to pi / 2
    inside, found = (angle > 0) & (angle < np.pi / 2), np.empty(shares.shape)
    if inside.any():  # a curve takes long, and its ends need none
        curve = _curve(float(seeds), images, probability)
        found[inside] = np.exp(chebyshev.chebval(4 * angle[inside] / np.pi - 1, curve))
    alone = (stdtrit(min(freedom, LARGEST_FREEDOM), probability) for freedom in (seeds, images))
    found = np.where(angle >= np.pi / 2, next(alone), found)
    exact: NDArray[Any] = np.where(angle <= 0, next(alone), found)
    return exact


def _between_curves(shares: NDArray[Any], seeds: float, images: NDArray[Any], probability: float) -> NDArray[Any]:
    """Quantiles for shares and degrees of freedom (N,), their logarithms interpolated over 1 / images."""
    import numpy as np
    from numpy.polynomial import chebyshev

    inverse = 1 / images
    low, high = inverse.min(), inverse.max()
    nodes = chebyshev.chebpts1(CURVES)
    curves = np.log(
        [_on_curve(shares, seeds, float(1 / at), probability) for at in low + (high - low) * (nodes + 1) / 2]
    )
    weights = np.linalg.inv(chebyshev.chebvander(nodes, CURVES - 1))
    position = np.clip(2 * (inverse - low) / (high - low) - 1, -1, 1)
    found: NDArray[Any] = np.exp(chebyshev.chebval(position, weights @ curves, tensor=False))
    return found


@functools.lru_cache(maxsize=4096)
def _curve(seeds: float, images: float, probability: float) -> tuple[float, ...]:
    """Coefficients of the logarithm of the quantile over the angle of the share, as a polynomial of Chebyshev."""
    import numpy as np
    from numpy.polynomial import chebyshev

    def at(position: NDArray[Any]) -> Any:
        shares = np.sin((position + 1) * np.pi / 4) ** 2
        return np.log([_solved(float(share), seeds, images, 1 - probability) for share in shares])

    return tuple(chebyshev.chebinterpolate(at, DEGREE))


def _solved(share: float, seeds: float, images: float, above: float) -> float:
    from scipy.optimize import brentq
    from scipy.special import ndtri, stdtrit

    low, high = narrowest(-float(ndtri(above))), widest(float(stdtrit(min(seeds, images), 1 - above)))
    return float(brentq(lambda x: tail(x, share, seeds, images) - above, low, high, xtol=1e-10))


def narrowest(normal: float) -> float:
    """A distance below every quantile of the sum, from that of a normal variable."""
    return normal * (1 - 1e-9) * 0.99


def widest(alone: Any) -> Any:
    """A distance above every quantile of the sum, from those (...) of a t variable of the fewer degrees of freedom."""
    return math.sqrt(2) * alone + 1


def rough_tails(distances: NDArray[Any], seed_shares: NDArray[Any], seeds: float, images: NDArray[Any]) -> NDArray[Any]:
    """`tail` of many sums (N,) at once, by few nodes: within a factor of ROUGH of the exact probability."""
    import numpy as np
    from scipy.special import stdtr

    found = np.full(len(distances), np.nan)
    few = functools.partial(_nodes, number=FEW_NODES)
    for own in (True, False):  # whether the seeds have the smaller scale
        here = np.flatnonzero((seed_shares <= 0.5) == own)
        share = seed_shares[here] if own else 1 - seed_shares[here]
        small, large = np.sqrt(share)[:, None], np.sqrt(1 - share)[:, None]
        inner, outer = (np.full(len(here), seeds), images[here]) if own else (images[here], np.full(len(here), seeds))
        distinct, at = np.unique(np.minimum(inner, LARGEST_FREEDOM), return_inverse=True)
        rules = [few(float(freedom)) for freedom in distinct]
        for start in range(0, len(here), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            nodes, weights = (np.array([rule[side] for rule in rules])[at[part]] for side in (0, 1))
            position = (small[part] * nodes - distances[here[part], None]) / large[part]
            below = stdtr(np.minimum(outer[part], LARGEST_FREEDOM)[:, None], position)
            found[here[part]] = (weights * below).sum(axis=-1)
    return found


@functools.lru_cache(maxsize=4096)
def _nodes(freedom: float, number: int = NODES) -> tuple[NDArray[Any], NDArray[Any]]:
    """Quantiles of a t variable at which a function is to be summed, and the weights: its expectation.

    Gauss and Legendre's rule in the logarithm of the probability, so that far tails are exact too.
    """
    import numpy as np
    from scipy.special import roots_legendre, stdtrit

    at, weights = roots_legendre(number)
    half = (np.log(0.5) - np.log(SMALLEST)) / 2
    probability = np.exp(np.log(SMALLEST) + half * (at + 1))
    lower, weight = stdtrit(freedom, probability), half * weights * probability
    return np.concatenate([lower, -lower]), np.concatenate([weight, weight])
