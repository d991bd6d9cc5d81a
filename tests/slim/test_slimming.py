"""Slimming: the same logits from fewer weights, on every network; what cannot be cut stays, and is told."""

from __future__ import annotations

import copy
import sys
from math import prod

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from benchbias.errors import UsageError
from benchbias.slim import slimming
from benchbias.slim.slimming import Slimmed, resized, slimmed
from benchbias.slim.zeros import live_inputs
from support.unit_masks import LIBRARIES, OWN, masked

QUICK = ("lenet_small", "simple_cnn", "resnet20", "vit")


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def logits(model: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        return model.eval()(images)  # type: ignore[no-any-return]


def check(name: str, seed: int, share: float) -> tuple[Slimmed, nn.Module]:
    """Slim a network and hold it against the masked one, on images that slimming has not seen."""
    make, shape = {**OWN, **LIBRARIES}[name]
    model, _ = masked(make, shape, seed, share)
    weights = copy.deepcopy(model.state_dict())
    random = torch.Generator().manual_seed(seed + 1)
    found = slimmed(model, torch.randn(2, *shape, generator=random))
    images = torch.randn(8, *shape, generator=random)
    wanted = logits(model, images)
    assert float((logits(found.model, images) - wanted).abs().max()) <= 1e-5 * max(1, float(wanted.abs().max()))
    assert found.before == parameters(model)
    assert found.after == parameters(found.model)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items()), "it was changed"
    other = make()
    resized(other, found.model.state_dict(), found.sizes)
    assert torch.equal(logits(other, images), logits(found.model, images)), "a state that loads is the same network"
    assert repr(other) == repr(found.model), "every number that a layer was made with"
    return found, model


def zero_units(model: nn.Module) -> dict[str, int]:
    """The rows of each layer that are zero, bias and all."""
    found = {}
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            zero = ~(layer.weight != 0).flatten(1).any(dim=1)
            found[name] = int((zero if layer.bias is None else zero & (layer.bias == 0)).sum())
    return found


@pytest.mark.parametrize("name", QUICK)
def test_the_logits_are_those_of_the_masked_network(name: str):
    found, model = check(name, 0, 0.5)
    assert found.after < found.before
    left = {item.layer: item.units for item in found.left}
    for layer, zero in zero_units(model).items():
        assert left.get(layer, 0) == zero_units(found.model)[layer], f"{layer} is told wrongly"
        before, after = found.cut.get(layer, (0, 0))
        assert before - after + left.get(layer, 0) >= zero


@pytest.mark.slow
@pytest.mark.parametrize("name", [*OWN, *LIBRARIES])
@pytest.mark.parametrize("share", [0.2, 0.8])
def test_the_logits_are_those_of_the_masked_network_everywhere(name: str, share: float):
    for seed in range(3 if name in OWN else 1):
        found, _ = check(name, seed, share)
        assert found.cut


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), share=st.floats(0, 1))
def test_a_chain_of_layers_has_exactly_the_parameters_that_its_units_need(seed: int, share: float):
    make, shape = OWN["lenet_small"]
    model, mask = masked(make, shape, seed, share)
    found = slimmed(model, torch.rand(2, *shape))
    kept = [max(1, int(tensor.flatten(1).any(dim=1).sum())) for tensor in mask.tensors.values()]
    inputs = [3, kept[0], kept[1] * 4, kept[2], kept[3]]  # two poolings leave 2x2 places of 8x8
    sizes = [prod(tensor.shape[2:]) for tensor in mask.tensors.values()]
    counted = sum(out * (into * size + 1) for out, into, size in zip(kept, inputs, sizes, strict=True))
    assert found.after == counted
    images = torch.randn(4, *shape)
    assert torch.allclose(logits(found.model, images), logits(model, images), rtol=0, atol=1e-5)


def test_what_is_inside_a_block_goes_and_what_is_added_stays_where_its_members_differ():
    found, model = check("resnet20, projections", 1, 0.5)
    for name, layer in model.named_modules():
        if name.endswith(".conv1"):
            kept = int((layer.weight != 0).flatten(1).any(dim=1).sum())  # type: ignore[operator, union-attr]
            assert found.cut[name][1] == kept
    added = [item for item in found.left if item.layer.endswith((".conv2", "shortcut.0"))]
    assert added
    assert all("these channels are sums" in item.why for item in added)


def test_channels_of_a_sum_go_where_all_its_members_agree():
    """A sum of a convolution and its shortcut loses the channels that neither has."""
    model, _ = masked(*OWN["resnet20, projections"], 0, 0)
    members = [name for name, _ in model.named_modules() if name in ("conv1", *(f"layer1.{i}.conv2" for i in range(3)))]
    with torch.no_grad():
        for name in members:
            model.get_submodule(name).weight[:5] = 0  # type: ignore[index, operator]
            norm = model.get_submodule(name.replace("conv", "bn"))
            norm.weight[:5], norm.bias[:5] = 0, 0  # type: ignore[index, operator]
    found = slimmed(model, torch.rand(2, 3, 16, 16))
    assert {name: found.cut[name] for name in members} == dict.fromkeys(members, (16, 11))
    assert found.left == ()


def test_a_unit_with_a_bias_is_a_constant_and_stays():
    model, _ = masked(*OWN["lenet_small"], 0, 0)
    with torch.no_grad():
        model.fc1.weight[:7] = 0  # type: ignore[index, operator]
    found = slimmed(model, torch.rand(2, 3, 8, 8))
    assert found.cut == {}
    assert found.after == found.before


