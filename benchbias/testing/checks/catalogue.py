"""All checks, in the order in which they are run, and the kinds that each is for."""

from __future__ import annotations

from collections.abc import Callable

from benchbias.plugin.hookspecs import KINDS
from benchbias.testing.calling.subject import Subject
from benchbias.testing.calling.verdicts import Check
from benchbias.testing.checks import common, dataset, edge, metric, model, pruner, trainer

ALL = frozenset(KINDS.values())
METHODS = frozenset(("trainer", "pruner"))


def _check(function: Callable[[Subject], str | None], kinds: frozenset[str] | str, *, gate: bool = False) -> Check:
    return Check(function.__name__, frozenset((kinds,)) if isinstance(kinds, str) else kinds, function, gate)


CHECKS: tuple[Check, ...] = (
    _check(common.signature, ALL, gate=True),
    _check(common.documentation, ALL),
    _check(common.runs, ALL, gate=True),
    _check(common.determinism, ALL),
    _check(common.nothing_left_behind, ALL),
    _check(common.inputs_unchanged, METHODS | {"metric", "probe", "analysis"}),
    _check(common.label_access, METHODS),
    _check(pruner.exact_sparsity, "pruner"),
    _check(pruner.nesting, "pruner"),
    _check(pruner.mask_in_force, "pruner"),
    _check(pruner.during_training, "pruner"),
    _check(trainer.trains, "trainer"),
    _check(trainer.keeps_mask, "trainer"),
    _check(edge.one_class, METHODS),
    _check(edge.one_group, METHODS),
    _check(edge.equal_weights, "pruner"),
    _check(edge.zero_gradients, METHODS),
    _check(edge.nan_gradients, "pruner"),
    _check(edge.one_weight, METHODS),
    _check(edge.batch_norm, METHODS),
    _check(edge.one_pixel, METHODS),
    _check(dataset.provenance, "dataset"),
    _check(dataset.seeds, "dataset"),
    _check(dataset.disjoint_splits, "dataset"),
    _check(dataset.every_group_tested, "dataset"),
    _check(model.forward_shapes, "model"),
    _check(model.one_pixel_image, "model"),
    _check(model.head, "model"),
    _check(model.reach, "model"),
    _check(model.learns, "model"),
    _check(model.same_in_eval, "model"),
    _check(metric.permutation, "metric"),
    _check(metric.missing_groups, "metric"),
    _check(metric.one_group_only, "metric"),
    _check(metric.equal_logits, "metric"),
    _check(common.devices, METHODS | {"model"}),
    _check(pruner.cost, "pruner"),
)


def checks_for(kind: str) -> list[Check]:
    """The checks of one kind of component."""
    return [check for check in CHECKS if kind in check.kinds]
