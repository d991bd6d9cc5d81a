"""Coloured digits: seeds are folds, conflicts are exact, test depends on the seed only, no group has a chance hue."""

from __future__ import annotations

import functools
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.datasets import load_digits

from benchbias_plugins.datasets.colored_digits import colored_digits
from benchbias_plugins.datasets.colored_digits import digits as reading
from benchbias_plugins.datasets.colored_digits.digits import conflicts

quick = settings(max_examples=60, deadline=None, derandomize=True)

NOISE = 0.3


@functools.cache
def made(seed=0, **options):
    return colored_digits(Path(), seed=seed, **{"draws": 2, **options})


@functools.cache
def digits():
    return load_digits()


def digit(item):
    """The digit (0 to 9) of every example, read from its source image."""
    return digits().target[item.cluster.numpy()]


def conflicting(item):
    return (~item.groups.aligned).numpy()


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


def test_a_seed_gives_the_same_bytes_every_time():
    again = colored_digits(Path(), seed=3, draws=2)
    assert all(same(item, again.splits[name]) for name, item in made(3).splits.items())


def test_the_digits_are_those_of_scikit_learn_in_every_bit():
    pixels, target = reading._digits()
    assert (pixels.dtype, target.dtype) == (digits().images.dtype, digits().target.dtype)
    assert np.array_equal(pixels, digits().images)
    assert np.array_equal(target, digits().target)


def test_the_digits_are_read_without_an_import_of_scikit_learn_s_data_sets(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)  # an import of it fails
    assert same(colored_digits(Path(), seed=0, draws=2).splits["train"], made(0).splits["train"])


def test_a_scikit_learn_that_keeps_the_file_elsewhere_is_asked_for_the_digits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    elsewhere = importlib.util.spec_from_file_location("sklearn", submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(reading, "find_spec", lambda name: elsewhere)
    pixels, target = reading._digits()
    assert np.array_equal(pixels, digits().images)
    assert np.array_equal(target, digits().target)


def test_an_absent_scikit_learn_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reading, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ModuleNotFoundError, match=r"sklearn"):
        colored_digits(Path(), seed=0, draws=1)


def test_another_seed_gives_other_data():
    assert not same(made(0).splits["train"], made(1).splits["train"])


def test_the_default_options_give_sixteen_draws_of_each_colour():
    default = colored_digits(Path(), seed=0).splits["test"]
    assert set(np.unique(default.cluster, return_counts=True)[1]) == {2 * 16}


# --- who is where


@pytest.mark.parametrize("repetition", [0, 1, 7])
def test_the_five_seeds_of_a_repetition_test_every_digit_once(repetition):
    folds = [set(made(5 * repetition + fold).splits["test"].cluster.tolist()) for fold in range(5)]
    assert sum(map(len, folds)) == len(set().union(*folds)) == 1797


def test_two_repetitions_cut_other_folds():
    assert set(made(0).splits["test"].cluster.tolist()) != set(made(5).splits["test"].cluster.tolist())


@pytest.mark.parametrize("seed", [0, 4, 13])
def test_no_digit_is_in_two_of_train_val_and_test(seed):
    parts = [set(made(seed).splits[name].cluster.tolist()) for name in ("train", "val", "test")]
    assert len(set().union(*parts)) == sum(map(len, parts)) == 1797
    assert set(made(seed).splits["val_balanced"].cluster.tolist()) == parts[1]


@pytest.mark.parametrize("seed", range(5))
def test_training_has_a_hundred_and_twenty_of_each_digit(seed):
    assert np.bincount(digit(made(seed).splits["train"])).tolist() == [120] * 10


@pytest.mark.parametrize("seed", range(5))
def test_test_is_stratified_by_digit(seed):
    share = np.bincount(digit(made(seed).splits["test"])) / 4 / np.bincount(digits().target)
    assert np.all(np.abs(share - 0.2) < 0.01)


@pytest.mark.parametrize(("name", "copies"), [("test", 3), ("val_balanced", 1)])
def test_balanced_splits_have_each_digit_in_both_colours_equally_often(name, copies):
    item = made(0, draws=3).splits[name]
    pairs, counts = np.unique(torch.stack([item.cluster, item.groups.attributes]), axis=1, return_counts=True)
    assert set(counts) == {copies}
    assert pairs.shape[1] == 2 * len(set(item.cluster.tolist()))


# --- labels and groups


@pytest.mark.parametrize("name", ["train", "val", "val_balanced", "test"])
def test_labels_groups_and_alignment_follow_from_digit_and_colour(name):
    item = made(2).splits[name]
    labels, colours = item.split.labels, item.groups.attributes
    assert torch.equal(labels, torch.from_numpy(digit(item) >= 5).long())
    assert torch.equal(item.groups.groups, 2 * labels + colours)
    assert torch.equal(item.groups.aligned, labels == colours)
    assert item.groups.group_names == ("0/red", "0/green", "1/red", "1/green")