def test_a_unit_that_no_image_here_makes_active_is_not_taken_for_a_removed_one():
    """Its weights are there: another image may wake it. All other units are awake."""
    model, _ = masked(*OWN["lenet_small"], 0, 0)
    with torch.no_grad():
        for name in ("conv1", "conv2", "fc1", "fc2"):
            model.get_submodule(name).bias.fill_(20)  # type: ignore[operator, union-attr]
        model.fc1.bias[:7] = -1e4  # type: ignore[index, operator]
    assert not bool((model.fc1(torch.rand(9, 128)).relu()[:, :7] > 0).any())  # type: ignore[operator]
    assert slimmed(model, torch.rand(2, 3, 8, 8)).cut == {}


class Behind(nn.Module):
    """A first layer that is only seen above a threshold, and one that is always."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.a, self.b, self.threshold = nn.Linear(12, 6), nn.Linear(12, 6), threshold
        self.c, self.d = nn.Linear(6, 2), nn.Linear(6, 2)

    def forward(self, images: Tensor) -> Tensor:
        flat = images.flatten(1)
        seen: Tensor = self.c((self.a(flat) - self.threshold).relu()) + self.d(self.b(flat).relu())
        return seen


@pytest.mark.parametrize("threshold", [5.0, 50.0, 500.0])
def test_a_unit_behind_a_threshold_is_alive(threshold: float):
    torch.manual_seed(0)
    model = Behind(threshold)
    assert slimmed(model, torch.rand(2, 3, 2, 2)).cut == {}
    with torch.no_grad():
        model.b.weight[:2], model.b.bias[:2] = 0, 0
    assert slimmed(model, torch.rand(2, 3, 2, 2)).cut == {"b": (6, 4)}


def test_a_small_logit_counts_beside_a_large_one(monkeypatch: pytest.MonkeyPatch):
    """A cut that changes the answers to a real image is taken back, however large those to another are."""
    small, large = torch.tensor([[1.0, 2.0]]), torch.tensor([[1e6, 2e6]])
    wanted = torch.cat([small, large])
    assert slimming._close(torch.cat([small, large + 1]), wanted)
    assert not slimming._close(torch.cat([small + 1e-3, large]), wanted)
    overflow = torch.cat([wanted, torch.tensor([[float("inf"), 0.0]])])
    assert slimming._close(torch.cat([wanted, torch.zeros(1, 2)]), overflow)


def test_a_unit_that_nobody_reads_goes():
    model, _ = masked(*OWN["lenet_small"], 0, 0)
    with torch.no_grad():
        model.fc2.weight[:, 3:9] = 0  # type: ignore[index, operator]
    assert slimmed(model, torch.rand(2, 3, 8, 8)).cut == {"fc1": (120, 114)}


def test_a_layer_without_any_unit_keeps_one():
    model, _ = masked(*OWN["mlp"], 0, 1.0)
    found = slimmed(model, torch.rand(2, 3, 8, 8))
    assert [after for _, after in found.cut.values()] == [1, 1, 1]
    assert {item.units for item in found.left} == {1}
    assert "a layer cannot be without one" in str(found.left[0])


def test_a_cut_that_changes_a_logit_is_taken_back(monkeypatch: pytest.MonkeyPatch):
    """Whatever the graph says: here every layer's first unit is said to be free."""
    real = slimming.channel_groups

    def wrong(*given: object) -> list[object]:
        from dataclasses import replace

        return [replace(channels, removable=(0,)) for channels in real(*given)]  # type: ignore[arg-type]

    monkeypatch.setattr(slimming, "channel_groups", wrong)
    model, _ = masked(*OWN["lenet_small"], 0, 0)
    with torch.no_grad():
        for name in ("conv1", "conv2", "fc1", "fc2"):
            model.get_submodule(name).bias.fill_(1)  # type: ignore[operator, union-attr]
    found = slimmed(model, torch.rand(2, 3, 8, 8))
    assert found.cut == {}
    assert found.left == ()
    assert repr(found.model) == repr(model)
    assert all(torch.equal(one, two) for one, two in zip(found.model.parameters(), model.parameters(), strict=True))


def test_a_sigmoid_makes_a_constant_of_a_zero_and_relu_does_not():
    for activation, dead in ((nn.ReLU(), 2), (nn.GELU(), 2), (nn.Sigmoid(), 0), (nn.Softplus(), 0)):
        model = nn.Sequential(nn.Flatten(), nn.Linear(12, 6), activation, nn.Linear(6, 2))
        with torch.no_grad():
            model[1].weight[:2], model[1].bias[:2] = 0, 0  # type: ignore[index, operator]
        assert int((~live_inputs(model, (3, 2, 2))["3"]).sum()) == dead


def test_frozen_weights_stay_frozen():
    model, _ = masked(*OWN["lenet_small"], 0, 0.5)
    model.conv1.weight.requires_grad_(False)  # type: ignore[union-attr, operator]
    slim = slimmed(model, torch.rand(2, 3, 8, 8)).model
    assert [name for name, one in slim.named_parameters() if not one.requires_grad] == ["conv1.weight"]


def test_without_torch_pruning_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "torch_pruning", None)
    model, _ = masked(*OWN["lenet_small"], 0, 0.5)
    with pytest.raises(UsageError, match=r"slimming needs torch-pruning .*pip install 'benchbias\[pruning\]'"):
        slimmed(model, torch.rand(2, 3, 8, 8))
