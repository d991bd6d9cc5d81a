"""Networks trained at once are those trained one after another, up to rounding; what does not fit is alone."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchbias.data.values import Split, TrainingData
from benchbias.sparse.holding import Holder, Updates, holding
from benchbias.sparse.masks import Mask
from benchbias.suite.tables import Recipe
from benchbias.training.fit import cross_entropy, fit, logits
from benchbias.training.losses import weighted_cross_entropy
from benchbias.training.population import Member, Trained, fit_together
from benchbias_plugins.networks.conv_encoder import conv_encoder
from benchbias_plugins.networks.lenet import lenet_small
from benchbias_plugins.networks.literature.cifar import resnet20, wide_resnet22_2
from benchbias_plugins.networks.literature.resnet import resnet18, resnet50
from benchbias_plugins.networks.literature.vit import vit
from benchbias_plugins.networks.small_networks import lenet, mlp, simple_cnn
from support.zoo import FITTING

SHAPE, CLASSES = (3, 16, 16), 2
RECIPE = Recipe(epochs=5, batch_size=8, lr=0.01, weight_decay=0.01)  # two batches an epoch: ten steps
NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "lenet_small": lambda *form: lenet_small(*form, width=0.25),
    "lenet": lambda *form: lenet(*form, width=0.5),
    "simple_cnn": lambda *form: simple_cnn(*form, width=0.05),
    "mlp": mlp,
    "conv_encoder": lambda *form: conv_encoder(*form, width=0.1, dropout=0.0),
}
QUICK = ("lenet_small", "simple_cnn")  # without and with batch norm
LARGE: dict[str, Callable[..., nn.Module]] = {
    "resnet18": lambda *form: resnet18(*form, Path()),
    "resnet50": lambda *form: resnet50(*form, Path()),
    "resnet20": resnet20,
    "wide_resnet22_2": lambda *form: wide_resnet22_2(*form, dropout=0.0),
    "vit": lambda *form: vit(*form, Path()),
}


class InFloat64(nn.Module):
    """A network that computes in float64, in which rounding grows to nothing."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.double()

    def forward(self, images: Tensor) -> Any:
        return self.network(images.double())


def data_of(seed: int, shape: tuple[int, ...] = SHAPE, size: int = 13, augment: str = "none") -> TrainingData:
    stream = torch.Generator().manual_seed(seed)
    splits = []
    for name in ("train", "val"):
        images = torch.randint(0, 256, (size, *shape), generator=stream, dtype=torch.uint8)
        splits.append(Split(images, torch.randint(0, CLASSES, (size,), generator=stream), CLASSES, name))
    mean, std = (0.5,) * shape[0], (0.3,) * shape[0]
    return TrainingData(*splits, mean, std, 8, augment, torch.Generator().manual_seed(seed))


