"""fit(): each example once an epoch, sampling as documented, determinism by role, selection by the validation split."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from benchbias.data.values import Split, TrainingData
from benchbias.errors import ComponentError, UsageError
from benchbias.stages.seeding import generator, seed_for
from benchbias.suite.settings import Setting, recipe_of
from benchbias.suite.tables import LATER_RECIPE_KEYS, Recipe
from benchbias.training import fit as training
from benchbias.training.context import TrainContext, head_name, prunable_weights
from benchbias.training.fit import EpochSelector, epoch_quality, fit, validation_loss, worst_share


def split(count: int, name: str = "train") -> Split:
    stream = torch.Generator().manual_seed(count)
    images = torch.randint(0, 256, (count, 3, 8, 8), generator=stream, dtype=torch.uint8)
    return Split(images, torch.arange(count) % 2, 2, name)


def data(count: int = 50, augment: str = "none") -> TrainingData:
    stream = torch.Generator().manual_seed(1)
    return TrainingData(split(count), split(20, "val"), (0.5,) * 3, (1.0,) * 3, 16, augment, stream)


def model(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))


def recipe(**changes: object) -> Recipe:
    return Recipe.model_validate({"epochs": 2, "batch_size": 16, "lr": 0.05, **changes})


class Watch:
    """A loss that notes which examples it sees."""

    def __init__(self) -> None:
        self.batches: list[torch.Tensor] = []

    def __call__(self, model: nn.Module, batch) -> torch.Tensor:
        self.batches.append(batch.index)
        return nn.functional.cross_entropy(model(batch.images), batch.labels)


def test_each_epoch_sees_every_example_once_in_a_new_order():
    watch = Watch()
    fit(model(), data(50), recipe(), torch.Generator().manual_seed(0), loss=watch)
    seen = torch.cat(watch.batches).view(2, 50)
    assert (seen.sort(dim=1).values == torch.arange(50)).all()
    assert not torch.equal(seen[0], seen[1])


def test_index_sampling_sees_each_entry_once_an_epoch():
    watch = Watch()
    copies = torch.tensor([3, 3, 3, 7, 9, 9])
    fit(model(), data(50), recipe(epochs=1), torch.Generator().manual_seed(0), loss=watch, sampling=copies)
    assert torch.cat(watch.batches).sort().values.tolist() == [3, 3, 3, 7, 9, 9]


def test_weight_sampling_draws_in_proportion_and_never_weight_zero():
    watch = Watch()
    weights = torch.zeros(50)
    weights[4], weights[5] = 3.0, 1.0
    fit(model(), data(50), recipe(epochs=40), torch.Generator().manual_seed(0), loss=watch, sampling=weights)
    seen = torch.bincount(torch.cat(watch.batches), minlength=50)
    assert seen.sum() == 40 * 50
    assert seen[4] + seen[5] == 40 * 50
    assert seen[4] / seen[5] == pytest.approx(3.0, rel=0.15)  # 2,000 draws: four standard errors


def test_sampling_each_index_once_is_plain_training_bit_for_bit():
    one, other = model(), model()
    fit(one, data(), recipe(), torch.Generator().manual_seed(0))
    fit(other, data(), recipe(), torch.Generator().manual_seed(0), sampling=torch.arange(50))
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


@pytest.mark.parametrize(("count", "steps"), [(48, 3), (49, 3), (50, 4), (1, 1), (16, 1), (17, 1)])
def test_a_last_batch_of_one_is_left_out(count: int, steps: int):
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    report = fit(net, data(count), recipe(epochs=1), torch.Generator())
    assert report.steps == steps


@pytest.mark.parametrize("schedule", ["constant", "cosine", "onecycle", "plateau", "steps"])
@pytest.mark.parametrize("epochs", [1, 3])
def test_schedules_run_to_the_end(schedule: str, epochs: int):
    drops = [0.5] if schedule == "steps" else []
    made = recipe(schedule=schedule, epochs=epochs, drops=drops)
    assert fit(model(), data(), made, torch.Generator()).steps == 4 * epochs


def settings_of_each_step(key: str, **changes: object) -> list[float]:
    """What the optimizer is set to (lr, momentum, weight_decay) at every step."""
    seen: list[float] = []
    handle = register_optimizer_step_pre_hook(lambda optimizer, *_: seen.append(optimizer.param_groups[0][key]))
    try:
        fit(model(), data(), recipe(**changes), torch.Generator())
    finally:
        handle.remove()
    return seen


@pytest.mark.parametrize("epochs", [1, 6])
def test_the_constant_rate_stays_and_the_cosine_falls_to_nothing_after_the_last_step(epochs: int):
    steps = 4 * epochs
    assert settings_of_each_step("lr", epochs=epochs) == [0.05] * steps
    cosine = [0.05 * (1 + math.cos(math.pi * step / steps)) / 2 for step in range(steps)]
    assert settings_of_each_step("lr", epochs=epochs, schedule="cosine") == pytest.approx(cosine)


def test_the_rate_drops_after_each_given_fraction_of_the_steps():
    rates = settings_of_each_step("lr", epochs=5, schedule="steps", drops=[0.5, 0.8], drop_factor=0.2)
    assert rates == pytest.approx([0.05] * 10 + [0.01] * 6 + [0.002] * 4)


@pytest.mark.parametrize("patience", [0, 2])
def test_a_plateau_is_that_of_the_validation_loss(patience: int, monkeypatch: pytest.MonkeyPatch):
    """The rate falls once more than `patience` epochs in a row have not lowered the loss; then counting starts anew."""
    seen = iter(losses := [1.0, 0.5, 0.6, 0.5, 0.7, 0.9, 0.4, 0.4, 0.4, 0.4, 0.4, 0.1])
    monkeypatch.setattr(training, "validation_loss", lambda *_: next(seen))
    changes = {"epochs": len(losses), "schedule": "plateau", "patience": patience, "drop_factor": 0.5}
    rates = settings_of_each_step("lr", **changes)[::4]
    expected, rate, best, bad = [], 0.05, math.inf, 0
    for loss in losses:
        expected.append(rate)
        best, bad = (loss, 0) if loss < best else (best, bad + 1)
        if bad > patience:
            rate, bad = rate * 0.5, 0
    assert rates == pytest.approx(expected)
    assert len(set(rates)) > 1


def test_the_validation_loss_is_the_mean_cross_entropy_in_eval_mode():
    net = model()
    value = validation_loss(net, data())
    net.eval()
    whole = data().batch(data().val, torch.arange(20))
    assert value == pytest.approx(nn.functional.cross_entropy(net(whole.images), whole.labels).item(), rel=1e-5)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"schedule": "steps"}, "drops"),
        ({"drops": [0.5]}, "drops"),
        ({"nesterov": True, "optimizer": "adam"}, "nesterov"),
        ({"nesterov": True, "momentum": 0.0}, "nesterov"),
    ],
)
def test_recipes_that_do_not_fit_together_are_refused(table, told):
    with pytest.raises(UsageError, match=f"there.*{told}"):
        recipe_of({key: Setting(value, "there") for key, value in (Recipe().model_dump() | table).items()})


def test_recipe_keys_that_came_later_stand_in_no_inputs_at_their_defaults():
    plain = {key: Setting(value, "there") for key, value in Recipe().model_dump().items()}
    assert set(recipe_of(plain)) == set(Recipe.model_fields) - set(LATER_RECIPE_KEYS)
    assert recipe_of(plain | {"nesterov": Setting(True, "there")})["nesterov"] is True


@pytest.mark.parametrize("epochs", [6, 11])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_onecycle_rises_to_the_recipes_rate_in_a_fifth_of_the_steps_and_falls_to_almost_nothing(
    epochs: int, optimizer: str
):
    rates = settings_of_each_step("lr", epochs=epochs, schedule="onecycle", optimizer=optimizer)
    peak = (4 * epochs + 1) // 5 - 1  # a whole number of steps here
    assert rates[peak] == pytest.approx(0.05)
    assert all(earlier < later for earlier, later in itertools.pairwise(rates[: peak + 1]))
    assert all(earlier > later for earlier, later in itertools.pairwise(rates[peak:]))
    assert rates[0] < 0.1 * 0.05
    assert rates[-1] < 0.01 * 0.05


@pytest.mark.parametrize("schedule", ["constant", "cosine", "onecycle"])
@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_no_schedule_moves_momentum_or_weight_decay(schedule: str, momentum: float):
    changes = {"schedule": schedule, "momentum": momentum, "weight_decay": 0.02}
    assert set(settings_of_each_step("momentum", **changes)) == {momentum}
    assert set(settings_of_each_step("weight_decay", **changes)) == {0.02}


@pytest.mark.parametrize(("optimizer", "nesterov"), [("sgd", False), ("sgd", True), ("adam", False), ("adamw", False)])
def test_the_optimizers_are_torchs(optimizer: str, nesterov: bool):
    """One epoch of one batch equals the same step made by hand with torch's optimizer."""
    ours, theirs = model(), model()
    made = recipe(optimizer=optimizer, epochs=1, weight_decay=0.01, nesterov=nesterov)
    fit(ours, data(16), made, torch.Generator().manual_seed(3))
    order = torch.randperm(16, generator=torch.Generator().manual_seed(3))
    batch = data(16).batch(data(16).train, order)
    kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    extra = {"momentum": 0.9, "nesterov": nesterov} if optimizer == "sgd" else {}
    step = kinds[optimizer](theirs.parameters(), lr=0.05, weight_decay=0.01, **extra)
    theirs.train()
    nn.functional.cross_entropy(theirs(batch.images), batch.labels).backward()
    step.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_zero_epochs_change_nothing():
    net = model()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    assert fit(net, data(), recipe(epochs=0), torch.Generator()).steps == 0
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


