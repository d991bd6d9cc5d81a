"""What training costs: steps of fit by their convention, loops of a method's own as torch counts them, else unknown."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import _get_current_dispatch_mode
from torch.utils.flop_counter import FlopCounterMode

from benchbias import TrainContext, TrainingData, loss_gradients
from benchbias.network.cost import layer_flops
from benchbias.network.counting import WorkCounter, counted_work, uncounted
from benchbias.records.scored import scored_body
from benchbias.testing.toys.toy import toy_dataset
from benchbias.testing.toys.trial import ToyTrial
from support.zoo import FITTING, SHAPE

TRAIN = 48


def adam_loop(model: nn.Module, data: TrainingData, context: Any) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for batch in data.batches(data.train):
        optimizer.zero_grad()
        cross_entropy(model(batch.images), batch.labels).backward()
        optimizer.step()


def by_hand(model: nn.Module, data: TrainingData, context: Any) -> None:
    for batch in data.batches(data.train):
        slopes = torch.autograd.grad(cross_entropy(model(batch.images), batch.labels), list(model.parameters()))
        with torch.no_grad():
            for parameter, slope in zip(model.parameters(), slopes, strict=True):
                parameter -= 0.1 * slope


def closed_form(model: nn.Module, data: TrainingData, context: Any) -> None:
    """Ridge regression of the labels on the pixels, gradients left on: products, but none goes backward."""
    images = torch.cat([batch.images.flatten(1) for batch in data.batches(data.train)])
    targets = torch.nn.functional.one_hot(data.train.labels, 2).float()
    found = torch.linalg.solve(images.T @ images + torch.eye(images.shape[1]), images.T @ targets)
    with torch.no_grad():
        first = next(parameter for parameter in model.parameters() if parameter.ndim > 1)
        first.view(-1)[:10] = found.flatten()[:10]


def without_gradients(model: nn.Module, data: TrainingData, context: Any) -> None:
    with torch.no_grad():
        for batch in data.batches(data.train):
            loss = cross_entropy(model(batch.images), batch.labels)
            for parameter in model.parameters():
                parameter -= 0.01 * loss * torch.randn(parameter.shape, generator=context.generator).to(parameter.dtype)


def nothing(model: nn.Module, data: TrainingData, context: Any) -> None:
    """Only looks: with gradients on, and read."""
    for batch in data.batches(data.train):
        model(batch.images)


def fitted(model: nn.Module, data: TrainingData, context: Any) -> None:
    context.fit(model, data)


def fitted_after_reading(model: nn.Module, data: TrainingData, context: Any) -> None:
    weights = {name: p for name, p in model.named_parameters() if p.requires_grad}
    loss_gradients(copy.deepcopy(model), data, context.generator, {}, 1)
    loss_gradients(model, data, context.generator, weights, 1)
    nothing(model, data, context)
    context.fit(model, data)


def both(model: nn.Module, data: TrainingData, context: Any) -> None:
    context.fit(model, data)
    adam_loop(model, data, context)


def trial_of(name: str) -> ToyTrial:
    def model(input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        return FITTING[name].make()

    return ToyTrial(toy_dataset(train=TRAIN), model)


def body(trial: ToyTrial, trainer: Callable[..., None], **recipe: Any) -> Any:
    return trial.made[trial.train(trainer, epochs=1, **recipe)].body


def torchs_count(trial: ToyTrial, trainer: Callable[..., None]) -> int:
    model, data = trial.network(), trial.training_data()
    with FlopCounterMode(display=False) as counter:
        trainer(model, data, None)
    return int(counter.get_total_flops())


KNOWN = ("conv 2-D", "transposed, groups", "GRU, both ways", "attention", "tied layers", "low rank", "recomputed")


@pytest.mark.parametrize("loop", [adam_loop, by_hand])
@pytest.mark.parametrize("name", KNOWN)
def test_a_loop_of_a_trainers_own_costs_what_torch_counts_forward_and_backward(name: str, loop):
    trial = trial_of(name)
    found = body(trial, loop)
    assert found["training_flops"] == torchs_count(trial, loop) > 0
    assert found["steps"] == (TRAIN // 16 if loop is adam_loop else 0)


@pytest.mark.parametrize("name", ["LSTM", "LSTM, two layers, both ways", "bilinear", "fused attention"])
def test_fused_kernels_count_three_passes_where_torch_counts_none(name: str):
    """Forward once; backward twice, but for gradients that the first layer's input does not need."""
    trial = trial_of(name)
    forward = sum(layer_flops(trial.network(), torch.zeros(1, *SHAPE)).values())
    assert 2 * forward * TRAIN < body(trial, adam_loop)["training_flops"] <= 3.3 * forward * TRAIN


