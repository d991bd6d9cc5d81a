"""PIEs (Hooker et al., 2019) of every row that has a control, from stored predictions, tables or counts of records.

A PIE is a test image on which the modal label of the pruned models differs from that of the dense ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Pie:
    """One image of the test split on which two populations disagree.

    dense, pruned: the modal labels; None where records hold none. right: of dense and of pruned models, how many are
    right; None where nobody knows. exact: whether these are all that are right, or so many at most. margin: what images
    are ordered by, the largest first.
    """

    image: int
    label: int | None
    dense: int | None
    pruned: int | None
    right: tuple[int | None, int | None]
    margin: float
    exact: tuple[bool, bool] = (True, True)


@dataclass(frozen=True)
class Pies:
    """The PIEs of one row beside its control, the largest margin first.

    models: how many the control and the row have. by: where they are known from, `predictions`, `table` or `counts`.
    """

    task: str
    row: str
    control: str
    models: tuple[int, int]
    found: Sequence[Pie]
    by: str

    @property
    def modal(self) -> bool:
        """Whether modal labels are known, so that these are PIEs: counts of more than two classes hold none."""
        return self.by != "counts" or all(pie.dense is not None and pie.pruned is not None for pie in self.found)


def pies_of_predictions(dense: NDArray[Any], pruned: NDArray[Any], labels: NDArray[Any], classes: int) -> list[Pie]:
    """Every PIE of two populations. dense (S, N), pruned (T, N): predicted classes; labels: (N,).

    Ties of votes are broken at random, alike in both, as the analysis `pie_gallery` does. The margin is how much more
    of the dense models than of the pruned ones predict the dense mode, plus the same of the pruned mode the other way.
    """
    import numpy as np

    votes = [_votes(predicted, classes) for predicted in (dense, pruned)]  # (N, K) each
    order = np.random.default_rng(0).random(votes[0].shape) / 2
    modes = [(vote + order).argmax(axis=1) for vote in votes]
    items = np.flatnonzero(modes[0] != modes[1])
    shares = [vote / len(models) for vote, models in zip(votes, (dense, pruned), strict=True)]
    ahead = shares[0] - shares[1]
    margin = ahead[items, modes[0][items]] - ahead[items, modes[1][items]]
    right = [(models == labels).sum(axis=0) for models in (dense, pruned)]
    return [
        Pie(
            int(item),
            int(labels[item]),
            int(modes[0][item]),
            int(modes[1][item]),
            (int(right[0][item]), int(right[1][item])),
            float(margin[place]),
        )
        for place in np.argsort(-margin, kind="stable")
        for item in [items[place]]
    ]


def _votes(predicted: NDArray[Any], classes: int) -> NDArray[Any]:
    """How many models predict each class for each example, (S, N) -> (N, K)."""
    import numpy as np

    return np.stack([(predicted == label).sum(axis=0) for label in range(classes)], axis=1)


def pies_of_counts(
    right: Sequence[NDArray[Any]], models: tuple[int, int], labels: NDArray[Any], classes: int
) -> list[Pie]:
    """Every image of which it is known that most dense models are right and most pruned ones are not, or otherwise.

    right: how many of the dense and of the pruned models are right on each image, (N,) each; models: how many there
    are. Of two classes the wrong answer is known, so that these are all PIEs but ties; of more the pruned mode is not,
    and an image that pruning has won is left out, since its dense mode is not known either.
    """
    import numpy as np

    before, after = (count / number for count, number in zip(right, models, strict=True))
    lost = (before > 0.5) & (after < 0.5)
    won = (before < 0.5) & (after > 0.5) & (classes == 2)
    items = np.flatnonzero(lost | won)
    margin = np.abs(before - after)[items] * (2 if classes == 2 else 1)
    found = []
    for place in np.argsort(-margin, kind="stable"):
        item = int(items[place])
        label = int(labels[item])
        other = 1 - label if classes == 2 else None
        dense, pruned = (label, other) if lost[item] else (other, label)
        counts = int(right[0][item]), int(right[1][item])
        found.append(Pie(item, label, dense, pruned, counts, float(margin[place])))
    return found


def pies_of_table(lines: Sequence[Mapping[str, Any]], models: tuple[int, int]) -> list[Pie]:
    """The PIEs of an analysis' table, such as `pie_gallery` makes, in its order. models: dense and pruned ones.

    Models that predict a wrong mode err; where the mode is right these are all that are right.
    """
    found = []
    for line in lines:
        label, modes = _class(line["label"]), (_class(line["dense mode"]), _class(line["pruned mode"]))
        shares = (line.get("dense share"), line.get("pruned share"))
        parts = [_right(label, *part) for part in zip(modes, shares, models, strict=True)]
        right, exact = (parts[0][0], parts[1][0]), (parts[0][1], parts[1][1])
        found.append(Pie(line["image"], label, *modes, right, float(line.get("margin") or 0.0), exact))
    return found


def _right(label: int | None, mode: int | None, share: Any, models: int) -> tuple[int | None, bool]:
    """How many models are right, and whether exactly so many: of a share of them that predict the mode."""
    if label is None or mode is None or not isinstance(share, int | float):
        return None, True
    agree = round(share * models)
    return (agree, True) if mode == label else (models - agree, False)


def _class(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 10 else None
