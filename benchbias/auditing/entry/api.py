"""`benchbias.audit`: does a compressed model harm a group of examples? From arrays, without torch."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from benchbias.auditing.assembling import audit_answers, check_options
from benchbias.auditing.before.stops import check
from benchbias.auditing.entry.arguments import check_numbers, checked_pairs, names_of
from benchbias.auditing.entry.report import AuditReport
from benchbias.auditing.runs.over_runs import audit_runs
from benchbias.auditing.tables.from_arrays import from_arrays
from benchbias.auditing.values import Answers, Options, Warning
from benchbias.errors import UsageError


def audit(
    *,
    label: Any,
    dense: Any = None,
    compressed: Any = None,
    attributes: Any = None,
    pairs: Sequence[tuple[Any, Any]] | None = None,
    cluster: Any = None,
    identity: Any = None,
    classes: Sequence[str] | Path | None = None,
    margin: float = 3.0,
    level: float = 0.05,
    depth: int = 2,
    gate: str | Sequence[str] | None = None,
    label_groups: bool = True,
    pool: int = 0,
    expect_accuracy: float | None = None,
    allow: str | Collection[str] = (),
) -> AuditReport:
    """Compare the answers of a compressed model with those of the dense one, in every group of examples.

    label: (N,) classes: numbers or texts, in a list, an array, a series of pandas or a tensor. dense, compressed: (N,)
    classes, or (N, C) logits or probabilities; compressed: also a mapping of the names of several models. attributes: a
    mapping of names to (N,) values, or a table of pandas; None and NaN are missing values. Rows of all go by their
    order, and indices of pandas must be equal. A table of pandas as a model is its logits. pairs: instead of dense and
    compressed, (dense, compressed) of several training runs. cluster: (N,), equal for examples that are no
    independent draws. identity: (N,) names of the examples. classes: their names in the order of logits. margin: the
    harm that matters, in points. level: of each bound and of all "harmed" together. depth: attributes that are crossed.
    gate: attributes whose values must all be safe for a pass; None: all and the label. label_groups: whether each label
    is a group. pool: values with fewer examples are one group. expect_accuracy: of the dense model, in percent.
    allow: names of stops that only warn. docs/audit.md says what a verdict means. Raises BenchbiasError.
    """
    if (pairs is None) == (dense is None or compressed is None):
        raise UsageError("audit: give dense and compressed, or pairs of several training runs")
    extra = {"cluster": cluster, "identity": identity, "classes": classes}
    check_numbers({"margin": margin, "level": level} | {"depth": depth, "pool": pool}, whole=("depth", "pool"))
    given = [(dense, compressed)] if pairs is None else checked_pairs(pairs)
    if isinstance(classes, str):
        raise UsageError(
            f"audit: classes is the text {classes!r:.80}: give a list of names, or a pathlib.Path of a file"
        )
    runs = tuple(from_arrays(label, one, other, attributes, **extra) for one, other in given)
    names = None if gate is None else names_of("gate", gate)
    options = Options(margin / 100, level, depth, names, label_groups, pool)
    check_options(options)
    if expect_accuracy is not None:
        check_numbers({"expect_accuracy": expect_accuracy})
    expected = None if expect_accuracy is None else expect_accuracy / 100
    warnings = checked(runs, options, expected, names_of("allow", allow))
    if len(runs) == 1:
        return AuditReport(audit_answers(runs[0], options, warnings=warnings), runs)
    return AuditReport(audit_runs(runs, options, warnings=warnings), runs)


def checked(
    runs: Sequence[Answers], options: Options, expect_accuracy: float | None, allow: Collection[str]
) -> tuple[Warning, ...]:
    """The warnings about the answers of every training run, each once. Raises DataError where one stops the audit.

    expect_accuracy: of the dense model, a share; allow: names of stops that only warn.
    """
    found = [
        warning
        for answers in runs
        for warning in check(
            answers,
            expect_accuracy=expect_accuracy,
            margin=options.margin,
            level=options.level,
            allow=allow,
        )
    ]
    return tuple(dict.fromkeys(found))
