"""Methods that weight examples: the weights themselves, and what each method becomes where its weights are all one."""

from __future__ import annotations

import copy
import dataclasses
import inspect
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchbias.data.values import Batch, GroupLabels, Split, TrainingData
from benchbias.errors import BenchbiasError
from benchbias.suite.tables import Recipe
from benchbias.training.context import Context, TrainContext
from benchbias.training.losses import weighted_cross_entropy
from benchbias_plugins.methods.erm import erm
from benchbias_plugins.methods.group_dro import group_dro
from benchbias_plugins.methods.jtt import error_set, jtt, jtt_identify
from benchbias_plugins.methods.rest import rest
from benchbias_plugins.methods.reweighted import class_balanced, group_balanced, inverse_frequency, reweighted

COUNT = 53  # batches of 16, 16, 16 and 5


class Recording(TrainingData):
    """Training data that note which examples each training batch holds."""

    def batch(self, split: Split, index: Tensor, augment: bool = False) -> Batch:
        if augment:
            self.__dict__.setdefault("seen", []).append(index)
        return super().batch(split, index, augment)

    @property
    def order(self) -> Tensor:
        return torch.cat(self.__dict__["seen"])


def split(name: str, count: int) -> Split:
    stream = torch.Generator().manual_seed(count)
    images = torch.randint(0, 256, (count, 3, 8, 8), generator=stream, dtype=torch.uint8)
    return Split(images, (torch.arange(count) % 3 == 0).long(), 2, name)


def source() -> Recording:
    return Recording(split("train", COUNT), split("val", 20), (0.5,) * 3, (1.0,) * 3, 16)


def groups(attributes: Tensor | None = None) -> GroupLabels:
    """Sizes 28, 7, 0 and 18 by default: unequal, and no red one."""
    labels = source().train.labels
    if attributes is None:
        attributes = torch.where(labels == 1, 1, (torch.arange(COUNT) % 5 == 0).long())
    return GroupLabels.of(labels, attributes, labels == attributes, 2, ("red", "green"))


def one_group() -> GroupLabels:
    nothing = torch.zeros(COUNT, dtype=torch.int64)
    return GroupLabels(nothing, nothing, nothing == 0, 1, ("all",))


def network(*, norm: bool = True) -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3), *([nn.BatchNorm2d(4)] if norm else []), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2)]
    return nn.Sequential(*layers)


class Constant(nn.Module):
    """Says the same class of every image."""

    def __init__(self, said: int) -> None:
        super().__init__()
        self.said = said

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.one_hot(torch.full((len(images),), self.said), 2).float()


def context(data: TrainingData, reference: nn.Module | None = None, batch_size: int = 16) -> TrainContext:
    recipe = Recipe(epochs=2, batch_size=batch_size, lr=0.05, weight_decay=1e-3, optimizer="adamw", schedule="onecycle")
    return TrainContext(
        device=torch.device("cpu"),
        generator=torch.Generator().manual_seed(1),
        recipe=recipe,
        data=data,
        order=torch.Generator().manual_seed(2),
        reference=reference,
    )


def trained(
    trainer: Any, *labels: GroupLabels, reference: nn.Module | None = None, **options: Any
) -> dict[str, Tensor]:
    """The weights that a trainer leaves; `order`: the examples in the order in which it saw them."""
    model, data = network(), source()
    trainer(model, data, context(data, reference), *labels, **options)
    return model.state_dict() | {"order": data.order}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


class Caught:
    """A context whose `fit` trains nothing, and keeps what it was asked."""

    def __init__(self, reference: nn.Module | None = None, earlier: dict[str, Tensor] | None = None) -> None:
        self.reference, self.written, self.earlier = reference, {}, dict(earlier or {})
        self.device = torch.device("cpu")

    def fit(self, model: nn.Module, data: TrainingData, *, loss: Any = None, sampling: Tensor | None = None) -> None:
        self.loss, self.sampling = loss, sampling

    fit_weighted = Context.fit_weighted
    save, saved = Context.save, Context.saved


