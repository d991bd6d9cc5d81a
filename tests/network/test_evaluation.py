"""Evaluation: costs are torch's own count, groups are counted right, packed counts can be read back."""

from __future__ import annotations

import base64

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchbias.data.values import Predictions
from benchbias.network.cost import ExampleCells, count_cost, group_counts, layer_flops, pack_counts, training_flops
from benchbias_plugins.networks.lenet import lenet_small

quick = settings(max_examples=60, deadline=None, derandomize=True)


def conv_net():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, groups=4),
        nn.Conv2d(8, 6, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 4),
    )


def sequence_net():
    return nn.Sequential(nn.Flatten(2), nn.Conv1d(3, 5, 3), nn.Linear(62, 7), nn.Flatten(), nn.Linear(35, 2))


def upsampling_net():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ConvTranspose2d(4, 9, 2, stride=2), nn.Conv2d(9, 2, 3))


MODELS = {
    "lenet": lambda: lenet_small((3, 8, 8), 2),
    "wide lenet": lambda: lenet_small((3, 8, 8), 2, width=2.0),
    "convolutions": conv_net,
    "sequence": sequence_net,
    "transposed convolution": upsampling_net,
}
IMAGES = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_dense_flops_are_those_that_torch_counts(make):
    model = make().eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(IMAGES)
    cost = count_cost(model, IMAGES)
    assert cost.flops == counter.get_total_flops()
    assert cost.sparse_flops == cost.flops, "no weight of a fresh network is zero"


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_all_parameters_and_those_of_layers_are_counted(make):
    model = make()
    cost = count_cost(model, IMAGES)
    layers = [m for m in model.modules() if isinstance(m, nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d | nn.Linear)]
    assert cost.parameters == sum(p.numel() for p in model.parameters())
    assert cost.weights == cost.nonzero_weights == sum(layer.weight.numel() for layer in layers)


@pytest.mark.parametrize("kept", [0.0, 0.25, 0.5])
@pytest.mark.parametrize("number", [0, 3, 4, 7])
def test_sparse_flops_fall_with_the_non_zeros_of_a_layer_and_by_its_own_cost(number, kept):
    model = conv_net().eval()
    layer = model[number]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        activations = model[:number](IMAGES)
        layer(activations)
    with FlopCounterMode(display=False) as before, torch.no_grad():
        model[:number](IMAGES)
    cost_of_layer = counter.get_total_flops() - before.get_total_flops()
    zeros = layer.weight.numel() - round(kept * layer.weight.numel())
    layer.weight.data.view(-1)[:zeros] = 0
    cost = count_cost(model, IMAGES)
    assert cost.flops - cost.sparse_flops == cost_of_layer * zeros / layer.weight.numel()
    assert cost.weights - cost.nonzero_weights == zeros
    assert cost.parameters - cost.nonzero_parameters == zeros + 8, "and the 8 biases of the batch norm"


def test_biases_count_as_parameters_and_not_as_weights():
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    model[1].bias.data.zero_()
    cost = count_cost(model, IMAGES)
    assert (cost.parameters, cost.nonzero_parameters) == (386, 384)
    assert (cost.weights, cost.nonzero_weights) == (384, 384)


