"""SpuCoMNIST: exact counts, grounds only where there is no ink, val drawn as training is, test independent of both."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbias import BenchbiasError, Predictions
from benchbias_plugins.datasets import spuco_mnist
from benchbias_plugins.datasets.spuco_mnist import (
    DRAWN,
    balanced_grounds,
    biased_grounds,
    built,
    hues,
    noisy,
    partition,
    visible,
)
from benchbias_plugins.metrics import accuracy

quick = settings(max_examples=40, deadline=None, derandomize=True)
CLASSES = ((0, 1), (2, 3), (4, 5), (6, 7), (8, 9))
DIFFICULTIES = tuple({**spuco_mnist.CORNER, **spuco_mnist.WITHIN})
BIASED, BALANCED = ("train", "val"), ("val_balanced", "test")
FOLDER = Path(os.environ.get("BENCHBIAS_DATA", "data"))
real = pytest.mark.skipif(
    not (FOLDER / spuco_mnist.MNIST).is_dir(), reason=f"MNIST is not in {FOLDER} (BENCHBIAS_DATA says where to look)"
)


@functools.cache
def digits(count=1500, seed=0):
    """Images (N, 28, 28) with ink in the middle, faint at its edge, and a digit each."""
    stream = np.random.default_rng(seed)
    images = np.zeros((count, 28, 28), dtype=np.uint8)
    images[:, 5:22, 6:21] = stream.integers(0, 256, (count, 17, 15)) * (stream.random((count, 17, 15)) < 0.5)
    images[:, 4, 6:21] = 1
    return images, stream.integers(0, 10, count)


DEFAULTS = {
    "difficulty": "magnitude_large",
    "strengths": (0.9,) * 5,
    "label_noise": 0.0,
    "core_feature_noise": 0.0,
    "classes": CLASSES,
    "examples": None,
}


@functools.cache
def made(seed=0, **options):
    return built(digits(), digits(1000, 1), seed, **{**DEFAULTS, **options}).splits


def grey(item):
    """The source images (N, 28, 28) of a split."""
    numbers = item.cluster.numpy()
    both = np.concatenate([digits()[0], digits(1000, 1)[0]])
    return torch.from_numpy(both[numbers])


def clean(item):
    """The class of every example, from the digit of its source."""
    both = np.concatenate([digits()[1], digits(1000, 1)[1]])
    return torch.from_numpy(both[item.cluster.numpy()] // 2)


def same(one, other):
    return all(
        torch.equal(a, b)
        for a, b in [
            (one.split.images, other.split.images),
            (one.split.labels, other.split.labels),
            (one.groups.attributes, other.groups.attributes),
            (one.cluster, other.cluster),
        ]
    )


def majority(item, label):
    mine = clean(item) == label
    return int((item.groups.attributes[mine] == label).sum()), int(mine.sum())


# --- who is where


def test_validation_is_a_fifth_of_every_digit_and_the_same_for_every_seed():
    labels = digits()[1]
    fit, val = partition(labels)
    assert sorted([*fit, *val]) == list(range(len(labels)))
    assert np.bincount(labels[val], minlength=10).tolist() == (np.bincount(labels, minlength=10) // 5).tolist()
    assert made(0)["val"].cluster.tolist() == made(1)["val"].cluster.tolist() == val.tolist()
    assert made(0)["val_balanced"].cluster.tolist() == val.tolist()
    assert made(0)["train"].cluster.tolist() == fit.tolist()


def test_the_sources_of_test_are_numbered_after_those_of_training():
    assert made(0)["test"].cluster.tolist() == list(range(1500, 2500))


def test_a_seed_gives_the_same_bytes_every_time_and_another_seed_others():
    again = built(digits(), digits(1000, 1), 0, **DEFAULTS).splits
    assert all(same(item, again[name]) for name, item in made(0).items())
    assert not any(same(item, made(1)[name]) for name, item in made(0).items())


@pytest.mark.parametrize("examples", [300, 777])
def test_fewer_examples_keep_each_digit_in_proportion_and_are_drawn_by_the_seed(examples):
    options = {"strengths": (0.2,) * 5, "examples": examples}
    some = made(0, **options)["train"]
    whole = digits()[1][partition(digits()[1])[0]]
    counts = np.bincount(digits()[1][some.cluster.numpy()], minlength=10)
    assert counts.sum() == examples
    assert np.all(np.abs(counts - examples * np.bincount(whole) / len(whole)) <= 1)
    assert set(some.cluster.tolist()) <= set(made(0)["train"].cluster.tolist())
    assert some.cluster.tolist() != made(1, **options)["train"].cluster.tolist()
    assert same(made(0, **options)["test"], made(0)["test"])


def test_digits_of_no_class_are_left_out():
    two = made(0, classes=((1, 7), (2,)), strengths=(0.8, 0.8))
    for name, item in two.items():
        found = np.concatenate([digits()[1], digits(1000, 1)[1]])[item.cluster.numpy()]
        assert set(found) == {1, 2, 7}, name
        assert torch.equal(item.split.labels, torch.from_numpy((found == 2).astype(np.int64)))
        assert item.groups.group_names == ("0/hue-0", "0/hue-1", "1/hue-0", "1/hue-1")


# --- grounds


@pytest.mark.parametrize("name", BIASED)
@pytest.mark.parametrize("strength", [0.5, 0.9, 0.2])
def test_the_majority_of_every_class_is_exact(name, strength):
    for label in range(5):
        own, count = majority(made(3, strengths=(strength,) * 5)[name], label)
        assert own == int(strength * count + 1e-9)


def test_every_class_may_have_a_strength_of_its_own():
    strengths = (0.9, 0.8, 0.7, 0.6, 0.5)
    for label, strength in enumerate(strengths):
        own, count = majority(made(0, strengths=strengths)["train"], label)
        assert own == int(strength * count + 1e-9)


@quick
@given(st.lists(st.integers(5, 60), min_size=2, max_size=6), st.floats(0.01, 0.99), st.integers(0, 99))
def test_the_minority_takes_turns_and_classes_do_not_touch_each_other(counts, strength, seed):
    labels = np.repeat(np.arange(len(counts)), counts)
    stream = np.random.default_rng(seed)
    labels = stream.permutation(labels)
    grounds = biased_grounds(labels, (strength,) * len(counts), stream)
    for label, count in enumerate(counts):
        cells = np.bincount(grounds[labels == label], minlength=len(counts))
        assert cells[label] == int(strength * count + 1e-9)
        others = np.delete(cells, label)
        assert others.max() <= -(-count // (len(counts) - 1)), "no ground has more than its turns"


def test_the_place_of_an_image_tells_nothing_of_its_ground():
    labels = np.zeros(400, dtype=np.int64)
    grounds = biased_grounds(labels, (0.5,) * 5, np.random.default_rng(0))
    for turn in range(4):
        assert len(set(grounds[turn::4].tolist())) == 5


@pytest.mark.parametrize("name", BALANCED)
def test_balanced_splits_have_every_class_on_every_ground_equally_often_and_no_noise(name):
    item = made(0, label_noise=0.5, core_feature_noise=0.5)[name]
    cells = torch.bincount(item.groups.groups, minlength=25).view(5, 5)
    assert int((cells.max(dim=1).values - cells.min(dim=1).values).max()) <= 1
    assert torch.equal(item.split.labels, clean(item))
    assert same(item, made(0)[name])


@quick
@given(st.integers(2, 7), st.integers(0, 80), st.integers(0, 99))
def test_balanced_grounds_are_balanced_for_any_number(classes, count, seed):
    stream = np.random.default_rng(seed)
    labels = stream.integers(0, classes, count)
    grounds = balanced_grounds(labels, classes, stream)
    for label in range(classes):
        cells = np.bincount(grounds[labels == label], minlength=classes)
        assert cells.max() - cells.min() <= 1


@pytest.mark.parametrize("changed", [{"strengths": (0.3,) * 5}, {"label_noise": 0.2}, {"core_feature_noise": 0.3}])
def test_test_depends_on_the_seed_only_and_no_noise_moves_a_ground(changed):
    for name in BALANCED:
        assert same(made(0)[name], made(0, **changed)[name])
    if "strengths" not in changed:
        for name in BIASED:
            assert torch.equal(made(0)[name].groups.attributes, made(0, **changed)[name].groups.attributes)


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_the_difficulty_changes_no_ground_and_no_label(difficulty):
    for name, item in made(0, difficulty=difficulty).items():
        assert torch.equal(item.groups.groups, made(0)[name].groups.groups)


def test_every_purpose_of_every_split_and_seed_has_a_stream_of_its_own():
    makers = [spuco_mnist.Maker(seed, CLASSES, "magnitude_large") for seed in (0, 1)]
    drawn = {
        maker.stream(split, purpose).random()
        for maker in makers
        for split in spuco_mnist.SPLITS
        for purpose in spuco_mnist.PURPOSES
    }
    assert len(drawn) == 2 * len(spuco_mnist.SPLITS) * len(spuco_mnist.PURPOSES)


# --- pixels


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("name", [*BIASED, *BALANCED])
def test_ink_keeps_its_grey_and_only_visible_pixels_without_ink_are_coloured(name, difficulty):
    item = made(0, difficulty=difficulty)[name]
    images, ink = item.split.images, grey(item) > 0
    assert bool((images == grey(item)[:, None])[ink[:, None].expand_as(images)].all())
    colours = torch.from_numpy(hues(5))[item.groups.attributes]
    painted = (images == colours[:, :, None, None]).all(dim=1) & ~ink
    black = (images == 0).all(dim=1) & ~ink
    assert bool((painted | black)[~ink].all())
    if difficulty in spuco_mnist.CORNER:
        side = spuco_mnist.CORNER[difficulty]
        corner = torch.zeros(28, 28, dtype=torch.bool)
        corner[:side, :side] = True
        assert torch.equal(painted, corner & ~ink)


@pytest.mark.parametrize("difficulty", ["variance_medium", "variance_high"])
def test_every_image_has_forty_nine_pixels_of_its_own(difficulty):
    shown = visible(difficulty, 3000, np.random.default_rng(0))
    side = spuco_mnist.WITHIN[difficulty]
    assert shown.sum(axis=(1, 2)).tolist() == [DRAWN] * 3000
    assert not shown[:, side:].any()
    assert not shown[:, :, side:].any()
    assert len(np.unique(shown.reshape(3000, -1), axis=0)) == 3000
    expected = 3000 * DRAWN / side**2
    assert np.all(np.abs(shown.sum(axis=0)[:side, :side] - expected) < 6 * np.sqrt(expected)), "no pixel is preferred"


@pytest.mark.parametrize("count", range(2, 11))
def test_the_colours_are_those_of_matplotlibs_map(count):
    matplotlib = pytest.importorskip("matplotlib")
    wanted = [matplotlib.colormaps["hsv"](number / count)[:3] for number in range(count)]
    assert hues(count).tolist() == [[round(255 * float(part)) for part in colour] for colour in wanted]


def test_core_feature_noise_erases_three_pixels_in_five_of_its_share_before_the_ground_is_painted():
    item = made(0, core_feature_noise=0.25)["train"]
    ink = grey(item) > 0
    kept = (item.split.images == grey(item)[:, None]).all(dim=1) & ink
    touched = (kept != ink).any(dim=(1, 2))
    assert int(touched.sum()) == int(0.25 * len(ink))
    share = float(kept[touched].sum() / ink[touched].sum())
    assert abs(share - 0.4013) < 0.01
    colours = torch.from_numpy(hues(5))[item.groups.attributes]
    painted = (item.split.images == colours[:, :, None, None]).all(dim=1)
    assert bool((painted | kept).all()), "an erased pixel shows the ground"


# --- label noise


@pytest.mark.parametrize("name", BIASED)
def test_label_noise_is_exact_keeps_the_ground_and_makes_the_group(name):
    item = made(0, label_noise=0.1)[name]
    wrong = item.split.labels != clean(item)
    assert int(wrong.sum()) == int(0.1 * len(wrong))
    assert torch.equal(item.groups.groups, 5 * item.split.labels + item.groups.attributes)
    assert torch.equal(item.groups.aligned, item.split.labels == item.groups.attributes)
    assert torch.equal(item.split.images, made(0)[name].split.images)


@quick
@given(st.integers(2, 6), st.integers(1, 300), st.floats(0, 1), st.integers(0, 99))
def test_a_noisy_label_is_another_class(classes, count, share, seed):
    stream = np.random.default_rng(seed)
    labels = stream.integers(0, classes, count)
    changed = noisy(labels, share, classes, stream)
    assert (changed != labels).sum() == int(share * count + 1e-9)
    assert set(changed) <= set(range(classes))


# --- what is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": ((0, 1), (1, 2))}, "disjoint"),
        ({"classes": ((0, 1),)}, "two or more"),
        ({"classes": ((0, 1), ())}, "two or more"),
        ({"classes": ((0,), (10,))}, "two or more"),
        ({"strengths": (0.9, 0.9)}, "one strength a class"),
        ({"strengths": (0.0,) * 5}, "above 0"),
        ({"strengths": (1.0,) * 5}, "lower the strength"),
    ],
)
def test_what_cannot_be_made_is_refused_with_the_reason(options, message):
    with pytest.raises(BenchbiasError, match=message):
        built(digits(), digits(1000, 1), 0, **{**DEFAULTS, **options})


# --- real MNIST


def answers(item, predicted, train):
    """Predictions of a model that answers so."""
    shares = torch.bincount(train.groups.groups, minlength=25) / len(train.split)
    logits = torch.nn.functional.one_hot(predicted, 5).float()
    groups = item.groups
    return Predictions(
        item.split.name, logits, item.split.labels, groups.attributes, groups.groups, groups.aligned, item.cluster,
        shares, 5,
    )  # fmt: skip


@pytest.fixture(scope="module")
def study():
    """The UCLA study's data: strength 0.995, label noise 0.001, the whole ground."""
    return spuco_mnist.spuco_mnist(FOLDER, 0, label_noise=0.001).splits


