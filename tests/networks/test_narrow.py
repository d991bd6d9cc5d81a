"""`narrow`: dense networks with as many weights as a density keeps, of any model that has a width."""

from __future__ import annotations

import functools
import inspect
from pathlib import Path

import pytest
import torch
from torch import nn

from benchbias import BenchbiasError
from benchbias.errors import ComponentError
from benchbias.runner.workspace import Workspace
from benchbias.stages.job import call_changed
from benchbias.testing.toys.toy import toy_model
from benchbias_plugins.networks.lenet import lenet_small
from benchbias_plugins.networks.literature import benchbias_models
from benchbias_plugins.networks.narrow import narrow, nearest_width, weight_count
from benchbias_plugins.networks.small_networks import lenet, simple_cnn

RGB = (3, 32, 32)
NETWORKS = {"lenet": lenet, "lenet_small": lenet_small, "simple_cnn": simple_cnn, **benchbias_models()}


def backbone(name, **options):
    """The task's model builder as the core gives it."""
    factory = NETWORKS.get(name, toy_model)
    defaults = {
        key: one.default for key, one in inspect.signature(factory).parameters.items() if one.kind is one.KEYWORD_ONLY
    }
    given = {"input_shape": RGB, "num_classes": 10, "root": Path()}
    return functools.partial(call_changed, factory, given, {"name": name, "options": {**defaults, **options}})


def weights(model):
    return sum(m.weight.numel() for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear))


@pytest.mark.parametrize("name", ["lenet", "lenet_small", "simple_cnn", "resnet18", "wide_resnet22_2", "vit"])
@pytest.mark.parametrize("share", [0.2, 0.5])
def test_it_has_as_many_weights_as_a_density_keeps(name, share):
    build = backbone(name, depth=2) if name == "vit" else backbone(name)
    made, whole = weights(narrow(RGB, 10, build, share=share)), weights(build())
    assert made == pytest.approx(share * whole, rel=0.03)


@pytest.mark.parametrize("wanted", [500, 12_000, 400_000])
def test_it_finds_the_nearest_of_all_widths(wanted):
    """Against every width of a fine grid around the one that it finds."""
    build = backbone("lenet")
    width, found = nearest_width(lambda width: weight_count(build, width=width), wanted)
    others = [weights(build(width=width * (0.9 + step / 1000))) for step in range(200)]
    assert found == weights(build(width=width))
    assert abs(found - wanted) == min(abs(count - wanted) for count in [*others, found])


@pytest.mark.parametrize("name", ["resnet18", "resnet110", "vit"])
def test_weights_are_counted_without_making_them_and_without_random_numbers(name):
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    counted = weight_count(backbone(name))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert counted == weights(backbone(name)())


def test_it_begins_as_the_network_of_that_width_does():
    torch.manual_seed(5)
    made = narrow(RGB, 10, backbone("lenet"), weights=12_000).state_dict()
    width, _ = nearest_width(lambda width: weight_count(backbone("lenet"), width=width), 12_000)
    assert width == round(width, 4)
    torch.manual_seed(5)
    plain = backbone("lenet", width=width)().state_dict()
    assert all(torch.equal(made[name], plain[name]) for name in plain)


def test_a_share_of_one_is_the_tasks_own_network_at_its_own_width():
    assert weights(narrow(RGB, 10, backbone("lenet", width=0.3))) == weights(backbone("lenet", width=0.3)())
    assert weights(narrow(RGB, 10, backbone("mlp"))) == weights(toy_model(RGB, 10))


def test_a_share_is_of_the_tasks_own_width():
    made = narrow(RGB, 10, backbone("simple_cnn", width=0.5), share=0.5)
    assert weights(made) == pytest.approx(0.5 * weights(simple_cnn(RGB, 10, width=0.5)), rel=0.02)


@pytest.mark.parametrize("wanted", [5, 10**9])
def test_a_number_that_no_width_has_is_refused_with_the_nearest(wanted):
    with pytest.raises(BenchbiasError, match=rf"nearest to {wanted:,} weights is [\d,]+, at width = "):
        narrow(RGB, 10, backbone("lenet"), weights=wanted)


def test_how_far_off_it_may_be_is_an_option():
    nearest = weights(narrow(RGB, 10, backbone("lenet"), weights=4200, within=1.0))
    off = abs(nearest - 4200) / 4200
    assert off > 0.001
    narrow(RGB, 10, backbone("lenet"), weights=4200, within=off * 1.01)
    with pytest.raises(BenchbiasError, match="`within`"):
        narrow(RGB, 10, backbone("lenet"), weights=4200, within=off * 0.99)


def test_a_network_without_a_width_and_both_options_are_refused():
    with pytest.raises(ComponentError, match=r"'mlp' has no option 'width' \(it has: none\)"):
        narrow(RGB, 10, backbone("mlp"), share=0.5)
    with pytest.raises(BenchbiasError, match="not both"):
        narrow(RGB, 10, backbone("lenet"), share=0.5, weights=100)


CONFIG = """
schema = 1

[methods.small]
stages = [{ train = "erm" }]
parameters = { share = 0.2 }
model = { use = "narrow", share = "$share" }

[suites.mine]
title = "narrow"
version = "1.0"
tasks = ["colored-digits"]
methods = ["erm", "small"]
seeds = 1
metrics = ["accuracy"]
rank_by = "accuracy"
"""


def test_a_suite_names_it_and_its_key_holds_the_tasks_model(tmp_path):
    (tmp_path / "own.toml").write_text(CONFIG)
    plan = Workspace.open(tmp_path / "own.toml", quiet=True).plan("mine")
    (made,) = [s.inputs for s in plan.stages.values() if s.inputs.get("component", {}).get("name") == "narrow"]
    assert made["component"]["options"]["share"] == 0.2
    assert made["backbone"]["name"] == "lenet_small"
