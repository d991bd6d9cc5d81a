"""The analysis `pie_classes`: which classes pruning changed otherwise than it changed the accuracy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from benchbias import Table

from .models import comparisons
from .welch import LEVEL, Shift, holm, shifted, welch

if TYPE_CHECKING:
    from typing import Any

    from benchbias import Population

    from .models import Comparison


def pie_classes(population: Population, *, shift: Shift = "model") -> Table:
    """Classes whose recall changed by more or by less than accuracy did, by Welch's test over models.

    The null hypothesis is R_t - R_0 = A_t - A_0, with R the recall of a class and A the accuracy, t of the row and 0 of
    its baseline. shift: the recall of a model minus its own accuracy; or, as published, minus the mean accuracy of its
    population as if that were known. That is too easily significant for a class whose recall varies little. All models
    answer the same test images: intervals and p are over models at these images and say nothing of other images.
    Models of both rows are taken to be independent, as published, though twins of one seed start alike.
    """
    lines = [line for compared in comparisons(population) for line in _lines(compared, shift)]
    untested = sum(line["verdict"] == "untested" for line in lines)
    kinds = {
        "row": ("text", ""),
        "baseline": ("text", ""),
        "class": ("text", ""),
        "recall change": ("estimate", "points"),
        "normalised change": ("estimate", "points"),
        "p": ("number", ""),
        "p holm": ("number", ""),
        "verdict": ("text", ""),
        "verdict holm": ("text", ""),
    }
    columns = {name: (*kind, tuple(line[name] for line in lines)) for name, kind in kinds.items()}
    return Table(
        columns,
        "Recall of each class minus the baseline's, and the same beyond the change of accuracy (normalised). Intervals "
        "are over models at these test images. p of Welch's test, Holm's over the classes of a row. Untested, for no "
        f"model differs in the class or it is empty: {untested} of {len(lines)}.",
    )


def _lines(compared: Comparison, shift: Shift) -> list[dict[str, Any]]:
    change = welch(compared.dense.recalls, compared.pruned.recalls)
    normalised = welch(shifted(compared.dense, shift), shifted(compared.pruned, shift))
    adjusted = holm(normalised.p)
    return [
        {
            "row": compared.row,
            "baseline": compared.baseline,
            "class": str(number),
            "recall change": change.estimate(number),
            "normalised change": normalised.estimate(number),
            "p": float(normalised.p[number]),
            "p holm": float(adjusted[number]),
            "verdict": _verdict(normalised.mean[number], normalised.p[number]),
            "verdict holm": _verdict(normalised.mean[number], adjusted[number]),
        }
        for number in range(compared.dense.classes)
    ]


def _verdict(change: float, p: float) -> str:
    if math.isnan(p):
        return "untested"
    return "-" if p > LEVEL else ("gain" if change > 0 else "loss")
