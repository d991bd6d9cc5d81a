"""Captured steps leave the bytes of eager ones; what cannot be captured is made eagerly, and is told."""

from __future__ import annotations

import contextlib
import copy
import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import optimizer as optimizers
from torch.optim.optimizer import register_optimizer_step_pre_hook

import benchbias
from benchbias.data.augment import AUGMENTATIONS
from benchbias.data.values import Batch, Split, TrainingData
from benchbias.network.counting import counted_work
from benchbias.sparse.holding import Holder, Updates, holding
from benchbias.sparse.masks import Mask
from benchbias.suite.tables import Recipe
from benchbias.training import fit as training
from benchbias.training.captured import COMPARED, LEAST, WARM_UP
from benchbias.training.fit import cross_entropy, fit
from benchbias.training.graphs import graph_maker
from benchbias.training.losses import weighted_cross_entropy

EPOCHS, COUNT, BATCH = 16, 72, 16  # four full batches and a short one
FULL = EPOCHS * (COUNT // BATCH)


class Replay:
    """A graph's stand-in on the CPU: it keeps the step, and runs it again on the same tensors."""

    def __init__(self, made: list[Replay]) -> None:
        made.append(self)
        self.besides = self.replays = 0
        self.step: Callable[[], None] | None = None

    @contextlib.contextmanager
    def beside(self) -> Iterator[None]:
        self.besides += 1
        yield

    def capture(self, step: Callable[[], None]) -> None:
        self.step = step

    def replay(self) -> None:
        assert self.step is not None
        self.step()
        self.replays += 1


class Silent(Replay):
    """As a real graph does, it counts no step of a holder, and multiplies by the tensors that were there at first."""

    def capture(self, step: Callable[[], None]) -> None:
        super().capture(step)
        self.holders = [
            owner
            for hook in optimizers._global_optimizer_pre_hooks.values()
            if isinstance(owner := getattr(hook, "__self__", None), Holder)
        ]
        self.factors = [list(holder.factors) for holder in self.holders]
        for holder in self.holders:
            holder.step += holder.leader is not None  # its hooks run while the step is recorded

    def replay(self) -> None:
        now = [(holder.step, holder.factors) for holder in self.holders]
        for holder, factors in zip(self.holders, self.factors, strict=True):
            holder.factors = factors
        super().replay()
        for holder, (step, factors) in zip(self.holders, now, strict=True):
            holder.step, holder.factors = step, factors


class Broken(Replay):
    """A graph that cannot be captured."""

    def capture(self, step: Callable[[], None]) -> None:
        raise RuntimeError("operation not permitted when stream is capturing\nmore lines")


class Wrong(Replay):
    """A graph that leaves other bytes from its third replay on, as a model does that Python steers."""

    def __init__(self, made: list[Replay], spoil: Callable[[], Tensor]) -> None:
        super().__init__(made)
        self.spoil = spoil

    def replay(self) -> None:
        super().replay()
        if self.replays >= 3:
            self.spoil().data.flatten()[0] += 1


def given(augment: str = "none") -> TrainingData:
    stream = torch.Generator().manual_seed(4)
    images = torch.randint(0, 256, (COUNT, 3, 8, 8), generator=stream, dtype=torch.uint8)
    whole = Split(images, torch.randint(0, 2, (COUNT,), generator=stream), 2, "train")
    return TrainingData(whole, whole, (0.5, 0.4, 0.3), (0.2,) * 3, BATCH, augment, torch.Generator().manual_seed(5))


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2), nn.Flatten(), nn.Linear(144, 2)
    )


def recipe(**changes: Any) -> Recipe:
    plain = {"epochs": EPOCHS, "batch_size": BATCH, "lr": 0.02, "weight_decay": 0.01, "schedule": "onecycle"}
    return Recipe.model_validate({**plain, "optimizer": "adamw", **changes})


class Trained:
    """A network trained, with all that training leaves: weights, buffers, gradients, losses, random streams."""

    def __init__(self, chosen: Recipe, augment: str = "none", **arguments: Any) -> None:
        torch.manual_seed(7)
        self.model, data, order = network(), given(augment), torch.Generator().manual_seed(3)
        torch.manual_seed(8)
        arguments = {key: value(self.model) if key == "within" else value for key, value in arguments.items()}
        with arguments.pop("within", contextlib.nullcontext()):
            self.report = fit(self.model, data, chosen, order, **arguments)
        self.streams = [torch.get_rng_state(), order.get_state(), data.augment_generator.get_state()]

    def check_equal(self, other: Trained) -> None:
        assert self.report == other.report
        ours, theirs = self.model.state_dict(), other.model.state_dict()
        assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
        for one, two in zip(self.model.parameters(), other.model.parameters(), strict=True):
            assert torch.equal(one.grad, two.grad)
        assert all(torch.equal(one, two) for one, two in zip(self.streams, other.streams, strict=True))


