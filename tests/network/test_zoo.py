"""The zoo of networks: each is counted, trained and pruned right, or refused with one message when it is made."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchbias.errors import ComponentError
from benchbias.network.by_weight import forward_pass
from benchbias.network.cost import count_cost, layer_flops
from benchbias.network.counting import WorkCounter
from benchbias.network.formulas import FORMULAS
from benchbias.network.weights import layer_weights, unreached
from benchbias.testing.toys.trial import ToyTrial
from support.zoo import FITTING, REFUSED, SHAPE

IMAGE = torch.rand(1, *SHAPE, generator=torch.Generator().manual_seed(0))


def made(name: str) -> nn.Module:
    torch.manual_seed(0)
    return FITTING[name].make()


def counted(model: nn.Module, images: torch.Tensor) -> int:
    """The FLOPs that torch counts, with its fused attention off."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model.eval()(images)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return int(counter.get_total_flops())


@pytest.mark.parametrize("name", FITTING)
def test_the_flops_are_torchs_count_and_those_of_its_fused_kernels(name: str):
    assert sum(layer_flops(made(name), IMAGE).values()) == counted(made(name), IMAGE) + FITTING[name].hidden


@pytest.mark.parametrize("name", FITTING)
def test_every_matrix_is_one_that_pruning_reaches_or_is_told(name: str):
    model, cost = made(name), count_cost(made(name), IMAGE)
    left = dict(model.named_parameters())
    assert cost.weights == sum(weight.parameter.numel() for weight in layer_weights(model).values())
    assert cost.matrix_weights - cost.weights == FITTING[name].unreached
    found = unreached(model, forward_pass(model, IMAGE).used)
    assert sum(left[one].numel() for one in found) == FITTING[name].unreached
    assert cost.nonzero_weights == cost.weights
    assert cost.sparse_flops == cost.flops


@pytest.mark.parametrize("name", FITTING)
def test_without_its_weights_a_network_costs_what_no_weight_decides(name: str):
    """Each weight at zero in turn: the FLOPs fall by those under its name, as often as it is used."""
    model = made(name)
    flops = layer_flops(model, IMAGE)
    assert set(flops) - {""} <= set(dict(model.named_parameters()))
    for weight in set(flops) - {""}:
        twin = made(name)
        with torch.no_grad():
            dict(twin.named_parameters())[weight].zero_()
        cost = count_cost(twin, IMAGE)
        assert cost.flops - cost.sparse_flops == flops[weight]


@pytest.mark.parametrize("name", REFUSED)
def test_a_network_that_does_not_fit_is_refused_when_it_is_made(name: str):
    make, said = REFUSED[name]

    def model(input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        torch.manual_seed(0)
        return make()

    with pytest.raises(ComponentError, match=said) as caught:
        ToyTrial(model=model)
    assert str(caught.value).startswith("model 'checked'")
    assert not re.search(r"0x[0-9a-f]{6}|\d{12}", str(caught.value)), "an address differs from run to run"


aten = torch.ops.aten


@pytest.mark.parametrize("backward", [False, True])
def test_the_recurrent_kernel_of_cards_uses_each_matrix_once_a_step_and_example(backward: bool):
    """Two layers of an LSTM with biases, over 5 steps of 3 examples; biases cost nothing, packed steps as many."""
    weights = [torch.zeros(64, 24), torch.zeros(64, 16), torch.zeros(64), torch.zeros(64)]
    weights += [torch.zeros(64, 16), torch.zeros(64, 16), torch.zeros(64), torch.zeros(64)]
    operator = aten._cudnn_rnn_backward if backward else aten._cudnn_rnn
    passes = 2 if backward else 1
    for given in (torch.zeros(5, 3, 24), torch.zeros(15, 24)):
        flops = FORMULAS[operator](given, weights, 4, None, out_val=None)
        assert flops == passes * 2 * 15 * 64 * (24 + 16 + 16 + 16)


EQUAL = {
    "matrix and vector": lambda: (aten.mv, (torch.rand(4, 5), torch.rand(5)), 2 * 4 * 5),
    "added matrix and vector": lambda: (aten.addmv, (torch.rand(4), torch.rand(4, 5), torch.rand(5)), 2 * 4 * 5),
    "two vectors": lambda: (aten.dot, (torch.rand(7), torch.rand(7)), 2 * 7),
    "added batches": lambda: (
        aten.addbmm,
        (torch.rand(4, 6), torch.rand(3, 4, 5), torch.rand(3, 5, 6)),
        2 * 3 * 4 * 5 * 6,
    ),
    "convolution over time": lambda: (
        aten.conv_tbc,
        (torch.rand(9, 2, 3), torch.rand(4, 3, 5), torch.rand(5), 0),
        2 * 6 * 2 * 4 * 3 * 5,
    ),
}


@pytest.mark.parametrize("name", EQUAL)
def test_operators_that_torchs_table_lacks_cost_two_for_a_multiplication_and_its_addition(name: str):
    operator, given, expected = EQUAL[name]()
    counter = WorkCounter()
    with counter:
        operator(*given)
    assert counter.forward == expected