def caught(
    trainer: Any,
    *labels: GroupLabels,
    reference: nn.Module | None = None,
    earlier: dict[str, Tensor] | None = None,
    **options: Any,
) -> Caught:
    watch = Caught(reference, earlier)
    trainer(None, source(), watch, *labels, **options)
    return watch


def everything(indices: Tensor | None = None) -> Batch:
    data = source()
    return data.batch(data.train, torch.arange(COUNT) if indices is None else indices)


def each_loss(model: nn.Module, batch: Batch) -> Tensor:
    return cross_entropy(model(batch.images), batch.labels, reduction="none")


def gradients(model: nn.Module, value: Tensor) -> Tensor:
    return torch.cat([part.flatten() for part in torch.autograd.grad(value, list(model.parameters()))])


def close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


# the loss


def test_integer_weights_are_copies():
    model = network(norm=False)
    weights = torch.randint(0, 6, (COUNT,), generator=torch.Generator().manual_seed(0))
    index = torch.randperm(COUNT, generator=torch.Generator().manual_seed(3))[:17]  # weights go by index, not place
    assert weights[index].unique().numel() > 2
    one = weighted_cross_entropy(weights.float())(model, everything(index))
    batch = everything(index.repeat_interleave(weights[index]))
    other = cross_entropy(model(batch.images), batch.labels)
    close(one, other)
    close(gradients(model, one), gradients(model, other))


@pytest.mark.parametrize("value", [1.0, 0.3, 80.0])
def test_uniform_weights_are_the_plain_mean(value: float):
    model = network()
    batch = everything()
    one, other = (
        weighted_cross_entropy(torch.full((COUNT,), value))(model, batch),
        cross_entropy(model(batch.images), batch.labels),
    )
    close(one, other)
    close(gradients(model, one), gradients(model, other))


# REST


def test_rest_with_weight_one_is_erm_bit_for_bit():
    assert same(trained(rest, groups(), upweight=1.0), trained(erm))
    assert not same(trained(rest, groups(), upweight=2.0), trained(erm))


def test_rest_weights_the_conflicting_examples_and_reads_the_upweight():
    model, flags = network(), groups()
    each = each_loss(model, everything())
    for upweight in (3.0, 80.0):
        weights = torch.tensor([1.0 if aligned else upweight for aligned in flags.aligned])
        close(caught(rest, flags, upweight=upweight).loss(model, everything()), (weights * each).sum() / weights.sum())
    assert not same(trained(rest, flags, upweight=3.0), trained(rest, flags, upweight=80.0))


def test_flipping_every_flag_changes_rests_weights_and_not_the_order():
    flags = groups()
    flipped = GroupLabels(flags.attributes, flags.groups, ~flags.aligned, 2, flags.group_names)
    one, other = trained(rest, flags), trained(rest, flipped)
    assert torch.equal(one.pop("order"), other.pop("order"))
    assert not same(one, other)


def test_rests_sampler_draws_in_proportion():
    flags = groups()
    assert caught(rest, flags, weighting="sampling", upweight=4.0).loss is None
    data = source()
    asked = context(data)
    asked = dataclasses.replace(asked, recipe=asked.recipe.model_copy(update={"epochs": 60}))
    rest(nn.Sequential(nn.Flatten(), nn.Linear(192, 2)), data, asked, flags, weighting="sampling", upweight=4.0)
    assert len(data.order) == 60 * COUNT
    conflicting = int((~flags.aligned).sum())
    expected = 4 * conflicting / (4 * conflicting + COUNT - conflicting)
    share = float((~flags.aligned[data.order]).double().mean())
    assert share == pytest.approx(expected, abs=0.04)  # 3,180 draws: four and a half standard errors
    assert abs(expected - conflicting / COUNT) > 0.15


# inverse frequencies


