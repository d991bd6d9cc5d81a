"""Dominoes: halves that are the sources', each used once, exact conflicts, test apart from the conflict ratio."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import pad

from benchbias import DataError, channel_statistics, hub_images
from benchbias_plugins.datasets.dominoes import CIFAR10, MEAN, MNIST, STD, Kind, built, conflicts, dominoes, stacked

FOLDER = Path(os.environ.get("BENCHBIAS_DATA", "data"))
real = pytest.mark.skipif(
    not all((FOLDER / name).is_dir() for name in (MNIST, CIFAR10)),
    reason=f"MNIST or CIFAR-10 is not in {FOLDER} (BENCHBIAS_DATA says where to look)",
)
SPLITS = ("train", "val", "val_balanced", "test")


def kind(count, shape, seed):
    """Random images, of which no two are alike, at odd places of their source."""
    stream = np.random.default_rng(seed)
    return Kind(stream.integers(0, 256, (count, *shape), dtype=np.uint8), 3 * np.arange(count) + seed)


@functools.cache
def sources():
    digits = kind(70, (1, 28, 28), 0), kind(80, (1, 28, 28), 1)
    pictures = kind(50, (3, 32, 32), 0), kind(50, (3, 32, 32), 1)
    return (
        digits,
        pictures,
        (kind(19, (1, 28, 28), 2), kind(30, (1, 28, 28), 3)),
        (
            kind(20, (3, 32, 32), 0),
            kind(20, (3, 32, 32), 1),
        ),
    )


@functools.cache
def made(seed=0, conflict_ratio=0.05, examples=None):
    return built(*sources(), seed, conflict_ratio, examples).splits


def same(one, other):
    return (
        torch.equal(one.split.images, other.split.images)
        and torch.equal(one.groups.groups, other.groups.groups)
        and torch.equal(one.cluster, other.cluster)
    )


def cells(item):
    return torch.bincount(item.groups.groups, minlength=4).tolist()


def rows(images):
    """Each image of (N, C, H, W) as bytes."""
    return [image.tobytes() for image in np.ascontiguousarray(images)]


def digit_of(split):
    """Where a digit of a split comes from: its bytes -> (kind, place)."""
    digits = sources()[2] if split == "test" else sources()[0]
    return {row: (attribute, at) for attribute, one in enumerate(digits) for at, row in enumerate(rows(one.images))}


def digits_in(name, splits):
    item = splits[name]
    return [digit_of(name)[row] for row in rows(item.split.images[:, :1, 2:30, 2:30].numpy())]


def test_a_seed_gives_the_same_bytes_every_time_and_another_seed_others():
    again = built(*sources(), 0, 0.05).splits
    assert all(same(item, again[name]) for name, item in made(0).items())
    assert not any(same(item, made(1)[name]) for name, item in made(0).items())


@pytest.mark.parametrize("name", SPLITS)
def test_the_upper_half_is_a_digit_and_the_lower_the_picture_that_the_cluster_names(name):
    item = made()[name]
    above, below = item.split.images[:, :, :32], item.split.images[:, :, 32:]
    assert item.split.images.shape[1:] == (3, 64, 32)
    assert torch.equal(above, pad(above[:, :1, 2:30, 2:30], (2, 2, 2, 2)).expand(-1, 3, -1, -1)), "black, grey"
    assert [attribute for attribute, _ in digits_in(name, made())] == item.groups.attributes.tolist()
    pictures = sources()[3] if name == "test" else sources()[1]
    offset = 1 + max(int(one.index.max()) for one in sources()[1]) if name == "test" else 0
    place = {int(at) + offset: image for one in pictures for at, image in zip(one.index, one.images, strict=True)}
    for image, at, label in zip(below, item.cluster.tolist(), item.split.labels.tolist(), strict=True):
        assert np.array_equal(image, place[at])
        assert at - offset in pictures[label].index
    assert torch.equal(item.groups.aligned, item.split.labels == item.groups.attributes)


@pytest.mark.parametrize("name", SPLITS)
@pytest.mark.parametrize("ratio", [0.0, 0.05, 1.0])
def test_no_digit_and_no_picture_is_in_a_split_twice(name, ratio):
    used = digits_in(name, made(0, ratio))
    assert len(set(used)) == len(used)
    clusters = made(0, ratio)[name].cluster
    assert len(clusters.unique()) == len(clusters)


def test_no_source_of_either_half_is_in_two_of_train_val_and_test():
    for seed in (0, 1):
        parts = [set(made(seed)[name].cluster.tolist()) for name in ("train", "val", "test")]
        assert [len(part) for part in parts] == [80, 20, 36]
        assert len(set().union(*parts)) == 136
        assert (
            set(made(seed)["val_balanced"].cluster.tolist()) == parts[1] == set(made(1 - seed)["val"].cluster.tolist())
        )
        assert parts[2] == set(made(1 - seed)["test"].cluster.tolist()), "seeds are paired by test picture"
    fit = {one for seed in range(4) for ratio in (0, 0.5) for one in digits_in("train", made(seed, ratio))}
    held = {one for seed in range(4) for name in ("val", "val_balanced") for one in digits_in(name, made(seed))}
    assert fit
    assert held
    assert not fit & held


@pytest.mark.parametrize("ratio", [0.0, 0.01, 0.05, 0.5, 1.0])
def test_training_and_validation_have_the_asked_conflicts_of_every_class(ratio):
    for name, count in (("train", 40), ("val", 10)):
        few = conflicts(count, ratio)
        assert abs(few - ratio * count) <= 0.5
        assert cells(made(0, ratio)[name]) == [count - few, few, few, count - few]


def test_without_conflicts_a_group_has_no_training_example_and_is_tested_all_the_same():
    assert cells(made(0, 0.0)["train"]) == [40, 0, 0, 40]
    assert cells(made(0, 0.0)["test"]) == [9, 9, 9, 9]


def test_balanced_splits_have_every_class_under_every_digit_equally_often():
    assert cells(made(0)["val_balanced"]) == [5, 5, 5, 5]
    assert cells(made(0)["test"]) == [9, 9, 9, 9], "19 zeros: two of the twenty pictures of a class are left out"


def test_test_depends_on_the_seed_only():
    for name in ("val_balanced", "test"):
        for other in (made(0, 0.0), made(0, 0.5), made(0, 0.05, 20)):
            assert same(made(0)[name], other[name])
    assert not same(made(0)["train"], made(0, 0.5)["train"])


def test_a_part_of_training_is_the_same_for_every_seed_and_leaves_the_rest():
    parts = [made(seed, 0.05, 21)["train"] for seed in (0, 1)]
    assert [int((part.split.labels == 0).sum()) for part in parts] == [11, 11]
    assert len(parts[0].split) == 21
    assert set(parts[0].cluster.tolist()) == set(parts[1].cluster.tolist()) < set(made(0)["train"].cluster.tolist())
    assert same(made(0, 0.05, 21)["val"], made(0)["val"])


def test_which_pictures_conflict_is_drawn_and_the_order_mixes_the_classes():
    one, two = (made(seed, 0.5)["train"] for seed in (0, 1))
    assert set(one.cluster[~one.groups.aligned].tolist()) != set(two.cluster[~two.groups.aligned].tolist())
    assert 0 < int(one.split.labels[:40].sum()) < 40


def test_too_few_digits_are_one_message():
    digits, pictures, *rest = sources()
    with pytest.raises(DataError, match="dominoes: train needs 40 pictures of the digit 0, but there are 32"):
        built((digits[0].take(np.arange(40)), digits[1]), pictures, *rest, 0, 0.05)


def test_a_digit_is_put_in_the_middle_of_black():
    image = stacked(np.full((1, 1, 28, 28), 255, dtype=np.uint8), np.full((1, 3, 32, 32), 7, dtype=np.uint8))
    assert image.shape == (1, 3, 64, 32)
    assert image[:, :, 2:30, 2:30].min() == 255
    assert int((image == 255).sum()) == 3 * 28 * 28
    assert image[:, :, 32:].max() == image[:, :, 32:].min() == 7


@pytest.fixture(scope="module")
def whole():
    """The data set of the real files."""
    return dominoes(FOLDER, 0, conflict_ratio=0.01)


@pytest.mark.slow
@real
def test_the_counts_on_the_real_files(whole):
    assert {name: cells(item) for name, item in whole.splits.items()} == {
        "train": [3_960, 40, 40, 3_960], "val": [990, 10, 10, 990],
        "val_balanced": [500] * 4, "test": [490] * 4,
    }  # fmt: skip
    assert whole.splits["test"].groups.group_names == ("automobile/0", "automobile/1", "truck/0", "truck/1")


@real
@pytest.mark.parametrize("name", ["train", "test"])
def test_the_halves_on_the_real_files_are_slices_of_cifar_10_and_mnist(whole, name):
    item = whole.splits[name]
    digits, pictures = (
        hub_images(FOLDER, hub, name, image=image) for hub, image in ((MNIST, "image"), (CIFAR10, "img"))
    )
    trained = hub_images(FOLDER, CIFAR10, "train", image="img").columns["label"]
    numbered = 1 + int(
        torch.nonzero((trained == 1) | (trained == 9)).max()
    )  # test pictures come after those of training
    index = item.cluster - (numbered if name == "test" else 0)
    assert torch.equal(item.split.images[:, :, 32:], pictures.images[index])
    names = [pictures.names["label"][label] for label in pictures.columns["label"][index].tolist()]
    assert names == [("automobile", "truck")[label] for label in item.split.labels.tolist()]
    known = dict(zip(rows(digits.images.numpy()), digits.columns["label"].tolist(), strict=True))
    above = rows(item.split.images[:, :1, 2:30, 2:30].numpy())
    assert [known[row] for row in above] == item.groups.attributes.tolist()
    assert len(set(above)) == len(above)


@real
def test_the_normalisation_is_that_of_training(whole):
    mean, std = channel_statistics(whole.splits["train"].split.images)
    assert mean == pytest.approx(MEAN, abs=0.01)
    assert std == pytest.approx(STD, abs=0.01)
