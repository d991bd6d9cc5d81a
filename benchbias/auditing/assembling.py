"""Answers to an audit: groups, harms, verdicts, and what helps to read them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from benchbias.auditing.confidence import Confidence, confidence_of
from benchbias.auditing.digests import digest_of
from benchbias.auditing.groups import Grouping, grouping_of
from benchbias.auditing.judging import Judged, harms_of, judged, lost_and_gained, verdict_of, worst_of
from benchbias.auditing.leaving_out import group_to_look_at
from benchbias.auditing.missing import missing_of
from benchbias.auditing.statistics.power import Planner, detectable
from benchbias.auditing.statistics.uneven import uneven_p
from benchbias.auditing.values import DENSE, Answers, Audit, Compared, Facts, Line, Options, Uneven, Verdict, Warning
from benchbias.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

NO_FACTS: Mapping[str, Facts] = {}
POWER = 0.8
STEP = 0.04  # groups whose answers change nearly as often, by 4 %, share a number of needed examples


def audit_answers(
    answers: Answers,
    options: Options,
    *,
    warnings: Sequence[Warning] = (),
    facts: Mapping[str, Facts] = NO_FACTS,
) -> Audit:
    """The audit of every compressed model. facts: model -> its size and speed, the dense one under DENSE.

    warnings: of the answers as a whole. The order of rows, columns, models and groups changes nothing in it. Raises
    UsageError.
    """
    check_options(options)
    unknown = label_warnings(answers, options)
    grouping = grouping_of(answers, options)
    clustered = answers.cluster is not None and len(np.unique(answers.cluster)) < len(answers.label)
    names = sorted(answers.compressed)
    changes = {name: lost_and_gained(answers, name) for name in names}
    cluster = answers.cluster if clustered else None
    harms = [harms_of(grouping, changes[name], cluster, options) for name in names]
    found = judged(harms, options, clustered=clustered)
    planner = Planner(options.margin, options.level, POWER)
    models = tuple(
        _compared(answers, options, grouping, name, changes[name], one, cluster, facts.get(name), planner)
        for name, one in zip(names, found, strict=True)
    )
    if unknown:
        models = tuple(replace(model, verdict=without_labels(model.verdict)) for model in models)
    return Audit(
        options,
        worst_of([model.verdict for model in models]),
        answers.dense_name,
        models,
        len(answers.label),
        grouping.groups[0].units,
        len(grouping.groups),
        grouping.empty,
        digest_of(answers),
        notes=answers.notes,
        warnings=(*warnings, *unknown),
        dense_facts=facts.get(DENSE),
    )


def label_warnings(answers: Answers, options: Options) -> tuple[Warning, ...]:
    """A warning where a pass needs groups of labels, and not all labels are known.

    Raises UsageError where a changed answer has no label: it may be lost.
    """
    lacking = answers.label < 0
    if any((lacking & (codes != answers.dense)).any() for codes in answers.compressed.values()):
        raise UsageError("changed answers without a label cannot be audited: label them first")
    gated = options.by_label and (options.gate is None or answers.label_name in options.gate)
    if not (lacking.any() and gated):
        return ()
    told = "Not all labels are known, so that the groups of labels are not audited: a pass needs them."
    return (Warning("labels-unknown", f"{told} --no-label-groups leaves them out of the audit."),)


def without_labels(verdict: Verdict) -> Verdict:
    """The verdict where groups that a pass needs are not known."""
    return "undecided" if verdict == "pass" else verdict


def check_options(options: Options) -> None:
    """Raises UsageError for a margin, a level or a pool outside of what they can be."""
    if not 0 < options.margin < 1:
        raise UsageError(f"margin {100 * options.margin:g}: in points, above 0 and below 100")
    if options.pool < 0:
        raise UsageError(f"pool {options.pool}: a number of examples, 0 or more")
    if not 0 < options.level < 0.5:
        raise UsageError(f"level {options.level:g}: above 0 and below 0.5, such as 0.05")


def _compared(
    answers: Answers,
    options: Options,
    grouping: Grouping,
    name: str,
    change: NDArray[Any],
    found: Judged,
    cluster: NDArray[Any] | None,
    facts: Facts | None,
    planner: Planner,
) -> Compared:
    lines = _lines(answers, grouping, name, found, planner)
    whole, rest = lines[0], sorted(lines[1:], key=lambda line: (-line.harm, -line.group.n, line.group.name))
    top = max(lines, key=lambda line: (line.harm, line.group.n))
    gated = [line.group.gated for line in lines]
    uneven = []
    for attribute, column in grouping.columns.items():
        if len(column.names) > 1:
            p, code = uneven_p(change, column.codes, len(column.names), cluster)
            uneven.append(Uneven(attribute, p, column.names[code]))
    return Compared(
        name,
        verdict_of([line.verdict for line in lines], gated),
        any(line.beyond_margin for line in lines),
        (whole, *rest),
        top.group.name,
        max(line.upper for line in lines),
        group_to_look_at(grouping, lines, change, options),
        tuple(uneven),
        missing_of(answers, change, cluster, options),
        whole.churn,
        facts=facts,
    )


def _lines(answers: Answers, grouping: Grouping, name: str, found: Judged, planner: Planner) -> list[Line]:
    known = bool((answers.label >= 0).all())
    right = [grouping.sums(model == answers.label) for model in (answers.dense, answers.compressed[name])]
    churn = grouping.sums(answers.dense != answers.compressed[name]) / found.harms.n
    confidence = confidence_of(answers, name, grouping)
    return [
        _line(at, group_right if known else None, grouping, found, float(churn[at]), confidence, planner)
        for at, group_right in enumerate(zip(*right, strict=True))
    ]


def _line(
    at: int,
    right: tuple[float, float] | None,
    grouping: Grouping,
    found: Judged,
    churn: float,
    confidence: Confidence | None,
    planner: Planner,
) -> Line:
    harms, verdict = found.harms, found.verdicts[at]
    n, lost, gained, design = (int(harms.n[at]), int(harms.lost[at]), int(harms.gained[at]), float(harms.design[at]))
    before, after = (None, None) if right is None else (round(right[0]), round(right[1]))
    errors = None if before is None or before == n else (n - (after or 0)) / (n - before)
    undecided = verdict in ("undecided", "too small")
    return Line(
        grouping.groups[at],
        before,
        after,
        lost,
        gained,
        (lost - gained) / n,
        float(harms.lower[at]),
        float(harms.upper[at]),
        float(harms.p[at]),
        float(found.adjusted[at]),
        float(harms.p_safe[at]),
        float(found.beyond[at]),
        verdict,
        verdict == "safe" and bool(found.adjusted[at] <= planner.level),
        bool(found.beyond[at] <= planner.level) and verdict == "harmed",
        _needed(planner, (lost + gained + 1) / (n + 1), design, n) if undecided else None,
        detectable(max(1, round(n / design)), (lost + gained + 1) / (n + 1), planner.level, POWER)
        if undecided
        else None,
        errors,
        churn,
        *(confidence.of_group(at) if confidence is not None else (None, None, None)),
    )


def _needed(planner: Planner, discordance: float, design: float, n: int) -> int | None:
    """The examples that would show a group safe; None where it has as many, so that more of them are no remedy."""
    found = planner.needed(_about(discordance), design)
    return None if found is None or found <= n else found


def _about(discordance: float) -> float:
    """The next larger share of a few: the number of needed examples, which is told as "about", grows by 4 % at most."""
    return min(1.0, math.exp(math.ceil(math.log(discordance) / STEP - 1e-9) * STEP))
