"""Checks of pruners: exact counts, nested levels, the mask in force, updates during training, cost."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from benchbias.sparse.cutting import budget_counts, removed_count
from benchbias.sparse.masks import Mask
from benchbias.testing.calling.calls import half_removed, plain, pruned, trained_under
from benchbias.testing.calling.subject import Subject
from benchbias.testing.calling.verdicts import NotApplicable, Unmet
from benchbias.testing.calling.watching import Watch
from benchbias.testing.toys.trial import ToyTrial

SPARSITIES = (0.0, 0.5, 0.9)
BUDGETS = ("global", "uniform", "erk")
TIMED_CALLS = 3


def exact_sparsity(subject: Subject) -> str:
    """The core's cut to 0, 0.5 and 0.9, global, uniform or ERK, removes exactly that share of the weights."""
    watch, trial = Watch(), ToyTrial()
    units = False
    for sparsity in SPARSITIES:
        for budget in BUDGETS:
            if units and budget == "erk":
                continue
            key = pruned(subject, trial, watch, sparsity=sparsity, budget=budget)
            units = units or unit_scores(watch.answers[-1])
            check_counts(subject, watch.answers[-1], trial.mask_of(key), sparsity, budget)
    return "whole units" if units else f"sparsity {', '.join(map(str, SPARSITIES))}"


def unit_scores(answer: Any) -> bool:
    """Whether a pruner's answer scores whole output units."""
    if isinstance(answer, Mask):
        return answer.units
    return isinstance(answer, Mapping) and all(isinstance(t, Tensor) and t.ndim == 1 for t in answer.values())


def check_counts(subject: Subject, answer: Any, mask: Mask, sparsity: float, budget: str) -> None:
    """Hold a mask's counts against what its stage asked for. Raises Unmet.

    Of whole units at most so many weights go; a Mask may miss by one weight a layer, since its budget is rounded.
    """
    total = sum(tensor.numel() for tensor in mask.tensors.values())
    gone = total - sum(mask.counts().values())
    wanted = removed_count(total, sparsity=sparsity)
    where = f"at sparsity {sparsity} with budget {budget!r}"
    if (isinstance(answer, Mask) and answer.units) or unit_scores(answer):
        largest = max(tensor[0].numel() for tensor in mask.tensors.values())
        if not wanted - largest * len(mask.tensors) < gone <= wanted:
            raise Unmet(f"{where} {gone} of {total} weights are removed, not {wanted} or up to a unit a layer fewer")
    elif isinstance(answer, Mask):
        if abs(gone - wanted) > len(mask.tensors):
            raise Unmet(f"{where} its Mask removes {gone} of {total} weights, not {wanted}")
    elif budget == "global" and gone != wanted:
        raise Unmet(f"{where} {gone} of {total} weights are removed, not {wanted}")
    elif budget != "global" and mask.counts() != budget_counts(mask.tensors, {"sparsity": sparsity}, budget):  # type: ignore[arg-type]
        raise Unmet(f"{where} the layers keep {mask.counts()}")


def nesting(subject: Subject) -> None:
    """Weights removed at a lower sparsity are removed at a higher one: scores do not depend on the level asked for."""
    watch, trial = Watch(), ToyTrial()
    keys = [pruned(subject, trial, watch, sparsity=sparsity) for sparsity in (0.5, 0.8)]
    if any(isinstance(answer, Mask) for answer in watch.answers):
        raise NotApplicable("it returns a Mask, whose counts are its own")
    low, high = (trial.mask_of(key).tensors for key in keys)
    back = sum(int((high[name] & ~low[name]).sum()) for name in low)
    if back:
        raise Unmet(f"{back} weights that 0.5 removes are kept at 0.8")


def mask_in_force(subject: Subject) -> None:
    """With a mask in force (0.3 removed) nothing removed comes back, and a scorer is still cut exactly to 0.6."""
    watch, trial = Watch(), ToyTrial()
    force = half_removed(trial)
    key = pruned(subject, trial, watch, sparsity=0.6, mask=force)
    held, answer = trial.mask_of(force).tensors, watch.answers[-1]
    if isinstance(answer, Mask):
        revived = sum(int((t.cpu() & ~held[name]).sum()) for name, t in answer.tensors.items() if name in held)
        if revived:
            raise Unmet(f"its Mask keeps {revived} weights that context.mask has removed")
    elif not unit_scores(answer):  # units and the single weights of the mask in force do not add up exactly
        check_counts(subject, answer, trial.mask_of(key), 0.6, "global")


def during_training(subject: Subject) -> None:
    """Inside a train stage (`prune = {...}`) it is called at updates too, and the mask ends at its sparsity, held."""
    watch, trial = Watch(), ToyTrial()
    key = trained_under(subject, trial, watch, 0.5, "uniform")
    mask, weights = trial.mask_of(key), trial.made[key].blobs["weights"]
    moved = sum(int(weights[name][~kept].count_nonzero()) for name, kept in mask.tensors.items())
    if moved:
        raise Unmet(f"{moved} removed weights are not zero after training")
    check_counts(subject, watch.answers[-1], mask, 0.5, "uniform")


def cost(subject: Subject) -> str:
    """Its cost is shown: seconds a call, and how many dense training steps that is (never a failure)."""
    watch, trial = Watch(), ToyTrial()
    for _ in range(TIMED_CALLS):
        pruned(subject, trial, watch)
    epochs = 4
    started = time.perf_counter()
    key = trial.train(plain, epochs=epochs)
    step = (time.perf_counter() - started) / max(int(trial.made[key].body["steps"]), 1)
    call = statistics.median(watch.seconds)
    return f"{1000 * call:.1f} ms a call, {call / step:.1f} dense training steps on toy data"
