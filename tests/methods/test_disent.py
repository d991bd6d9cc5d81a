"""DisEnt: its loss against the published rule, the stops of its gradients, its weights, its swap, its model's cost."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear
from torch.optim.optimizer import register_optimizer_step_pre_hook

from benchbias import BenchbiasError, LossAverages, generalised_cross_entropy
from benchbias.data.values import Batch, Split, TrainingData
from benchbias.network.cost import count_cost
from benchbias.suite.tables import Recipe
from benchbias.testing import ToyTrial
from benchbias.testing.toys.toy import toy_model, with_batch_norm
from benchbias.training.context import TrainContext, prunable_weights
from benchbias_plugins.methods.disent import Difficulty, TwoEncoders, disent, disent_mlp, train_disent
from benchbias_plugins.networks.lenet import lenet_small

SHAPE = (3, 8, 8)
COUNT = 53  # four batches an epoch, the last of 5
STEPS = 8


def source(name: str = "train") -> TrainingData:
    stream = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (COUNT, *SHAPE), generator=stream, dtype=torch.uint8)
    split = Split(images, torch.arange(COUNT) % 3, 3, name)
    return TrainingData(split, split, (0.5,) * 3, (1.0,) * 3, 16)


def network(backbone: Any = toy_model, **options: Any) -> TwoEncoders:
    torch.manual_seed(0)
    model = disent(SHAPE, 3, lambda: backbone(SHAPE, 3), **options)
    assert isinstance(model, TwoEncoders)
    return model


class Caught(TrainContext):
    """A context whose `fit` trains nothing and keeps the loss."""

    def fit(self, model: nn.Module, data: TrainingData, *, loss: Any = None) -> None:  # type: ignore[override]
        self.loss = loss


def context(kind: type[TrainContext] = Caught, data: TrainingData | None = None, **recipe: Any) -> Any:
    return kind(
        device=torch.device("cpu"),
        generator=torch.Generator().manual_seed(1),
        recipe=Recipe(**{"epochs": 2, "batch_size": 16, "lr": 0.01, **recipe}),
        data=data or source(),
        order=torch.Generator().manual_seed(2),
    )


def loss_of(model: nn.Module, **options: Any) -> Any:
    """The loss that DisEnt minimises; each call is a step."""
    caught = context()
    train_disent(model, source(), caught, **options)
    return lambda batch: caught.loss(model, batch)


def batch_of(index: Tensor | None = None) -> Batch:
    data = source()
    return data.batch(data.train, torch.arange(COUNT) if index is None else index)


def gradients(value: Tensor, module: nn.Module) -> Tensor:
    found = torch.autograd.grad(value, list(module.parameters()), retain_graph=True, materialize_grads=True)
    return torch.cat([part.flatten() for part in found])


# generalised cross-entropy


def some_logits() -> tuple[Tensor, Tensor]:
    stream = torch.Generator().manual_seed(3)
    logits = 3 * torch.randn(40, 3, generator=stream, dtype=torch.float64)
    return logits.requires_grad_(), torch.arange(40) % 3


@pytest.mark.parametrize("q", [0.1, 0.7, 1.0])
def test_the_generalised_cross_entropy_is_the_papers_and_its_gradient_p_to_the_q_times_cross_entropys(q: float):
    logits, labels = some_logits()
    p = logits.softmax(1)[torch.arange(40), labels]
    found = generalised_cross_entropy(logits, labels, q)
    torch.testing.assert_close(found, (1 - p**q) / q)
    plain = torch.autograd.grad(cross_entropy(logits, labels, reduction="sum"), logits, retain_graph=True)[0]
    ours = torch.autograd.grad(found.sum(), logits, retain_graph=True)[0]
    torch.testing.assert_close(ours, p.detach()[:, None] ** q * plain)
    published = generalised_cross_entropy(logits, labels, q, gradient="as_published")
    torch.testing.assert_close(torch.autograd.grad(published.sum(), logits)[0], q * ours)
    torch.testing.assert_close(published, q * p**q * -p.log())


def test_the_generalised_cross_entropy_tends_to_cross_entropy_and_refuses_to_be_nothing():
    logits, labels = some_logits()
    plain = cross_entropy(logits, labels, reduction="none")
    torch.testing.assert_close(generalised_cross_entropy(logits, labels, 1e-9), plain, rtol=1e-6, atol=1e-6)
    for q in (0.0, -0.1, 1.1):
        for gradient in ("textbook", "as_published"):
            with pytest.raises(ValueError, match="above 0"):
                generalised_cross_entropy(logits, labels, q, gradient=gradient)


@pytest.mark.parametrize("gradient", ["textbook", "as_published"])
def test_the_generalised_cross_entropy_stays_finite_where_the_label_is_out_of_reach(gradient: str):
    logits = torch.tensor([[0.0, 300.0], [300.0, 0.0]], requires_grad=True)
    value = generalised_cross_entropy(logits, torch.tensor([0, 0]), gradient=gradient).sum()
    assert torch.isfinite(value)
    assert torch.isfinite(torch.autograd.grad(value, logits)[0]).all()


# moving averages and difficulty


def test_the_first_loss_is_stored_and_later_ones_move_the_average_of_their_example_alone():
    averages = LossAverages(torch.arange(6) % 2, keep=0.7)
    averages.update(torch.tensor([4, 1]), torch.tensor([0.3, 2.0]))
    assert averages.values.tolist() == torch.tensor([0, 2.0, 0, 0, 0.3, 0]).tolist()
    averages.update(torch.tensor([1, 0]), torch.tensor([1.0, 5.0]))
    torch.testing.assert_close(averages.values, torch.tensor([5.0, 0.7 * 2 + 0.3 * 1, 0, 0, 0.3, 0]))
    averages.update(torch.tensor([5]), torch.tensor([0.0]))  # a first loss of 0 is one, too
    averages.update(torch.tensor([5]), torch.tensor([1.0]))
    torch.testing.assert_close(averages.values[5], torch.tensor(0.3))


def test_averages_go_by_the_examples_index_whatever_the_order():
    losses, order = torch.rand(10), torch.randperm(10, generator=torch.Generator().manual_seed(0))
    one, other = LossAverages(torch.zeros(10).long()), LossAverages(torch.zeros(10).long())
    for _ in range(2):
        one.update(torch.arange(10), losses)
        other.update(order, losses[order])
    assert torch.equal(one.values, other.values)
    assert torch.equal(one.relative(order), one.relative(torch.arange(10))[order])


def test_the_largest_of_a_class_is_looked_for_in_all_of_training():
    averages = LossAverages(torch.tensor([0, 0, 1, 1]))
    averages.update(torch.arange(4), torch.tensor([1.0, 4.0, 1.0, 2.0]))
    seen = torch.tensor([0, 2])  # neither is the largest
    torch.testing.assert_close(averages.relative(seen), torch.tensor([0.25, 0.5]))
    averages.values[1] = 8.0  # outside the batch
    torch.testing.assert_close(averages.relative(seen), torch.tensor([0.125, 0.5]))
    averages.values[:] = 0
    assert averages.relative(seen).tolist() == [0, 0]


def test_difficulty_is_a_constant_between_0_and_1_a_half_where_equal_and_near_1_where_the_bias_fails():
    labels = torch.zeros(6).long()
    one = Difficulty(labels, 0.7)
    intrinsic = torch.tensor([1.0, 1e-6, 1.0, 0.5, 0.0, 0.0], requires_grad=True)
    bias = torch.tensor([1.0, 1.0, 1e-6, 0.5, 1.0, 0.0], requires_grad=True)
    found = one.weights(torch.arange(6), intrinsic, bias)
    torch.testing.assert_close(found, torch.tensor([0.5, 1.0, 0.0, 0.5, 1.0, 0.0]), rtol=0, atol=1e-4)
    assert not found.requires_grad
    assert bool(((found >= 0) & (found <= 1)).all())


# the loss


def by_hand(
    model: TwoEncoders, steps: int, *, lambdas: tuple[float, float, float], q: float, first_swap: int
) -> Tensor:
    """The loss of the last of several steps on one batch, written out from the method's card."""
    stream = torch.Generator().manual_seed(1)
    index = torch.arange(10, 36)
    batch = batch_of(index)
    every = source().train.labels
    ema: list[Tensor] = [torch.zeros(COUNT), torch.zeros(COUNT)]  # intrinsic, bias
    for step in range(steps):
        z_i, z_b = model.intrinsic(batch.images), model.bias(batch.images)

        def parts(z_b: Tensor, y_b: Tensor, z_i: Tensor = z_i) -> tuple[Tensor, Tensor, Tensor]:
            i = linear(torch.cat([z_i, z_b.detach()], 1), model.head.weight, model.head.bias)
            b = linear(torch.cat([z_i.detach(), z_b], 1), model.bias_head.weight, model.bias_head.bias)
            p = b.softmax(1)[torch.arange(len(index)), y_b]
            return cross_entropy(i, batch.labels, reduction="none"), -p.log(), (1 - p**q) / q

        ce_i, ce_b, gce = parts(z_b, batch.labels)
        relative = []
        for buffer, new in zip(ema, (ce_i, ce_b), strict=True):
            buffer[index] = new.detach() if step == 0 else 0.7 * buffer[index] + 0.3 * new.detach()
            top = torch.stack([buffer[every == label].max() for label in range(3)])
            relative.append(buffer[index] / top[batch.labels])
        w = relative[1] / (relative[1] + relative[0] + 1e-8)
        total = (w * ce_i).mean() + lambdas[0] * gce.mean()
        if step >= first_swap:
            swap = torch.randperm(len(index), generator=stream)
            ce_i, _, gce = parts(z_b[swap], batch.labels[swap])
            total = total + lambdas[1] * ((w * ce_i).mean() + lambdas[2] * gce.mean())
    return total


