"""The analysis `recall_balance`: one slope a row, with what would come of worse accuracy alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import torch

from benchbias import BenchbiasError, Population, Range, Table

from .cells import By, random_halves
from .slopes import Average, Products, accuracies, products, slope, uniform
from .twins import Twins, cells_of, other_seeds, rows_with_baselines
from .weighing import Weights

if TYPE_CHECKING:
    from torch import Tensor

    from benchbias import Estimate

    from .cells import Cells
    from .ratio import Ratio

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
    not told from zero, estimates are None. `halves = false, deattenuate = false, average = "models"` is the poster.

    Raises BenchbiasError with fewer than two seeds, where trials answer different examples, or for de-attenuation
    without halves; Skip where no row has a baseline.
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
    )
    return _table([Line.of(twins, cells, how) for twins in [*rows, *other_seeds(population, rows)]], by, how)


@dataclass(frozen=True, eq=False)
class How:
    """The options: halves (splits, clusters) or None, unit_weights (U,)."""

    halves: Tensor | None
    unit_weights: Tensor
    fit_intercept: bool
    deattenuate: bool
    average: Average
    level: float


@dataclass(frozen=True)
class Line:
    """One row of the table; None where undefined."""

    twins: Twins
    alpha: Estimate | None
    mark: str
    interval: tuple[float, float] | None
    reliability: float | None
    accuracy_change: Estimate | None
    uniform: Estimate | None
    over_uniform: Estimate | None
    shared: Estimate | None
    shared_mark: str

    @staticmethod
    def of(twins: Twins, cells: Cells, how: How) -> Line:
        """Compute it."""
        answers = twins.answers(cells)
        weights = Weights.ones(len(twins.after), cells.clusters)
        found = products(answers, weights, how.halves, how.unit_weights, fit_intercept=how.fit_intercept)
        before, after = accuracies(answers, weights)
        alpha = slope(found.cross, found.reliable if how.deattenuate else found.square, weights, how.average)
        shared = slope(found.other_cross, found.other_reliable, weights, "pooled")
        alone = weights.influence(uniform(answers, weights, how.average))
        change = weights.influence(100 * weights.mean(after - before))
        told = alpha if alpha is not None and alpha.told(how.level) else None
        over = told.linearised().minus(alone) if told is not None and alone is not None else None
        return Line(
            twins,
            _estimate(alpha, how.level),
            alpha.side(how.level) if alpha is not None else "?",
            alpha.interval(how.level) if alpha is not None else None,
            _reliability(found) if how.halves is not None else None,
            change.estimate() if change is not None else None,
            alone.estimate() if alone is not None else None,
            over.estimate() if over is not None else None,
            _estimate(shared, how.level),
            shared.side(how.level) if shared is not None else "?",
        )


def _estimate(ratio: Ratio | None, level: float) -> Estimate | None:
    return ratio.linearised().estimate() if ratio is not None and ratio.told(level) else None


def _reliability(found: Products) -> float | None:
    """Of the baselines' balances on one half: the slope of one half on the other, pooled over models."""
    square = float(found.square.sum().detach())
    return float(found.reliable.sum().detach()) / square if square > 0 else None


def _table(lines: list[Line], by: By, how: How) -> Table:
    bounds = [line.interval or (None, None) for line in lines]
    columns: dict[str, tuple[str, str, list[Any]]] = {
        "row": ("text", "", [line.twins.row for line in lines]),
        "control": ("text", "", [line.twins.control for line in lines]),
        "models": ("count", "", [len(line.twins.after) for line in lines]),
        "compression": ("number", "", [line.twins.compression for line in lines]),
        "alpha": ("estimate", "", [line.alpha for line in lines]),
        "mark": ("text", "", [line.mark for line in lines]),
        "alpha lower": ("number", "", [low for low, _ in bounds]),
        "alpha upper": ("number", "", [high for _, high in bounds]),
        "reliability": ("number", "", [line.reliability for line in lines]),
        "accuracy change": ("estimate", "points", [line.accuracy_change for line in lines]),
        "alpha if uniform": ("estimate", "", [line.uniform for line in lines]),
        "alpha over uniform": ("estimate", "", [line.over_uniform for line in lines]),
        "alpha shared": ("estimate", "", [line.shared for line in lines]),
        "shared mark": ("text", "", [line.shared_mark for line in lines]),
    }
    units = "classes" if by == "class" else "groups"
    caption = (
        f"Recall balance: alpha, the slope over {units} of (R - A) / A of the row's models on that of their controls; "
        f"above 1 the gaps between {units} grew. Mark: > or < where alpha = 1 is rejected at {100 * how.level:g} %. "
        "alpha if uniform: what comes of all errors growing by one factor. alpha shared: the slope along what the "
        "controls of other seeds share, which a control's own luck in training does not flatten. "
        "Empty where the control's balances are not told from none."
    )
    return Table({name: (kind, unit, tuple(values)) for name, (kind, unit, values) in columns.items()}, caption)
