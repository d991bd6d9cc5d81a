"""The analysis `pie_gallery`: the PIEs on which two populations of models disagree most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np

from benchbias import BenchbiasError, Range, Table

from .models import comparisons
from .modes import Modes, Ties, tie_order, votes

if TYPE_CHECKING:
    from benchbias import Population

    from .models import Comparison


def pie_gallery(
    population: Population,
    *,
    row: str = "",
    most: Annotated[int, Range(1, 1000)] = 50,
    ties: Ties = "random",
    seed: int = 0,
) -> Table:
    """The PIEs of one row, an image a line, those first on which the two populations disagree most.

    row: as on the board; empty for the row of the highest sparsity. most: how many at most. The margin of a PIE is how
    much more of the dense models than of the pruned ones predict the dense mode, plus the same of the pruned mode the
    other way round: from 0 to 2.
    """
    found = comparisons(population, 1)
    compared = _named(found, row) if row else max(found, key=_sparsity)
    dense, pruned = compared.dense, compared.pruned
    order = tie_order(ties, len(dense.labels), dense.classes, np.random.default_rng(seed))
    modes = Modes.of(dense, pruned, order)
    items = np.flatnonzero(modes.pie)
    of_dense, of_pruned = (votes(models)[items] / len(models.seeds) for models in (dense, pruned))  # (P, K)
    ahead = of_dense - of_pruned
    here, first, second = np.arange(len(items)), modes.dense[items], modes.pruned[items]
    margin = ahead[here, first] - ahead[here, second]
    shown = np.argsort(-margin, kind="stable")[:most]
    columns = {
        "row": ("text", "", (compared.row,) * len(shown)),
        "image": ("image", "", tuple(items[shown].tolist())),
        "label": ("text", "", tuple(map(str, modes.labels[items][shown]))),
        "dense mode": ("text", "", tuple(map(str, first[shown]))),
        "pruned mode": ("text", "", tuple(map(str, second[shown]))),
        "dense share": ("fraction", "", tuple(of_dense[here, first][shown].tolist())),
        "pruned share": ("fraction", "", tuple(of_pruned[here, second][shown].tolist())),
        "margin": ("number", "", tuple(margin[shown].tolist())),
    }
    return Table(
        columns,
        f"{len(shown)} of {len(items)} PIEs of {compared.row} beside {compared.baseline}, largest margin first; image: "
        "its place in the test split; shares: of the models that predict the mode of their own population.",
    )


def _named(found: list[Comparison], row: str) -> Comparison:
    for compared in found:
        if compared.row == row:
            return compared
    raise BenchbiasError(f"no row {row!r:.80} beside its baseline; rows: {', '.join(one.row for one in found)}")


def _sparsity(compared: Comparison) -> float:
    return float(np.mean([member.record.body["sparsity"] for member in compared.pruned_members]))
