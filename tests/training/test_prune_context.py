"""PruneContext: frozen and whole, the masks in force, and the cosine by which rates fall."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchbias.errors import ComponentError
from benchbias.sparse.cutting import budget_counts
from benchbias.sparse.masks import Mask
from benchbias.stages.make_mask import prune_context
from support.pruning import LAYERS, context, network, source

FRACTIONS = st.floats(0, 1)


def test_nothing_of_a_context_can_be_set():
    asked = context()
    for field in dataclasses.fields(asked):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(asked, field.name, None)


def test_a_context_is_built_with_all_that_the_stage_sets():
    net, asked = network(), context()
    given = {name: getattr(asked, name) for name in ("device", "generator", "recipe", "order")}
    cutting = {"layers": ["!9"], "budget": "erk"}
    built = prune_context(net, source(), cutting, {"sparsity": 0.8}, **given)
    assert list(built.weights) == LAYERS[:-1]
    assert all(torch.equal(built.weights[name], dict(net.named_parameters())[name]) for name in built.weights)
    assert all(built.weights[name] is not dict(net.named_parameters())[name] for name in built.weights)
    assert built.density == 0.2
    assert built.counts == built.layer_counts == budget_counts(built.weights, {"sparsity": 0.8}, "erk")
    assert prune_context(net, source(), cutting | {"budget": "global"}, {}, **given).counts is None


def test_the_masks_in_force_are_those_of_the_mask_and_whole_elsewhere():
    weights = dict(context().prunable(network()))
    first = torch.arange(weights[LAYERS[0]].numel()).view(weights[LAYERS[0]].shape) % 2 == 0
    masks = replace(context(), mask=Mask({LAYERS[0]: first})).current_masks(weights)
    assert list(masks) == list(weights)
    assert torch.equal(masks[LAYERS[0]], first)
    assert all(masks[name].all() and masks[name].shape == weights[name].shape for name in LAYERS[1:])
    assert all(mask.all() for mask in context().current_masks(weights).values())


def test_a_whole_mask_may_be_written_to():
    weights = dict(context().prunable(network()))
    mask = context().current_masks(weights)[LAYERS[0]]
    mask.view(-1)[0] = False
    assert int((~mask).sum()) == 1


@given(start=FRACTIONS, gone=FRACTIONS)
def test_the_cosine_is_the_formula_of_rigl(start: float, gone: float):
    assert replace(context(), progress=gone).cosine(start) == start / 2 * (1 + math.cos(math.pi * gone))


@given(start=FRACTIONS, final=FRACTIONS, gone=FRACTIONS)
def test_the_cosine_goes_from_start_to_final(start: float, final: float, gone: float):
    asked = context()
    assert asked.cosine(start, final=final, gone=0) == pytest.approx(start)
    assert asked.cosine(start, final=final, gone=1) == pytest.approx(final)
    low, high = sorted((start, final))
    assert low - 1e-12 <= asked.cosine(start, final=final, gone=gone) <= high + 1e-12


def test_reading_dense_gradients_is_counted():
    asked = replace(context(), dense_gradients={"0.weight": torch.ones(1)}, step=7)
    assert not asked.read_gradients
    assert asked.gradients["0.weight"] == 1
    assert (asked.read_gradients, asked.gradient_reads) == (True, [7])
    with pytest.raises(ComponentError, match="no gradients here"):
        _ = context().gradients