def test_inverse_frequencies_sum_to_the_number_and_weigh_every_group_alike():
    labels = groups()
    weights = inverse_frequency(labels.groups)
    assert float(weights.sum()) == pytest.approx(COUNT, rel=1e-6)
    totals = torch.zeros(4).index_add(0, labels.groups, weights)
    close(totals, torch.tensor([COUNT / 3, COUNT / 3, 0, COUNT / 3]))
    assert all(weights[labels.groups == group].unique().numel() == 1 for group in (0, 1, 3))


def test_reweighting_weighs_the_groups_alike_in_the_loss_and_in_the_sampler():
    model, labels = network(), groups()
    loss = caught(reweighted, labels)
    each = each_loss(model, everything())
    means = torch.stack([each[labels.groups == group].mean() for group in (0, 1, 3)])
    close(loss.loss(model, everything()), means.mean())
    assert loss.sampling is None
    sampler = caught(reweighted, labels, weighting="sampling")
    assert sampler.loss is None
    assert torch.equal(sampler.sampling, inverse_frequency(labels.groups))
    assert sampler.sampling.is_floating_point()


def test_one_group_makes_group_methods_erm():
    plain = trained(erm)
    assert same(trained(reweighted, one_group()), plain)
    assert same(trained(group_balanced, one_group()), plain)
    assert caught(reweighted, one_group(), weighting="sampling").sampling.unique().tolist() == [1.0]


def test_class_balance_takes_no_group_labels_and_weighs_the_classes_alike():
    assert not {"train_groups", "val_groups"} & set(inspect.signature(class_balanced).parameters)
    labels = source().train.labels
    sampler = caught(class_balanced).sampling
    close(torch.zeros(2).index_add(0, labels, sampler), torch.full((2,), COUNT / 2))
    model = network()
    each = each_loss(model, everything())
    means = torch.stack([each[labels == label].mean() for label in (0, 1)])
    close(caught(class_balanced, weighting="loss").loss(model, everything()), means.mean())


