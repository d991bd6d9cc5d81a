"""Units: the output channels of each kind of layer, what goes with them, and scores that cannot be of units."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchbias.errors import ComponentError
from benchbias.sparse.masks import Mask, apply, with_attached
from benchbias.stages.make_mask import make_mask, prune_context
from support.pruning import context as pruning_context
from support.pruning import source


def removing_channel(layer: nn.Module, channel: int) -> Tensor:
    """The kept weights, bool, when those go that an output channel is made with: read off the layer's Jacobian."""
    kept = torch.ones_like(layer.weight, dtype=torch.bool)
    images = torch.rand(2, layer.in_channels, 5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    (slope,) = torch.autograd.grad(layer(images)[:, channel].sum(), layer.weight)
    kept[slope != 0] = False
    return kept


@pytest.mark.parametrize("groups", [1, 2, 3])
@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
def test_a_unit_is_an_output_channel_whatever_axis_of_the_weight_it_lies_on(kind, groups: int):
    """A removed channel is zero behind batch norm, in training mode too; any other has its bias and its norm."""
    torch.manual_seed(0)
    layer = kind(6, 6, 3, groups=groups, stride=2).double()
    model = nn.Sequential(layer, nn.BatchNorm2d(6).double())
    nn.init.uniform_(model[1].weight, 0.5, 1)
    nn.init.uniform_(model[1].bias, 0.5, 1)
    for channel in range(6):
        mask = Mask({"0.weight": removing_channel(layer, channel)}, units=True)
        images = torch.rand(3, 6, 5, 5, dtype=torch.float64)
        full = with_attached(mask, model, images[:1])
        assert set(full.attached) == {"0.bias", "1.weight", "1.bias"}
        assert all(units.tolist() == [at != channel for at in range(6)] for units in full.attached.values())
        pruned = copy.deepcopy(model)
        apply(pruned, full)
        assert [bool(maps.any()) for maps in pruned(images).unbind(1)] == [at != channel for at in range(6)]


def test_scores_of_units_are_refused_where_rows_are_no_units_and_single_weights_are_cut():
    model = nn.Sequential(nn.ConvTranspose2d(3, 3, 2), nn.Flatten(), nn.Linear(243, 2))
    asked = prune_context(model, source(), {"layers": (), "budget": "global"}, {"sparsity": 0.5}, **common())
    by_unit = {"0.weight": torch.arange(3.0), "2.weight": torch.arange(2.0)}
    with pytest.raises(ComponentError, match=r"'up': .*rows of 0\.weight are no output units.*exclude them"):
        make_mask("up", lambda copied, context: by_unit, model, asked)
    by_weight = {name: weight.abs() for name, weight in asked.weights.items()}
    assert make_mask("up", lambda copied, context: by_weight, model, asked).counts().keys() == by_unit.keys()
    asked = prune_context(model, source(), {"layers": ("!0",), "budget": "global"}, {"sparsity": 0.5}, **common())
    kept = make_mask("up", lambda copied, context: {"2.weight": torch.arange(2.0)}, model, asked)
    assert kept.tensors["2.weight"].any(1).tolist() == [False, True]


def common() -> dict[str, Any]:
    given = pruning_context()
    return {name: getattr(given, name) for name in ("device", "generator", "recipe", "order")}


def test_a_batch_norm_behind_two_layers_keeps_what_one_of_them_keeps():
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.norm = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)

        def forward(self, images: Tensor) -> Tensor:
            return self.norm(self.one(images)) + self.norm(self.two(images))

    kept = {name: torch.ones(4, 3, 1, 1, dtype=torch.bool) for name in ("one.weight", "two.weight")}
    kept["one.weight"][:2] = False
    kept["two.weight"][1:3] = False
    full = with_attached(Mask(kept, units=True), Shared(), torch.zeros(1, 3, 5, 5))
    assert full.attached["norm.weight"].tolist() == [True, False, True, True]
    assert full.attached["one.bias"].tolist() == [False, False, True, True]
