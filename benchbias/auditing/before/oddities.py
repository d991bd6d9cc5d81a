"""Sentences about answers that are odd but may be right: warnings, which decide nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchbias.auditing.statistics.power import fewest
from benchbias.auditing.values import DENSE, Answers, Warning

if TYPE_CHECKING:
    from numpy.typing import NDArray

FELL, STAYED = 0.05, 0.01  # the mean probability of the label fell by so much, the accuracy by less
SHOWN = 5  # names that a sentence tells
ABOVE = 0.05  # of what was expected: a test set with examples of the training set
EMPTY_WORDS = ("none", "null", "na", "n/a", "unknown", "missing", "?", "-")
CONSTANT = 20  # examples of a class that is never answered


def oddities(
    answers: Answers, *, expect_accuracy: float | None = None, margin: float = 0.03, level: float = 0.05
) -> tuple[Warning, ...]:
    """The warnings about answers, which are as `check` has them."""
    found = [*_few(answers, margin, level), *_attributes(answers), *_clusters(answers)]
    for name, codes in answers.compressed.items():
        found += _identical(answers, name, codes)
    if (answers.label >= 0).all():
        found += _one_label(answers)
        for name, codes in {answers.dense_name: answers.dense, **answers.compressed}.items():
            found += _never(answers, name, codes)
        for name, codes in answers.compressed.items():
            found += _confidence(answers, name, codes)
            found += _below_chance(answers, name, codes)
        if expect_accuracy is not None and (accuracy := float((answers.dense == answers.label).mean())) > (
            expect_accuracy + ABOVE
        ):
            told = f"{answers.dense_name} has {100 * accuracy:.1f} % right, more than the {100 * expect_accuracy:.1f} %"
            found.append(Warning("expected-accuracy", f"{told} expected: are examples of its training among these?"))
    return tuple(found)


def _one_label(answers: Answers) -> list[Warning]:
    if len(np.unique(answers.label)) > 1:
        return []
    told = f"All {len(answers.label)} examples have the label {answers.classes[answers.label[0]]!r:.80}"
    return [Warning("one-label", f"{told}: is this the right column, or one class of a whole test set?")]


def _few(answers: Answers, margin: float, level: float) -> list[Warning]:
    units = len(answers.label) if answers.cluster is None else len(np.unique(answers.cluster))
    if units >= (least := fewest(margin, level)):
        return []
    what = "examples" if answers.cluster is None else "clusters"
    told = f"There are {units} {what}; where no answer changes, a pass needs {least}"
    return [Warning("few-examples", f"{told} at a margin of {100 * margin:g} points.")]


def _attributes(answers: Answers) -> list[Warning]:
    found = []
    for name, column in answers.attributes.items():
        present = np.unique(column.codes[column.codes >= 0])
        if len(present) == 1:
            value = column.names[present[0]]
            found.append(Warning("one-value", f"Attribute {name!r:.80} has one value, {value!r:.80}."))
        words = [column.names[at] for at in present if column.names[at].casefold() in EMPTY_WORDS]
        if words:
            told = (
                f"Attribute {name!r:.80} has the value {', '.join(map(repr, words)):.80}, which is a group of its own"
            )
            found.append(Warning("empty-word", f"{told}: leave cells empty where it is missing."))
    return found


def _clusters(answers: Answers) -> list[Warning]:
    if answers.cluster is None:
        return []
    sizes = np.unique(answers.cluster, return_counts=True)[1]
    if sizes.max() == 1:
        return [Warning("single-clusters", "Each cluster is one example: clusters change nothing.")]
    if 2 * sizes.max() > sizes.sum() and len(sizes) > 1:
        told = f"One cluster has {sizes.max()} of {sizes.sum()} examples: bounds are wide."
        return [Warning("large-cluster", told)]
    return []


def _identical(answers: Answers, name: str, codes: NDArray[Any]) -> list[Warning]:
    if (codes != answers.dense).any():
        return []
    told = f"{name} answers as {answers.dense_name} does on all {len(codes)} examples"
    return [Warning("identical-answers", f"{told}: are these two models?")]


def _never(answers: Answers, name: str, codes: NDArray[Any]) -> list[Warning]:
    size = len(answers.classes)
    totals, given = np.bincount(answers.label, minlength=size), np.bincount(codes, minlength=size)
    found = []
    never = np.nonzero((totals >= CONSTANT) & (given == 0))[0]
    if len(never):
        told = f"{name} never answers {_some(answers, never)}, which {totals[never].sum()} examples are."
        found.append(Warning("never-answered", told))
    strange = np.nonzero((totals == 0) & (given > 0))[0]
    if len(strange):
        told = f"{name} answers {_some(answers, strange)} to {given[strange].sum()} examples, and no label is that."
        found.append(Warning("no-label", told))
    return found


def _confidence(answers: Answers, name: str, codes: NDArray[Any]) -> list[Warning]:
    if DENSE not in answers.scores or name not in answers.scores:
        return []
    fall = float(np.nanmean(answers.scores[DENSE].of_label - answers.scores[name].of_label))
    harm = float((answers.dense == answers.label).mean() - (codes == answers.label).mean())
    if fall < FELL or harm >= STAYED:
        return []
    told = f"{name}: the confidence in the labels fell by {100 * fall:.1f} points, the answers did not follow"
    return [Warning("confidence", f"{told} (accuracy {-100 * harm:+.1f} points).")]


def _below_chance(answers: Answers, name: str, codes: NDArray[Any]) -> list[Warning]:
    size = len(answers.classes)
    label, given = (np.bincount(values, minlength=size) / len(values) for values in (answers.label, codes))
    accuracy, chance = float((codes == answers.label).mean()), float(label @ given)
    if accuracy > chance or chance >= 1:
        return []
    told = f"{name} has {100 * accuracy:.1f} % right, no more than chance ({100 * chance:.1f} %)"
    return [Warning("compressed-at-chance", f"{told}: is its class order, or its preprocessing, another one?")]


def _some(answers: Answers, codes: NDArray[Any]) -> str:
    names = ", ".join(repr(answers.classes[code])[:40] for code in codes[:SHOWN])
    return names + (f" and {len(codes) - SHOWN} more" if len(codes) > SHOWN else "")
