"""The zoo under the methods: exact masks that hold, costs that are counted, and no error but a message."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchbias.errors import BenchbiasError
from benchbias.network.cost import layer_flops
from benchbias.network.weights import layer_weights
from benchbias.testing.toys.toy import toy_dataset
from benchbias.testing.toys.trial import ToyTrial, changing
from benchbias_plugins.methods.dfr.trainer import dfr
from benchbias_plugins.methods.erm import erm
from benchbias_plugins.methods.gradient import gradient
from benchbias_plugins.methods.magnitude import magnitude
from benchbias_plugins.methods.mrm import mrm
from benchbias_plugins.methods.rigl import rigl
from benchbias_plugins.methods.torch_prune import torch_prune
from support.tiers import tiered
from support.zoo import FITTING, SHAPE

QUICK = ("LSTM", "attention", "tied layers", "transposed, groups", "a frozen backbone", "a layer without use")
EPOCHS, TRAIN = 2, 48
IMAGE = torch.rand(1, *SHAPE, generator=torch.Generator().manual_seed(0))
HEADLESS = ("no linear layer", "bare matrices", "bare vector", "a list of parameters")
PRUNABLE = [name for name, fitting in FITTING.items() if layer_weights(fitting.make())]


def trial_of(name: str) -> ToyTrial:
    def model(input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        return FITTING[name].make()

    return ToyTrial(toy_dataset(train=TRAIN), model)


def weights_of(trial: ToyTrial) -> dict[str, int]:
    return {name: weight.parameter.numel() for name, weight in layer_weights(trial.network()).items()}


def predicted(trial: ToyTrial, trained: str, mask: str | None = None) -> dict[str, int]:
    """The cost that the predict stage counts."""
    parents = {"data": trial.data, "test": trial.data, "init": trial.init, "model": trained}
    key = trial.run("predict", "none", None, parents=parents | ({"mask": mask} if mask else {}), split="test")
    found: dict[str, int] = trial.made[key].body["cost"]
    return found


@pytest.mark.parametrize("name", tiered(FITTING, quick=QUICK))
def test_plain_training_moves_the_weights_and_costs_three_passes_an_example(name: str):
    trial = trial_of(name)
    key = trial.train(erm, epochs=EPOCHS)
    passes = 3 * sum(layer_flops(trial.network(), IMAGE).values())
    assert trial.made[key].body["training_flops"] == passes * EPOCHS * TRAIN
    before, after = (trial.made[stage].blobs["weights"] for stage in (trial.init, key))
    frozen = {n for n, p in trial.network().named_parameters() if not p.requires_grad}
    assert any(not torch.equal(before[one], after[one]) for one in before if after[one].is_floating_point())
    assert all(torch.equal(before[one], after[one]) for one in frozen)
    assert predicted(trial, key)["flops"] * 3 == passes


@pytest.mark.parametrize("pruner", [magnitude, gradient], ids=["magnitude", "gradient"])
@pytest.mark.parametrize("name", tiered(PRUNABLE, quick=QUICK))
def test_scores_remove_exactly_half_of_the_weights_and_the_mask_holds(name: str, pruner):
    trial = trial_of(name)
    mask = trial.prune(pruner)
    kept, total = trial.mask_of(mask), weights_of(trial)
    assert {n: t.numel() for n, t in kept.tensors.items()} == total
    assert sum(kept.counts().values()) == math.ceil(sum(total.values()) / 2)
    trained = trial.train(erm, mask=mask, epochs=1)
    after = trial.made[trained].blobs["weights"]
    assert all(not after[n][~t].any() for n, t in kept.tensors.items())
    cost = predicted(trial, trained, mask)
    assert cost["weights"] == sum(total.values())
    assert cost["nonzero_weights"] <= sum(kept.counts().values())


@pytest.mark.parametrize("name", tiered(PRUNABLE, quick=QUICK))
def test_whole_units_are_removed_with_their_bias_or_refused_with_a_remedy(name: str):
    trial = trial_of(name)
    if not FITTING[name].by_unit:
        with pytest.raises(BenchbiasError, match=r"whole units.*exclude them"):
            trial.prune(torch_prune, {"method": "ln_structured", "dim": 0})
        return
    mask = trial.mask_of(trial.prune(torch_prune, {"method": "ln_structured", "dim": 0}))
    for tensor in mask.tensors.values():
        rows = tensor.flatten(1)
        assert torch.equal(rows.any(1), rows.all(1))
    parameters = dict(trial.network().named_parameters())
    for one, units in mask.attached.items():
        assert units.shape == parameters[one].shape


@pytest.mark.parametrize("name", tiered(PRUNABLE, quick=QUICK))
def test_a_mask_that_changes_while_the_network_trains_keeps_its_counts(name: str):
    trial = trial_of(name)
    spec = changing({}, (), 0.5, "uniform")
    key = trial.train(erm, prune=spec, pruner=rigl, epochs=3)
    kept = trial.mask_of(key)
    assert kept.counts() == {n: math.ceil(total / 2) for n, total in weights_of(trial).items()}
    assert trial.made[key].body["mask_updates"] > 0
    after = trial.made[key].blobs["weights"]
    assert all(not after[n][~t].any() for n, t in kept.tensors.items())


@pytest.mark.parametrize("name", tiered([name for name in PRUNABLE if name != "recomputed"], quick=QUICK))
def test_logits_of_a_mask_are_learnt_for_every_weight(name: str):
    """Not of a network that recomputes activations: torch's functional_call does not reach its second pass."""
    trial = trial_of(name)
    key = trial.prune(mrm, {"alpha": 1e-3, "tolerance": 1.0})
    kept = trial.mask_of(key)
    assert sum(kept.counts().values()) == math.ceil(sum(weights_of(trial).values()) / 2)
    assert trial.made[key].body["training_flops"] > 0


