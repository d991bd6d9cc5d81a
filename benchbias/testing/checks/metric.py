"""Checks of metrics: a float or NaN, whatever the order of the examples and whoever is missing."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import torch

from benchbias.data.values import Predictions
from benchbias.testing.calling.calls import measured
from benchbias.testing.calling.subject import Subject
from benchbias.testing.calling.verdicts import Unmet
from benchbias.testing.toys.toy import toy_dataset
from benchbias.testing.toys.trial import toy_predictions

PER_EXAMPLE = ("logits", "labels", "attributes", "groups", "aligned", "cluster")


def chosen(predictions: Predictions, index: torch.Tensor) -> Predictions:
    """The predictions of these examples, in this order."""
    assert {item.name for item in fields(predictions)} >= set(PER_EXAMPLE)
    return replace(predictions, **{name: getattr(predictions, name)[index] for name in PER_EXAMPLE})


def permutation(subject: Subject) -> None:
    """The order of the examples makes no difference (up to rounding, 1e-6)."""
    predictions = toy_predictions()
    order = torch.randperm(len(predictions.labels), generator=torch.Generator().manual_seed(0))
    one, other = measured(subject, predictions), measured(subject, chosen(predictions, order))
    same = one == other or (
        one is not None and other is not None and math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9)
    )
    if not same:
        raise Unmet(f"{one} in one order, {other} in another")


def missing_groups(subject: Subject) -> str:
    """A group or a class without a test example gives a finite float, or NaN (undefined); nothing is raised."""
    everyone = toy_predictions()
    cases = {
        "without group 1": chosen(everyone, torch.nonzero(everyone.groups != 1)[:, 0]),
        "without class 1": chosen(everyone, torch.nonzero(everyone.labels != 1)[:, 0]),
        "without conflicting examples": chosen(everyone, torch.nonzero(everyone.aligned)[:, 0]),
    }
    return ", ".join(f"{name}: {_shown(measured(subject, case))}" for name, case in cases.items())


def one_group_only(subject: Subject) -> str:
    """Where training and test have one group, one class and one attribute, it gives a finite float or NaN."""
    data = toy_dataset(classes=(0,), attributes=(0,))
    return _shown(measured(subject, toy_predictions(data)))


def equal_logits(subject: Subject) -> str:
    """Where all logits are equal it gives a finite float or NaN."""
    return _shown(measured(subject, toy_predictions(equal=True)))


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4g}"
