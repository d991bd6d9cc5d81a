"""fit() leaves the bytes that the plainest loop leaves: torch's scheduler, zero_grad, autocast, advanced indices."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from benchbias.data.augment import normalise
from benchbias.data.values import Batch, Split, TrainingData
from benchbias.suite.tables import Recipe
from benchbias.training.fit import cross_entropy, fit, logits

KINDS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


def plain_fit(model: nn.Module, data: TrainingData, recipe: Recipe, order: torch.Generator) -> list[float]:
    """The loop as one would write it at first; the mean loss of each epoch."""
    more = {"momentum": recipe.momentum} if recipe.optimizer == "sgd" else {}
    optimizer = KINDS[recipe.optimizer](
        model.parameters(), recipe.lr, weight_decay=recipe.weight_decay, fused=True, **more
    )
    count = len(data.train)
    a_epoch = count // recipe.batch_size + (count % recipe.batch_size > 1)
    steps = recipe.epochs * a_epoch
    schedule = {
        "constant": lambda: lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=0),
        "cosine": lambda: lr_scheduler.CosineAnnealingLR(optimizer, steps),
        "onecycle": lambda: lr_scheduler.OneCycleLR(
            optimizer, recipe.lr, steps + 1, pct_start=max(0.2, 1.5 / (steps + 1)), cycle_momentum=False
        ),
        "plateau": lambda: lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.1, patience=0),
    }[recipe.schedule]()
    losses = []
    for _ in range(recipe.epochs):
        model.train()
        total = torch.zeros(())
        shuffled = torch.randperm(count, generator=order)
        for at in range(a_epoch):
            index = shuffled[at * recipe.batch_size : (at + 1) * recipe.batch_size]
            images = normalise(data.train.images[index], data.mean, data.std)
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bfloat16"):
                value = cross_entropy(model, Batch(images, data.train.labels[index], index))
            value.backward()
            optimizer.step()
            if recipe.schedule != "plateau":
                schedule.step()
            total += value.detach()
        losses.append(float(total) / a_epoch)
        if recipe.schedule == "plateau":
            model.eval()
            with torch.no_grad():
                answers = model(normalise(data.val.images, data.mean, data.std))
            schedule.step(float(nn.functional.cross_entropy(answers, data.val.labels)))
    return losses


def given_data() -> TrainingData:
    stream = torch.Generator().manual_seed(4)
    images = torch.randint(0, 256, (70, 3, 8, 8), generator=stream, dtype=torch.uint8)
    train = Split(images, torch.arange(70) % 2, 2, "train")
    return TrainingData(train, Split(images[:16], torch.arange(16) % 2, 2, "val"), (0.5, 0.4, 0.3), (0.2,) * 3, 16)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "onecycle", "plateau"])
@pytest.mark.parametrize(("optimizer", "precision"), [("sgd", "float32"), ("adamw", "float32"), ("adam", "bfloat16")])
def test_fit_leaves_the_bytes_of_the_plain_loop(schedule: str, optimizer: str, precision: str):
    torch.manual_seed(0)
    ours = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3), nn.Flatten(), nn.Linear(144, 2)
    )
    theirs, data = copy.deepcopy(ours), given_data()
    recipe = Recipe.model_validate(
        {"epochs": 3, "batch_size": 16, "lr": 0.02, "weight_decay": 0.01, "schedule": schedule, "optimizer": optimizer}
        | {"precision": precision, "patience": 0}
    )
    state = torch.get_rng_state()
    report = fit(ours, data, recipe, torch.Generator().manual_seed(1))
    torch.set_rng_state(state)  # of dropout
    losses = plain_fit(theirs, data, recipe, torch.Generator().manual_seed(1))
    assert list(report.losses) == losses
    assert all(torch.equal(a, b) for a, b in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True))


def test_an_autocast_around_fit_does_not_reach_the_forward_pass():
    seen = set()

    def loss(model: nn.Module, batch: Batch) -> torch.Tensor:
        seen.add((model(batch.images).dtype, torch.is_autocast_enabled("cpu")))
        return cross_entropy(model, batch)

    with torch.autocast("cpu", torch.bfloat16):
        net = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
        fit(net, given_data(), Recipe(epochs=1, batch_size=16), torch.Generator(), loss=loss)
    assert seen == {(torch.float32, False)}


def test_logits_are_those_of_batches_by_index():
    data, net = given_data(), nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    images = normalise(data.train.images, data.mean, data.std)
    with torch.no_grad():
        expected = torch.cat([net(images[index]) for index in torch.arange(70).split(16)])
    assert torch.equal(logits(net, data, data.train), expected)