def test_group_balance_shows_every_group_as_often_as_the_largest_in_each_epoch():
    labels = groups()
    sizes = torch.bincount(labels.groups, minlength=4)
    for epoch in trained(group_balanced, labels)["order"].view(2, -1):
        assert torch.bincount(labels.groups[epoch], minlength=4).tolist() == [28, 28, 0, 28]
        times = torch.bincount(epoch, minlength=COUNT)
        assert bool((times >= 28 // sizes[labels.groups]).all())
        assert bool((times <= -(-28 // sizes[labels.groups])).all())


# Group DRO


def weights_of(watch: Caught) -> Tensor:
    q: Tensor = inspect.getclosurevars(watch.loss).nonlocals["q"]
    return q


def group_losses(model: nn.Module, batch: Batch, labels: GroupLabels) -> Tensor:
    each, kinds = each_loss(model, batch), labels.groups[batch.index]
    found = [each[kinds == group].mean() if bool((kinds == group).any()) else each.sum() * 0 for group in range(4)]
    return torch.stack(found)


def test_group_dro_without_steps_is_the_mean_of_the_groups_means():
    model, labels = network(), groups()
    loss = caught(group_dro, labels, step_size=0.0).loss
    for batch in (everything(), everything(torch.nonzero(labels.groups != 1)[:, 0])):  # whole, and one group missing
        close(loss(model, batch), group_losses(model, batch, labels)[[0, 1, 3]].sum() / 3)


def test_group_dros_weights_grow_with_the_losses_before_they_are_used():
    model, labels = network(), groups()
    watch = caught(group_dro, labels, step_size=0.7)
    present = torch.tensor([1.0, 1.0, 0.0, 1.0])
    q = present / 3
    for index in (torch.arange(COUNT), torch.arange(0, COUNT, 2)):
        batch = everything(index)
        means = group_losses(model, batch, labels)
        before = weights_of(watch)
        value = watch.loss(model, batch)
        q = q * torch.exp(0.7 * means.detach())
        q = q / q.sum()
        after = weights_of(watch)
        close(after, q)
        assert float(after.sum()) == pytest.approx(1, rel=1e-6)
        assert after[2] == 0  # absent from training
        worst = int(means.masked_fill(present == 0, -1).argmax())
        assert after[worst] > before[worst]
        close(value, (q * means).sum())  # the new weights, not those of before
        close(gradients(model, value), gradients(model, (q * means).sum()))  # q is a constant to the gradient
        assert not after.requires_grad
        assert after.grad_fn is None


def test_group_dros_adjustment_moves_the_weights_and_is_no_part_of_the_loss():
    model, labels = network(), groups()
    watch = caught(group_dro, labels, step_size=0.5, adjustment=3.0)
    means = group_losses(model, everything(), labels)
    value = watch.loss(model, everything())
    q = torch.tensor([1.0, 1.0, 0.0, 1.0]) * torch.exp(
        0.5 * (means.detach() + 3 / torch.tensor([28.0, 7.0, torch.inf, 18.0]).sqrt())
    )
    close(weights_of(watch), q / q.sum())
    close(value, (q / q.sum() * means).sum())


def test_group_dro_with_one_group_has_erms_loss():
    model = network()
    watch = caught(group_dro, one_group(), step_size=0.5)
    value, batch = watch.loss(model, everything()), everything()
    plain = cross_entropy(model(batch.images), batch.labels)
    close(value, plain)
    close(gradients(model, value), gradients(model, plain))
    assert watch.sampling.unique().numel() == 1


def test_group_dro_draws_the_groups_alike():
    labels = groups()
    totals = torch.zeros(4).index_add(0, labels.groups, caught(group_dro, labels).sampling)
    close(totals / totals.sum(), torch.tensor([1.0, 1.0, 0.0, 1.0]) / 3)


# JTT


@pytest.mark.parametrize("weighting", ["copies", "loss"])
def test_jtt_without_weight_is_erm_bit_for_bit(weighting: str):
    plain = trained(erm)
    said = Constant(0)
    options = {"reference": said, "weighting": weighting}
    assert same(trained(jtt, upweight=1, multiplicity="total", **options), plain)
    assert same(trained(jtt, upweight=0, multiplicity="extra", **options), plain)
    assert not same(trained(jtt, upweight=2, multiplicity="total", **options), plain)
    assert not same(trained(jtt, upweight=1, multiplicity="extra", **options), plain)


def reference() -> nn.Module:
    """A network whose batch-norm statistics are not those of any batch, so that its mode shows."""
    model = network()
    model[1].running_mean += 0.3
    model[1].running_var *= 0.5
    return model


def test_the_error_set_is_what_the_reference_gets_wrong_in_eval_mode_by_index():
    data = source()
    model = reference().train()
    held = copy.deepcopy(model).eval()
    with torch.no_grad():
        said = torch.cat([held(data.batch(data.train, torch.tensor([i])).images).argmax(1) for i in range(COUNT)])
        in_training = model(everything().images).argmax(1)
    assert not torch.equal(said, in_training)
    model = reference().train()
    before = copy.deepcopy(model.state_dict())
    assert torch.equal(error_set(model, data), said != data.train.labels)
    assert same(dict(model.state_dict()), dict(before))
    assert model.training


def test_the_error_set_goes_with_the_examples_and_not_with_their_order():
    data, model = source(), reference()
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(5))
    shuffled = Split(data.train.images[order], data.train.labels[order], 2, "train")
    other = TrainingData(shuffled, data.val, data.mean, data.std, 7)
    errors = error_set(model, data)
    assert 0 < int(errors.sum()) < COUNT
    assert torch.equal(error_set(model, other), errors[order])


@pytest.mark.parametrize("said", [0, 1])
def test_the_errors_of_a_constant_reference_are_the_other_classes(said: int):
    watch = caught(jtt, reference=Constant(said), upweight=3)
    assert torch.equal(watch.written["error_set"], source().train.labels != said)


class Perfect(nn.Module):
    """Knows every training image."""

    def forward(self, images: Tensor) -> Tensor:
        known = everything()
        place = (images[:, None] - known.images[None]).flatten(2).abs().sum(2).argmin(1)
        return nn.functional.one_hot(known.labels[place], 2).float()


def test_jtt_needs_a_reference_that_errs():
    with pytest.raises(BenchbiasError, match="error set is empty"):
        caught(jtt, reference=Perfect())
    with pytest.raises(BenchbiasError, match="identification model"):
        caught(jtt)


def test_jtts_epoch_is_all_examples_and_the_copies_of_the_errors():
    errors = error_set(reference(), source())
    wrong = int(errors.sum())
    for upweight in (1, 2, 10):
        total = caught(jtt, reference=reference(), upweight=upweight).sampling
        assert len(total) == COUNT + (upweight - 1) * wrong
        times = torch.bincount(total, minlength=COUNT)
        assert torch.equal(times, torch.where(errors, upweight, 1))
        extra = caught(jtt, reference=reference(), upweight=upweight - 1, multiplicity="extra").sampling
        assert torch.equal(extra, total)
    assert len(trained(jtt, reference=reference(), upweight=3)["order"]) == 2 * (COUNT + 2 * wrong)


@pytest.mark.parametrize("multiplicity", ["total", "extra"])
def test_jtts_copies_and_weights_have_one_gradient(multiplicity: str):
    model = network(norm=False)
    options = {"reference": reference(), "upweight": 6, "multiplicity": multiplicity}
    copies = caught(jtt, **options)
    assert copies.loss is None
    batch = everything(copies.sampling)
    one = cross_entropy(model(batch.images), batch.labels)
    weighted = caught(jtt, weighting="loss", **options)
    assert weighted.sampling is None
    other = weighted.loss(model, everything())
    close(one, other)
    close(gradients(model, one), gradients(model, other))


def test_identification_is_erm_that_notes_its_errors_in_training_mode_while_it_moves():
    """Against the answers of every forward pass: those of the last epoch, by the index of the example."""
    model, data = network(), source()
    asked = context(data)
    said: list[Tensor] = []
    model.register_forward_hook(lambda module, images, logits: said.append(logits.detach().argmax(1)))
    jtt_identify(model, data, asked)
    assert same(model.state_dict() | {"order": data.order}, trained(erm))
    last = data.order[-COUNT:]
    wanted = torch.zeros(COUNT, dtype=torch.bool)
    wanted[last] = torch.cat(said)[-COUNT:] != data.train.labels[last]
    found = asked.written["online_error_set"]
    assert torch.equal(found, wanted)
    assert not torch.equal(found, error_set(model, data)), "an evaluation pass at the end says the same: a weak test"


def test_an_example_that_the_last_epoch_leaves_out_keeps_no_earlier_verdict():
    """53 examples in batches of 13: a last batch of one is left out, another example in each epoch."""
    earlier = set()
    for seed in range(10):
        model, data = network(), source()
        said: list[Tensor] = []
        model.register_forward_hook(lambda module, images, logits, said=said: said.append(logits.detach().argmax(1)))
        asked = context(data, batch_size=13)
        asked.order.manual_seed(seed)
        jtt_identify(model, data, asked)
        first, last = data.order[:52], data.order[52:]
        (left_out,) = set(range(COUNT)) - set(last.tolist())
        wrong = torch.cat(said) != data.train.labels[data.order]
        earlier |= set(wrong[:52][first == left_out].tolist())
        found = asked.written["online_error_set"]
        assert not found[left_out]
        assert torch.equal(found[last], wrong[52:])
    assert True in earlier, "no example that was wrong in the first epoch was left out of the last: a weak test"


def test_jtt_takes_the_errors_that_identification_noted_and_not_the_references():
    noted = torch.arange(COUNT) % 4 == 1
    watch = caught(jtt, reference=reference(), earlier={"online_error_set": noted}, upweight=3)
    assert torch.equal(torch.bincount(watch.sampling, minlength=COUNT), torch.where(noted, 3, 1))
    assert torch.equal(watch.written["error_set"], noted)
    assert not torch.equal(noted, error_set(reference(), source()))
    with pytest.raises(BenchbiasError, match="error set is empty"):
        caught(jtt, reference=reference(), earlier={"online_error_set": noted & False})
