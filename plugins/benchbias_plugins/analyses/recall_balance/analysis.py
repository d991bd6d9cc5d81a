"""The analysis `recall_balance`: one slope a row, with what would come of worse accuracy alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import torch

from benchbias import BenchbiasError, Population, Range, Table

from .cells import By, random_halves
from .slopes import Average, accuracies, products, slope, uniform
from .twins import baselines, cells_of, rows_with_baselines
from .weighing import Weights

if TYPE_CHECKING:
    from torch import Tensor

    from benchbias import Estimate

    from .cells import Cells
    from .ratio import Ratio
    from .slopes import Products, RightCounts
    from .twins import Twins

UnitWeights = Literal["equal", "share"]


def recall_balance(
    population: Population,
    *,
    by: By = "class",
    weights: UnitWeights = "equal",
    fit_intercept: bool = False,
    halves: bool = True,
    splits: Annotated[int, Range(1, 1000)] = 20,
    deattenuate: bool = True,
    average: Average = "pooled",
    level: Annotated[float, Range(0.5, 0.9999)] = 0.99,
    images: bool = True,
    seed: int = 0,
) -> Table:
    """alpha, the slope of normalised recall balances (R - A) / A after on before, for every row with a baseline.

    Good, Lin et al. (2022), poster, 2. Definitions. x and y are the balances of the baseline and of the row's model
    of one seed, over classes, or over groups (`by`), each counted alike or by its share of the test examples
    (`weights`); through the origin unless `fit_intercept`.

    On one test set for both, x and y share noise, and noise of x flattens the slope. So x is taken on one half of the
    source images and y on the other (`halves`; stratified, both ways round, over `splits` random splits from `seed`),
    and the sum of x y is divided by that of x and x on the other half (`deattenuate`) instead of by that of x^2:
    the slope divided by the reliability of x, which is the instrumental variable estimator. Sums are averaged over
    models before they are divided (`average = "pooled"`): with some 36 test images a class a single model's ratio has
    a denominator near zero, and their mean over models ("models") is biased and has no variance. In
    `benchmarks/recall_balance_simulation.py` the pooled slope is unbiased to a few percent and its interval nominal.

    Intervals are over models and over the test images that all models share. `alpha lower` and `alpha upper` at
    `level` are Fieller's; `mark` is `>` or `<` where alpha = 1 is rejected at it, else `?`. Where the denominator is
    not different from zero, estimates are None. With `images = false` they are over models alone, at these test images.
    `recall_balance_as_published` is the poster's: `halves`, `deattenuate` and `images` false, `average = "models"`.

    Raises BenchbiasError where trials answer different examples, or for de-attenuation without halves; Skip with fewer
    than two seeds, or where no row has a baseline.
    """
    if deattenuate and not halves:
        raise BenchbiasError(
            "recall_balance: deattenuate needs the halves; with halves = false say deattenuate = false"
        )
    rows = rows_with_baselines(population)
    cells = cells_of(rows, by)
    how = How(
        random_halves(cells, splits, seed) if halves else None,
        torch.ones_like(cells.shares) if weights == "equal" else cells.shares,
        fit_intercept,
        deattenuate,
        average,
        level,
        images,
    )
    lines = [against_baseline(twins, cells, how) for twins in rows]
    lines += [against_other_seeds(twins, cells, how) for twins in baselines(population, rows)]
    return _table(lines, how, by)


@dataclass(frozen=True, eq=False)
class How:
    """The options: halves (splits, clusters) or None, unit_weights (U,)."""

    halves: Tensor | None
    unit_weights: Tensor
    fit_intercept: bool
    deattenuate: bool
    average: Average
    level: float
    images: bool

    def weights(self, models: int, clusters: int) -> Weights:
        """Weights of 1 for so many models and source images, drawn or not."""
        return Weights.ones(models, clusters, drawn=self.images)

    def products(self, answers: RightCounts, weights: Weights) -> Products:
        """The sums that slopes are made of."""
        return products(answers, weights, self.halves, self.unit_weights, fit_intercept=self.fit_intercept)

    def square(self, found: Products) -> Tensor:
        """The divisor of each model's slope, (M,)."""
        return found.reliable if self.deattenuate else found.square

    def reliability(self, found: Products) -> float | None:
        """The reliability of one half's balances: one half's slope on the other, pooled over models; None without."""
        square = float(found.square.sum().detach())
        return float(found.reliable.sum().detach()) / square if self.halves is not None and square > 0 else None


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row of the table; None where undefined, or where it holds by construction."""

    row: str
    control: str
    models: int
    compression: float | None
    alpha: Ratio | None
    reliability: float | None
    accuracy_change: Estimate | None = None
    uniform: Estimate | None = None
    over_uniform: Estimate | None = None
    shared: Ratio | None = None


def against_baseline(twins: Twins, cells: Cells, how: How) -> Line:
    """A row and its control."""
    answers, weights = twins.answers(cells), how.weights(len(twins.after), cells.clusters)
    found = how.products(answers, weights)
    before, after = accuracies(answers, weights)
    alpha = slope(found.cross, how.square(found), weights, how.average)
    alone = weights.influence(uniform(before, after, weights, how.average))
    change = weights.influence(100 * weights.mean(after - before))
    over = None if alpha is None or alone is None or not alpha.told(how.level) else alpha.linearised().minus(alone)
    return Line(
        row=twins.row,
        control=twins.control,
        models=len(twins.after),
        compression=twins.compression,
        alpha=alpha,
        reliability=how.reliability(found),
        accuracy_change=None if change is None else change.estimate(),
        uniform=None if alone is None else alone.estimate(),
        over_uniform=None if over is None else over.estimate(),
        shared=slope(found.other_cross, found.other_reliable, weights),
    )


def against_other_seeds(twins: Twins, cells: Cells, how: How) -> Line:
    """A baseline's models, each against all its other seeds: what alpha is where nothing was pruned.

    y is the mean balance of the other seeds: the slope is linear in y, so this is the mean over all pairs of seeds.
    """
    answers, weights = twins.answers(cells), how.weights(len(twins.after), cells.clusters)
    found = how.products(answers, weights)
    return Line(
        row=twins.row,
        control=f"{twins.control}, another seed",
        models=len(twins.after),
        compression=twins.compression,
        alpha=slope(found.other_reliable, how.square(found), weights, how.average),
        reliability=how.reliability(found),
    )


def _table(lines: list[Line], how: How, by: By) -> Table:
    level = how.level
    bounds = [(line.alpha.interval(level) if line.alpha else None) or (None, None) for line in lines]
    columns: dict[str, tuple[str, str, list[Any]]] = {
        "row": ("text", "", [line.row for line in lines]),
        "control": ("text", "", [line.control for line in lines]),
        "models": ("count", "", [line.models for line in lines]),
        "compression": ("number", "", [line.compression for line in lines]),
        "alpha": ("estimate", "", [_estimate(line.alpha, level) for line in lines]),
        "mark": ("text", "", [_mark(line.alpha, level) for line in lines]),
        "alpha lower": ("number", "", [low for low, _ in bounds]),
        "alpha upper": ("number", "", [high for _, high in bounds]),
        "reliability": ("number", "", [line.reliability for line in lines]),
        "accuracy change": ("estimate", "points", [line.accuracy_change for line in lines]),
        "alpha if uniform": ("estimate", "", [line.uniform for line in lines]),
        "alpha over uniform": ("estimate", "", [line.over_uniform for line in lines]),
        "alpha shared": ("estimate", "", [_estimate(line.shared, level) for line in lines]),
        "shared mark": ("text", "", [_mark(line.shared, level) for line in lines]),
    }
    fixed = "" if how.images else ", intervals over models at these test images"
    units = "classes" if by == "class" else "groups"
    caption = (
        f"Recall balance{fixed}: alpha, the slope over {units} of (R - A) / A of the row's models on that of their "
        f"controls; above 1 the gaps between {units} grew. Mark: > or < where alpha = 1 is rejected at {100 * level:g} "
        "%. "
        "alpha if uniform: what comes of all errors growing by one factor. alpha shared: the slope along what the "
        "controls of other seeds share, which a control's own luck in training does not flatten. A control against "
        "another seed: what alpha is where nothing was pruned. Empty: undefined, or the control's balances do "
        "not differ from none."
    )
    return Table({name: (kind, unit, tuple(values)) for name, (kind, unit, values) in columns.items()}, caption)


def _estimate(ratio: Ratio | None, level: float) -> Estimate | None:
    return ratio.linearised().estimate() if ratio is not None and ratio.told(level) else None


def _mark(ratio: Ratio | None, level: float) -> str:
    return "?" if ratio is None else ratio.side(level)
