"""A model's answers on one split, and what a modification of the model changes in them, group by group."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from benchbias.records.table import Table

if TYPE_CHECKING:
    from benchbias.data.values import LabelledSplit

LEVEL = 0.95
CALIPER = 0.25  # of margins: how far apart matched examples may be
SENSITIVE = 1.0  # points of accuracy from which a group counts as sensitive (You et al., 2025)
CONTRAST = "conflicting − aligned"
MATCHED = "conflicting − aligned, margin-matched"


@dataclass(frozen=True)
class Change:
    """The change that a modification makes in one group, or in a difference of groups.

    accuracy, lower, upper: after it, with the exact binomial interval (Clopper and Pearson, 95 %); None for a
    difference. points: the signed change of accuracy, in points. margin: the mean signed change of the margin.
    examples: how many there are; of matched ones, pairs.
    """

    examples: int
    points: float
    margin: float
    accuracy: float | None = None
    lower: float | None = None
    upper: float | None = None


@dataclass(frozen=True)
class Answers:
    """A model's answers on one split: compared with those of another model on the same split only.

    margins: float64 (N,), the logit of the true class less the largest other one (for two classes the log-odds).
    correct, aligned: bool (N,). groups: int64 (N,). All on the CPU. Raises ValueError.
    """

    split: str
    margins: Tensor
    correct: Tensor
    groups: Tensor
    aligned: Tensor
    group_names: tuple[str, ...]

    def __post_init__(self) -> None:
        lengths = {len(tensor) for tensor in (self.margins, self.correct, self.groups, self.aligned)}
        if len(lengths) > 1:
            raise ValueError(f"answers on {self.split!r}: lengths {sorted(lengths)}")

    @staticmethod
    def of(logits: Tensor, item: LabelledSplit) -> Answers:
        """Make answers from logits (N, K) on a split."""
        labels = item.split.labels.cpu()
        own = logits.cpu().double()  # (N, K)
        true = own.gather(1, labels[:, None])[:, 0]
        rest = own.scatter(1, labels[:, None], -math.inf).max(dim=1).values
        groups = item.groups
        return Answers(
            item.split.name,
            true - rest,
            own.argmax(dim=1) == labels,
            groups.groups.cpu(),
            groups.aligned.cpu(),
            groups.group_names,
        )

    def joined(self, parts: Mapping[int, Answers]) -> Answers:
        """These answers; those of each group in `parts` are taken from there."""
        margins, correct = self.margins.clone(), self.correct.clone()
        for group, part in parts.items():
            self._check(part)
            chosen = self.groups == group
            margins[chosen], correct[chosen] = part.margins[chosen], part.correct[chosen]
        return Answers(self.split, margins, correct, self.groups, self.aligned, self.group_names)

    def changes(self, after: Answers) -> dict[str, Change]:
        """Changes since these answers: in each group, in conflicting less aligned examples, in their `twins` alone.

        (A group that is nearly all right by wide margins can hardly change.) Raises ValueError for answers on another
        split or on other examples.
        """
        self._check(after)
        points = 100 * (after.correct.double() - self.correct.double())  # (N,)
        margins = after.margins - self.margins  # (N,)
        found = {}
        for number, name in enumerate(self.group_names):
            chosen = self.groups == number
            if total := int(chosen.sum()):
                right = int(after.correct[chosen].sum())
                interval = exact_interval(right, total)
                mean = float(points[chosen].mean()), float(margins[chosen].mean())
                found[name] = Change(total, *mean, right / total, *interval)
        everyone = torch.nonzero(~self.aligned)[:, 0], torch.nonzero(self.aligned)[:, 0]
        for name, (conflicting, others) in ((CONTRAST, everyone), (MATCHED, self.twins)):
            if len(conflicting) and len(others):
                change = (float(v[conflicting].mean() - v[others].mean()) for v in (points, margins))
                found[name] = Change(len(conflicting), *change)
        return found

    @functools.cached_property
    def twins(self) -> tuple[Tensor, Tensor]:
        """Pairs (conflicting, aligned) of equally certain examples, int64 (P,) each, none used twice.

        Their margins differ by CALIPER at most, and both are right or both are wrong.
        """
        found: list[tuple[int, int]] = []
        for right in (False, True):
            ours = torch.nonzero(self.correct.eq(right) & ~self.aligned)[:, 0]
            others = torch.nonzero(self.correct.eq(right) & self.aligned)[:, 0]
            pairs = pairs_within(self.margins[ours].tolist(), self.margins[others].tolist(), CALIPER)
            found += [(int(ours[one]), int(others[other])) for one, other in pairs]
        table = torch.tensor(found, dtype=torch.int64).reshape(-1, 2)
        return table[:, 0], table[:, 1]

    def _check(self, other: Answers) -> None:
        if self.split != other.split or not torch.equal(self.groups, other.groups):
            raise ValueError(f"answers on {other.split!r} cannot be compared with those on {self.split!r}")


def pairs_within(ones: Sequence[float], others: Sequence[float], caliper: float) -> list[tuple[int, int]]:
    """As many pairs (index in ones, in others) as can be made whose values differ by `caliper` at most."""
    left = sorted(range(len(ones)), key=ones.__getitem__)
    right = sorted(range(len(others)), key=others.__getitem__)
    pairs, at, to = [], 0, 0
    while at < len(left) and to < len(right):
        apart = ones[left[at]] - others[right[to]]
        if abs(apart) <= caliper:
            pairs.append((left[at], right[to]))
        at += apart <= caliper
        to += apart >= -caliper
    return pairs


def exact_interval(correct: int, total: int) -> tuple[float, float]:
    """The 95 % interval of Clopper and Pearson (1934) for `correct` of `total` independent examples."""
    from scipy.special import betaincinv

    tail = (1 - LEVEL) / 2
    lower = float(betaincinv(correct, total - correct + 1, tail)) if correct else 0.0
    upper = float(betaincinv(correct + 1, total - correct, 1 - tail)) if correct < total else 1.0
    return lower, upper


@dataclass(frozen=True)
class Compared:
    """A modification beside its control. texts: what it differs by from others. runs, controls: what each run changed.

    numbers: more about it, by column.
    """

    texts: Mapping[str, str]
    runs: Sequence[Mapping[str, Change]]
    controls: Sequence[Mapping[str, Change]]
    numbers: Mapping[str, float | None]


def change_table(items: Sequence[Compared], caption: str) -> Table:
    """One row for each modification and group; runs are averaged, so are their exact intervals.

    Raises ValueError without an item.
    """
    if not items:
        raise ValueError("no modification was made")
    rows = [(item, name) for item in items for name in item.runs[0]]
    texts = {key: tuple(item.texts[key] for item, _ in rows) for key in items[0].texts}
    made = [_cells([run[name] for run in i.runs], [run[name] for run in i.controls if name in run]) for i, name in rows]
    fractions = {key: tuple(cells[key] for cells in made) for key in _FRACTIONS}
    points = {key: tuple(cells[key] for cells in made) for key in _POINTS}
    margins = {key: tuple(cells[key] for cells in made) for key in _MARGINS}
    numbers = {key: tuple(item.numbers[key] for item, _ in rows) for key in items[0].numbers}
    columns: dict[str, tuple[str, str, tuple[Any, ...]]] = {key: ("text", "", v) for key, v in texts.items()}
    columns |= {"group": ("text", "", tuple(name for _, name in rows))}
    columns |= {"examples": ("count", "", tuple(item.runs[0][name].examples for item, name in rows))}
    columns |= {key: ("fraction", "", values) for key, values in fractions.items()}
    columns |= {key: ("number", "points", values) for key, values in points.items()}
    columns |= {key: ("number", "", values) for key, values in (margins | numbers).items()}
    return Table(columns, caption)


_FRACTIONS = ("accuracy", "lower", "upper", "sensitive", "control sensitive")
_POINTS = ("change", "control", "difference", "absolute change")
_MARGINS = ("margin change", "control margin", "margin difference")


def _cells(runs: Sequence[Change], controls: Sequence[Change]) -> dict[str, float | None]:
    points, margin = _mean([run.points for run in runs]), _mean([run.margin for run in runs])
    control, control_margin = _mean([run.points for run in controls]), _mean([run.margin for run in controls])
    whole = runs[0].accuracy is not None
    return {
        **{
            key: _mean([getattr(run, key) for run in runs]) if whole else None for key in ("accuracy", "lower", "upper")
        },
        "sensitive": _mean([abs(run.points) > SENSITIVE for run in runs]) if whole else None,
        "control sensitive": _mean([abs(run.points) > SENSITIVE for run in controls]) if whole else None,
        "change": points,
        "control": control,
        "difference": _less(points, control),
        "absolute change": _mean([abs(run.points) for run in runs]) if whole else None,
        "margin change": margin,
        "control margin": control_margin,
        "margin difference": _less(margin, control_margin),
    }


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _less(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other