def capturing(monkeypatch: pytest.MonkeyPatch, kind: Callable[[list[Replay]], Any] = Silent) -> list[Any]:
    """From here on `fit` captures its steps with such graphs; those that are made are in the list."""
    made: list[Any] = []
    monkeypatch.setattr(training, "graph_maker", lambda device: lambda: kind(made))
    return made


AUGMENTED = [("sgd", "shift"), ("adamw", "none")]
MORE = [(one, how) for one in ("sgd", "adam", "adamw") for how in AUGMENTATIONS if (one, how) not in AUGMENTED]


@pytest.mark.parametrize(
    ("optimizer", "augment"), [*AUGMENTED, *(pytest.param(*pair, marks=pytest.mark.slow) for pair in MORE)]
)
def test_captured_steps_leave_the_bytes_of_eager_ones(optimizer, augment, monkeypatch, capsys):
    eager = Trained(recipe(optimizer=optimizer), augment)
    made = capturing(monkeypatch)
    Trained(recipe(optimizer=optimizer), augment).check_equal(eager)
    assert [graph.besides for graph in made] == [WARM_UP]
    assert [graph.replays for graph in made] == [FULL - WARM_UP]
    assert capsys.readouterr().out == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        *({"schedule": name} for name in ("constant", "cosine", "halving")),
        {"schedule": "steps", "drops": [0.3, 0.7]},
        {"channels_last": True},
        {"precision": "bfloat16"},
        {"optimizer": "sgd", "nesterov": True},
    ],
    ids=str,
)
def test_captured_steps_follow_the_recipe(changes, monkeypatch):
    eager = Trained(recipe(**changes))
    made = capturing(monkeypatch)
    Trained(recipe(**changes)).check_equal(eager)
    assert made[0].replays == FULL - WARM_UP


@pytest.mark.slow
@pytest.mark.parametrize("sampling", [torch.arange(COUNT).repeat(2), torch.arange(1.0, COUNT + 1)])
def test_captured_steps_see_the_sampled_examples_and_weights(sampling, monkeypatch):
    loss = weighted_cross_entropy(torch.linspace(0.5, 2, COUNT))
    eager = Trained(recipe(), "shift", sampling=sampling, loss=loss)
    made = capturing(monkeypatch)
    Trained(recipe(), "shift", sampling=sampling, loss=loss).check_equal(eager)
    assert made[0].replays > LEAST - WARM_UP


def test_a_frozen_part_stays_and_unfreezing_it_captures_anew(monkeypatch):
    def thaw(epoch: int, model: nn.Module) -> None:
        model[0].weight.requires_grad_(epoch >= 8)

    def trained() -> Trained:
        return Trained(recipe(), after_epoch=thaw)

    eager = trained()
    made = capturing(monkeypatch)
    trained().check_equal(eager)
    assert len(made) > 1


def alternating(model: nn.Module) -> tuple[Mask, Callable[..., Mask]]:
    """A mask, and one that is drawn anew at each update from what was seen: gradients, and the step."""
    stream = torch.Generator().manual_seed(11)
    weights = {name: p for name, p in model.named_parameters() if p.ndim > 1}

    def change(step: int, dense: dict[str, Tensor]) -> Mask:
        return Mask(
            {name: (dense[name].abs() + torch.rand(w.shape, generator=stream)) > 0.4 for name, w in weights.items()}
        )

    return Mask({name: torch.rand(w.shape, generator=stream) > 0.5 for name, w in weights.items()}), change


@contextlib.contextmanager
def held(model: nn.Module, kept: list[Holder], updates: Updates | None) -> Iterator[None]:
    mask, change = alternating(model)
    holder = Holder(model, mask, updates, change if updates is not None else None)
    holder.begin(EPOCHS * 5)
    kept.append(holder)
    with holding(holder):
        yield


