"""An audit of several training runs: one pair of a dense and a compressed model each, on test examples they share.

Intervals are of the spread of the runs and of the draw of the test examples (`statistics.estimates`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from benchbias.auditing.assembling import check_options, label_warnings, without_labels
from benchbias.auditing.digests import digest_of
from benchbias.auditing.groups import Grouping, columns_of, grouping_of
from benchbias.auditing.judging import lost_and_gained, verdict_of, worst_of
from benchbias.auditing.statistics.clusters import ClusteredHarm, clustered_harm
from benchbias.auditing.statistics.power import fewest
from benchbias.auditing.values import Answers, Audit, Compared, Group, Judgement, Line, Options, Uneven, Warning
from benchbias.errors import UsageError
from benchbias.statistics.estimates import FEWEST_SEEDS, Estimate, over_seeds
from benchbias.statistics.influence import Influence, Measured
from benchbias.statistics.ranking import holm

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Run:
    """One pair on its test examples. change: int (N,), 1 lost, -1 gained, 0 neither; cluster: int (N,)."""

    answers: Answers
    name: str
    change: NDArray[Any]
    cluster: NDArray[Any]
    layout: str

    @property
    def compressed(self) -> NDArray[Any]:
        return self.answers.compressed[self.name]

    def measured(self, members: NDArray[Any]) -> Measured:
        """The harm of some examples, bool (N,), and how much each cluster adds to it."""
        kept, number = self.change[members], len(self.change[members])
        cluster, place = np.unique(self.cluster[members], return_inverse=True)
        harm = float(kept.mean())
        total, size = np.bincount(place, kept), np.bincount(place)
        everyone = np.unique(self.cluster)
        value = np.zeros(len(everyone))
        value[np.searchsorted(everyone, cluster)] = (total - harm * size) / number
        return Measured(harm, Influence(everyone, value, self.layout, len(cluster)), bounds=(-1.0, 1.0))


@dataclass(frozen=True)
class Tested:
    """The mean harm of a group over runs with its one-sided bounds and p values, and its effective test examples."""

    harm: float
    lower: float
    upper: float
    p: float
    p_safe: float
    p_beyond: float
    effective: float


def audit_runs(pairs: Sequence[Answers], options: Options, *, warnings: Sequence[Warning] = ()) -> Audit:
    """The audit of compressed models in several training runs: one `Answers` a run, with the same models in each.

    Raises UsageError where the runs have other groups or models than each other.
    """
    check_options(options)
    unknown = tuple(dict.fromkeys(one for answers in pairs for one in label_warnings(answers, options)))
    names = sorted(pairs[0].compressed)
    if any(sorted(answers.compressed) != names for answers in pairs):
        raise UsageError("the runs have not the same compressed models")
    groupings = [grouping_of(answers, options) for answers in pairs]
    groups = _common(groupings)
    members = [[_members(grouping, group) for grouping in groupings] for group in groups]
    runs = {name: [_run(answers, name) for answers in pairs] for name in names}
    tested = {name: [_tested(runs[name], each, options) for each in members] for name in names}
    adjusted = iter(holm([one.p for name in names for one in tested[name]]))
    beyond = iter(holm([one.p_beyond for name in names for one in tested[name]]))
    models = []
    for name in names:
        lines = [
            _line(group, runs[name], each, one, (next(adjusted), next(beyond)), options)
            for group, each, one in zip(groups, members, tested[name], strict=True)
        ]
        models.append(_compared(name, runs[name], options, lines))
    if unknown:
        models = [replace(model, verdict=without_labels(model.verdict)) for model in models]
    test_sets = sorted({digest_of(answers) for answers in pairs})
    return Audit(
        options,
        worst_of([model.verdict for model in models]),
        pairs[0].dense_name,
        tuple(models),
        groups[0].n,
        groups[0].units,
        len(groups),
        groupings[0].empty,
        test_sets[0],
        len(pairs),
        (*pairs[0].notes, *_notes(len(pairs), len(test_sets))),
        (*warnings, *unknown, *_equal_runs(pairs)),
    )


def in_runs(pairs: Sequence[Answers]) -> list[Answers]:
    """Pairs of one table as training runs of one compressed model, which is called by its first name."""
    firsts = [pairs[0].dense_name, next(iter(pairs[0].compressed))]
    dense, compressed = (f"{name} and {len(pairs) - 1} more" for name in firsts)
    return [
        replace(
            answers, dense_name=dense, compressed=dict.fromkeys([compressed], *answers.compressed.values()), scores={}
        )
        for answers in pairs
    ]


def _notes(runs: int, test_sets: int) -> list[str]:
    notes = []
    if test_sets > 1:
        notes.append("Each run has test examples of its own: numbers of examples are means over the runs.")
    if runs < FEWEST_SEEDS:
        notes.append(
            f"Bounds are of the test examples alone: {FEWEST_SEEDS} pairs or more say something of other training runs."
        )
    return notes


def _equal_runs(pairs: Sequence[Answers]) -> list[Warning]:
    """A warning where two runs gave the same answers to every example: one run may have been given twice."""
    seen: dict[bytes, int] = {}
    for number, answers in enumerate(pairs, 1):
        content = b"".join(codes.tobytes() for codes in (answers.label, answers.dense, *answers.compressed.values()))
        first = seen.setdefault(content, number)
        if first != number:
            told = f"Runs {first} and {number} gave the same answers to every example: is one of them given twice?"
            return [Warning("equal-runs", told)]
    return []


def _run(answers: Answers, name: str) -> Run:
    cluster = answers.cluster if answers.cluster is not None else np.arange(len(answers.label))
    return Run(answers, name, lost_and_gained(answers, name), cluster, digest_of(answers))


def _common(groupings: Sequence[Grouping]) -> list[Group]:
    """The groups of the runs, with the mean of their numbers. Raises UsageError where one has others."""
    found = [{group.name: group for group in grouping.groups} for grouping in groupings]
    names = set(found[0])
    for other in found[1:]:
        if names != set(other):
            odd = ", ".join(sorted(names ^ set(other))[:5])
            raise UsageError(f"the runs have not the same groups: {odd}; a lower --depth leaves crossings out")
    return [
        replace(
            group,
            n=round(np.mean([one[group.name].n for one in found])),
            units=round(np.mean([one[group.name].units for one in found])),
        )
        for group in groupings[0].groups
    ]


def _members(grouping: Grouping, group: Group) -> NDArray[Any]:
    return grouping.members([one.name for one in grouping.groups].index(group.name))


def _tested(runs: Sequence[Run], members: Sequence[NDArray[Any]], options: Options) -> Tested:
    """Bounds and one-sided p values of a group, whose examples in each run are bool (N,).

    The wider of two: of the spread over runs and test examples, which is approximate, and of the draw of the test
    examples for these runs as they are, which is that of `clustered_harm`, an example in all runs being a cluster.
    """
    found = over_seeds([run.measured(inside) for run, inside in zip(runs, members, strict=True)])
    assert found is not None  # every group has examples in every run
    drawn, effective = _of_examples(runs, members, options)
    if not found.error:  # nothing was seen to vary from run to run
        return Tested(found.mean, drawn.lower, drawn.upper, drawn.p, drawn.p_safe, drawn.p_beyond, effective)
    low, high = found.interval(1 - 2 * options.level)
    distances = (found.mean, options.margin - found.mean, found.mean - options.margin)
    p, p_safe, p_beyond = (_above(found, distance) for distance in distances)
    return Tested(
        found.mean,
        min(low, drawn.lower),
        max(high, drawn.upper),
        max(p, drawn.p),
        max(p_safe, drawn.p_safe),
        max(p_beyond, drawn.p_beyond),
        effective,
    )


def _of_examples(runs: Sequence[Run], members: Sequence[NDArray[Any]], options: Options) -> tuple[ClusteredHarm, float]:
    """The harm with the test examples as clusters over all runs, and their effective number."""
    change = np.concatenate([run.change[inside] for run, inside in zip(runs, members, strict=True)])
    cluster = np.concatenate([run.cluster[inside] for run, inside in zip(runs, members, strict=True)])
    number = np.unique(cluster, return_inverse=True)[1]
    total, size = np.bincount(number, change).round().astype(np.int64), np.bincount(number)
    found = clustered_harm(total, size, options.margin, options.level, flips=int(np.abs(change).sum()))
    return found, float(size.sum() ** 2 / np.square(size).sum())


def _above(found: Estimate, distance: float) -> float:
    """The probability that the error of the mean exceeds a distance of either sign."""
    tail = found.beyond(abs(distance))
    return tail if distance >= 0 else 1 - tail


def _line(
    group: Group,
    runs: Sequence[Run],
    members: Sequence[NDArray[Any]],
    found: Tested,
    jointly: tuple[float, float],
    options: Options,
) -> Line:
    adjusted, beyond = jointly
    safe, harmed = found.p_safe <= options.level, adjusted <= options.level
    small = found.effective < fewest(options.margin, options.level)
    verdict: Judgement = "safe" if safe else "harmed" if harmed else "too small" if small else "undecided"
    inside = list(zip(runs, members, strict=True))
    before = sum(int((run.answers.dense == run.answers.label)[each].sum()) for run, each in inside)
    after = sum(int((run.compressed == run.answers.label)[each].sum()) for run, each in inside)
    number = sum(int(each.sum()) for each in members)
    changed = sum(int((run.answers.dense != run.compressed)[each].sum()) for run, each in inside)
    return Line(
        group,
        before,
        after,
        sum(int((run.change[each] == 1).sum()) for run, each in inside),
        sum(int((run.change[each] == -1).sum()) for run, each in inside),
        found.harm,
        found.lower,
        found.upper,
        found.p,
        adjusted,
        found.p_safe,
        beyond,
        verdict,
        verdict == "safe" and harmed,
        verdict == "harmed" and beyond <= options.level,
        None,
        None,
        (number - after) / (number - before) if before < number else None,
        changed / number,
    )


def _compared(name: str, runs: Sequence[Run], options: Options, lines: Sequence[Line]) -> Compared:
    whole, rest = lines[0], sorted(lines[1:], key=lambda line: (-line.harm, -line.group.n, line.group.name))
    top = max(lines, key=lambda line: (line.harm, line.group.n))
    return Compared(
        name,
        verdict_of([line.verdict for line in lines], [line.group.gated for line in lines]),
        any(line.beyond_margin for line in lines),
        (whole, *rest),
        top.group.name,
        max(line.upper for line in lines),
        None,
        _uneven(runs, options),
        (),
        whole.churn,
    )


def _uneven(runs: Sequence[Run], options: Options) -> tuple[Uneven, ...]:
    """Whether one value loses more than the rest: the least one-sided p of its values, times their number."""
    columns = [columns_of(run.answers, options) for run in runs]
    found = []
    for name, column in columns[0].items():
        tests = []
        for code, value in enumerate(column.names):
            gaps = [
                run.measured(own[name].codes == code) - run.measured(own[name].codes != code)
                for run, own in zip(runs, columns, strict=True)
                if 0 < (own[name].codes == code).sum() < len(run.change)
            ]
            gap = over_seeds(gaps) if len(gaps) == len(runs) else None
            tests.append((1.0 if gap is None or not gap.error else _above(gap, gap.mean), value))
        p, value = min(tests)
        if len(tests) > 1:
            found.append(Uneven(name, min(1.0, len(tests) * p), value))
    return tuple(found)