@pytest.mark.slow
@real
def test_the_counts_on_mnist_are_the_published_ones(study):
    sizes = {name: len(item.split) for name, item in study.items()}
    assert sizes == {"train": 48_004, "val": 11_996, "val_balanced": 11_996, "test": 10_000}
    assert torch.bincount(study["val_balanced"].split.labels).tolist() == [2532, 2417, 2252, 2436, 2359]
    assert torch.bincount(study["test"].split.labels).tolist() == [2115, 2042, 1874, 1986, 1983]
    cells = torch.bincount(study["test"].groups.groups).view(5, 5)
    assert cells.max(dim=1).values.tolist() == [423, 409, 375, 398, 397]
    plain = spuco_mnist.spuco_mnist(FOLDER, 0).splits["train"]
    assert torch.bincount(plain.split.labels).tolist() == [10_133, 9_672, 9_011, 9_747, 9_441]
    assert torch.bincount(plain.split.labels[~plain.groups.aligned]).tolist() == [51, 49, 46, 49, 48]


@real
def test_the_errors_of_a_colour_reader_are_the_minority_and_the_noisy_labels(study):
    """What the study's ERM gets wrong: 291 = 243 + 48, and so its average with training weights is 99.3938 %."""
    item = study["train"]
    wrong = item.groups.attributes != item.split.labels
    assert int(wrong.sum()) == 291 == 243 + 48
    told = answers(study["test"], study["test"].groups.attributes, item)
    assert accuracy.accuracy_train_weighted(told) == pytest.approx(1 - 291 / 48_004, abs=1e-6)
    assert round(100 * accuracy.accuracy_train_weighted(told), 4) == 99.3938
    assert accuracy.spurious_attribute_accuracy(told) == 1
    assert accuracy.aligned_accuracy(told) == 1
    assert accuracy.conflicting_accuracy(told) == accuracy.worst_group_accuracy(told) == 0


@real
def test_a_digit_reader_tells_nothing_of_the_ground(study):
    told = answers(study["test"], study["test"].split.labels, study["train"])
    assert accuracy.worst_group_accuracy(told) == 1
    assert accuracy.accuracy_train_weighted(told) == pytest.approx(1)
    assert accuracy.spurious_attribute_accuracy(told) == pytest.approx(0.2, abs=0.01)


@real
@pytest.mark.parametrize(("strength", "minority"), [(0.99, 483), (0.95, 2_403)])
def test_the_minority_of_other_strengths_is_the_published_one(strength, minority):
    train = spuco_mnist.spuco_mnist(FOLDER, 1, strength=strength, difficulty="magnitude_small").splits["train"]
    assert int((~train.groups.aligned).sum()) == minority
    colours = torch.from_numpy(hues(5))[train.groups.attributes]
    assert bool((train.split.images[:, :, :2, :2] == colours[:, :, None, None]).all()), "no digit has ink there"
