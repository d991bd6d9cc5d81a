"""A sweep in one process: prune stages that differ only in their amount ask a pruner once, and rank its scores once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from benchbias.stages.job import Job
from benchbias.stages.make_mask import AMOUNTS, Answer
from benchbias.util import canonical

NAME = "scores:"
"""How the name begins under which a pruner's answer stands in `Job.shared`."""


@dataclass(frozen=True)
class Asked:
    """A pruner's answer, with what it saved and what it cost: all that its stage's product is made of."""

    answer: Answer
    saved: Mapping[str, Tensor]
    cost: Mapping[str, Any]


def shared(job: Job) -> Asked | None:
    """The answer that an earlier stage of this process was given, where it holds for this stage too."""
    found = job.shared.get(_name(job))
    return found if isinstance(found, Asked) else None


def share(job: Job, asked: Asked) -> None:
    """Keep an answer for the other stages of the sweep, in place of the one before.

    Only one that holds for all amounts, and where there are others: ranked scores take 8 bytes a weight or more.
    """
    for name in [name for name in job.shared if name.startswith(NAME)]:
        del job.shared[name]
    if asked.answer.for_all_amounts and _has_others(job):
        saved = {name: tensor.clone() for name, tensor in asked.saved.items()}  # the pruner may have kept its own
        job.shared[_name(job)] = Asked(asked.answer, saved, asked.cost)


def _question(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs of a stage without its amount: a pruner that does not read the amount answers by these alone."""
    cut = {name: value for name, value in inputs["cut"].items() if name not in AMOUNTS}
    return {**inputs, "cut": cut}


def _name(job: Job) -> str:
    return f"{NAME}{canonical.digest({'inputs': _question(job.inputs), 'device': str(job.device)})}"


def _has_others(job: Job) -> bool:
    """Whether the plan has another stage of this sweep."""
    own = _question(job.inputs)
    return any(
        other is not job.inputs
        and other.get("kind") == "prune"
        and other["parents"] == own["parents"]
        and other["cut"] != job.inputs["cut"]
        and _question(other) == own
        for other in job.all_inputs.values()
    )