@pytest.mark.parametrize("name", tiered(FITTING, quick=QUICK))
def test_a_head_is_refitted_at_a_cost_that_is_unknown_or_refused(name: str):
    trial = trial_of(name)
    settings = {"c": (1.0,), "subsamples": 1}
    if name in HEADLESS:
        with pytest.raises(BenchbiasError, match=r"nn\.Linear"):
            trial.train(dfr, settings, ("val_groups",))
        return
    key = trial.train(dfr, settings, ("val_groups",))
    assert trial.made[key].body["training_flops"] is None


TORCHVISION = {
    **dict.fromkeys(("resnet18", "mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2_x0_5", "squeezenet1_0"), 32),
    **dict.fromkeys(("mnasnet0_5", "efficientnet_b0", "densenet121", "regnet_y_400mf", "swin_t"), 32),
}
TIMM = {
    **dict.fromkeys(("resnet10t", "mobilenetv3_small_050", "efficientnet_lite0", "convnext_atto", "ghostnet_050"), 32),
    **dict.fromkeys(("lcnet_035", "tinynet_e", "mobileone_s0", "regnetx_002", "repvgg_a0"), 32),
}


def library_network(library: str, name: str) -> nn.Module:
    torch.manual_seed(0)
    if library == "timm":
        import timm

        return timm.create_model(name, num_classes=2)
    import torchvision.models

    return torchvision.models.get_model(name, weights=None, num_classes=2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("library", "name", "pixels"),
    [
        *(("torchvision", name, pixels) for name, pixels in TORCHVISION.items()),
        *(("timm", n, p) for n, p in TIMM.items()),
    ],
)
def test_networks_of_the_libraries_are_counted_as_torch_does_and_pruned_exactly(library: str, name: str, pixels: int):
    torch.manual_seed(0)

    def model(input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        return library_network(library, name)

    trial = ToyTrial(toy_dataset(train=16, size=pixels), model)
    network = trial.network().eval()
    image = torch.rand(1, 3, pixels, pixels)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    assert sum(layer_flops(network, image).values()) == counter.get_total_flops()
    mask = trial.mask_of(trial.prune(magnitude))
    total = sum(weights_of(trial).values())
    assert sum(mask.counts().values()) == math.ceil(total / 2)
    key = trial.train(erm, prune=changing({}, (), 0.5, "uniform"), pruner=rigl, epochs=4, batch_size=8, lr=1e-3)
    assert trial.mask_of(key).counts() == {n: math.ceil(size / 2) for n, size in weights_of(trial).items()}