@pytest.mark.parametrize("steps", [1, 3, 4])
def test_the_loss_and_all_its_gradients_are_those_of_the_published_rule(steps: int):
    model = network()
    loss = loss_of(model, swap_start=0.25, lambda_dis=3.0, lambda_swap=2.0, lambda_swap_b=5.0, q=0.6)
    for _ in range(steps):
        value = loss(batch_of(torch.arange(10, 36)))
    wanted = by_hand(model, steps, lambdas=(3.0, 2.0, 5.0), q=0.6, first_swap=3)  # step > 0.25 x 8
    torch.testing.assert_close(value, wanted)
    torch.testing.assert_close(gradients(value, model), gradients(wanted, model))


@pytest.mark.parametrize("steps", [1, 2])  # the second is swapped
def test_each_branch_teaches_its_own_encoder_alone(steps: int):
    model = network()
    values = {}
    for weight in (0.0, 10.0):
        loss = loss_of(model, swap_start=0.0, lambda_dis=weight, lambda_swap_b=weight)
        for _ in range(steps):
            values[weight] = loss(batch_of())
    assert not gradients(values[0.0], model.bias).any(), "cross-entropy of C_i moves E_b"
    assert not gradients(values[0.0], model.bias_head).any()
    assert gradients(values[10.0], model.bias).any()
    assert gradients(values[10.0], model.bias_head).any()
    for own in (model.intrinsic, model.head):
        assert torch.equal(gradients(values[0.0], own), gradients(values[10.0], own)), "C_b moves E_i or C_i"
        assert gradients(values[0.0], own).any()
    columns = torch.autograd.grad(values[0.0], model.head.weight, retain_graph=True)[0].abs().sum(0).view(2, -1).sum(1)
    assert bool((columns > 0).all()), "C_i does not learn from both halves of the features"


