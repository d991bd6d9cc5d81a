"""The analysis `intensification`: what happened to the recall of every class of every row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from benchbias import Population, Table

from .cells import By
from .slopes import balances, counts
from .twins import Twins, cells_of, rows_with_baselines
from .weighing import Weights

if TYPE_CHECKING:
    from torch import Tensor

    from benchbias import Estimate

    from .cells import Cells

ROUNDING = 1e-9  # balances below it are zero


def intensification(population: Population, *, by: By = "class") -> Table:
    """Recall and normalised recall balance before and after, for every row with a baseline and every class or group.

    Recalls and balances are means over models, each on the whole test set. `intensification` is the median over
    models of I = balance after / balance before (Good, Lin et al., 2022), of the models whose balance before is not
    zero: I has heavy tails, so that its mean says nothing; nor does it, near a balance of zero, say much alone, and
    test noise is in it. `recall change` is paired over models, its interval that of models and test images. Classes
    without test examples are left out, and numbers are None where a model answers nothing correctly.

    Raises BenchbiasError where trials answer different examples; Skip with fewer than two seeds, or where no row has
    a baseline.
    """
    rows = rows_with_baselines(population)
    cells = cells_of(rows, by)
    lines = [line for twins in rows for line in _lines(twins, cells)]
    columns: dict[str, tuple[str, str, list[Any]]] = {
        "row": ("text", "", [line.twins.row for line in lines]),
        "control": ("text", "", [line.twins.control for line in lines]),
        by: ("text", "", [line.unit for line in lines]),
        "models": ("count", "", [len(line.twins.after) for line in lines]),
        "recall before": ("fraction", "", [line.recall_before for line in lines]),
        "recall after": ("fraction", "", [line.recall_after for line in lines]),
        "balance before": ("number", "", [line.balance_before for line in lines]),
        "balance after": ("number", "", [line.balance_after for line in lines]),
        "intensification": ("number", "", [line.intensification for line in lines]),
        "recall change": ("estimate", "points", [line.change for line in lines]),
    }
    caption = (
        f"What happened to every {by} against the row's control: recall, balance (R - A) / A, the median over models "
        "of the ratio of both balances (intensification), and the change of recall, paired over models."
    )
    return Table({name: (kind, unit, tuple(values)) for name, (kind, unit, values) in columns.items()}, caption)


@dataclass(frozen=True)
class _Line:
    twins: Twins
    unit: str
    recall_before: float
    recall_after: float
    balance_before: float | None
    balance_after: float | None
    intensification: float | None
    change: Estimate | None


def _lines(twins: Twins, cells: Cells) -> list[_Line]:
    answers = twins.answers(cells)
    weights = Weights.ones(len(twins.after), cells.clusters)
    counted = counts(answers, weights)
    recalls_before = (counted.before / counted.total)[:, 0, 0]  # (M, U)
    recalls_after = (counted.after / counted.total)[:, 0, 0]
    found = balances(answers, weights)
    x, y = found.before[:, 0, 0].detach(), found.after[:, 0, 0].detach()  # (M, U)
    lines = []
    for unit in torch.nonzero(found.there[0, 0]).flatten().tolist():
        before, after = recalls_before[:, unit], recalls_after[:, unit]  # (M,)
        change = weights.influence(100 * weights.mean(after - before))
        lines.append(
            _Line(
                twins,
                cells.names[unit],
                float(before.detach().mean()),
                float(after.detach().mean()),
                _defined(x[:, unit].mean()),
                _defined(y[:, unit].mean()),
                _median_ratio(x[:, unit], y[:, unit]),
                change.estimate() if change is not None else None,
            )
        )
    return lines


def _defined(value: Tensor) -> float | None:
    return float(value) if bool(value.isfinite()) else None


def _median_ratio(x: Tensor, y: Tensor) -> float | None:
    """The median of y / x over models with a balance x to begin with; None without any."""
    ratio = (y / x)[x.abs() > ROUNDING]
    return _defined(ratio.quantile(0.5)) if len(ratio) else None
