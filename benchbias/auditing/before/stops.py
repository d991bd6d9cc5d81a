"""Answers that cannot be compared in earnest stop an audit before any statistic; what is merely odd is named.

Each stop has a name. Where its case is meant, `allow` turns it into a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from benchbias.auditing.before.class_order import mixed_up
from benchbias.auditing.before.oddities import oddities
from benchbias.auditing.values import Answers, Warning
from benchbias.errors import DataError, UsageError, unknown

if TYPE_CHECKING:
    from numpy.typing import NDArray

FALLEN_SHORT = 0.05  # of what was expected: other weights or another preprocessing
ROOM = 0.25  # of the way from chance to all right, which a model of few classes must have gone
MANY_VALUES = 500  # of an attribute: each is a group

STOPS = MappingProxyType(
    {
        "no-shared-classes": "a model answers no class that is a label",
        "constant": "the dense model gives one answer to all examples",
        "low-accuracy": "the dense model is hardly better than chance",
        "expected-accuracy": "the dense model is five points worse than was said",
        "class-order": "the dense model is wrong on nearly all of one class",
        "empty-attribute": "an attribute has no value at all",
        "many-values": f"an attribute has more than {MANY_VALUES} values",
        "one-cluster": "all examples are of one cluster",
        "new-labels": "a sheet of labels has one that no model answers",
        "two-labels": "one image is listed with two labels",
    }
)
"""The names of the stops that can be allowed, with their cases."""


@dataclass(frozen=True)
class Stop:
    """A reason to stop. name: of STOPS; text: one sentence with the remedy."""

    name: str
    text: str


def check(
    answers: Answers,
    *,
    expect_accuracy: float | None = None,
    margin: float = 0.03,
    level: float = 0.05,
    allow: Collection[str] = (),
) -> tuple[Warning, ...]:
    """The warnings about answers, those of allowed stops first. Raises DataError for the first other stop.

    expect_accuracy: the accuracy that the dense model is known to have on such examples, a share from 0 to 1.
    margin, level: of the audit, to say with how few examples it cannot end in a pass. allow: names of STOPS.
    Raises UsageError for other names, and for an accuracy that is no share.
    """
    for name in sorted(set(allow) - STOPS.keys()):
        raise UsageError(unknown("stop", name, STOPS, "allow"))
    if expect_accuracy is not None and not 0 < expect_accuracy <= 1:
        raise UsageError(f"the expected accuracy is {100 * expect_accuracy:g} %: above 0 and at most 100 is meant")
    if not len(answers.label):
        raise DataError("there are no examples")
    found = [Stop(one.kind, one.text) for one in answers.warnings if one.kind in STOPS]
    found += [stop for make in (*ALWAYS, *(LABELLED if (answers.label >= 0).all() else ())) for stop in make(answers)]
    found += _expected(answers, expect_accuracy)
    for stop in found:
        if stop.name not in allow:
            raise DataError(f"{stop.text} (where this is meant: allow=[{stop.name!r}] or --allow {stop.name})")
    allowed = tuple(Warning(stop.name, f"Allowed: {stop.text}.") for stop in found)
    read = tuple(one for one in answers.warnings if one.kind not in STOPS)
    return allowed + read + oddities(answers, expect_accuracy=expect_accuracy, margin=margin, level=level)


def dense_accuracy(answers: Answers) -> float:
    """The share of examples that the dense model has right."""
    return float((answers.dense == answers.label).mean())


def least_agreement(classes: int) -> float:
    """The least kappa of a dense model that is worth an audit, for so many classes.

    Kappa is how far accuracy has come from chance (0) to all right (1). Where all classes are alike, 2 / (C - 1) is an
    accuracy of three times 1 / C. Below nine classes that is too much to ask: a quarter of the way is (62.5 % of two).
    """
    return min(2 / (classes - 1), ROOM) if classes > 1 else 0.0


def chance_accuracy(answers: Answers) -> float:
    """The accuracy of the dense model if its answers had nothing to do with the examples (Cohen, 1960)."""
    size = len(answers.classes)
    label, dense = (np.bincount(codes, minlength=size) / len(codes) for codes in (answers.label, answers.dense))
    return float(label @ dense)


def _models(answers: Answers) -> dict[str, NDArray[Any]]:
    return {answers.dense_name: answers.dense} | dict(answers.compressed)


def _disjoint(answers: Answers) -> list[Stop]:
    labels = np.unique(answers.label[answers.label >= 0])
    found = []
    for name, codes in _models(answers).items():
        given = np.unique(codes)
        if len(labels) and not np.isin(given, labels).any():
            told = f"{name} answers {_some(answers, given)}, and the labels are {_some(answers, labels)}"
            remedy = "none is the same; name the classes in their order (classes=, --classes), or give the right column"
            found.append(Stop("no-shared-classes", f"{told}: {remedy}"))
    return found


def _constant(answers: Answers) -> list[Stop]:
    if len(np.unique(answers.dense)) > 1 or len(answers.dense) < 2 or len(np.unique(answers.label)) == 1:
        return []
    told = (
        f"{answers.dense_name} answers {answers.classes[answers.dense[0]]!r:.80} to all {len(answers.dense)} examples"
    )
    return [Stop("constant", f"{told}: it is no model to compare with; check its weights and its preprocessing")]


def _low(answers: Answers) -> list[Stop]:
    """The stop for a dense model near chance: Cohen's kappa is below the least one of so many classes."""
    classes, accuracy, chance = len(answers.classes), dense_accuracy(answers), chance_accuracy(answers)
    if classes < 2 or chance >= 1 or len(np.unique(answers.label)) == 1:
        return []
    least = chance + (1 - chance) * least_agreement(classes)
    if accuracy >= least:
        return []
    told = f"{answers.dense_name} has {_percent(accuracy)} right, and {_percent(chance)} would be right by chance"
    remedy = (
        f"at least {_percent(least)} is asked for, reckoned from that; check class order, preprocessing and columns"
    )
    return [Stop("low-accuracy", f"{told}: {remedy}")]


