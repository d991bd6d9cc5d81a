"""Coloured MNIST: exact counts of every colour in every digit, colours near their means, test apart from the ratio."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbias_plugins.datasets import colored_mnist
from benchbias_plugins.datasets.colored_mnist import COLOURS, SIGMAS, attributes, built, held_out, milestones

quick = settings(max_examples=40, deadline=None, derandomize=True)
FOLDER = Path(os.environ.get("BENCHBIAS_DATA", "data"))
real = pytest.mark.skipif(
    not (FOLDER / colored_mnist.MNIST).is_dir(), reason=f"MNIST is not in {FOLDER} (BENCHBIAS_DATA says where to look)"
)
MEANS = torch.tensor(list(COLOURS.values()))


@functools.cache
def digits(count=2000, seed=0):
    stream = np.random.default_rng(seed)
    images = stream.integers(0, 256, (count, 28, 28), dtype=np.uint8)
    images[:, :3] = 0
    images[:, 3] = 255
    return images, stream.integers(0, 10, count)


@functools.cache
def made(seed=0, conflict_ratio=0.05, severity=4):
    return built(digits(), digits(1000, 1), seed, conflict_ratio, severity, 200).splits


def source(item):
    images = np.concatenate([digits()[0], digits(1000, 1)[0]])
    return torch.from_numpy(images[item.cluster.numpy()])


def same(one, other):
    return torch.equal(one.split.images, other.split.images) and torch.equal(one.groups.groups, other.groups.groups)


def cells(item):
    return torch.bincount(item.groups.groups, minlength=100).view(10, 10)


def test_a_seed_gives_the_same_bytes_every_time_and_another_seed_others():
    again = built(digits(), digits(1000, 1), 0, 0.05, 4, 200).splits
    assert all(same(item, again[name]) for name, item in made(0).items())
    assert not any(same(item, made(1)[name]) for name, item in made(0).items())


def test_a_part_of_training_is_the_same_for_every_seed_and_has_each_digit_in_proportion():
    whole = built(digits(), digits(1000, 1), 0, 0.05, 4, 200).splits
    parts = [built(digits(), digits(1000, 1), seed, 0.05, 4, 200, 300).splits for seed in (0, 1)]
    assert len(parts[0]["train"].split) == 300
    assert set(parts[0]["train"].cluster.tolist()) < set(whole["train"].cluster.tolist())
    assert torch.equal(parts[0]["train"].cluster, parts[1]["train"].cluster)
    shares = [
        item["train"].split.labels.bincount(minlength=10) / len(item["train"].split) for item in (parts[0], whole)
    ]
    assert (shares[0] - shares[1]).abs().max() < 1.5 / 300
    for name in ("val", "val_balanced", "test"):
        assert torch.equal(parts[0][name].split.images, whole[name].split.images)


def test_no_image_is_in_two_of_train_val_and_test_and_val_is_the_same_for_every_seed():
    parts = [set(made(0)[name].cluster.tolist()) for name in ("train", "val", "test")]
    assert [len(part) for part in parts] == [1800, 200, 1000]
    assert len(set().union(*parts)) == 3000
    assert (
        made(0)["val"].cluster.tolist() == made(1)["val"].cluster.tolist() == made(1)["val_balanced"].cluster.tolist()
    )


@quick
@given(st.lists(st.integers(1, 60), min_size=10, max_size=10), st.floats(0.01, 0.99), st.integers(0, 9))
def test_any_number_held_out_has_each_digit_in_proportion(counts, share, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(10), counts))
    count = int(share * len(labels))
    held = held_out(labels, count)
    assert len(set(held.tolist())) == len(held) == count
    assert np.all(np.abs(np.bincount(labels[held], minlength=10) - count / len(labels) * np.array(counts)) <= 1)


@quick
@given(st.integers(0, 7000), st.integers(0, 9), st.floats(0, 1))
def test_the_colours_of_a_digit_are_its_share_to_within_one(count, label, ratio):
    each = np.diff(milestones(count, label, ratio), prepend=0)
    assert each.sum() == count
    shares = np.full(10, ratio / 9)
    shares[label] = 1 - ratio
    assert np.all(np.abs(each - shares * count) <= 1 + 1e-6)


@pytest.mark.parametrize("name", ["train", "val"])
@pytest.mark.parametrize("ratio", [0.0, 0.005, 0.02, 0.5, 1.0])
def test_training_and_validation_have_the_asked_conflicts(name, ratio):
    item = made(0, conflict_ratio=ratio)[name]
    found = cells(item)
    for label in range(10):
        count = int(found[label].sum())
        assert found[label].tolist() == np.diff(milestones(count, label, ratio), prepend=0).tolist()
    assert torch.equal(item.groups.aligned, item.split.labels == item.groups.attributes)


@pytest.mark.parametrize("name", ["val_balanced", "test"])
def test_balanced_splits_have_every_digit_in_every_colour_equally_often(name):
    found = cells(made(0)[name])
    assert int((found.max(dim=1).values - found.min(dim=1).values).max()) <= 1


def test_test_depends_on_the_seed_only():
    for name in ("val_balanced", "test"):
        assert same(made(0)[name], made(0, conflict_ratio=0.5)[name])
    assert not same(made(0)["train"], made(0, conflict_ratio=0.5)["train"])


def test_which_images_conflict_is_drawn():
    stream = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), 100)
    one, two = (attributes(labels, 0.1, stream) for _ in range(2))
    assert (one != labels).sum() == (two != labels).sum() == 100
    assert ((one != labels) & (two != labels)).sum() < 40


@pytest.mark.parametrize("severity", [1, 4])
def test_an_image_is_its_grey_times_a_colour_near_the_mean_of_its_attribute(severity):
    item = made(0, severity=severity)["train"]
    white = item.split.images[:, :, 3, 0].double() / 255  # full ink: the colour itself
    grey = source(item).double()
    wanted = grey[:, None] * white[:, :, None, None]
    assert float((item.split.images.double() - wanted).abs().max()) <= 1
    away = white - MEANS[item.groups.attributes]
    inside = ((MEANS > 0.2) & (MEANS < 0.8)).nonzero()  # channels whose noise is not cut off at 0 or 1
    sigma = torch.cat([away[item.groups.attributes == at, channel] for at, channel in inside.tolist()]).std()
    rounding = 1 / (255 * 12**0.5)
    assert float(sigma) == pytest.approx((SIGMAS[severity - 1] ** 2 + rounding**2) ** 0.5, rel=0.1)
    assert bool((item.split.images[:, :, :3] == 0).all()), "the ground is black"


def test_the_mean_colours_are_far_apart():
    distance = torch.cdist(MEANS, MEANS) + 9 * torch.eye(10)
    assert float(distance.min()) > 5 * 2**0.5 * SIGMAS[0]


@real
@pytest.mark.parametrize(("ratio", "conflicts"), [(0.005, 273), (0.05, 2_749)])
def test_the_counts_on_mnist(ratio, conflicts):
    splits = colored_mnist.colored_mnist(FOLDER, 0, conflict_ratio=ratio).splits
    assert {name: len(item.split) for name, item in splits.items()} == {
        "train": 55_000, "val": 5_000, "val_balanced": 5_000, "test": 10_000,
    }  # fmt: skip
    assert int((~splits["train"].groups.aligned).sum()) == conflicts
    assert abs(conflicts / 55_000 - ratio) < 5e-5
    assert int(splits["test"].groups.aligned.sum()) == 1_000
