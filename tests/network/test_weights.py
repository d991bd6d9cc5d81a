"""The weights of a model: one name for each, `layers` by any of its layers, gradients where there are none."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchbias import TrainingData
from benchbias.errors import ComponentError, plain
from benchbias.network.cost import count_cost, layer_flops
from benchbias.network.inspect import head_name
from benchbias.network.weights import layer_weights
from benchbias.testing.toys.trial import ToyTrial
from benchbias.training.context import prunable_weights
from benchbias.training.fit import loss_gradients
from support.pruning import source
from support.zoo import FITTING, SHAPE, Net, buffered, frozen, head, mlp, mlp_of, rows

IMAGE = torch.zeros(1, *SHAPE)


def test_a_tied_weight_has_its_first_name_counts_once_and_costs_each_use():
    model = FITTING["tied layers"].make()
    assert list(layer_weights(model)) == ["one.weight", "head.weight"]
    assert layer_weights(model)["one.weight"].layers == ("one", "two")
    cost = count_cost(model, IMAGE)
    assert cost.weights == 24 * 24 + 24 * 2
    assert layer_flops(model, IMAGE) == {"one.weight": 2 * 2 * 8 * 24 * 24, "head.weight": 2 * 24 * 2}


def test_layers_names_a_tied_weight_by_any_of_its_layers():
    model = FITTING["tied layers"].make()
    for layers in (("one",), ("two",), ("!head",), ("o*", "!head")):
        assert list(prunable_weights(model, layers, IMAGE)) == ["one.weight"]
    assert list(prunable_weights(model, ("!two",), IMAGE)) == ["head.weight"]


@pytest.mark.parametrize("layers", [("!*",), ("one", "!two"), ("head", "!h*")])
def test_a_choice_that_leaves_nothing_is_one_message(layers: tuple[str, ...]):
    with pytest.raises(ComponentError, match=r"layers: .*leaves no layer \(known: one, two, head, head\)"):
        prunable_weights(FITTING["tied layers"].make(), layers, IMAGE)


def test_a_network_without_a_layer_to_prune_is_one_message():
    trial = ToyTrial(model=lambda input_shape, num_classes: FITTING["bare matrices"].make())
    with pytest.raises(ComponentError, match="no weight that can be pruned"):
        trial.prune(lambda model, data, context: {})


def test_gradients_are_zero_where_a_weight_is_frozen_or_not_used():
    net = frozen(Net(lambda m, x: m.body(x), body=mlp(), other=nn.Linear(5, 7)), "body.1")
    weights = {name: weight.parameter for name, weight in layer_weights(net).items()}
    found = loss_gradients(net, source(), torch.Generator(), weights, 1)
    assert list(found) == ["body.1.weight", "body.3.weight", "other.weight"]
    assert [bool(slope.any()) for slope in found.values()] == [False, True, False]
    net.requires_grad_(False)
    assert not any(slope.any() for slope in loss_gradients(net, source(), torch.Generator(), weights, 1).values())


def test_training_what_is_all_frozen_is_one_message():
    def trainer(model: nn.Module, data: TrainingData, context: Any) -> None:
        model.requires_grad_(False)
        context.fit(model, data)

    with pytest.raises(ComponentError, match="nothing to train"):
        ToyTrial().train(trainer)


def test_the_head_makes_as_many_numbers_as_there_are_logits():
    assert head_name(mlp(), IMAGE) == "3"
    scaled = Net(lambda m, x: 2 * m.head(m.body(x)), body=mlp_of(6), head=head(6))
    assert head_name(scaled, IMAGE) == "head"
    with pytest.raises(ComponentError, match=r"'body\.1', makes 6 numbers and the model 2 logits"):
        head_name(FITTING["bare vector"].make(), IMAGE)


def poisoned(**buffers: Tensor) -> Any:
    def trainer(model: nn.Module, data: TrainingData, context: Any) -> None:
        context.fit(model, data)
        for name, value in buffers.items():
            model.get_buffer(name).copy_(value)

    return trainer


def test_a_buffer_keeps_what_is_not_finite_and_gets_no_more_of_it():
    mask = torch.full((3,), -torch.inf)
    trial = ToyTrial(model=lambda input_shape, num_classes: buffered(mask=mask, moved=torch.zeros(2)))
    trial.train(poisoned(mask=mask))
    trial.train(poisoned(mask=torch.zeros(3)))
    with pytest.raises(ComponentError, match="buffers that are no longer finite: moved"):
        trial.train(poisoned(moved=torch.tensor([1.0, torch.nan])))


def test_a_message_holds_no_address():
    assert plain("<function f at 0x7f2932e93460> at 0xab12") == "<function f at 0x...> at 0xab12"
    assert "0x7" not in str(ComponentError(f"{object()}"))


def test_a_weight_is_known_through_views_casts_and_parts():
    """Products of the casted, transposed and cut weight stand under its name; those of two activations under none."""
    model = Net(
        lambda m, x: (rows(x).bfloat16() @ m.one.weight.bfloat16().t().contiguous()[:, :6]).mean(1).float() @ m.two,
        one=nn.Linear(24, 8),
        two=nn.Parameter(torch.ones(6, 2)),
    )
    assert layer_flops(model, IMAGE) == {"one.weight": 2 * 8 * 24 * 6, "two": 2 * 6 * 2}
    attention = layer_flops(FITTING["attention by einsum"].make(), IMAGE)
    assert attention[""] == 2 * 2 * 8 * 8 * 16


def test_training_with_a_tied_weight_keeps_its_mask_on_both_layers():
    trial = ToyTrial(model=lambda input_shape, num_classes: FITTING["tied layers"].make())
    mask = trial.prune(lambda model, data, context: {n: w.abs() for n, w in context.prunable(model).items()})
    kept = trial.mask_of(mask).tensors["one.weight"]

    def trainer(model: Any, data: TrainingData, context: Any) -> None:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        for batch in data.batches(data.train):
            assert not model.two.weight[~kept].any()
            optimizer.zero_grad()
            cross_entropy(model(batch.images), batch.labels).backward()
            optimizer.step()

    after = trial.made[trial.train(trainer, mask=mask)].blobs["weights"]
    assert torch.equal(after["one.weight"], after["two.weight"])
    assert not after["one.weight"][~kept].any()