UPDATES = [
    None,
    Updates(every=7),
    Updates(every=9, skip_step=True),
    Updates(every=8, after_step=True, mask_gradients=False),
    Updates(every=1, until=0.5),
    Updates(every=6, ramp="cubic", reset_state=False),
]


@pytest.mark.parametrize(
    ("updates", "kind"),
    [
        (UPDATES[1], Silent),
        *(
            pytest.param(updates, kind, marks=pytest.mark.slow)
            for updates, kind in itertools.product(UPDATES, (Silent, Replay))
        ),
    ],
    ids=str,
)
def test_masks_hold_and_change_at_the_same_steps_to_the_same_masks(updates, kind, monkeypatch):
    holders: list[Holder] = []
    within = functools.partial(held, kept=holders, updates=updates)
    eager = Trained(recipe(optimizer="sgd"), within=within)
    made = capturing(monkeypatch, kind)
    captured = Trained(recipe(optimizer="sgd"), within=within)
    assert holders[0].history == holders[1].history
    assert holders[0].step == holders[1].step == EPOCHS * 5
    assert all(torch.equal(holders[0].mask.tensors[n], t) for n, t in holders[1].mask.tensors.items())
    captured.check_equal(eager)
    assert made[0].replays > COMPARED
    if updates is not None:
        assert len(holders[0].history) > 1
        assert made[0].replays < FULL - WARM_UP


CURRENT: list[nn.Module] = []
plain_network = network


def remembered() -> nn.Module:
    CURRENT.append(plain_network())
    return CURRENT[-1]


def test_a_mask_on_another_model_counts_no_step(monkeypatch):
    other = network()
    holder = Holder(other, *alternating(other)[:1], Updates(every=2), alternating(other)[1])
    holder.begin(1000)
    eager = Trained(recipe())
    made = capturing(monkeypatch)
    with holding(holder):
        Trained(recipe()).check_equal(eager)
    assert made[0].replays == FULL - WARM_UP
    assert holder.step == 0


@pytest.mark.parametrize(
    ("kind", "told", "replays"),
    [
        (Broken, "the capture failed (operation not permitted when stream is capturing)", 0),
        (lambda made: Wrong(made, lambda: CURRENT[-1][5].bias), "left other bytes in parameter 5.bias", 3),
    ],
)
def test_what_fails_or_differs_is_said_once_and_the_eager_steps_stand(kind, told, replays, monkeypatch, capsys):
    eager = Trained(recipe(), "shift")
    made = capturing(monkeypatch, kind)
    monkeypatch.setattr(f"{__name__}.network", remembered)
    Trained(recipe(), "shift").check_equal(eager)
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert said.startswith("training steps are made one operation after another, not captured: ")
    assert told in said
    assert sum(graph.replays for graph in made) == replays


class Counting(nn.Identity):
    """A module that says of itself that Python counts in it."""

    capturable = False


@contextlib.contextmanager
def hooked(model: nn.Module) -> Iterator[None]:
    handle = model[0].register_forward_hook(lambda *_: None)
    yield
    handle.remove()


@contextlib.contextmanager
def watched_optimizers(model: nn.Module) -> Iterator[None]:
    handle = register_optimizer_step_pre_hook(lambda *_: None)
    yield
    handle.remove()


@contextlib.contextmanager
def with_gradient_hook(model: nn.Module) -> Iterator[None]:
    handle = model[0].weight.register_hook(lambda gradient: gradient * 2)
    yield
    handle.remove()


@contextlib.contextmanager
def counting_module(model: nn.Module) -> Iterator[None]:
    model.append(Counting())
    yield


@contextlib.contextmanager
def counted(model: nn.Module) -> Iterator[None]:
    with counted_work():
        yield


@pytest.mark.parametrize(
    ("within", "told"),
    [
        (hooked, "a hook watches"),
        *(
            pytest.param(*more, marks=pytest.mark.slow)
            for more in (
                (watched_optimizers, "a hook watches"),
                (with_gradient_hook, "a hook watches"),
                (counting_module, "capturable = False"),
                (counted, "dispatch mode"),
            )
        ),
    ],
)
def test_what_runs_python_at_each_step_is_not_captured(within, told, monkeypatch, capsys):
    eager = Trained(recipe(), within=within)
    made = capturing(monkeypatch)
    Trained(recipe(), within=within).check_equal(eager)
    assert made == []
    assert told in capsys.readouterr().out