def test_a_swap_that_moves_nothing_changes_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch, "randperm", lambda count, generator: torch.arange(count))
    model, lambdas = network(), {"lambda_dis": 3.0, "lambda_swap_b": 3.0, "lambda_swap": 2.0}
    plain, swapped = (loss_of(model, swap_start=start, **lambdas) for start in (1.0, 0.0))
    for step in range(3):
        one, other = plain(batch_of()), swapped(batch_of())
        torch.testing.assert_close(other, one * (1 if step == 0 else 3))


def test_until_the_swap_starts_lambda_swap_is_nothing():
    model = network()
    first, second = (loss_of(model, swap_start=0.5, lambda_swap=value) for value in (0.0, 7.0))
    for step in range(STEPS):
        one, other = first(batch_of()), second(batch_of())
        assert torch.equal(one, other) == (step <= 0.5 * STEPS), step
        assert torch.equal(gradients(one, model), gradients(other, model)) == (step <= 0.5 * STEPS), step


def test_the_order_within_a_batch_is_nothing_to_the_plain_loss():
    model = network()
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(9))
    one, other = loss_of(model, swap_start=1.0), loss_of(model, swap_start=1.0)
    for _ in range(2):
        torch.testing.assert_close(one(batch_of()), other(batch_of(order)))


def test_the_released_gradient_is_q_times_the_textbooks_on_the_bias_branch():
    model = network()
    ours, theirs = (loss_of(model, q=0.6, gce=gce)(batch_of()) for gce in ("textbook", "as_published"))
    torch.testing.assert_close(gradients(theirs, model.bias), 0.6 * gradients(ours, model.bias))
    assert torch.equal(gradients(theirs, model.intrinsic), gradients(ours, model.intrinsic))


def branch(model: TwoEncoders) -> Tensor:
    """All weights of E_b and C_b."""
    return torch.cat([p.detach().flatten() for p in (*model.bias.parameters(), *model.bias_head.parameters())])


def test_adam_does_not_see_the_weight_of_the_bias_branch():
    """Why lambda_dis and the released q are no dimension of the search: they scale one branch's gradient."""

    def apart(optimizer: str) -> float:
        """How far the bias branches of two weights end from each other, in units of how far they went."""
        start, after = network(), []
        for weight in (1.0, 8.0):
            model = network()
            weights = {"lambda_dis": weight, "lambda_swap_b": weight}
            train_disent(model, source(), context(TrainContext, optimizer=optimizer), **weights)
            after.append(branch(model))
        begin = branch(start)
        return float((after[0] - after[1]).abs().mean() / (after[0] - begin).abs().mean())

    assert apart("adamw") < 0.01
    assert apart("sgd") > 0.5