class Twice(nn.Module):
    """Layers under a name of their own and in a Sequential: module hooks of both would count everything twice."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(4 * 36, 2)
        self.body = nn.Sequential(self.conv, nn.Flatten(), self.fc)

    def forward(self, images):
        return self.body(images)


def test_a_layer_that_is_registered_under_two_names_counts_once():
    model = Twice()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(IMAGES)
    cost = count_cost(model, IMAGES)
    assert cost.flops == counter.get_total_flops()
    assert cost.weights == model.conv.weight.numel() + model.fc.weight.numel()


def test_a_layer_that_is_called_twice_costs_twice():
    layer = nn.Conv2d(3, 3, 3, padding=1)
    once, twice = count_cost(nn.Sequential(layer), IMAGES), count_cost(nn.Sequential(layer, layer), IMAGES)
    assert twice.flops == 2 * once.flops
    assert twice.weights == once.weights


def test_counting_leaves_the_model_as_it_was():
    model = conv_net().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    count_cost(model, IMAGES)
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


# --- FLOPs by layer and of a training run


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_flops_by_layer_are_those_that_torch_counts(make):
    model = make().eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(IMAGES)
    found = layer_flops(model, IMAGES)
    assert sum(found.values()) == counter.get_total_flops()
    assert set(found) == {n for n, p in model.named_parameters() if n.endswith("weight") and p.ndim > 1}


def test_flops_by_layer_are_named_by_weight_and_counted_once_a_call():
    assert layer_flops(Twice(), IMAGES) == {"conv.weight": 2 * 3 * 9 * 4 * 36, "fc.weight": 2 * 4 * 36 * 2}
    layer = nn.Conv2d(3, 3, 1)
    assert layer_flops(nn.Sequential(layer, layer), IMAGES) == {"0.weight": 2 * 2 * 9 * 64}


layers_held = st.lists(
    st.tuples(st.integers(1, 10**6), st.integers(1, 50), st.integers(0, 50)), min_size=1, max_size=4
).map(lambda rows: [(flops, total, min(kept, total)) for flops, total, kept in rows])
few, many = st.integers(1, 12), st.integers(0, 10**5)


def costs(rows):
    """layers, totals and kept weights as `training_flops` takes them, and f_D and f_S."""
    flops, totals, kept = ({str(at): row[column] for at, row in enumerate(rows)} for column in range(3))
    return flops, totals, kept, sum(flops.values()), sum(f * k / t for f, t, k in rows)


@quick
@given(layers_held, few, many)
def test_dense_training_costs_three_forward_passes_an_example(rows, steps, examples):
    flops, totals, _, dense, _ = costs(rows)
    assert training_flops(flops, totals, [(0, {})], (), steps, examples) == 3 * dense * examples
    assert training_flops(flops, totals, [(0, totals)], (), steps, examples) == 3 * dense * examples


@quick
@given(layers_held, few, many)
def test_static_sparse_training_costs_three_sparse_forward_passes(rows, steps, examples):
    flops, totals, kept, _, sparse = costs(rows)
    cost = training_flops(flops, totals, [(0, kept)], (), steps, examples)
    assert cost == pytest.approx(3 * sparse * examples, rel=1e-12, abs=1)


@quick
@given(layers_held, few, few, many)
def test_rigl_costs_what_its_paper_says(rows, between, rounds, examples):
    """Evci et al. 2020, appendix H: (3 f_S dT + 2 f_S + f_D) / (dT + 1), where dT steps lie between updates."""
    flops, totals, kept, dense, sparse = costs(rows)
    history = [(at * (between + 1), kept) for at in range(rounds)]
    cost = training_flops(flops, totals, history, [start for start, _ in history], rounds * (between + 1), examples)
    formula = (3 * sparse * between + 2 * sparse + dense) / (between + 1)
    assert cost == pytest.approx(formula * examples, rel=1e-12, abs=1)


@quick
@given(layers_held, few, many)
def test_dense_gradients_at_every_step_cost_two_sparse_passes_and_a_dense_one(rows, steps, examples):
    flops, totals, kept, dense, sparse = costs(rows)
    cost = training_flops(flops, totals, [(0, kept)], range(steps), steps, examples)
    assert cost == pytest.approx((2 * sparse + dense) * examples, rel=1e-12, abs=1)


@pytest.mark.parametrize(("start", "expected"), [(0, 3 * 50), (4, 3 * (0.4 * 100 + 0.6 * 50)), (10, 3 * 100)])
def test_each_mask_costs_for_the_steps_that_it_is_held(start, expected):
    history = [(0, {"a": 8}), (start, {"a": 4})]
    assert training_flops({"a": 100}, {"a": 8}, history, (), 10, 70) == round(expected * 70)


def test_a_layer_that_no_mask_covers_is_dense_and_no_step_costs_nothing():
    layers, totals = {"a": 100, "b": 10}, {"a": 8, "b": 2}
    assert training_flops(layers, totals, [(0, {"a": 4})], (), 10, 70) == 3 * 60 * 70
    assert training_flops(layers, totals, [(0, {"a": 4})], (), 0, 0) == 0


# --- groups and packed counts

examples = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3), st.booleans()), min_size=1, max_size=80)


@quick
@given(examples)
def test_group_counts_are_right_and_total_of_every_group(rows):
    _, groups, correct = (torch.tensor(column) for column in zip(*rows, strict=True))
    labels = groups // 2
    logits = torch.eye(2)[torch.where(correct, labels, 1 - labels)]
    value = Predictions("test", logits, labels, groups % 2, groups, correct, groups, torch.full((5,), 0.2), 2)
    right, total = group_counts(value, 5)
    assert total == [sum(g == group for _, g, _ in rows) for group in range(5)]
    assert right == [sum(g == group and c for _, g, c in rows) for group in range(5)]


def unpacked(packed):
    """Each cell's count: `bits` bits a cell, the lowest first, one cell after another, as np.packbits writes them."""
    plane = np.unpackbits(np.frombuffer(base64.b64decode(packed["counts"]), dtype=np.uint8))
    used = packed["cells"] * packed["bits"]
    assert not plane[used:].any()
    assert len(plane) - used < 8
    return plane[:used].reshape(packed["cells"], packed["bits"]) @ (1 << np.arange(packed["bits"]))


