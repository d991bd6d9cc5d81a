"""Equalised odds and demographic parity with the spurious attribute as the sensitive feature (fairlearn)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchbias import Table, estimate, uses

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchbias import Member, Population, Predictions

ODDS, PARITY = "equalized odds difference", "demographic parity difference"


@dataclass(frozen=True)
class Disparities:
    """Disparities of one trial, from 0 to 1; NaN where a value of the attribute has no example for a rate."""

    odds: float
    parity: float


@uses("fairlearn", install="benchbias[fairness]")
@uses("pandas", install="benchbias[fairness]")  # in whose frames fairlearn computes
def fairness(population: Population) -> Table:
    """Equalised-odds and demographic-parity differences of every row, and their changes against the control.

    The sensitive feature is the spurious attribute. Demographic parity: by how much the shares of examples that are
    answered with a class differ at most between two values of the attribute (Agarwal et al., 2018). Equalised odds:
    the larger of the differences in true and in false positive rate (Hardt, Price and Srebro, 2016). Both are
    fairlearn's; of more than two classes the largest over one class against the rest. In points (100 times
    fairlearn's), with Student's t interval over seeds.
    """
    found = dict(zip(_names(population.members), disparities(population.members), strict=True))
    controls = {_name(member): control for control, member in population.pairs()}
    lines: list[tuple[Any, ...]] = []
    for row, members in population.rows().items():
        paired = [(controls[_name(member)], member) for member in members if _name(member) in controls]
        line: list[Any] = [row, paired[0][0].row if paired else ""]
        for field in ("odds", "parity"):
            line.append(estimate([100 * getattr(found[_name(member)], field) for member in members]))
        for field in ("odds", "parity"):
            values = [100 * (getattr(found[_name(m)], field) - getattr(found[_name(c)], field)) for c, m in paired]
            line.append(estimate(values))
        lines.append(tuple(line))
    heads = [("row", "text", ""), ("control", "text", "")]
    heads += [(name, "estimate", "points") for name in (ODDS, PARITY, f"change of {ODDS}", f"change of {PARITY}")]
    columns = zip(*lines, strict=True)
    return Table(
        {name: (kind, unit, values) for (name, kind, unit), values in zip(heads, columns, strict=True)},
        "Differences in rates between values of the spurious attribute, in points: 0 is fair. Changes are against the "
        "control of the same seed; intervals are of the seeds.",
    )


def _name(member: Member) -> tuple[str, int]:
    return member.row, member.seed


def _names(members: Sequence[Member]) -> list[tuple[str, int]]:
    return [_name(member) for member in members]


def disparities(members: Sequence[Member]) -> list[Disparities]:
    """Disparities of every trial; one MetricFrame for all, for it needs only how often each answer is given."""
    from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate

    counts = [one_against_rest(member.predictions["test"]) for member in members]
    table = np.concatenate(counts)  # (trials and classes, label, answer, attribute)
    made = np.nonzero(table)
    problem, label, answer, attribute = made
    weights = {"sample_weight": table[made]}
    rates = {"true": true_positive_rate, "false": false_positive_rate, "selected": selection_rate}
    frame = MetricFrame(
        metrics=rates,
        y_true=label,
        y_pred=answer,
        sensitive_features=attribute,
        control_features=problem,
        sample_params=dict.fromkeys(rates, weights),
    )
    found = frame.difference(method="between_groups")
    odds = np.where(_has_both_labels(table), found[["true", "false"]].max(axis=1), np.nan)
    starts = np.cumsum([0, *(len(one) for one in counts[:-1])])
    parity = found["selected"].to_numpy(dtype=float)
    return [
        Disparities(float(one), float(other))
        for one, other in zip(np.maximum.reduceat(odds, starts), np.maximum.reduceat(parity, starts), strict=True)
    ]


def one_against_rest(predictions: Predictions) -> NDArray[np.int64]:
    """Counts of examples, (classes, 2, 2, A): of the class, answered as the class, by attribute; of two classes one."""
    classes, attributes = predictions.logits.shape[1], predictions.num_attributes
    answered = predictions.predicted
    found = []
    for number in range(classes) if classes > 2 else [1]:
        kind = 2 * (predictions.labels == number).long() + (answered == number).long()
        cells = torch.bincount(kind * attributes + predictions.attributes, minlength=4 * attributes)
        found.append(cells.reshape(2, 2, attributes))
    return torch.stack(found).cpu().numpy()


def _has_both_labels(table: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether every attribute that occurs does so with the class and without it: (...,) of (..., 2, 2, A)."""
    by_label = table.sum(axis=2)  # (..., label, attribute)
    whole: NDArray[np.bool_] = ((by_label > 0).all(axis=1) | (by_label == 0).all(axis=1)).all(axis=-1)
    return whole