def made(network: Callable[[], nn.Module], seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return network()


def population(network: Callable[[], nn.Module], count: int = 3, recipe: Recipe = RECIPE, **more: Any) -> list[Member]:
    data = {name: more.pop(name) for name in ("shape", "size", "augment") if name in more}
    streams = [torch.Generator().manual_seed(100 + seed) for seed in range(count)]
    return [Member(made(network, seed), data_of(seed, **data), recipe, streams[seed], **more) for seed in range(count)]


def one_after_another(members: list[Member]) -> list[Any]:
    reports = []
    for one in members:
        with holding(one.holder) if one.holder is not None else nullcontext():
            arguments = {name: getattr(one, name) for name in ("loss", "parameters", "sampling", "after_epoch")}
            reports.append(fit(one.model, one.data, one.recipe, one.order, **arguments))
    return reports


def agree(make: Callable[[], list[Member]], *, tolerance: float = 2e-4) -> list[Trained]:
    """Train the same members both ways; what they are then, and what is told, must be alike."""
    apart, together = make(), make()
    begun = [{name: value.clone() for name, value in one.model.state_dict().items()} for one in apart]
    expected = one_after_another(apart)
    found = fit_together(together)
    for one, other, trained, report, was in zip(together, apart, found, expected, begun, strict=True):
        assert (trained.report.steps, trained.report.examples) == (report.steps, report.examples)
        assert trained.report.losses == pytest.approx(report.losses, rel=1e-3, abs=1e-4)
        wanted = other.model.state_dict()
        moved = 0.0
        for name, value in one.model.state_dict().items():
            torch.testing.assert_close(value, wanted[name], rtol=tolerance, atol=tolerance, equal_nan=True)
            moved += float((wanted[name].double() - was[name].double()).nan_to_num().abs().sum())
        assert moved > 5 * tolerance, "it was trained at all"
        assert torch.equal(one.order.get_state(), other.order.get_state())
        assert torch.equal(one.data.augment_generator.get_state(), other.data.augment_generator.get_state())
    return found


def in_one_stack(found: list[Trained]) -> bool:
    return all(one.together == len(found) and not one.why for one in found)


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in NETWORKS]
)
def test_ten_steps_at_once_are_ten_steps_one_after_another(name: str):
    assert in_one_stack(agree(lambda: population(lambda: NETWORKS[name](SHAPE, CLASSES))))


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_so_it_is_with_deep_networks(name: str):
    recipe, shape = RECIPE.model_copy(update={"epochs": 2}), (3, 32, 32)

    def members() -> list[Member]:
        return population(lambda: InFloat64(LARGE[name](shape, CLASSES)), 2, recipe, shape=shape)

    assert in_one_stack(agree(members, tolerance=1e-7))