@pytest.mark.parametrize("name", ["train", "val", "val_balanced", "test"])
def test_the_ground_is_red_or_green_as_the_attribute_says(name):
    item = made(0, noise=0.0).splits[name]
    corner = item.split.images[:, :, 0, 0]  # no digit has ink there
    colours = torch.tensor([[255, 0, 0], [0, 255, 0]], dtype=torch.uint8)
    assert digits().images[:, 0, 0].max() == 0
    assert torch.equal(corner, colours[item.groups.attributes])


def test_the_digit_is_drawn_in_white_over_its_ground():
    item = made(0, noise=0.0).splits["train"]
    ink = torch.from_numpy(digits().images[item.cluster.numpy()] / 16)
    blue, images = item.split.images[:, 2].double(), item.split.images.double()
    torch.testing.assert_close(blue, 255 * ink, atol=0.5, rtol=0)  # no ground has blue
    assert bool((images[torch.arange(len(images)), item.groups.attributes] == 255).all())


# --- conflicts


@pytest.mark.parametrize("seed", range(5))
def test_five_percent_are_six_conflicts_in_each_digit(seed):
    item = made(seed).splits["train"]
    assert np.bincount(digit(item)[conflicting(item)], minlength=10).tolist() == [6] * 10


@pytest.mark.parametrize("ratio", [0.0, 0.005, 0.013, 0.2, 0.5, 0.777, 1.0])
@pytest.mark.parametrize("name", ["train", "val"])
def test_training_and_validation_have_the_asked_conflicts_in_all_and_in_each_digit(name, ratio):
    item = made(1, conflict_ratio=ratio).splits[name]
    length = len(item.split)
    assert abs(conflicting(item).sum() - ratio * length) <= 0.5 + 1e-9
    each = np.bincount(digit(item)[conflicting(item)], minlength=10) - ratio * np.bincount(digit(item))
    assert np.all(np.abs(each) <= 1 + 1e-9)


@quick
@given(st.floats(0, 1), st.lists(st.integers(0, 30), min_size=10, max_size=10), st.integers(0, 99))
def test_any_conflict_ratio_is_kept_within_one(ratio, members, seed):
    values = np.random.default_rng(seed).permutation(np.repeat(np.arange(10), members))
    flags = conflicts(values, ratio, np.random.default_rng(seed))
    assert abs(flags.sum() - ratio * len(values)) <= 0.5 + 1e-9
    each = np.bincount(values[flags], minlength=10) - ratio * np.array(members)
    assert np.all(np.abs(each) <= 1 + 1e-9)


def test_which_digits_conflict_is_drawn_anew_for_each_seed():
    chosen = [
        set(made(seed).splits["train"].cluster[conflicting(made(seed).splits["train"])].tolist()) for seed in (0, 5)
    ]
    assert len(chosen[0]) == len(chosen[1]) == 60
    assert chosen[0] != chosen[1]


@pytest.mark.parametrize("seed", [0, 8])
def test_the_test_split_does_not_depend_on_the_conflict_ratio(seed):
    biased, unbiased = made(seed), made(seed, conflict_ratio=0.5)
    assert same(biased.splits["test"], unbiased.splits["test"])
    assert same(biased.splits["val_balanced"], unbiased.splits["val_balanced"])
    assert not same(biased.splits["train"], unbiased.splits["train"])


# --- the hue of the ground


@pytest.mark.parametrize("name", ["train", "val"])
@pytest.mark.parametrize("seed", [0, 6])
def test_the_ground_noise_of_a_group_has_one_value_in_each_equally_likely_stratum(name, seed):
    """The k-th smallest ground of n must lie between the k-th and the next n-quantile, whatever chance does."""
    item = made(seed).splits[name]
    ground = item.split.images[:, :, 0, 0].numpy().astype(float)
    for group in range(4):
        members = np.sort(ground[item.groups.groups.numpy() == group], axis=0)  # (n, 3), each channel by itself
        edges = norm.ppf(np.arange(len(members) + 1) / len(members))
        for channel in range(3):
            base = 1.0 if channel == group % 2 else 0.0
            bounds = 255 * np.clip(base + NOISE * edges, 0, 1)
            assert np.all(members[:, channel] >= np.floor(bounds[:-1]))
            assert np.all(members[:, channel] <= np.ceil(bounds[1:]))


def test_the_ground_noise_of_channels_is_drawn_apart():
    item = made(0, noise=0.05).splits["train"]
    red = (item.groups.groups == 0).numpy()
    ground = item.split.images[:, :, 0, 0].numpy().astype(float)[red]
    assert abs(np.corrcoef(ground[:, 1], ground[:, 2])[0, 1]) < 0.2
    assert abs(np.corrcoef(ground[:, 0], ground[:, 1])[0, 1]) < 0.2