@quick
@given(examples)
def test_packed_counts_can_be_read_back(rows):
    cluster, groups, correct = (torch.tensor(column) for column in zip(*rows, strict=True))
    layout = ExampleCells.of(cluster, groups)
    packed = pack_counts(correct, layout)
    cells = sorted({(c, g) for c, g, _ in rows})
    assert list(zip(layout.cluster.tolist(), layout.group.tolist(), strict=True)) == cells
    assert layout.total.tolist() == [sum((c, g) == cell for c, g, _ in rows) for cell in cells]
    assert unpacked(packed).tolist() == [sum((c, g) == cell and k for c, g, k in rows) for cell in cells]


@pytest.mark.parametrize(("copies", "bits"), [(1, 1), (2, 2), (3, 2), (4, 3), (16, 5), (31, 5), (32, 6), (300, 9)])
def test_cells_take_as_many_bits_as_the_fullest_needs(copies, bits):
    cluster = torch.arange(7).repeat_interleave(copies)
    correct = torch.arange(7 * copies) % copies < torch.arange(7 * copies) // copies * copies / 6  # none to all
    packed = pack_counts(correct, ExampleCells.of(cluster, torch.zeros_like(cluster)))
    assert packed["bits"] == bits
    assert unpacked(packed).tolist() == correct.view(7, copies).sum(1).tolist()
    assert unpacked(packed)[-1] == copies, "a full cell does not wrap around"


@quick
@given(examples, st.randoms(use_true_random=False))
def test_a_layout_and_its_counts_do_not_depend_on_the_order_of_the_examples(rows, random):
    def packed(rows):
        cluster, groups, correct = (torch.tensor(column) for column in zip(*rows, strict=True))
        return pack_counts(correct, ExampleCells.of(cluster, groups))

    shuffled = list(rows)
    random.shuffle(shuffled)
    assert packed(shuffled) == packed(rows)


CLUSTER, GROUPS = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 2, 3])


@pytest.mark.parametrize(
    ("cluster", "groups"),
    [
        pytest.param(CLUSTER, torch.tensor([2, 3, 0, 1]), id="groups of the clusters swapped"),
        pytest.param(torch.tensor([0, 1, 0, 1]), GROUPS, id="clusters swapped"),
        pytest.param(CLUSTER + 1, GROUPS, id="other clusters"),
        pytest.param(torch.tensor([0, 0, 1, 1, 1]), torch.tensor([0, 1, 2, 3, 3]), id="one example more"),
    ],
)
def test_another_test_split_has_another_digest(cluster, groups):
    assert ExampleCells.of(CLUSTER, GROUPS).digest == ExampleCells.of(CLUSTER.clone(), GROUPS.clone()).digest
    assert ExampleCells.of(cluster, groups).digest != ExampleCells.of(CLUSTER, GROUPS).digest


def test_packed_counts_name_the_layout_that_they_belong_to():
    layout = ExampleCells.of(CLUSTER, GROUPS)
    assert pack_counts(torch.ones(4, dtype=torch.bool), layout)["layout"] == layout.digest