def test_bfloat16_and_channels_last_train():
    net = model()
    report = fit(net, data(), recipe(precision="bfloat16", channels_last=True), torch.Generator())
    assert report.losses[-1] < 2


@pytest.mark.parametrize(("precision", "expected"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_the_forward_pass_has_the_recipes_precision(precision: str, expected: torch.dtype):
    found = set()

    def loss(model: nn.Module, batch) -> torch.Tensor:
        answers = model(batch.images)
        found.add(answers.dtype)
        return nn.functional.cross_entropy(answers, batch.labels)

    fit(model(), data(), recipe(precision=precision), torch.Generator(), loss=loss)
    assert found == {expected}


def test_only_the_given_parameters_move():
    net = model()
    frozen = net[0].weight.clone()
    fit(net, data(), recipe(), torch.Generator(), parameters=net[4].parameters())
    assert torch.equal(frozen, net[0].weight)
    assert net[4].weight.grad is not None


def test_selection_keeps_the_best_epoch_by_the_worst_kind_then_by_accuracy_then_the_first():
    chosen = recipe(epochs=6, select="val_worst_class", keep_epochs=[2, 5])
    source = data()
    selector = EpochSelector(chosen, source, source.val.labels)
    values, snapshots = [], []

    def after(epoch: int, net: nn.Module) -> None:
        selector.after_epoch(epoch, net)
        net.eval()
        right = torch.cat([net(b.images).argmax(1) == b.labels for b in source.batches(source.val)])
        worst = min(float(right[source.val.labels == label].double().mean()) for label in (0, 1))
        values.append((worst, float(right.double().mean())))
        snapshots.append({name: t.clone() for name, t in net.state_dict().items()})
        net.train()

    net = model()
    fit(net, source, chosen, torch.Generator().manual_seed(0), after_epoch=after)
    best = values.index(max(values)) + 1
    assert selector.finish(net) == best
    assert all(torch.equal(snapshots[best - 1][name], tensor) for name, tensor in net.state_dict().items())
    assert sorted(selector.kept) == [2, 5]
    assert torch.equal(selector.kept[5]["0.weight"], snapshots[4]["0.weight"])


class Planted(nn.Module):
    """A network that gets a planted set of the validation examples right: every image says its class and number."""

    def __init__(self, labels: torch.Tensor) -> None:
        super().__init__()
        self.labels, self.right = labels, torch.zeros(len(labels))
        self.epoch = nn.Parameter(torch.zeros(()))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        index = (255 * images[:, 0, 0, 0]).round().long()
        answer = torch.where(self.right[index].bool(), self.labels[index], 1 - self.labels[index])
        return nn.functional.one_hot(answer, 2).float()


def selected(select: str, kinds: list[int], epochs: list[list[int]]) -> int:
    """The epoch that is kept (from 1), where each epoch gets these validation examples right, of as many as kinds."""
    images = torch.arange(len(kinds), dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 8, 8).clone()
    val = Split(images, torch.arange(len(kinds)) % 2, 2, "val")
    source = replace(data(), val=val, mean=(0.0,) * 3, std=(1.0,) * 3)
    net = Planted(val.labels)
    selector = EpochSelector(recipe(epochs=len(epochs), select=select), source, torch.tensor(kinds))
    for epoch, right in enumerate(epochs, 1):
        net.right = torch.zeros(len(kinds)).index_fill(0, torch.tensor(right, dtype=torch.int64), 1.0)
        net.epoch.data.fill_(float(epoch))
        selector.after_epoch(epoch, net)
    best = selector.finish(net)
    assert best == float(net.epoch.detach())  # its weights are the kept ones
    return best


TINY = [0, 0, 0, 0, 0, 0, 0, 1, 2, 3]  # three parts of one example each, as the groups of a small validation split
MOST = [0, 1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("select", ["val_worst_class", "val_worst_group"])
def test_where_every_minimum_is_0_the_first_epoch_does_not_win_by_being_first(select: str):
    assert selected(select, TINY, [[0, 1], MOST, [*MOST, 8], [0]]) == 3
    assert selected(select, TINY, [[0, 1, 2], [3, 4, 5]]) == 1  # alike in both: the first
    assert selected(select, TINY, [[*MOST, 8, 9], [0, 7, 8, 9], [0, 1, 7, 8, 9]]) == 3  # a minimum above 0 goes first


HALF = [0] * 8 + [1] * 2  # eight aligned examples, two conflicting ones


def test_the_worse_of_aligned_and_conflicting_selects_and_accuracy_where_it_is_0():
    none_right = [[0, 1], [0, 1, 2, 3, 4, 5, 6], [0, 1, 2]]
    for select in ("val_conflicting", "val_conflicting_as_published"):
        assert selected(select, HALF, none_right) == 2
    rising = [[*range(8)], [*range(6), 8], [*range(8), 8, 9]]
    for select in ("val_conflicting", "val_conflicting_as_published"):
        assert selected(select, HALF, rising) == 3


def test_the_released_rule_may_keep_an_epoch_that_gets_no_conflicting_example_right():
    """Its accuracy of 80 % stands in the place of a minimum of 0, and no later minimum of 50 % is above it."""
    curve = [[*range(8)], [*range(6), 8]]
    assert selected("val_conflicting_as_published", HALF, curve) == 1
    assert selected("val_conflicting", HALF, curve) == 2


def test_the_released_rule_breaks_no_tie_by_accuracy():
    curve = [[*range(6), 8], [*range(8), 8]]  # minima of 50 %
    assert selected("val_conflicting_as_published", HALF, curve) == 1
    assert selected("val_conflicting", HALF, curve) == 2


@pytest.mark.parametrize("select", ["val_accuracy", "val_worst_class", "val_worst_group", "val_conflicting"])
def test_an_epoch_without_ties_is_chosen_as_before_there_were_tie_breaks(select: str):
    stream = torch.Generator().manual_seed(3)
    kinds = torch.randint(0, 3, (40,), generator=stream)
    curves = [torch.rand(40, generator=stream) < level for level in (0.3, 0.5, 0.7, 0.9)]
    worst = [worst_share(correct, kinds) for correct in curves]
    assert len(set(worst)) == 4
    best = max(range(4), key=lambda at: epoch_quality(curves[at], kinds, select))
    assert best == worst.index(max(worst))


def test_worst_share_ignores_kinds_that_do_not_occur():
    correct, kinds = torch.tensor([True, False, True, True]), torch.tensor([0, 0, 3, 3])
    assert worst_share(correct, kinds) == 0.5


def test_a_seed_depends_on_trial_seed_and_role_alone():
    roles = ("data", "init", "order", "augment", "torch", "method")
    seeds = {seed_for(seed, role) for seed in range(20) for role in roles}
    assert len(seeds) == 20 * len(roles)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert torch.equal(torch.rand(3, generator=generator(1, "order")), torch.rand(3, generator=generator(1, "order")))


def context(net: nn.Module) -> TrainContext:
    source = data()
    return TrainContext(
        device=torch.device("cpu"), generator=torch.Generator(), recipe=recipe(), data=source, order=torch.Generator()
    )


def test_features_are_what_goes_into_the_head():
    net = model().eval()
    images = torch.randn(5, 3, 8, 8)
    features = context(net).features(net, images)
    torch.testing.assert_close(net[4](features), net(images))
    assert context(net).head(net) is net[4]


def test_layers_select_by_glob_exclusion_and_head():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 8), nn.Linear(8, 2))
    image = torch.zeros(1, 3, 8, 8)
    assert head_name(net, image) == "3"
    assert list(prunable_weights(net, [], image)) == ["0.weight", "2.weight", "3.weight"]
    assert list(prunable_weights(net, ["!head"], image)) == ["0.weight", "2.weight"]
    assert list(prunable_weights(net, ["head"], image)) == ["3.weight"]
    assert list(prunable_weights(net, ["[02]", "!0"], image)) == ["2.weight"]
    with pytest.raises(ComponentError, match=r"conv9.*known: 0, 2, 3"):
        prunable_weights(net, ["conv9"], image)


def test_what_a_stage_saves_a_later_one_reads():
    one = context(model())
    one.save("error_set", torch.arange(3))
    later = replace(context(model()), earlier=one.written)
    assert later.saved("error_set").tolist() == [0, 1, 2]
    with pytest.raises(ComponentError, match="known: error_set"):
        later.saved("errors")
