"""Corrupted copies of the digits: the labels and the clean splits are as they were, the noise is what is published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchbias import BenchbiasError
from benchbias_plugins.datasets.colored_digits import colored_ten_digits, corrupted_ten_digits
from benchbias_plugins.datasets.colored_digits.corrupted import CONTRAST, CORRUPTIONS, GAUSSIAN, IMPULSE, SHOT

HERE = Path()


@pytest.fixture(scope="module")
def whole():
    return corrupted_ten_digits(HERE, 3, severities=(1, 3, 5))


def test_all_but_the_corrupted_splits_are_those_of_the_ten_digits(whole):
    clean = colored_ten_digits(HERE, 3, conflict_ratio=0.5, draws=2)
    assert set(whole.splits) - set(clean.splits) == {f"test-{name}-{s}" for name in CORRUPTIONS for s in (1, 3, 5)}
    for name, item in clean.splits.items():
        assert torch.equal(whole.splits[name].split.images, item.split.images)
        assert torch.equal(whole.splits[name].cluster, item.cluster)


def test_a_corrupted_copy_has_the_order_the_labels_and_the_groups_of_the_test_split(whole):
    test = whole.splits["test"]
    for name in CORRUPTIONS:
        copy = whole.splits[f"test-{name}-3"]
        assert torch.equal(copy.split.labels, test.split.labels)
        assert torch.equal(copy.groups.groups, test.groups.groups)
        assert torch.equal(copy.cluster, test.cluster)
        assert copy.split.images.dtype == torch.uint8
        assert not torch.equal(copy.split.images, test.split.images)


def test_equal_seeds_give_equal_noise_and_others_do_not(whole):
    again, other = corrupted_ten_digits(HERE, 3), corrupted_ten_digits(HERE, 4)
    name = "test-gaussian-noise-3"
    assert torch.equal(again.splits[name].split.images, whole.splits[name].split.images)
    assert not torch.equal(other.splits[name].split.images, whole.splits[name].split.images)
    one, more = whole.splits["test-gaussian-noise-1"], whole.splits[name]
    grey = whole.splits["test"].split.images.float()
    assert (one.split.images - grey).abs().mean() < (more.split.images - grey).abs().mean()


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_the_noise_is_what_its_parameters_say(severity: int):
    pixels = np.full((400, 3, 8, 8), 0.5)
    stream = np.random.default_rng(severity)
    found = {name: corrupt(pixels, severity, stream) - pixels for name, corrupt in CORRUPTIONS.items()}
    assert found["gaussian-noise"].std() == pytest.approx(GAUSSIAN[severity - 1], rel=0.02)
    assert found["shot-noise"].var() == pytest.approx(0.5 / SHOT[severity - 1], rel=0.03)
    assert (found["impulse-noise"] != 0).mean() == pytest.approx(IMPULSE[severity - 1], rel=0.05)
    assert abs((found["impulse-noise"] > 0).mean() - (found["impulse-noise"] < 0).mean()) < 0.01
    assert np.abs(found["contrast"]).max() == 0


@pytest.mark.parametrize("severity", [1, 5])
def test_contrast_shrinks_each_image_towards_its_own_mean(severity: int):
    pixels = np.random.default_rng(0).random((20, 3, 8, 8))
    found = CORRUPTIONS["contrast"](pixels, severity, np.random.default_rng(0))
    np.testing.assert_allclose(found.mean(axis=(2, 3)), pixels.mean(axis=(2, 3)))
    np.testing.assert_allclose(found.std(axis=(2, 3)), CONTRAST[severity - 1] * pixels.std(axis=(2, 3)))


def test_another_severity_is_refused_by_name():
    with pytest.raises(BenchbiasError, match="severities are from 1 to 5, not 6"):
        corrupted_ten_digits(HERE, 0, severities=(3, 6))
