"""CIFAR-10, plain and corrupted: exact counts, splits that share no image, test apart from the ratio, messages."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from benchbias import BenchbiasError
from benchbias.plugin.loading import PluginRef
from benchbias.plugin.registry import source_digest
from benchbias.suite.catalogue import load, shipped_file
from benchbias_plugins.datasets import colored_mnist
from benchbias_plugins.datasets.cifar10 import biased, cifar10, corrupted_cifar10, plain
from benchbias_plugins.datasets.cifar10.biased import OF_CLASS, ORIGINAL
from benchbias_plugins.datasets.cifar10.corruptions import NAMES, by_name
from benchbias_plugins.datasets.cifar10.frost_textures import drawn
from benchbias_plugins.datasets.cifar10.source import CIFAR10
from benchbias_plugins.datasets.colored_mnist import milestones

FOLDER = Path(os.environ.get("BENCHBIAS_DATA", "data"))
real = pytest.mark.skipif(
    not (FOLDER / CIFAR10).is_dir(), reason=f"CIFAR-10 is not in {FOLDER} (BENCHBIAS_DATA says where to look)"
)


@functools.cache
def coloured(count=1000, seed=0):
    """Random images and classes, each as often as another to within chance."""
    stream = np.random.default_rng(seed)
    small = stream.integers(0, 256, (count, 3, 16, 16))
    return small.repeat(2, axis=2).repeat(2, axis=3).astype(np.uint8), stream.integers(0, 10, count)


@functools.cache
def made(seed=0, conflict_ratio=0.05, types="type0", severity=5, examples=None):
    return biased.built(
        coloured(), coloured(500, 1), seed, conflict_ratio, types, severity, 200, examples, drawn()
    ).splits


@functools.cache
def unbiased(seed=0, examples=None, names=(), severities=(), val=200):
    return plain.built(coloured(), coloured(200, 1), seed, val, examples, names, severities, drawn()).splits


def same(one, other):
    return torch.equal(one.split.images, other.split.images) and torch.equal(one.groups.groups, other.groups.groups)


def cells(item):
    return torch.bincount(item.groups.groups, minlength=100).view(10, 10)


def source(item, tests=500):
    images = np.concatenate([coloured()[0], coloured(tests, 1)[0]])
    return torch.from_numpy(images[item.cluster.numpy()])


def test_a_seed_gives_the_same_bytes_every_time_and_another_seed_others():
    again = biased.built(coloured(), coloured(500, 1), 0, 0.05, "type0", 5, 200, None, drawn()).splits
    assert all(same(item, again[name]) for name, item in made(0).items())
    assert not any(same(item, made(1)[name]) for name, item in made(0).items())


def test_no_image_is_in_two_of_train_val_and_test_and_val_is_the_same_for_every_seed():
    parts = [set(made(0)[name].cluster.tolist()) for name in ("train", "val", "test")]
    assert [len(part) for part in parts] == [800, 200, 500]
    assert len(set().union(*parts)) == 1500
    assert made(0)["val"].cluster.tolist() == made(1)["val"].cluster.tolist()
    assert made(0)["val"].cluster.tolist() == made(0)["val_balanced"].cluster.tolist()


def test_labels_are_those_of_the_source_images():
    labels = torch.from_numpy(np.concatenate([coloured()[1], coloured(500, 1)[1]]))
    for item in made(0).values():
        assert torch.equal(item.split.labels, labels[item.cluster])


def test_a_part_of_training_is_the_same_for_every_seed_and_leaves_the_other_splits():
    one, other, whole = made(0, examples=300), made(1, examples=300), made(0)
    assert len(one["train"].split) == 300
    assert torch.equal(one["train"].cluster, other["train"].cluster)
    assert set(one["train"].cluster.tolist()) < set(whole["train"].cluster.tolist())
    assert all(same(one[name], whole[name]) for name in ("val", "val_balanced", "test"))


@pytest.mark.parametrize("name", ["train", "val"])
@pytest.mark.parametrize("ratio", [0.0, 0.05, 0.5, 1.0])
def test_training_and_validation_have_the_asked_conflicts(name: str, ratio: float):
    item = made(0, conflict_ratio=ratio)[name]
    found = cells(item)
    for label in range(10):
        count = int(found[label].sum())
        assert found[label].tolist() == np.diff(milestones(count, label, ratio), prepend=0).tolist()
    assert torch.equal(item.groups.aligned, item.split.labels == item.groups.attributes)


@pytest.mark.parametrize("name", ["val_balanced", "test"])
def test_balanced_splits_have_every_class_under_every_corruption_and_depend_on_the_seed_only(name: str):
    found = cells(made(0)[name])
    assert int((found.max(dim=1).values - found.min(dim=1).values).max()) <= 1
    assert same(made(0)[name], made(0, conflict_ratio=0.5)[name])
    assert not same(made(0)["train"], made(0, conflict_ratio=0.5)["train"])


@pytest.mark.parametrize("types", ["type0", "type1"])
def test_an_image_wears_the_corruption_that_its_attribute_names(types: str):
    """What is certain is computed again; of what is random, another severity makes others."""
    item, clean = made(0, types=types)["test"], source(made(0, types=types)["test"])
    milder = made(0, types=types, severity=1)["test"]
    assert torch.equal(item.groups.attributes, milder.groups.attributes)
    assert item.groups.group_names[:10] == tuple(f"0/{name}" for name in OF_CLASS[types])
    certain = {"defocus-blur", "zoom-blur", "brightness", "contrast", "pixelate", "jpeg-compression", "gaussian-blur"}
    checked = 0
    for value, name in enumerate(OF_CLASS[types]):
        members = item.groups.attributes == value
        images = item.split.images[members]
        if name == ORIGINAL:
            assert torch.equal(images, clean[members])
        elif name in certain | {"saturate"}:
            wanted = by_name(drawn())[name](clean[members].numpy(), 5, np.random.default_rng(9))
            assert np.array_equal(images.numpy(), wanted)
            checked += 1
        else:
            assert not torch.equal(images, clean[members])
            assert not torch.equal(images, milder.split.images[members])
    assert checked == (5 if types == "type0" else 3)


def test_every_corruption_of_every_split_draws_numbers_of_its_own(monkeypatch: pytest.MonkeyPatch):
    firsts = []

    def spy(images, corruption, severity, stream):
        firsts.append(stream.random())
        return images

    monkeypatch.setattr(biased, "corrupted", spy)
    biased.built(coloured(), coloured(500, 1), 0, 0.05, "type0", 5, 200, None, drawn())
    attributes = [np.random.default_rng([0, number]).random() for number in range(4)]
    assert len(firsts) == 40
    assert len({*firsts, *attributes}) == 44


def test_the_ten_corruptions_of_a_kind_are_known_and_their_classes_are_the_published_ones():
    for names in OF_CLASS.values():
        assert len(set(names)) == 10
        assert set(names) <= {*NAMES, ORIGINAL}
    assert not set(OF_CLASS["type0"]) & set(OF_CLASS["type1"])
    assert dict(zip(("airplane", "automobile", "bird"), OF_CLASS["type0"], strict=False)) == {
        "airplane": "snow", "automobile": "frost", "bird": "fog",
    }  # fmt: skip
    assert OF_CLASS["type0"][5:] == ("spatter", "elastic-transform", "jpeg-compression", "pixelate", "saturate")


def test_plain_images_are_the_sources_in_groups_that_are_the_classes():
    for item in unbiased(0).values():
        assert torch.equal(item.split.images, source(item, 200))
        assert torch.equal(item.groups.groups, item.split.labels)
        assert bool(item.groups.aligned.all())
        assert item.groups.group_names == tuple(f"{label}/none" for label in range(10))
    assert unbiased(0)["test"].cluster.tolist() == list(range(1000, 1200))


def test_validation_is_drawn_by_the_seed_each_class_in_proportion():
    share = np.bincount(coloured()[1], minlength=10) / 1000
    held = [unbiased(seed)["val"] for seed in (0, 1)]
    for item in held:
        assert np.abs(item.split.labels.bincount(minlength=10).numpy() - 200 * share).max() <= 1
    assert held[0].cluster.tolist() != held[1].cluster.tolist()
    for seed in (0, 1):
        parts = [set(unbiased(seed)[name].cluster.tolist()) for name in ("train", "val")]
        assert not parts[0] & parts[1]
        assert len(parts[0] | parts[1]) == 1000
    few = unbiased(0, examples=100)
    assert len(few["train"].split) == 100
    assert set(few["train"].cluster.tolist()) < set(unbiased(0)["train"].cluster.tolist())
    assert same(few["val"], unbiased(0)["val"])


def test_corrupted_copies_of_the_test_split_are_further_splits():
    whole = unbiased(3, names=("fog", "pixelate"), severities=(1, 5))
    assert set(whole) - set(unbiased(3)) == {f"test-{name}-{at}" for name in ("fog", "pixelate") for at in (1, 5)}
    assert all(same(whole[name], item) for name, item in unbiased(3).items())
    for name in ("test-fog-1", "test-fog-5", "test-pixelate-5"):
        assert torch.equal(whole[name].cluster, whole["test"].cluster)
        assert torch.equal(whole[name].split.labels, whole["test"].split.labels)
        assert whole[name].split.name == name
        assert not torch.equal(whole[name].split.images, whole["test"].split.images)
    alone = unbiased(3, names=("fog",), severities=(5,))["test-fog-5"]
    assert same(alone, whole["test-fog-5"]), "a copy does not depend on what else is asked for"
    assert not same(alone, unbiased(4, names=("fog",), severities=(5,))["test-fog-5"])


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"names": ("fog", "haze"), "severities": (1,)}, "cifar10: no corruption is called 'haze' .known: .*fog"),
        ({"names": ("fog",), "severities": (0,)}, "cifar10: severities are from 1 to 5, not 0"),
        ({"names": ("fog",)}, "corruptions and severities go together"),
        ({"severities": (1,)}, "corruptions and severities go together"),
        ({"val": 600, "examples": 500}, "val = 600 and examples = 500 are more than the 1000 images"),
        ({"val": 1000}, "val = 1000 and examples = 1 are more than the 1000"),
    ],
)
def test_what_cannot_be_is_told_in_one_message(asked: dict[str, object], told: str):
    with pytest.raises(BenchbiasError, match=told):
        unbiased(0, **asked)


def test_the_shared_module_is_in_the_sources_of_what_imports_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Splits and attributes are coloured MNIST's code: a change there must change the keys here."""
    for folder in ("ours", "ours/one", "ours/two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").write_text("")
    (tmp_path / "ours/one/__init__.py").write_text("from ..shared import what\n\n\ndef f():\n    from ..two import g\n")
    (tmp_path / "ours/shared.py").write_text("from .deep import what\n")
    (tmp_path / "ours/deep.py").write_text("what = 1\n")
    (tmp_path / "ours/other.py").write_text("what = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    ref = PluginRef("one", "ours.one", "benchbias", "1")
    for file, counts in (("shared", True), ("deep", True), ("two/__init__", True), ("two/new", True), ("other", False)):
        before = source_digest(ref)
        with (tmp_path / f"ours/{file}.py").open("a") as text:
            text.write("# changed\n")
        assert (source_digest(ref) != before) == counts, file


@pytest.mark.parametrize(("ratio", "conflicts"), [(0.005, 227), (0.01, 450), (0.02, 900), (0.05, 2_250)])
def test_the_counts_of_conflicts_at_published_ratios(ratio: float, conflicts: int):
    """45,000 training images, as published files have to within 100; the ratio is true to within one image a cell."""
    label = np.repeat(np.arange(10), 5_000)
    held = colored_mnist.held_out(label, colored_mnist.VAL)
    assert np.bincount(label[held]).tolist() == [500] * 10
    label = np.delete(label, held)
    attribute = colored_mnist.attributes(label, ratio, np.random.default_rng([0, 0]))
    assert len(label) == 45_000
    assert int((attribute != label).sum()) == conflicts
    assert abs(conflicts / 45_000 - ratio) < 1.5e-4


MNIST = (5_923, 6_742, 5_958, 6_131, 5_842, 5_421, 5_918, 6_265, 5_851, 5_949)  # images of each digit in training


def shipped_counts():
    """(task, images of each class, conflict ratio) of training and validation of every task on these two data sets."""
    for name, task in load(shipped_file()).tasks.items():
        options = dict(task.dataset)
        if options["use"] in ("colored_mnist", "corrupted_cifar10"):
            label = np.repeat(np.arange(10), MNIST if options["use"] == "colored_mnist" else 5_000)
            held = colored_mnist.held_out(label, colored_mnist.VAL)
            fit = np.delete(label, held)
            if "examples" in options:
                fit = fit[colored_mnist.held_out(fit, options["examples"])]
            yield name, (np.bincount(fit), np.bincount(label[held])), options["conflict_ratio"]


def as_published(counts, ratio):
    """Ends of each attribute in each class, (10, 10): make_attr_labels of LfF's make_dataset.py, line by line."""
    aligned = 1 - ratio
    ratios = aligned * np.eye(10) + (1 - aligned) / 9 * (1 - np.eye(10))
    return (counts[:, np.newaxis] * np.cumsum(ratios, axis=1)).round().astype(np.int64)


def as_before(count, label, ratio):
    """The ends before the order of operations was the published one's."""
    shares = np.full(10, ratio / 9)
    shares[label] = 1 - ratio
    upto = np.round(np.cumsum(shares) * count).astype(np.int64)
    upto[-1] = count
    return upto


def test_every_shipped_task_has_the_published_generators_counts_and_only_halves_have_others_than_before():
    """Which images conflict is drawn from these counts alone: where they are as before, every pixel is.

    At 20,000 images one cumulative share of the digit 8 is a half: one image has the neighbouring colour.
    """
    changed, known = set(), set()
    for task, splits, ratio in shipped_counts():
        known.add(task)
        for counts in splits:
            found = np.array([milestones(int(count), label, ratio) for label, count in enumerate(counts)])
            assert np.array_equal(found, as_published(counts, ratio)), task
            if any(
                not np.array_equal(found[label], as_before(int(counts[label]), label, ratio)) for label in range(10)
            ):
                changed.add(task)
    assert len(known) >= 14
    assert changed == {"corrupted-cifar10-0.5", "colored-mnist-rest-0.5-short", "colored-mnist-rest-5-short"}


@pytest.mark.slow
@real
def test_the_data_sets_on_cifar10():
    splits = corrupted_cifar10(FOLDER, 0, examples=1000, types="type1").splits
    assert {name: tuple(item.split.images.shape) for name, item in splits.items()} == {
        "train": (1000, 3, 32, 32), "val": (5000, 3, 32, 32), "val_balanced": (5000, 3, 32, 32),
        "test": (10_000, 3, 32, 32),
    }  # fmt: skip
    assert int(splits["test"].groups.aligned.sum()) == 1_000
    whole = cifar10(FOLDER, 0, corruptions=("contrast",), severities=(3,))
    assert {name: len(item.split) for name, item in whole.splits.items()} == {
        "train": 45_000, "val": 5_000, "test": 10_000, "test-contrast-3": 10_000,
    }  # fmt: skip
    assert whole.augmentations == ("none", "shift", "flip-crop", "flip-crop-zeros")
    for channel in range(3):
        assert whole.splits["train"].split.images[:, channel].double().mean() / 255 == pytest.approx(
            whole.mean[channel], abs=0.01
        )
