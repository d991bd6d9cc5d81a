"""Trainers side by side: one at a time, each with random streams of its own, and their trainings done at once."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchbias.data.values import Split, TrainingData
from benchbias.errors import Skip
from benchbias.network.counting import counted_work
from benchbias.suite.tables import Recipe
from benchbias.training.baton import Together, run_together
from benchbias.training.fit import fit
from benchbias.training.losses import weighted_cross_entropy
from benchbias.training.population import Member

RECIPE = Recipe(epochs=2, batch_size=4, lr=0.05)


def member(seed: int, size: int = 12, recipe: Recipe = RECIPE) -> Member:
    stream = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (size, 1, 4, 4), generator=stream, dtype=torch.uint8)
    labels = torch.randint(0, 2, (size,), generator=stream)
    train, val = (Split(images, labels, 2, name) for name in ("train", "val"))
    data = TrainingData(train, val, (0.5,), (0.3,), 4, "none", torch.Generator().manual_seed(seed))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 2))
    return Member(model, data, recipe, torch.Generator().manual_seed(100 + seed))


def weights(one: Member) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in one.model.parameters()])


def test_two_trainings_of_each_are_those_of_each_alone_and_done_at_once():
    alone = [member(seed) for seed in range(3)]
    for one in alone:
        fit(**one.arguments)
        fit(**replace(one, loss=weighted_cross_entropy(torch.arange(1.0, 13.0))).arguments)
    mates = [member(seed) for seed in range(3)]

    def task(one: Member) -> Callable[[Together], int]:
        def run(together: Together) -> int:
            assert together.fit(one).steps == 6
            together.fit(replace(one, loss=weighted_cross_entropy(torch.arange(1.0, 13.0))))
            assert not together.why
            return together.most

        return run

    assert run_together([task(one) for one in mates]) == [3, 3, 3]
    for one, mate in zip(alone, mates, strict=True):
        torch.testing.assert_close(weights(one), weights(mate), rtol=1e-5, atol=1e-6)


def test_no_two_run_at_the_same_time_and_no_thread_is_left():
    inside, before = [0], threading.active_count()

    def task(one: Member) -> Callable[[Together], None]:
        def run(together: Together) -> None:
            for _ in range(2):
                for _ in range(50):
                    inside[0] += 1
                    assert inside[0] == 1
                    torch.ones(10).sum()
                    inside[0] -= 1
                together.fit(one)

        return run

    assert run_together([task(member(seed)) for seed in range(4)]) == [None] * 4
    assert threading.active_count() == before


def test_the_global_streams_of_each_are_its_own_also_in_its_callbacks():
    def drawn(seed: int, train: Callable[[Member], object]) -> list[float]:
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        found: list[float] = []

        def draw(*call: object) -> None:
            found.extend([random.random(), float(np.random.rand()), float(torch.rand(()))])

        one = replace(member(seed), after_epoch=draw)
        for _ in range(2):
            draw()
            train(one)
        return [*found, random.random()]

    expected = [drawn(seed, lambda one: fit(**one.arguments)) for seed in range(3)]
    found = run_together([lambda together, seed=seed: drawn(seed, together.fit) for seed in range(3)])
    assert found == expected
    assert len({tuple(one) for one in expected}) == 3


def test_one_that_fails_fails_alone_wherever_it_does():
    expected = [member(seed) for seed in range(5)]
    for one in expected:
        fit(**one.arguments)
    mates = [member(seed) for seed in range(5)]

    asked: list[int] = []

    def callback(epoch: int, model: nn.Module) -> None:
        asked.append(epoch)
        raise ValueError("in a callback")

    def task(number: int) -> Callable[[Together], str]:
        def run(together: Together) -> str:
            if number == 1:
                raise Skip("before")
            together.fit(replace(mates[number], after_epoch=callback) if number == 2 else mates[number])
            if number == 3:
                raise KeyError("after")
            return "done"

        return run

    found = run_together([task(number) for number in range(5)])
    assert [type(one) for one in found] == [str, Skip, ValueError, KeyError, str]
    assert asked == [1], "one that has failed is asked no more"
    for number in (0, 4):
        torch.testing.assert_close(weights(expected[number]), weights(mates[number]), rtol=1e-5, atol=1e-6)


def test_what_does_not_fit_is_trained_alone_to_the_bit_for_a_reason():
    odd = [member(0), member(1, recipe=Recipe(epochs=1, batch_size=4, schedule="plateau")), member(2, size=16)]
    expected = [member(0), member(1, recipe=odd[1].recipe), member(2, size=16)]
    for one in expected:
        fit(**one.arguments)

    def run(one: Member, together: Together) -> tuple[int, str]:
        together.fit(one)
        return together.most, together.why

    found = run_together([lambda together, one=one: run(one, together) for one in odd])
    assert found == [
        (1, "another number of examples"),
        (1, "the rates of a plateau follow each network's own loss"),
        (1, "another number of examples"),
    ]
    for one, other in zip(expected, odd, strict=True):
        assert torch.equal(weights(one), weights(other))


def test_a_training_inside_a_callback_is_done_at_once_and_alone():
    inner = [member(10 + seed) for seed in range(2)]
    expected = [member(10 + seed) for seed in range(2)]
    for one in expected:
        fit(**one.arguments)
        fit(**one.arguments)

    def task(seed: int, together: Together) -> str:
        together.fit(replace(member(seed), after_epoch=lambda epoch, model: together.fit(inner[seed])))
        return together.why

    found = run_together([lambda together, seed=seed: task(seed, together) for seed in range(2)])
    assert found == ["it is asked for inside another training"] * 2
    assert all(torch.equal(weights(one), weights(other)) for one, other in zip(expected, inner, strict=True))


def test_work_of_one_is_not_counted_for_another():
    def task(seed: int, together: Together) -> int:
        with counted_work() as work:
            for _ in range(seed + 1):
                layer = nn.Linear(4, 4)
                layer(torch.ones(2, 4)).sum().backward()
        return work.flops

    one = run_together([lambda together: task(0, together)])[0]
    assert isinstance(one, int)
    found = run_together([lambda together, seed=seed: task(seed, together) for seed in range(3)])
    assert found == [one, 2 * one, 3 * one]


def test_too_little_memory_is_nobodys_own():
    def short(together: Together) -> None:
        raise MemoryError("no room")

    with pytest.raises(MemoryError, match="no room"):
        run_together([short, lambda together: None])
