"""Equal fit: how much of a row's harm remains beside dense networks that are like it in steps, FLOPs, weights, accuracy
or fit?

A dense network trained for less is worse too, and its worst group most. What remains of the harm of a sparse network
beside the dense network that fits the conflicting training examples as well is the sparsity's own.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchbias import BenchbiasError, Table, estimate, hookimpl

if TYPE_CHECKING:
    from benchbias import Member, Population

ALIKE = 0.1  # relative difference up to which two networks have as many weights


def average_accuracy(body: Mapping[str, Any]) -> float:
    """Group accuracies weighted by the groups' shares in training: the field's average (Sagawa et al., 2020)."""
    counts = zip(body["train_group_total"], body["group_correct"], body["group_total"], strict=True)
    parts = [(share, correct / total) for share, correct, total in counts if share]
    return float(math.fsum(share * accuracy for share, accuracy in parts) / sum(share for share, _ in parts))


def fit_of_conflicting(body: Mapping[str, Any]) -> float:
    """Accuracy on the bias-conflicting examples of the training split; NaN without one."""
    found = body["train_conflicting_accuracy"]
    return math.nan if found is None else float(found)


def log(amount: float | None) -> float:
    """The logarithm of an amount of training; NaN where there was none, or where it is unknown."""
    return math.log(amount) if amount else math.nan


MATCHED: Mapping[str, Callable[[Mapping[str, Any]], float]] = {
    "steps": lambda body: log(body["training_steps"]),
    "training FLOPs": lambda body: log(body["training_flops"]),
    "accuracy": average_accuracy,
    "fit of conflicting": fit_of_conflicting,
}
"""In what a dense network is like a row, and how that is read from a record."""


@dataclass(frozen=True)
class Matched:
    """A dense value at a row's own amount; inside: whether the family reaches it, else it is of the nearest member."""

    value: float
    inside: bool


def interpolated(points: Sequence[tuple[float, float]], amount: float) -> Matched | None:
    """The value of a curve (amount, value) in order of length, where its amount is first the one asked for.

    Linear between neighbours. Where the curve never comes to it, the value of the first of the nearest points. None
    without a point, or where an amount is undefined. Of the curve turned round: where it is last the one asked for.
    """
    if not points or any(math.isnan(number) for number in (amount, *itertools.chain(*points))):
        return None
    if len(points) == 1:
        return Matched(points[0][1], math.isclose(points[0][0], amount))
    for (before, low), (after, high) in itertools.pairwise(points):
        if min(before, after) <= amount <= max(before, after):
            share = 0.0 if before == after else (amount - before) / (after - before)
            return Matched(low + share * (high - low), inside=True)
    return Matched(min(points, key=lambda point: abs(point[0] - amount))[1], inside=False)


def equal_fit(
    population: Population, *, family: str = "erm", small: str | None = None, metric: str = "worst_group_accuracy"
) -> Table:
    """The change of a metric against dense networks matched in steps, FLOPs, weights, average accuracy, or fit.

    family: the method whose rows are the dense network trained for different lengths; of every seed its curve is
    followed from the shortest to the longest, and the metric is interpolated where the curve first has the row's
    amount, and beside it where it last has it (steps and FLOPs on a logarithmic scale). small: a method of dense
    networks that have as many weights as sparse rows keep (within a tenth), likewise interpolated in steps. metric: of
    the suite's. Average accuracy is weighted by the groups' shares in training. outside: in how many seeds the family
    does not reach the row's amount, so that its nearest member was taken: a bound, not a match. Intervals are over
    seeds alone. Raises BenchbiasError.
    """
    families = {name: _by_seed(population, name) for name in (family, small) if name is not None}
    lines = []
    for row, members in population.rows().items():
        if members[0].method == family:
            continue
        if not all(_trained_alike(member, families[family].get(member.seed, ())) for member in members):
            continue
        _require_metric(members[0], metric)
        for name, amount in MATCHED.items():
            lines.append(_line(row, name, members, families[family], amount, metric))
        if small is not None and members[0].method != small:
            dense = _of_as_many_weights(members, families[small])
            lines.append(_line(row, "weights", members, dense, MATCHED["steps"], metric))
    kinds = {"row": ("text", ""), "matched in": ("text", ""), "harm": ("estimate", "points")}
    kinds |= {"harm at the last match": ("estimate", "points"), "own": ("fraction", ""), "matched": ("fraction", "")}
    kinds |= {"outside": ("count", ""), "seeds": ("count", "")}
    columns = {name: (*kind, tuple(line[place] for line in lines)) for place, (name, kind) in enumerate(kinds.items())}
    return Table(
        columns,
        f"{metric.replace('_', ' ')} of every row (own) minus that of {family} at the row's own steps, training FLOPs, "
        "average accuracy, or fit of the conflicting training examples (matched), in points"
        + (f"; in weights: minus that of {small}. " if small else ". ")
        + "Matched where the curve first has the row's amount; at the last match: where it last has it. "
        + "Outside: seeds in which the family does not reach the row, so that its nearest member stands there.",
    )