def _class_order(answers: Answers) -> list[Stop]:
    if len(np.unique(answers.label)) < 2 or len(np.unique(answers.dense)) < 2:
        return []
    found = []
    for one in mixed_up(answers.label, answers.dense, len(answers.classes)):
        name, other = answers.classes[one.label], answers.classes[one.other]
        told = f"{answers.dense_name} is wrong on {one.wrong} of {one.n} examples of {name!r:.80}"
        often = f"it answers {other!r:.80} to {one.times} of them"
        found.append(Stop("class-order", f"{told}; {often}: check the order of the classes (classes=, --classes)"))
    return found


def _attributes(answers: Answers) -> list[Stop]:
    found = []
    for name, column in answers.attributes.items():
        values = len(np.unique(column.codes[column.codes >= 0]))
        if not values:
            found.append(Stop("empty-attribute", f"attribute {name!r:.80} is empty in all {len(column.codes)} rows"))
        if values > MANY_VALUES:
            told = f"attribute {name!r:.80} has {values} values for {len(column.codes)} examples, each a group"
            found.append(Stop("many-values", f"{told}: give ranges instead of numbers, or another column"))
    return found


def _clusters(answers: Answers) -> list[Stop]:
    if answers.cluster is None or len(answers.label) < 2 or len(np.unique(answers.cluster)) > 1:
        return []
    told = f"all {len(answers.label)} examples are of one cluster, so there is one independent draw"
    return [Stop("one-cluster", f"{told}: a cluster is a few copies of one example")]


def _expected(answers: Answers, expected: float | None) -> list[Stop]:
    if expected is None:
        return []
    if (answers.label < 0).any():
        raise UsageError("an accuracy is expected, but labels are missing: it cannot be known")
    accuracy = dense_accuracy(answers)
    if accuracy >= expected - FALLEN_SHORT:
        return []
    told = f"{answers.dense_name} has {_percent(accuracy)} right, and {_percent(expected)} are expected"
    return [Stop("expected-accuracy", f"{told}: check its weights, its preprocessing and the examples")]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _some(answers: Answers, codes: NDArray[Any]) -> str:
    names = ", ".join(repr(answers.classes[code])[:40] for code in codes[:3])
    return names + (", ..." if len(codes) > 3 else "")


Check = Callable[[Answers], list[Stop]]
ALWAYS: tuple[Check, ...] = (_disjoint, _attributes, _clusters)
LABELLED: tuple[Check, ...] = (_constant, _low, _class_order)