@pytest.mark.slow
@pytest.mark.parametrize("name", FITTING)
def test_any_network_is_trained_as_it_would_be_alone_at_once_or_not(name: str):
    """Networks that draw numbers have no equal of theirs: they are alone, and that is told."""
    recipe = RECIPE.model_copy(update={"epochs": 2})
    make = FITTING[name].make

    def members() -> list[Member]:
        own = make if name == "bfloat16" else lambda: InFloat64(make())  # which wants images of its own format
        return population(own, 2, recipe, shape=(3, 8, 8))

    trained = fit_together(members())
    assert all((one.together == 2) is not bool(one.why) for one in trained)
    if trained[0].together == 2:
        agree(members, tolerance=1e-7)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"optimizer": "adam", "lr": 1e-3}, marks=pytest.mark.slow),
        {"optimizer": "adamw", "lr": 1e-3, "schedule": "onecycle"},
        pytest.param({"momentum": 0.9, "nesterov": True, "schedule": "cosine"}, marks=pytest.mark.slow),
        pytest.param({"schedule": "steps", "drops": [0.5]}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_every_optimizer_and_every_schedule_of_one_rate(changed: dict[str, Any]):
    recipe = RECIPE.model_copy(update=changed)
    assert in_one_stack(agree(lambda: population(lambda: simple_cnn(SHAPE, CLASSES, width=0.05), recipe=recipe)))


def test_augmentations_are_drawn_from_each_members_own_stream():
    assert in_one_stack(agree(lambda: population(lambda: lenet_small(SHAPE, CLASSES, width=0.25), augment="flip-crop")))


def test_weights_of_examples_and_orders_may_differ():
    def weighted() -> list[Member]:
        members = population(lambda: lenet_small(SHAPE, CLASSES, width=0.25))
        weights = [torch.rand(13, generator=torch.Generator().manual_seed(seed)) + 0.1 for seed in range(3)]
        return [replace(one, loss=weighted_cross_entropy(own)) for one, own in zip(members, weights, strict=True)]

    def repeated() -> list[Member]:
        members = population(lambda: lenet_small(SHAPE, CLASSES, width=0.25))
        chosen = [torch.randint(0, 13, (15,), generator=torch.Generator().manual_seed(seed)) for seed in range(3)]
        return [replace(one, sampling=own) for one, own in zip(members, chosen, strict=True)]

    def drawn() -> list[Member]:
        members = population(lambda: lenet_small(SHAPE, CLASSES, width=0.25))
        return [replace(one, sampling=torch.arange(1.0, 14.0) + seed) for seed, one in enumerate(members)]

    for make in (weighted, repeated, drawn):
        assert in_one_stack(agree(make))


@pytest.mark.parametrize("mask_gradients", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_fixed_masks_hold_each_its_own(mask_gradients: bool):
    kept: list[list[Member]] = []

    def masked() -> list[Member]:
        members = []
        for seed, one in enumerate(population(lambda: simple_cnn(SHAPE, CLASSES, width=0.05))):
            stream = torch.Generator().manual_seed(seed)
            weights = {n: p for n, p in one.model.named_parameters() if p.ndim > 1}
            mask = Mask({n: torch.rand(p.shape, generator=stream) < 0.5 for n, p in weights.items()})
            members.append(replace(one, holder=Holder(one.model, mask, Updates(mask_gradients=mask_gradients))))
        kept.append(members)
        return members

    assert in_one_stack(agree(masked))
    for one in kept[1]:
        assert one.holder is not None
        assert one.holder.step == 10
        named = dict(one.model.named_parameters())
        assert all(not named[name][~mask].any() for name, mask in one.holder.mask.tensors.items())


def test_frozen_parameters_and_a_choice_of_parameters_stay():
    def frozen() -> list[Member]:
        members = population(lambda: lenet_small(SHAPE, CLASSES, width=0.25))
        for one in members:
            one.model.get_parameter("conv1.weight").requires_grad_(False)
        return [replace(one, parameters=[*one.model.parameters()][:4]) for one in members]

    members = frozen()
    assert members[0].chosen == ["conv1.bias", "conv2.weight", "conv2.bias"]
    assert in_one_stack(agree(frozen))


def test_after_each_epoch_a_member_is_seen_and_may_be_changed_in_its_own_streams():
    entered: list[int] = []

    def watched() -> list[Member]:
        def member(seed: int, one: Member) -> Member:
            @contextmanager
            def streams() -> Iterator[None]:
                entered.append(seed)
                yield

            def halve(epoch: int, model: nn.Module) -> None:
                assert model is one.model
                assert model.training
                logits(model, one.data, one.data.val)  # in evaluation mode meanwhile, as a choice of epochs does
                if epoch == 2:
                    with torch.no_grad():
                        model.get_parameter("fc3.weight").mul_(0.5)

            return replace(one, after_epoch=halve, streams=streams)

        made_ones = population(lambda: lenet_small(SHAPE, CLASSES, width=0.25))
        return [member(seed, one) for seed, one in enumerate(made_ones)]

    assert in_one_stack(agree(watched))
    assert entered == [0, 1, 2] * 5


def test_one_that_diverges_harms_no_other():
    def members() -> list[Member]:
        found = population(lambda: lenet_small(SHAPE, CLASSES, width=0.25))
        with torch.no_grad():
            found[1].model.get_parameter("fc3.weight").fill_(torch.inf)
        return found

    apart, together = members(), members()
    one_after_another(apart)
    assert in_one_stack(fit_together(together))
    for number in (0, 2):
        for name, value in together[number].model.state_dict().items():
            torch.testing.assert_close(value, apart[number].model.state_dict()[name], rtol=2e-4, atol=2e-4)
    assert not torch.isfinite(together[1].model.get_parameter("fc3.weight")).all()


class Noisy(nn.Module):
    """A linear network; `kind` says what of it no stack can have."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.head, self.drop = kind, nn.Linear(768, CLASSES), nn.Dropout(0.5 if kind == "drop" else 0.0)

    def forward(self, images: Tensor) -> Tensor:
        flat = self.drop(images.flatten(1)) if self.kind == "drop" else images.flatten(1)
        if self.kind == "value" and float(flat.sum()) > 1e9:
            return flat
        answer: Tensor = self.head(flat)
        return answer


def with_hook() -> nn.Module:
    model = Noisy("hooked")
    model.head.register_forward_hook(lambda module, args, output: output * 2)
    return model


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (lambda: Noisy("drop"), "random"),
        (lambda: Noisy("value"), "cannot stack"),
        (with_hook, "has hooks"),
        (lambda: conv_encoder(SHAPE, CLASSES, width=0.1), "random"),
    ],
    ids=["dropout", "value", "hook", "conv_encoder"],
)
def test_a_network_that_cannot_be_stacked_is_trained_alone_to_the_same_bytes(
    network: Callable[[], nn.Module], words: str
):
    apart, together = population(network, 2), population(network, 2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        one_after_another(apart)
        torch.manual_seed(5)
        found = fit_together(together)
    assert all(words in one.why and one.together == 1 for one in found), found
    for one, other in zip(together, apart, strict=True):
        assert all(
            torch.equal(a, b)
            for a, b in zip(one.model.state_dict().values(), other.model.state_dict().values(), strict=True)
        )


def own_loss(model: nn.Module, batch: Any) -> Tensor:
    return cross_entropy(model, batch) * 2


def changing(member: Member) -> Member:
    mask = Mask({"fc3.weight": torch.ones(2, 21, dtype=torch.bool)})
    return replace(member, holder=Holder(member.model, mask, Updates(), lambda step, dense: mask))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda one: replace(one, recipe=RECIPE.model_copy(update={"schedule": "plateau"})), "plateau"),
        (lambda one: replace(one, recipe=RECIPE.model_copy(update={"channels_last": True})), "channels_last"),
        (lambda one: replace(one, recipe=RECIPE.model_copy(update={"lr": 0.02})), "another recipe"),
        (lambda one: replace(one, loss=own_loss), "its loss"),
        (lambda one: replace(one, loss=weighted_cross_entropy(torch.ones(13))), "another kind of loss"),
        (lambda one: replace(one, data=data_of(7, size=14)), "another number of examples"),
        (lambda one: replace(one, sampling=torch.arange(12)), "another number of examples"),
        (lambda one: replace(one, data=data_of(7, augment="shift")), "another augmentation"),
        (lambda one: replace(one, model=lenet_small(SHAPE, CLASSES, width=0.3)), "another network"),
        (lambda one: replace(one, parameters=[*one.model.parameters()][:2]), "another choice of parameters"),
        (changing, "its mask changes"),
    ],
)
def test_what_differs_in_more_than_seeds_is_trained_alone_and_says_why(change: Callable[[Member], Member], words: str):
    def members() -> list[Member]:
        found = population(lambda: lenet_small(SHAPE, CLASSES, width=0.25))
        return [found[0], change(found[1]), found[2]]

    odd = members()[1]
    alone = copy.deepcopy(odd.model)
    with holding(odd.holder) if odd.holder is not None else nullcontext():
        found = fit_together(together := members())
    assert [one.together for one in found] == [2, 1, 2]
    assert words in found[1].why
    arguments = {name: getattr(odd, name) for name in ("loss", "sampling")}
    parameters = None if odd.parameters is None else [*alone.parameters()][:2]
    fit(alone, odd.data, odd.recipe, odd.order, parameters=parameters, **arguments)
    if "network" not in words:  # which is made anew each time
        assert all(
            torch.equal(value, alone.state_dict()[name]) for name, value in together[1].model.state_dict().items()
        )


def test_a_member_without_any_other_is_alone():
    (found,) = fit_together(population(lambda: lenet_small(SHAPE, CLASSES, width=0.25), 1))
    assert (found.together, found.why) == (1, "there is no other")
    assert fit_together([]) == []
