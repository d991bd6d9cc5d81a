"""Masks in place: removed weights become +0 to the bit, kept ones keep theirs; drop and grow as two stable sorts."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from benchbias.sparse.masks import Mask, apply, drop_and_grow, zero_removed

quick = settings(max_examples=80, deadline=None, derandomize=True)

DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
numbers = st.sampled_from([0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, math.nan]) | st.floats(-9, 9, width=16)


def bits(tensor: Tensor) -> list[int]:
    return tensor.contiguous().view(torch.uint8).tolist()


@quick
@given(st.lists(st.tuples(numbers, st.booleans()), min_size=1, max_size=20), st.sampled_from(DTYPES))
def test_removed_weights_are_plus_zero_to_the_bit_and_kept_ones_keep_theirs(rows: Any, dtype: torch.dtype) -> None:
    values, kept = (torch.tensor(column) for column in zip(*rows, strict=True))
    values = values.to(dtype)
    expected = values.masked_fill(~kept, 0)
    zero_removed(values, kept)
    assert bits(values) == bits(expected)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128, torch.int64, torch.bool])
def test_every_dtype_of_a_parameter_can_be_masked(dtype: torch.dtype) -> None:
    values, kept = torch.tensor([-1, 2, -3, 4]).to(dtype), torch.tensor([True, False, False, True])
    expected = values.masked_fill(~kept, 0)
    zero_removed(values, kept)
    assert torch.equal(values, expected)


def test_a_weight_that_lies_by_channels_is_masked_where_it_lies() -> None:
    model = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    kept = torch.rand(4, 3, 3, 3) < 0.5
    expected, where = model.weight.detach().masked_fill(~kept, 0), (model.weight.data_ptr(), model.weight.stride())
    apply(model, Mask({"weight": kept}))
    assert torch.equal(model.weight, expected)
    assert (model.weight.data_ptr(), model.weight.stride()) == where


def test_autograd_sees_that_a_mask_has_changed_a_weight() -> None:
    model = nn.Linear(3, 2)
    loss = (model.weight * model.weight).sum()
    apply(model, Mask({"weight": torch.rand(2, 3) < 0.5}))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def two_stable_sorts(weight: Tensor, mask: Tensor, growth: Tensor, count: int) -> Tensor:
    """The definition of drop and grow."""
    kept, size = mask.flatten(), weight.abs().flatten()
    after = kept.clone()
    order = torch.sort(size.masked_fill(~kept, -1.0), descending=True, stable=True).indices
    after[order[int(kept.sum()) - count :]] = False
    chances = growth.flatten().masked_fill(after, -math.inf)
    after[torch.sort(chances, descending=True, stable=True).indices[:count]] = True
    return after.view(mask.shape)


@quick
@given(st.integers(0, 2**31), st.sampled_from(DTYPES), st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 1), st.booleans())
def test_drop_and_grow_is_two_stable_sorts(seed: int, dtype: torch.dtype, step: float, share: float, odd: bool) -> None:
    stream = torch.Generator().manual_seed(seed)
    shape = tuple(torch.randint(1, 8, (2,), generator=stream).tolist())
    weight, growth = (torch.randn(shape, generator=stream) for _ in range(2))
    if step:
        weight, growth = ((values / step).round() * step for values in (weight, growth))
    if odd:  # NaN ranks first in a sort, and so it must here
        weight, growth = (torch.where(torch.rand(shape, generator=stream) < 0.2, math.nan, v) for v in (weight, growth))
    mask = torch.rand(shape, generator=stream) < share
    count = int(torch.randint(0, int(mask.sum()) + 1, (), generator=stream))
    weight, growth = weight.to(dtype), growth.to(dtype)
    assert torch.equal(drop_and_grow(weight, mask, growth, count), two_stable_sorts(weight, mask, growth, count))


def test_growth_that_is_minus_infinite_neither_keeps_nor_loses_a_weight() -> None:
    mask = torch.tensor([True, True, False, False])
    growth = torch.full((4,), -math.inf)
    new = drop_and_grow(torch.tensor([2.0, 1.0, 0.0, 0.0]), mask, growth, 1)
    assert int(new.sum()) == 2


def test_counts_are_those_of_each_tensor_and_a_mask_stays_where_it_is() -> None:
    mask = Mask({"a": torch.rand(5, 3) < 0.5, "b": torch.zeros(4, dtype=torch.bool)}, attached={"c": torch.ones(2) > 0})
    assert mask.counts() == {"a": int(mask.tensors["a"].sum()), "b": 0}
    assert all(type(count) is int for count in mask.counts().values())
    assert mask.to("cpu") is mask
    assert Mask({}).counts() == {}
    moved = mask.to("meta")
    assert {tensor.device.type for tensor in (*moved.tensors.values(), *moved.attached.values())} == {"meta"}
