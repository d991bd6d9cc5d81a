"""Is the shortcut easier than the class?"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from benchbias import estimate, part_accuracies

from .failure import fails
from .lines import Line, in_points, reference_row

if TYPE_CHECKING:
    from benchbias import Estimate, Measured, Member, Population, Predictions

QUESTION = "is the shortcut easier than the class?"


def shortcut(population: Population, margin: float) -> list[Line]:
    """Lines on plain training's answers to conflicting test examples, and how far it has fitted those of training."""
    plain = reference_row(population)
    pull = estimate([_pull(one) for one in plain])
    lines = [Line(QUESTION, "conflicting examples: shortcut's less true class, points", pull, _first(pull))]
    if all("train" in one.predictions for one in plain):
        fit = estimate([_fit(one) for one in plain])
        lines.append(Line(QUESTION, "training accuracy, aligned less conflicting, points", fit, fails(fit, margin)))
    return lines


def follows_shortcut(predictions: Predictions) -> Predictions:
    """The same answers, counted as right where they are the class that the attribute is aligned with.

    That class is -1, which no answer is, for an attribute that is aligned with no class or with several.
    """
    aligned = torch.zeros((predictions.num_attributes, predictions.logits.shape[1]), dtype=torch.bool)
    aligned[predictions.attributes[predictions.aligned], predictions.labels[predictions.aligned]] = True
    single = torch.where(aligned.sum(dim=1) == 1, aligned.long().argmax(dim=1), -1)  # (A,)
    return replace(predictions, labels=single[predictions.attributes])


def _pull(member: Member) -> Measured:
    predictions = member.predictions["test"]
    conflicting = [[g for g, aligned in enumerate(member.record.body["group_aligned"]) if not aligned]]
    own, taken = (
        part_accuracies(one, {"conflicting": conflicting})["conflicting"]
        for one in (predictions, follows_shortcut(predictions))
    )
    return 100.0 * (taken - own)


def _fit(member: Member) -> float:
    """The gap of one member, without the draw of examples: those of training are given, so its interval is of seeds."""
    aligned, conflicting = (in_points(member, f"{part}_accuracy", "train") for part in ("aligned", "conflicting"))
    return float((aligned - conflicting).value)


def _first(pull: Estimate | None) -> str:
    if pull is None or pull.half_width is None or not pull.over_seeds or math.isnan(pull.mean):
        return "not known"
    low, high = pull.interval()
    if low > 0:
        return "yes: where they disagree it follows the shortcut"
    return "no: where they disagree it follows the class" if high < 0 else "not settled"