def test_a_hook_that_comes_later_ends_captured_steps(monkeypatch, capsys):
    seen: list[int] = []

    def watch(epoch: int, model: nn.Module) -> None:
        if epoch == 8:
            model[0].register_forward_hook(lambda *_: seen.append(1))

    eager = Trained(recipe(), after_epoch=watch)
    calls, made = len(seen), capturing(monkeypatch)
    Trained(recipe(), after_epoch=watch).check_equal(eager)
    assert len(seen) == 2 * calls > 0
    assert made[0].replays < FULL - WARM_UP
    assert "a hook watches" in capsys.readouterr().out


def undeclared(model: nn.Module, batch: Batch) -> Tensor:
    return cross_entropy(model, batch)


@functools.wraps(cross_entropy)
def wrapping(model: nn.Module, batch: Batch) -> Tensor:
    return cross_entropy(model, batch)


@pytest.mark.parametrize("loss", [pytest.param(undeclared, marks=pytest.mark.slow), wrapping])
def test_a_loss_is_captured_only_where_it_is_declared_itself(loss, monkeypatch, capsys):
    eager = Trained(recipe(), "shift", loss=loss)
    made = capturing(monkeypatch)
    Trained(recipe(), "shift", loss=loss).check_equal(eager)
    assert made == []
    assert "not declared with benchbias.capturable" in capsys.readouterr().out


class Pooled(Silent):
    """As a real graph does, it has gradients of its own, which a parameter has only while nobody gives it others."""

    def capture(self, step: Callable[[], None]) -> None:
        super().capture(step)
        self.pool = [(p, torch.zeros_like(p)) for p in CURRENT[-1].parameters()]
        for parameter, own in self.pool:
            parameter.grad = own

    def replay(self) -> None:
        before = [parameter.grad for parameter, _ in self.pool]
        super().replay()
        for (parameter, own), gradient in zip(self.pool, before, strict=True):
            own.copy_(parameter.grad)
            parameter.grad = gradient


def test_gradients_are_those_of_the_last_step_however_it_was_made(monkeypatch):
    monkeypatch.setattr(f"{__name__}.network", remembered)
    for sampling in (None, torch.arange(4 * BATCH)):  # a short eager batch at the end of each epoch, and none
        monkeypatch.setattr(training, "graph_maker", graph_maker)
        eager = Trained(recipe(), sampling=sampling)
        made = capturing(monkeypatch, Pooled)
        Trained(recipe(), sampling=sampling).check_equal(eager)
        assert made[0].replays == FULL - WARM_UP


def test_a_plugins_loss_can_be_declared(monkeypatch):
    @benchbias.capturable
    def loss(model: nn.Module, batch: Batch) -> Tensor:
        return cross_entropy(model, batch) * 2

    eager = Trained(recipe(), loss=loss)
    made = capturing(monkeypatch)
    Trained(recipe(), loss=loss).check_equal(eager)
    assert made[0].replays == FULL - WARM_UP


def test_plateau_and_short_trainings_are_eager(monkeypatch, capsys):
    chosen = recipe(schedule="plateau", patience=0)
    eager = Trained(chosen), Trained(recipe(epochs=3))
    made = capturing(monkeypatch)
    Trained(chosen).check_equal(eager[0])
    assert "plateau" in capsys.readouterr().out
    Trained(recipe(epochs=3)).check_equal(eager[1])
    assert made == []


def test_images_that_are_not_on_the_device_are_not_captured(monkeypatch):
    data = given()
    split = copy.copy(data.train)
    object.__setattr__(split, "images", torch.empty(COUNT, 3, 8, 8, dtype=torch.uint8, device="meta"))
    from benchbias.training.captured import refusal
    from benchbias.training.stepping import Stepping

    elsewhere = TrainingData(split, split, data.mean, data.std, BATCH)
    stepping = Stepping(network(), elsewhere, cross_entropy, None, [], iter(()), None, False)
    assert "do not fit on the card" in str(refusal(stepping))


def test_nothing_is_captured_on_a_cpu_and_no_card_is_asked_for(monkeypatch):
    def no_card(*_: object) -> None:
        raise AssertionError("a card was asked for")

    for name in ("current_stream", "Stream", "CUDAGraph", "get_rng_state", "synchronize", "_lazy_init"):
        monkeypatch.setattr(torch.cuda, name, no_card)
    assert graph_maker(torch.device("cpu")) is None
    Trained(recipe(epochs=1))