@pytest.mark.parametrize("work", [closed_form, without_gradients])
def test_weights_that_change_without_counted_work_are_of_unknown_cost(work):
    trial = trial_of("conv 2-D")
    key = trial.train(work, epochs=1)
    assert trial.made[key].body["training_flops"] is None
    plain = trial.made[trial.train(fitted, epochs=1)].body
    cost = {"cost": {"weights": 4, "nonzero_weights": 4}}
    stages = [("train", plain), ("train", trial.made[key].body), ("predict", cost), ("score", {})]
    assert scored_body(stages)["training_flops"] is None, "known and unknown are unknown"
    assert scored_body([stages[0], *stages[2:]])["training_flops"] == plain["training_flops"]


def test_looking_alone_costs_nothing():
    assert body(trial_of("conv 2-D"), nothing)["training_flops"] == 0


def test_reading_beside_fit_costs_nothing_more_and_a_loop_beside_it_is_added():
    trial = trial_of("conv 2-D")
    plain, read, more = (body(trial, trainer) for trainer in (fitted, fitted_after_reading, both))
    passes = 3 * sum(layer_flops(trial.network(), torch.zeros(1, *SHAPE)).values())
    assert plain["training_flops"] == read["training_flops"] == passes * TRAIN
    assert more["training_flops"] == passes * TRAIN + torchs_count(trial, adam_loop)


def test_a_pruner_that_trains_by_itself_is_counted_and_one_that_reads_gradients_is_not():
    def scores(model: nn.Module, data: TrainingData, context: Any) -> Any:
        return {name: weight.detach().abs() for name, weight in context.prunable(model).items()}

    def training(model: nn.Module, data: TrainingData, context: Any) -> Any:
        adam_loop(model, data, context)
        return scores(model, data, context)

    def hand_made(model: nn.Module, data: TrainingData, context: Any) -> Any:
        by_hand(model, data, context)
        return scores(model, data, context)

    def reading(model: nn.Module, data: TrainingData, context: Any) -> Any:
        batch = next(iter(data.batches(data.train)))
        torch.autograd.grad(cross_entropy(model(batch.images), batch.labels), list(model.parameters()))
        return scores(model, data, context)

    trial = trial_of("conv 2-D")
    found = {pruner: trial.made[trial.prune(pruner)].body for pruner in (training, hand_made, reading)}
    assert found[training]["training_flops"] == torchs_count(trial, adam_loop)
    assert found[hand_made]["training_flops"] == torchs_count(trial, by_hand)
    assert (found[training]["steps"], found[hand_made]["steps"]) == (TRAIN // 16, 0)
    assert "training_flops" not in found[reading]


def test_counting_is_off_inside_fit_and_back_after_it():
    seen: list[bool] = []

    def note() -> None:
        seen.append(isinstance(_get_current_dispatch_mode(), WorkCounter))

    def trainer(model: nn.Module, data: TrainingData, context: TrainContext) -> None:
        def loss(model: nn.Module, batch: Any) -> torch.Tensor:
            note()
            return cross_entropy(model(batch.images), batch.labels)

        note()
        context.fit(model, data, loss=loss)
        note()

    body(trial_of("conv 2-D"), trainer)
    assert seen == [True, *[False] * (TRAIN // 16), True]
    assert _get_current_dispatch_mode() is None


def test_counting_changes_no_byte_of_what_is_trained():
    trial = trial_of("encoder layer")
    plain, counted = trial.network(), trial.network()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        adam_loop(plain, trial.training_data(), None)
    with torch.random.fork_rng(), counted_work() as work:
        torch.manual_seed(0)
        adam_loop(counted, trial.training_data(), None)
    assert work.flops > 0
    assert all(torch.equal(one, other) for one, other in zip(plain.parameters(), counted.parameters(), strict=True))


def test_a_counter_inside_another_counts_alone_and_an_error_takes_both_off():
    layer, counters = nn.Linear(3, 4), []

    def work() -> None:
        with counted_work() as outer:
            counters.append(outer)
            with counted_work() as inner:
                counters.append(inner)
                layer(torch.ones(2, 3)).sum().backward()
            with uncounted():
                layer(torch.ones(2, 3)).sum().backward()
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert [counter.flops for counter in counters] == [0, 2 * 2 * 3 * 4 * 2], "forward, and the weight's gradient"
    assert _get_current_dispatch_mode() is None
