"""All checks, in the order in which they are run, and the kinds that each is for."""

from __future__ import annotations

from collections.abc import Callable

from benchbias.hookspecs import KINDS
from benchbias.testing import (
    common_checks,
    dataset_checks,
    edge_checks,
    metric_checks,
    model_checks,
    pruner_checks,
    trainer_checks,
)
from benchbias.testing.subject import Subject
from benchbias.testing.verdicts import Check

ALL = frozenset(KINDS.values())
METHODS = frozenset(("trainer", "pruner"))


def _check(function: Callable[[Subject], str | None], kinds: frozenset[str] | str, *, gate: bool = False) -> Check:
    return Check(function.__name__, frozenset((kinds,)) if isinstance(kinds, str) else kinds, function, gate)


CHECKS: tuple[Check, ...] = (
    _check(common_checks.signature, ALL, gate=True),
    _check(common_checks.documentation, ALL),
    _check(common_checks.runs, ALL, gate=True),
    _check(common_checks.determinism, ALL),
    _check(common_checks.nothing_left_behind, ALL),
    _check(common_checks.inputs_unchanged, METHODS | {"metric", "probe", "analysis"}),
    _check(common_checks.label_access, METHODS),
    _check(pruner_checks.exact_sparsity, "pruner"),
    _check(pruner_checks.nesting, "pruner"),
    _check(pruner_checks.mask_in_force, "pruner"),
    _check(pruner_checks.during_training, "pruner"),
    _check(trainer_checks.trains, "trainer"),
    _check(trainer_checks.keeps_mask, "trainer"),
    _check(edge_checks.one_class, METHODS),
    _check(edge_checks.one_group, METHODS),
    _check(edge_checks.equal_weights, "pruner"),
    _check(edge_checks.zero_gradients, METHODS),
    _check(edge_checks.nan_gradients, "pruner"),
    _check(edge_checks.one_weight, METHODS),
    _check(edge_checks.batch_norm, METHODS),
    _check(edge_checks.one_pixel, METHODS),
    _check(dataset_checks.provenance, "dataset"),
    _check(dataset_checks.seeds, "dataset"),
    _check(dataset_checks.disjoint_splits, "dataset"),
    _check(dataset_checks.every_group_tested, "dataset"),
    _check(model_checks.forward_shapes, "model"),
    _check(model_checks.one_pixel_image, "model"),
    _check(model_checks.head, "model"),
    _check(model_checks.learns, "model"),
    _check(model_checks.same_in_eval, "model"),
    _check(metric_checks.permutation, "metric"),
    _check(metric_checks.missing_groups, "metric"),
    _check(metric_checks.one_group_only, "metric"),
    _check(metric_checks.equal_logits, "metric"),
    _check(common_checks.devices, METHODS | {"model"}),
    _check(pruner_checks.cost, "pruner"),
)


def checks_for(kind: str) -> list[Check]:
    """The checks of one kind of component."""
    return [check for check in CHECKS if kind in check.kinds]