def _by_seed(population: Population, method: str) -> dict[int, list[Member]]:
    """The members of a family by seed, from the shortest training to the longest. Raises BenchbiasError."""
    found: dict[int, list[Member]] = {}
    for member in population.members:
        if member.method == method:
            found.setdefault(member.seed, []).append(member)
    if not found:
        known = ", ".join(dict.fromkeys(member.method for member in population.members))
        raise BenchbiasError(f"equal_fit: no trial of the method {method!r} (known: {known})")
    return {seed: sorted(members, key=lambda m: m.record.body["training_steps"]) for seed, members in found.items()}


def _trained_alike(member: Member, dense: Sequence[Member]) -> bool:
    """Whether a member was trained on as many examples of each group as the family: a ceiling is not."""
    return all(one.record.body["train_group_total"] == member.record.body["train_group_total"] for one in dense)


def _require_metric(member: Member, metric: str) -> None:
    known = member.record.body["metrics"]
    if metric not in known:
        raise BenchbiasError(f"equal_fit: no metric {metric!r} in this suite (known: {', '.join(known)})")


def _of_as_many_weights(members: Sequence[Member], small: Mapping[int, list[Member]]) -> dict[int, list[Member]]:
    weights = {member.seed: member.record.body["nonzero_weights"] for member in members}
    return {
        seed: [one for one in dense if abs(one.record.body["nonzero_weights"] / weights[seed] - 1) <= ALIKE]
        for seed, dense in small.items()
        if weights.get(seed)
    }


def _line(
    row: str,
    name: str,
    members: Sequence[Member],
    family: Mapping[int, Sequence[Member]],
    amount: Callable[[Mapping[str, Any]], float],
    metric: str,
) -> tuple[Any, ...]:
    """A line of the table: nothing is said where a seed has no dense network to be matched with."""
    own = [member.record.body["metrics"][metric] for member in members]
    found = [_matched(member, family.get(member.seed, ()), amount, metric) for member in members]
    known = [one for one in found if one is not None]
    if len(known) < len(found) or any(value is None for value in own):
        return row, name, None, None, None, None, None, len(members)
    harms = [
        estimate([100 * (value - one.value) for value, one in zip(own, matches, strict=True)])
        for matches in zip(*known, strict=True)  # the first matches of all seeds, the last ones
    ]
    outside = sum(not first.inside for first, _ in known)
    means = (math.fsum(values) / len(values) for values in (own, [first.value for first, _ in known]))
    return row, name, *harms, *means, outside, len(members)


def _matched(
    member: Member, dense: Sequence[Member], amount: Callable[[Mapping[str, Any]], float], metric: str
) -> tuple[Matched, Matched] | None:
    """A member's first match and its last one on the curve of its dense twins."""
    values = [(amount(one.record.body), one.record.body["metrics"][metric]) for one in dense]
    if any(value is None for _, value in values):
        return None
    own = amount(member.record.body)
    first, last = interpolated(values, own), interpolated(values[::-1], own)
    return None if first is None or last is None else (first, last)


@hookimpl
def benchbias_analyses() -> dict[str, Callable[..., Table]]:
    return {"equal_fit": equal_fit}
