"""Updates of the methods that rank by `highest`: the same masks as by the sorts of their released code."""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from benchbias.sparse.masks import Mask
from benchbias_plugins.methods.critical_finetuning import smallest_masked
from benchbias_plugins.methods.rest import released_update
from benchbias_plugins.methods.rigl import keep_and_grow

quick = settings(max_examples=80, deadline=None, derandomize=True)


def tied(shape: tuple[int, ...], stream: torch.Generator, step: float, odd: bool) -> Tensor:
    """Random numbers: of many equal ones, with zeros, perhaps with NaN and infinities."""
    values = torch.randn(shape, generator=stream)
    values = (values / step).round() * step if step else values
    for value in (0.0, *((math.nan, math.inf) if odd else ())):
        values = torch.where(torch.rand(shape, generator=stream) < 0.15, value, values)
    return values


rest = (st.integers(0, 2**31), st.sampled_from([0.0, 0.5, 1.0]), st.booleans(), st.floats(0, 1))


@quick
@given(*rest)
def test_rests_released_update_is_its_two_sorts(seed: int, step: float, odd: bool, rate: float) -> None:
    stream = torch.Generator().manual_seed(seed)
    weight, gradient = tied((5, 6), stream, step, odd), tied((5, 6), stream, step, odd)
    mask = torch.rand((5, 6), generator=stream) < 0.5
    zeros = int((~mask).sum())
    nonzeros = mask.numel() - zeros
    removed = math.ceil(rate * nonzeros)
    threshold = weight.abs().flatten().sort().values[zeros + removed - 1] if removed else 0.0
    after = weight.abs() > threshold
    growth = (gradient * ~after).abs().flatten()
    new = after.clone().flatten()
    missing = max(nonzeros - int(after.sum()), 0)
    new[growth.sort(descending=True, stable=True).indices[:missing]] = True
    assert torch.equal(released_update(weight, mask, gradient, rate), new.view(5, 6))


@quick
@given(*rest)
def test_googles_keep_and_grow_is_its_two_sorts(seed: int, step: float, odd: bool, rate: float) -> None:
    stream = torch.Generator().manual_seed(seed)
    sizes, growth = tied((4, 7), stream, step, odd).abs(), tied((4, 7), stream, step, odd).abs()
    nonzeros = int(torch.randint(0, 29, (), generator=stream))
    grown = int(rate * nonzeros)
    after = torch.zeros(28, dtype=torch.bool)
    after[sizes.flatten().sort(descending=True, stable=True).indices[: nonzeros - grown]] = True
    lifted = growth.flatten().masked_fill(after, -math.inf)
    after[lifted.sort(descending=True, stable=True).indices[:grown]] = True
    assert torch.equal(keep_and_grow(sizes, growth, nonzeros, rate), after.view(4, 7))


@quick
@given(st.integers(0, 2**31), st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 1))
def test_the_smallest_of_today_are_those_of_a_stable_sort(seed: int, step: float, share: float) -> None:
    stream = torch.Generator().manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    for layer in model:
        layer.weight.data = tied(tuple(layer.weight.shape), stream, step, odd=False)
    mask = Mask({f"{at}.weight": torch.rand(model[at].weight.shape, generator=stream) < share for at in (0, 1)})
    sizes = torch.cat([layer.weight.detach().abs().flatten() for layer in model])
    kept = torch.ones(20, dtype=torch.bool)
    kept[torch.sort(sizes, stable=True).indices[: 20 - sum(mask.counts().values())]] = False
    new = smallest_masked(model, mask)
    assert torch.equal(torch.cat([tensor.flatten() for tensor in new.tensors.values()]), kept)