def test_each_encoder_runs_once_a_step_and_its_batch_norm_sees_only_that():
    model = network(with_batch_norm)
    train_disent(model, source(), context(TrainContext), swap_start=0.0)
    counts = {int(value) for name, value in model.named_buffers() if name.endswith("num_batches_tracked")}
    assert counts == {STEPS}


def test_the_learning_rate_halves_after_40_60_and_80_percent_and_not_before():
    rates: list[float] = []
    handle = register_optimizer_step_pre_hook(lambda optimizer, *_: rates.append(optimizer.param_groups[0]["lr"]))
    try:
        recipe = {"epochs": 5, "schedule": "halving", "lr": 0.08}
        train_disent(network(), source(), context(TrainContext, **recipe), swap_start=0.2)
    finally:
        handle.remove()
    assert rates == pytest.approx([0.08] * 8 + [0.04] * 4 + [0.02] * 4 + [0.01] * 4)  # swap start + decay step = 8


# the model


def test_it_predicts_from_both_encoders_which_start_apart_and_costs_both():
    model = network(lenet_small)
    image = batch_of(torch.tensor([0])).images
    with torch.no_grad():
        z_i, z_b = model.encode(image)
        assert not torch.equal(z_i, z_b)
        torch.testing.assert_close(model(image), model.head(torch.cat([z_i, z_b], 1)))
        before = model(image)
        for parameter in model.bias.parameters():
            parameter.add_(0.1)
        assert not torch.equal(model(image), before)
    one, two = count_cost(lenet_small(SHAPE, 3), image), count_cost(model, image)
    head, double = 84 * 3, 2 * 84 * 3
    assert two.flops == 2 * (one.flops - 2 * head) + 2 * double
    assert two.weights == 2 * (one.weights - head) + double
    assert two.parameters == 2 * (one.parameters - head - 3) + 2 * (double + 3)  # C_b too


def test_its_head_is_ci_and_what_only_training_uses_is_not_prunable():
    model = network()
    image = batch_of(torch.tensor([0])).images
    assert context().head(model) is model.head
    assert context().features(model, image).shape == (1, 16)
    names = set(prunable_weights(model, (), image))
    assert names == {f"{part}.{layer}.weight" for part in ("intrinsic", "bias") for layer in (0, 3)} | {"head.weight"}
    assert set(prunable_weights(model, ("!head",), image)) == names - {"head.weight"}


def around_toy(input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    return disent(input_shape, num_classes, lambda: toy_model(input_shape, num_classes))


def test_whole_units_of_its_encoders_go_with_their_biases():
    def norms(model: nn.Module, data: TrainingData, context: Any) -> dict[str, Tensor]:
        return {name: weight.flatten(1).norm(dim=1) for name, weight in context.prunable(model).items()}

    trial = ToyTrial(model=around_toy)
    mask = trial.prune(norms, sparsity=0.5, layers=("!head",))
    attached = set(trial.made[mask].body["attached"])
    assert attached == {f"{part}.{layer}.bias" for part in ("intrinsic", "bias") for layer in (0, 3)}
    key = trial.train(train_disent, {"swap_start": 0.0}, mask=mask)
    removed = {name: ~kept for name, kept in trial.made[mask].blobs["mask"].items()}
    assert sum(int(kept.sum()) for kept in removed.values())
    weights = trial.made[key].blobs["weights"]
    assert not any(weights[name][gone].any() for name, gone in removed.items())


def test_it_refuses_what_it_cannot_train_or_wrap():
    with pytest.raises(BenchbiasError, match="use = "):
        train_disent(toy_model(SHAPE, 3), source(), context())
    convolution = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, 3, 1), nn.Flatten())
    convolution.head_name = "1"  # type: ignore[assignment]
    with pytest.raises(BenchbiasError, match=r"'1' is Conv2d"):
        disent(SHAPE, 3, lambda: copy.deepcopy(convolution))


def test_the_released_mlp_and_its_second_division():
    mlp = disent_mlp(SHAPE, 10)
    assert [tuple(p.shape) for p in mlp.parameters() if p.ndim == 2] == [(100, 192), (100, 100), (16, 100), (10, 16)]
    image = batch_of(torch.tensor([0])).images
    plain, published = (network(disent_mlp, input_scale=scale) for scale in ("as_given", "as_published"))
    published.load_state_dict(plain.state_dict())
    torch.testing.assert_close(published(image), plain(image / 255))
    assert not torch.equal(published(image), plain(image))
    assert plain.head.in_features == 32
