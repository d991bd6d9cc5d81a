"""Learning rates are the floats of torch's own schedulers, to the last bit, whatever the rate and the length."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim import lr_scheduler
from torch.optim.optimizer import register_optimizer_step_pre_hook

from benchbias.data.values import Split, TrainingData
from benchbias.suite.tables import Recipe
from benchbias.training.fit import fit
from benchbias.training.schedules import learning_rates

SCHEDULES = ("constant", "cosine", "halving", "onecycle", "steps")


def torchs(recipe: Recipe, steps: int) -> list[float]:
    """The rate before each step, of an optimizer that torch's scheduler sets after each."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], recipe.lr)
    kinds = {
        "constant": lambda: lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=0),
        "cosine": lambda: lr_scheduler.CosineAnnealingLR(optimizer, steps),
        "halving": lambda: lr_scheduler.MultiStepLR(optimizer, [round(at * steps) for at in (0.4, 0.6, 0.8)], 0.5),
        "steps": lambda: lr_scheduler.MultiStepLR(
            optimizer, [round(at * steps) for at in recipe.drops], recipe.drop_factor
        ),
        "onecycle": lambda: lr_scheduler.OneCycleLR(
            optimizer, recipe.lr, steps + 1, pct_start=max(0.2, 1.5 / (steps + 1)), cycle_momentum=False
        ),
    }
    schedule = kinds[recipe.schedule]()
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def made(schedule: str, lr: float, drops: list[float], factor: float, **more: object) -> Recipe:
    own = drops if schedule == "steps" else []
    return Recipe.model_validate({"schedule": schedule, "lr": lr, "drops": own, "drop_factor": factor, **more})


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(SCHEDULES),
    st.floats(1e-8, 1000),
    st.integers(1, 400),
    st.lists(st.floats(0.001, 0.999), min_size=1, max_size=5),
    st.floats(0.01, 0.99),
)
def test_rates_are_torchs_to_the_last_bit(schedule, lr, steps, drops, factor):
    recipe = made(schedule, lr, drops, factor)
    assert list(itertools.islice(learning_rates(recipe, steps), steps)) == torchs(recipe, steps)


@pytest.mark.slow
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_rates_are_torchs_over_every_short_length_and_a_long_one(schedule):
    for steps in [*range(1, 120), 5003]:
        recipe = made(schedule, 0.0123, [0.5, 0.5001, 0.75], 0.3)
        assert list(itertools.islice(learning_rates(recipe, steps), steps)) == torchs(recipe, steps)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_every_step_of_fit_is_made_at_its_rate(schedule: str, optimizer: str):
    images = torch.randint(0, 256, (50, 1, 2, 2), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    whole = Split(images, torch.arange(50) % 2, 2, "train")
    recipe = made(schedule, 0.07, [0.4, 0.9], 0.5, epochs=3, batch_size=16, optimizer=optimizer)
    seen: list[float] = []
    handle = register_optimizer_step_pre_hook(lambda optimizer, *_: seen.append(optimizer.param_groups[0]["lr"]))
    try:
        data = TrainingData(whole, whole, (0.5,), (1.0,), 16)
        report = fit(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), data, recipe, torch.Generator())
    finally:
        handle.remove()
    assert report.steps == 12
    assert seen == torchs(recipe, 12)
