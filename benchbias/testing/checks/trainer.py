"""Checks of trainers: they train, and a mask in force holds."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchbias.testing.calling.calls import half_removed, toy_trial, trained
from benchbias.testing.calling.subject import Subject
from benchbias.testing.calling.verdicts import Unmet
from benchbias.testing.toys.trial import ToyTrial
from benchbias.training.fit import logits


def trains(subject: Subject) -> str:
    """It trains: the mean cross-entropy on toy data, whose classes are easily read, falls."""
    trial = toy_trial(subject)
    before = _loss(trial, None)
    key = trained(subject, trial, epochs=10)
    after = _loss(trial, key)
    if not after < before:
        raise Unmet(f"the loss went from {before:.3f} to {after:.3f}")
    counted = trial.made[key].body["training_flops"] is not None
    return f"loss {before:.3f} to {after:.3f}{'' if counted else '; what it cost is unknown: nothing was counted'}"


def keeps_mask(subject: Subject) -> None:
    """With a mask in force the removed weights are zero in every forward pass and at the end; others move."""
    trial = toy_trial(subject)
    mask = half_removed(trial, 0.5)
    kept = trial.mask_of(mask).tensors
    seen: list[int] = []
    key = trained(_watching(subject, kept, seen), trial, mask=mask)
    if any(seen):
        raise Unmet(f"in {sum(map(bool, seen))} of {len(seen)} forward passes removed weights are not zero")
    weights, start = trial.made[key].blobs["weights"], trial.made[trial.init].blobs["weights"]
    if any(weights[name][~tensor].any() for name, tensor in kept.items()):
        raise Unmet("removed weights are not zero after training")
    if all(torch.equal(weights[name][tensor], start[name][tensor]) for name, tensor in kept.items()):
        raise Unmet("no weight has moved")


def _watching(subject: Subject, kept: Mapping[str, Tensor], seen: list[int]) -> Subject:
    """The subject; at every forward pass of its model the removed weights that are not zero are counted."""

    @functools.wraps(subject.component)
    def watched(model: nn.Module, *arguments: Any, **options: Any) -> Any:
        def count(module: nn.Module, images: Any) -> None:
            weights = dict(model.named_parameters())
            seen.append(sum(int(weights[name][~mask].count_nonzero()) for name, mask in kept.items()))

        handle = model.register_forward_pre_hook(count)
        try:
            return subject.component(model, *arguments, **options)
        finally:
            handle.remove()

    return replace(subject, component=watched)


def _loss(trial: ToyTrial, key: str | None) -> float:
    data = trial.training_data()
    return float(cross_entropy(logits(trial.network(key), data, data.train), data.train.labels.cpu()))
