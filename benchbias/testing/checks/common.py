"""Checks that components of several kinds have in common."""

from __future__ import annotations

from typing import Any

from benchbias.errors import UsageError
from benchbias.plugin.deprecation import deprecated_parts
from benchbias.testing.calling.calls import (
    analysed,
    dataset_stage,
    half_removed,
    made,
    measured,
    model_trial,
    pruned,
    toy_trial,
    worker_call,
)
from benchbias.testing.calling.subject import Subject
from benchbias.testing.calling.surroundings import Surroundings
from benchbias.testing.calling.verdicts import NotApplicable, Unmet
from benchbias.testing.calling.watching import Watch, digest
from benchbias.testing.toys.toy import toy_dataset
from benchbias.testing.toys.trial import ToyTrial, toy_predictions

WORDS = 3  # that a docstring's first paragraph has at least


def signature(subject: Subject) -> str | None:
    """Its signature is `(what the core gives, *, options)`; options are typed, and their defaults fit."""
    try:
        _ = subject.described, subject.options
    except UsageError as error:
        raise Unmet(str(error)) from None
    return "; ".join(deprecated_parts(subject.kind, subject.described.given)) or None


def documentation(subject: Subject) -> str | None:
    """A docstring whose first paragraph says in a few words what it is."""
    text = subject.described.summary
    if len(text.split()) < WORDS:
        raise Unmet(f"the docstring's first paragraph is {text!r}" if text else "it has no docstring")
    options = ", ".join(f"{name} ({option.text})" for name, option in subject.described.options.items())
    return f"options: {options}" if options else None


def runs(subject: Subject) -> None:
    """A call on ordinary toy data (two classes; 3x8x8, a model's the smallest it takes) gives what the core accepts."""
    worker_call(subject, Watch())


def determinism(subject: Subject) -> None:
    """Two calls give the same bytes, whatever state the global random numbers are in (models: after seeding)."""
    first, second, third = (_bytes(subject, disturb) for disturb in (False, False, True))
    if first != second:
        raise Unmet("two equal calls gave different bytes")
    if first != third and subject.kind != "model":
        raise Unmet("after the global random numbers were moved the bytes are others: use context.generator or seed")


def _bytes(subject: Subject, disturb: bool) -> str:
    watch = Watch(disturb=disturb)
    if subject.kind == "dataset":
        return digest(dataset_stage(subject, watch=watch))
    if subject.kind == "model":
        return digest(model_trial(subject).network())
    if subject.kind == "metric":
        return digest(measured(subject, toy_predictions(), watch))
    if subject.kind == "analysis":
        return digest(analysed(subject, watch).to_json())
    product = made(subject, toy_trial(subject), watch)
    return digest([product.body if subject.kind == "probe" else product.blobs, _told(watch)])


def nothing_left_behind(subject: Subject) -> None:
    """A call changes no global state: random numbers, torch's flags, variables, folder, threads, open files."""
    before = Surroundings.now()
    worker_call(subject, Watch())  # what is imported at the first call is not left behind by the component
    before.restore()
    watch = Watch(surroundings=True)
    worker_call(subject, watch)
    # a model's weights are drawn from torch's own stream by right: the core seeds it before
    left = [name for name in watch.left if (subject.kind, name) != ("model", "torch's random numbers")]
    if left:
        raise Unmet(f"changed: {', '.join(left)}")
    started = set(Surroundings.now().values["threads"]) - set(before.values["threads"])
    if started:
        raise Unmet(f"changed: threads (still there: {', '.join(sorted(started))})")


def inputs_unchanged(subject: Subject) -> None:
    """A call leaves what it is given as it was: images, labels, masks, predictions; a probe the model."""
    watch = Watch(models=subject.kind == "probe")
    if subject.kind == "metric":
        measured(subject, toy_predictions(), watch)
    elif subject.kind == "analysis":
        analysed(subject, watch)
    elif subject.kind in ("trainer", "probe"):
        made(subject, toy_trial(subject), watch)
    else:
        trial = ToyTrial()
        pruned(subject, trial, watch, sparsity=0.6, mask=half_removed(trial))
    if watch.given:
        raise Unmet(f"changed: {', '.join(watch.given)}")


def label_access(subject: Subject) -> str:
    """Group labels that it does not declare, and the test split, make no difference: the bytes are the same."""
    hidden = tuple(name for name in ("train", "val") if f"{name}_groups" not in subject.described.given)
    one, other = Watch(), Watch()
    bytes_ = [
        digest([made(subject, toy_trial(subject, toy_dataset(), seed=0), one).blobs, _told(one)]),
        digest(
            [
                made(
                    subject, toy_trial(subject, toy_dataset(poisoned=(*hidden, "test")), without_test=True), other
                ).blobs,
                _told(other),
            ]
        ),
    ]
    if bytes_[0] != bytes_[1]:
        raise Unmet(f"with other group labels of {', '.join((*hidden, 'test'))} the bytes are others")
    return f"declared: {', '.join(subject.groups) or 'none'}"


def _told(watch: Watch) -> list[Any]:
    return [answer for answer in watch.answers if answer is not None]


def other_devices() -> list[Any]:
    """The devices of this machine besides the CPU."""
    import torch

    return [torch.device("cuda")] if torch.cuda.is_available() else []


def devices(subject: Subject) -> str:
    """It works on every device that this machine has besides the CPU."""
    found = other_devices()
    if not found:
        raise NotApplicable("this machine has no device but its CPU")
    for device in found:
        if subject.kind == "model":
            model_trial(subject, device=device)
        else:
            made(subject, toy_trial(subject, device=device))
    return ", ".join(map(str, found))
