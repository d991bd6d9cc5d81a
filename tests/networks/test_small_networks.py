"""The networks of the MNIST studies have the weights that their papers' code has, and work at other sizes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from benchbias import BenchbiasError
from benchbias_plugins.networks.small_networks import lenet, mlp, simple_cnn

RGB = (3, 28, 28)


def weights(model):
    """Weights of convolutions and linear layers, by layer, in order."""
    return [m.weight.numel() for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]


def test_lenet_is_spucos():
    model = lenet(RGB, 5)
    assert weights(model) == [450, 2_400, 48_000, 10_080, 420]
    assert sum(weights(model)[:4]) == 60_930, "what the UCLA study prunes"
    assert sum(p.numel() for p in model.parameters()) == 61_350 + 6 + 16 + 120 + 84 + 5, "every layer has a bias"
    assert [name for name, _ in model.named_modules() if "c" in name] == ["conv1", "conv2", "fc1", "fc2", "classifier"]


def test_simple_cnn_is_rests():
    model = simple_cnn(RGB, 10)
    assert sum(weights(model)) == 660_992
    assert all(m.bias is None and m.kernel_size == (4, 4) for m in model.modules() if isinstance(m, nn.Conv2d))


def test_mlp_is_disents_with_its_head():
    assert weights(mlp(RGB, 10)) == [3 * 28 * 28 * 100, 100 * 100, 100 * 16, 16 * 10]


@pytest.mark.parametrize("factory", [lenet, simple_cnn, mlp])
@pytest.mark.parametrize(("shape", "classes"), [((1, 28, 28), 10), ((3, 32, 40), 2), (RGB, 5)])
def test_they_take_other_shapes_and_a_last_linear_layer_makes_the_logits(factory, shape, classes):
    model = factory(shape, classes).eval()
    assert model(torch.rand(2, *shape)).shape == (2, classes)
    assert [m for m in model.modules() if isinstance(m, nn.Linear)][-1].out_features == classes


@pytest.mark.parametrize("factory", [lenet, simple_cnn, mlp])
def test_the_width_multiplies_the_units(factory):
    half, whole = sum(weights(factory(RGB, 5, width=0.5))), sum(weights(factory(RGB, 5)))
    assert 0.2 < half / whole < 0.55
    assert math.isclose(sum(weights(factory(RGB, 5, width=1.0))), whole)


def test_lenet_of_the_control_has_as_many_weights_as_density_one_fifth_keeps():
    assert sum(weights(lenet(RGB, 5, width=0.435))) / sum(weights(lenet(RGB, 5))) == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize(("factory", "size"), [(lenet, 11), (simple_cnn, 7)])
def test_too_small_images_are_refused(factory, size):
    with pytest.raises(BenchbiasError, match=str(size)):
        factory((3, size, size), 2)
    factory((3, size + 1, size + 1), 2).eval()(torch.rand(1, 3, size + 1, size + 1))
