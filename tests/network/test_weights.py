"""The weights of a model: one name for each, `layers` by any of its layers, gradients where there are none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchbias import TrainingData
from benchbias.engine.blame import Blame
from benchbias.engine.worker import _note_failure
from benchbias.errors import ComponentError, first_line, plain
from benchbias.network.by_weight import forward_pass
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


def test_an_error_whose_text_cannot_be_told_is_told_by_its_type():
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    said = "(its text cannot be shown: __str__ raises RuntimeError)"
    assert first_line(Mute()) == said
    assert first_line(ValueError("one\ntwo")) == "one"
    noted: list[Mapping[str, Any]] = []
    store: Any = SimpleNamespace(put_attempt=lambda key, attempt: noted.append(attempt))
    _note_failure(store, {"label": "train", "plugins": ()}, "key", Mute(), Blame(lambda doing: None))
    assert noted[0]["reason"] == f"Mute: {said}"


def test_weights_of_another_dtype_are_one_message():
    def trainer(model: nn.Module, data: TrainingData, context: Any) -> None:
        model.double()

    with pytest.raises(ComponentError, match=r"left weights of another dtype \(float64\): "):
        ToyTrial().train(trainer, epochs=1)


def bare(call: Callable[[Any, Tensor], Tensor]) -> nn.Module:
    """One weight, and a function of it that a product is with."""
    torch.manual_seed(0)
    net = Net(
        lambda m, x: torch.nn.functional.linear(x.flatten(1), call(m, m.one.weight)),
        one=nn.Linear(192, 2),
        two=nn.Linear(192, 2),
        low=nn.Linear(192, 1, bias=False),
        high=nn.Linear(1, 2, bias=False),
        gain=nn.Parameter(torch.rand(2, 1) + 1),
    )
    net.register_buffer("turned", torch.tensor([1, 0]))
    net.register_buffer("cut", (torch.rand(2, 192) < 0.5).float())
    return net


def in_place(weight: Tensor) -> Tensor:
    made = weight.clone()
    made -= made.mean()
    return made


KEEPING: Mapping[str, Callable[[Any, Tensor], Tensor]] = {
    "scaled": lambda m, w: w / 3 * m.gain,
    "of unit norm": lambda m, w: w / w.norm(dim=1, keepdim=True),
    "another mask": lambda m, w: w * m.cut,
    "a learned mask": lambda m, w: w * m.two.weight.sigmoid(),
    "rounded": lambda m, w: (w * 127).round().to(torch.int8).float() / 127,
    "rows turned": lambda m, w: w[m.turned].flip(1),
    "scaled in place": lambda m, w: w.clone().mul_(2),
}
FILLING: Mapping[str, Callable[[Any, Tensor], Tensor]] = {
    "standardised": lambda m, w: (w - w.mean(1, keepdim=True)) / w.std(1, keepdim=True),
    "shifted": lambda m, w: w + m.gain,
    "shifted in place": lambda m, w: in_place(w),
    "exponential": lambda m, w: w.exp(),
    "divided by": lambda m, w: 1 / (w + 1),
    "the mean of its rows": lambda m, w: w.mean(0, keepdim=True).expand(2, -1) * 1,
    "a product of two": lambda m, w: m.high.weight @ m.low.weight,
    "a sum of two": lambda m, w: w + m.two.weight,
    "two beside each other": lambda m, w: torch.cat([w[:1], m.two.weight[:1]]),
}


@pytest.mark.parametrize("name", [*KEEPING, *FILLING])
def test_a_weight_made_in_the_pass_is_sparse_only_where_its_zeros_stay(name: str):
    """By the operand itself: with all zeros but one in ten, it is no denser, or the product counts as dense."""
    model = bare((KEEPING | FILLING)[name])
    dense = count_cost(model, IMAGE)
    with torch.no_grad():
        for weight in (model.one.weight, model.low.weight):
            weight.mul_(torch.rand(weight.shape) < 0.1)
        operand = (KEEPING | FILLING)[name](model, model.one.weight)
    cost = count_cost(model, IMAGE)
    assert dense.sparse_flops == dense.flops == cost.flops
    share = float(model.one.weight.count_nonzero()) / 384
    if name in KEEPING:
        assert cost.sparse_flops == int(cost.flops * share)
        assert float(operand.count_nonzero()) / 384 <= share
    else:
        assert cost.sparse_flops == cost.flops


def test_a_product_of_two_weights_is_dense_whatever_their_order():
    model = bare(FILLING["a product of two"])
    assert layer_flops(model, IMAGE) == {"": 2 * 2 * 192 + 2 * 192 * 2}
    computed = {name: forward_pass(bare(call), IMAGE).computed for name, call in FILLING.items()}
    assert computed["standardised"] == {"one.weight"}
    assert forward_pass(bare(KEEPING["a learned mask"]), IMAGE).computed == set()


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
