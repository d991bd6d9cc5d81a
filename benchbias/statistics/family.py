"""A family of comparisons: the differences of all pairs of many rows at once, in arrays. No torch.

Each is what `estimates.difference` says of one pair. A thousand rows make half a million pairs, so rows of the same
seeds are compared together: the variance from the draw of test examples is the squared distance of two vectors.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from benchbias.statistics import behrens_fisher
from benchbias.statistics.bounds import least_variance
from benchbias.statistics.estimates import BIAS_ERROR, FEWEST_SEEDS, Estimate
from benchbias.statistics.influence import Measured, drawn_clusters, mean_influence
from benchbias.statistics.spread import Spread, spread

if TYPE_CHECKING:
    from numpy.typing import NDArray

AT_ONCE = 4_000_000  # numbers in the largest array
CANCELLED = 1e-6  # of two squared lengths: a squared distance below it has lost too many digits
FEW = 500  # p-values that take less time than to tell which of them are needed

Pair = tuple[int, int]
Values = Mapping[int, Measured | None]
"""A metric of one row by seed; None where it is undefined."""


KINDS = (int, int, *([float] * 5), int, bool)


@dataclass(frozen=True, eq=False)
class Gaps:
    """The estimate of every pair's difference, in arrays (P,).

    one, other: the rows' numbers. mean: of one - other; NaN where it is undefined. sd, error: between seeds, and the
    standard error of what the interval is of; error is NaN without an interval. seed_share, example_freedom, seeds:
    as in Estimate. still: whether all seeds differ by the same amount, and nothing else is known to vary.
    """

    one: NDArray[Any]
    other: NDArray[Any]
    mean: NDArray[Any]
    sd: NDArray[Any]
    error: NDArray[Any]
    seed_share: NDArray[Any]
    example_freedom: NDArray[Any]
    seeds: NDArray[Any]
    still: NDArray[Any]

    def __len__(self) -> int:
        return len(self.one)

    @staticmethod
    def of(differences: Mapping[Pair, Estimate | None]) -> Gaps:
        """Make it from the estimate of every pair; None for one that is undefined."""
        import numpy as np

        rows = [(*pair, *_numbers(gap)) for pair, gap in differences.items()]
        columns = list(zip(*rows, strict=True)) or [()] * len(fields(Gaps))
        return Gaps(*(np.array(column, dtype=kind) for column, kind in zip(columns, KINDS, strict=True)))

    @staticmethod
    def between(rows: Sequence[Values]) -> Gaps:
        """Make it from one metric of several rows: every pair of rows once, by the seeds that both have."""
        import numpy as np

        blocks = list(_blocks(rows))
        if not blocks:
            return Gaps.of({})
        return Gaps(*(np.concatenate([getattr(block, field.name) for block in blocks]) for field in fields(Gaps)))

    def critical(self, probability: float) -> NDArray[Any]:
        """The quantile of each, in standard errors, as `Estimate.critical`; NaN without an interval over seeds."""
        import numpy as np

        found = np.full(len(self), np.nan)
        for seeds in np.unique(self.seeds[self.seeds >= FEWEST_SEEDS]):
            here = (self.seeds == seeds) & (self.error > 0)
            share, images = self.seed_share[here], self.example_freedom[here]
            found[here] = behrens_fisher.quantile(share, seeds - 1.0, images, probability)
        return found


class PValues:
    """The p-values of gaps, as `estimates.p_value`, compared with levels: computed only where one is near."""

    def __init__(self, gaps: Gaps) -> None:
        import numpy as np

        self.gaps = gaps
        with np.errstate(invalid="ignore"):
            self._distance = np.where(gaps.seeds >= FEWEST_SEEDS, np.abs(gaps.mean) / gaps.error, np.nan)
        agree = gaps.still & (gaps.seeds >= FEWEST_SEEDS) & (np.abs(gaps.mean) > 0)
        self._exact = np.where(agree, 2.0 ** (1.0 - gaps.seeds), np.nan)
        self._rough = np.full(len(gaps), np.nan)

    def at_most(self, level: float) -> NDArray[Any]:
        """Whether each p-value is at most a level, bool (P,)."""
        import numpy as np

        certain, near = self._bracketed(level)
        if np.count_nonzero(near & np.isnan(self._exact)) > FEW:
            self._roughly(near & np.isnan(self._rough))
            certain |= near & (self._rough < level / behrens_fisher.ROUGH)
            near &= ~certain & (self._rough < level * behrens_fisher.ROUGH)
        for at in np.flatnonzero(near & np.isnan(self._exact)):
            share, images, seeds = (x[at] for x in (self.gaps.seed_share, self.gaps.example_freedom, self.gaps.seeds))
            self._exact[at] = 2 * behrens_fisher.tail(self._distance[at], share, seeds - 1.0, images)
        found: NDArray[Any] = certain | (self._exact <= level)
        return found

    def _roughly(self, chosen: NDArray[Any]) -> None:
        """Find these p-values by a small factor."""
        import numpy as np

        for seeds in np.unique(self.gaps.seeds[chosen]):
            here = np.flatnonzero(chosen & (self.gaps.seeds == seeds))
            share, images = self.gaps.seed_share[here], self.gaps.example_freedom[here]
            self._rough[here] = 2 * behrens_fisher.rough_tails(self._distance[here], share, seeds - 1.0, images)

    def _bracketed(self, level: float) -> tuple[NDArray[Any], NDArray[Any]]:
        """The distances beyond which a p-value is surely below a level, and those at which it may be either, (P,).

        The quantile is between that of a normal variable and that of two t variables as large as they can be together.
        """
        import numpy as np
        from scipy.special import ndtri, stdtrit

        freedom = np.minimum(np.maximum(self.gaps.seeds - 1.0, 1.0), self.gaps.example_freedom)
        widest = behrens_fisher.widest(stdtrit(np.minimum(freedom, behrens_fisher.LARGEST_FREEDOM), 1 - level / 2))
        certain = self._distance > widest
        near: NDArray[Any] = ~certain & (self._distance > behrens_fisher.narrowest(-float(ndtri(level / 2))))
        return certain, near


def _numbers(gap: Estimate | None) -> tuple[float, float, float, float, float, int, bool]:
    if gap is None:
        return math.nan, math.nan, math.nan, 0.0, math.inf, 0, False
    known = gap.half_width is not None and gap.error > 0
    share, sd = gap.seed_share if gap.over_seeds else 0.0, math.nan if gap.sd is None else gap.sd
    still = not known and gap.standard_error == 0 and gap.sd == 0
    return gap.mean, sd, gap.error if known else math.nan, share, gap.example_freedom, gap.n, still


def _blocks(rows: Sequence[Values]) -> Iterator[Gaps]:
    """Pairs of rows, those together that are alike; no more at once than memory holds."""
    alike: dict[object, list[int]] = {}
    for number, row in enumerate(rows):
        alike.setdefault(_likeness(row), []).append(number)
    for ones, others in itertools.combinations_with_replacement(alike.values(), 2):
        step = max(1, AT_ONCE // (len(others) * max(1, len(rows[ones[0]]))))
        for start in range(0, len(ones), step):
            yield _block(rows, ones[start : start + step], others, within=ones is others)


def _likeness(row: Values) -> object:
    """Equal for rows of the same seeds, test splits and bounds, which compare with any other row in the same way."""
    return tuple(
        (seed, one and (one.bounds, one.influence and one.influence.layout)) for seed, one in sorted(row.items())
    )


def _block(rows: Sequence[Values], ones: Sequence[int], others: Sequence[int], *, within: bool) -> Gaps:
    """Every pair of a row of one side and a row of the other; within: both are of one group, whose pairs come once."""
    import numpy as np

    first, second = np.repeat(ones, len(others)), np.tile(others, len(ones))
    seeds = sorted(rows[ones[0]].keys() & rows[others[0]].keys())
    sides = [[[rows[row][seed] or Measured(math.nan) for seed in seeds] for row in side] for side in (ones, others)]
    found = _compared(sides[0], sides[1]) if seeds else _nothing((len(ones), len(others)))
    known = (found.standard_error > 0) & (found.example_freedom > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(known, np.minimum(1, found.from_seeds / found.standard_error**2), 0.0)
    columns = (
        *(found.mean, found.sd, np.where(known, found.standard_error, np.nan), share, found.example_freedom),
        *(len(seeds), (found.standard_error == 0) & (found.sd == 0)),
    )
    pairs = [first, second, *(np.broadcast_to(column, found.mean.shape).ravel() for column in columns)]
    keep = first < second if within else slice(None)
    return Gaps(*(column[keep] for column in pairs))


def _nothing(shape: tuple[int, int]) -> Spread:
    import numpy as np

    nan = np.full(shape, np.nan)
    return Spread(nan, nan, nan, nan, nan, 0, math.inf)


def _compared(ones: Sequence[Sequence[Measured]], others: Sequence[Sequence[Measured]]) -> Spread:
    """The differences of A rows and B rows over S seeds, (A, B); each side is alike, [row][seed]."""
    import numpy as np

    one, other = (np.array([[float(m.value) - float(m.bias) for m in row] for row in side]) for side in (ones, others))
    values = one[:, None] - other[None]  # (A, B, S)
    pairs = list(zip(ones[0], others[0], strict=True))
    if not all(a.influence and b.influence and a.influence.layout == b.influence.layout for a, b in pairs):
        return spread(values)
    drawn = drawn_clusters([one.influence for one in ones[0] if one.influence])
    each = sum(len(one.influence.cluster) for one in ones[0] if one.influence) / len(pairs)
    clusters = _deciding(ones, others) * len(drawn) / each
    bias, less = (
        np.array([math.fsum(float(m.bias) for m in row) for row in side]) / len(pairs) for side in (ones, others)
    )
    doubt = np.square(BIAS_ERROR * (bias[:, None] - less[None]))
    bounds = ones[0][0].bounds[0] - others[0][0].bounds[1], ones[0][0].bounds[1] - others[0][0].bounds[0]
    variance = _from_examples(ones, others, drawn)
    return spread(values, variance + least_variance(bounds, clusters) + doubt, clusters)


def _deciding(ones: Sequence[Sequence[Measured]], others: Sequence[Sequence[Measured]]) -> NDArray[Any]:
    """The mean over seeds of the number of clusters that decide a difference, (A, B): the fewer ones of both rows."""
    import numpy as np

    one, other = (
        np.array([[float(m.influence.clusters) for m in row if m.influence] for row in side]) for side in (ones, others)
    )
    total = np.zeros((len(ones), len(others)))
    for seed in range(one.shape[1]):
        total += np.minimum(one[:, None, seed], other[None, :, seed])
    mean: NDArray[Any] = total / one.shape[1]
    return mean


def _from_examples(
    ones: Sequence[Sequence[Measured]], others: Sequence[Sequence[Measured]], drawn: NDArray[Any]
) -> NDArray[Any]:
    """The variance of each difference from the draw of test examples, (A, B), as `influence.example_variance`."""
    import numpy as np

    def vectors(side: Sequence[Sequence[Measured]]) -> NDArray[Any]:
        return np.stack([mean_influence([m.influence for m in row if m.influence], drawn) for row in side])

    one, other = vectors(ones), vectors(others)  # (A, C), (B, C)
    lengths = np.square(one).sum(axis=1)[:, None] + np.square(other).sum(axis=1)[None]
    squared = lengths - 2 * one @ other.T
    for row in range(len(one)):  # two rows that agree on most examples: the distance itself
        near = squared[row] < CANCELLED * lengths[row]
        squared[row, near] = np.square(one[row] - other[near]).sum(axis=1)
    number = len(drawn)
    variance: NDArray[Any] = squared * (number / (number - 1) if number > 1 else np.nan)
    return variance
