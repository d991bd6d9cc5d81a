"""Rankings of a probe: by magnitude, by the gradient on hard training examples, or by that on each group's own."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Literal

import torch

from benchbias import Skip

from ...methods.critical_neurons.examples import hard_examples

if TYPE_CHECKING:
    from torch import Tensor

    from benchbias import Batch, ProbeContext, Split

    from .network import Examples, Network

Ranking = Literal["magnitude", "gradient", "group gradient"]


def ranking_examples(
    ranking: Ranking, network: Network, split: str, worst: int | None, pool: int, batch: int
) -> dict[int | None, Examples | None]:
    """The examples that a ranking's gradient is taken on, by group; None for all groups, and for none by magnitude.

    split, worst: `group gradient` takes each group's own examples of a split, or so many of its highest loss. pool,
    batch: `gradient` takes `batch` training examples drawn from the `pool` of highest loss.
    """
    if ranking == "magnitude":
        return {None: None}
    if ranking == "gradient":
        return {None: ("train", _hard(network, "train", pool, batch))}
    found: dict[int | None, Examples | None] = {}
    item = network.context.data.splits[split]
    for group in torch.unique(network.before.groups).tolist():
        index = torch.nonzero(item.groups.groups == group)[:, 0]
        if not len(index):
            raise Skip(f"group {item.groups.group_names[group]} has no example in {split}")
        found[group] = (split, index if worst is None else _hard(network, split, worst, worst, index))
    return found


def _hard(network: Network, split: str, pool: int, size: int, among: Tensor | None = None) -> Tensor:
    """Indices of `size` examples drawn from the `pool` of highest loss in a split, or among some of it."""
    context, item = network.context, network.context.data.splits[split].split
    draw = functools.partial(context.batch, item)
    total = len(item)
    if among is not None:
        draw, total = functools.partial(_batch_among, context, item, among), len(among)
    hard = hard_examples(network.model, draw, total, pool, size, "hardest", context.generator, context.device)
    return hard if among is None else among[hard]


def _batch_among(context: ProbeContext, split: Split, among: Tensor, at: Tensor) -> Batch:
    return context.batch(split, among[at])
