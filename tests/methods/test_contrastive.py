"""SimCLR, the linear probe, and the data of the contrastive study: its repaired form, and the published one."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchbias import BenchbiasError, Predictions, nt_xent
from benchbias.data.values import LabelledSplit, Split
from benchbias.testing.toys.toy import toy_dataset, with_batch_norm
from benchbias.testing.toys.trial import ToyTrial
from benchbias_plugins.datasets.colored_digits import colored_digits, colored_ten_digits
from benchbias_plugins.methods import simclr as simclr_module
from benchbias_plugins.methods.constant import constant
from benchbias_plugins.methods.linear_probe import linear_probe
from benchbias_plugins.methods.simclr import cropped, recoloured, simclr
from benchbias_plugins.metrics.digit_one_accuracy import digit_one_accuracy
from benchbias_plugins.networks.conv_encoder import conv_encoder


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def images_of(count=64, channels=3, size=8, seed=1):
    return torch.rand(count, channels, size, size, generator=stream(seed))


# --- views


@pytest.mark.parametrize("smallest", [0.05, 0.5, 1.0])
def test_a_crop_shows_nothing_that_is_not_in_the_image(smallest: float):
    images = images_of()
    views = cropped(images, smallest, False, stream())
    assert views.shape == images.shape
    flat = images.flatten(2)
    assert (views.flatten(2).amax(2) <= flat.amax(2) + 1e-5).all()
    assert (views.flatten(2).amin(2) >= flat.amin(2) - 1e-5).all()
    constant = torch.full((3, 3, 8, 8), 0.3)
    assert torch.allclose(cropped(constant, smallest, True, stream()), constant)


def test_a_crop_holds_the_share_of_the_area_that_it_is_drawn_with():
    """On a ramp from left to right and one from top to bottom the spread of a view is its width and height."""
    size = 64
    ramp = torch.linspace(0, 1, size)
    images = torch.stack([ramp.expand(size, size), ramp.view(-1, 1).expand(size, size)]).expand(500, 2, size, size)
    views = cropped(images, 0.3, False, stream())
    inner = (size - 1) / size  # from the middle of the first pixel to that of the last
    width = (views[:, 0, 5, -1] - views[:, 0, 5, 0]) / inner
    height = (views[:, 1, -1, 5] - views[:, 1, 0, 5]) / inner
    area = width * height
    assert 0.25 < float(area.min()) < 0.36
    assert float(area.max()) > 0.95
    assert abs(float(area.mean()) - 0.65) < 0.05
    assert float((width / height).max()) < 1.45


def test_views_are_mirrored_only_if_it_is_asked_for():
    ramp = torch.linspace(0, 1, 8).expand(400, 1, 8, 8)
    rises = [(cropped(ramp, 0.5, flip, stream())[:, 0, 0].diff(dim=1) >= -1e-6).all(dim=1) for flip in (False, True)]
    assert rises[0].all()
    assert 0.4 < float(rises[1].float().mean()) < 0.6


def test_colours_turn_about_the_grey_axis():
    images = 0.4 + 0.2 * images_of()  # far from black and white: nothing is clipped
    assert torch.allclose(recoloured(images, 0.0, stream()), images, atol=1e-6)
    turned = recoloured(images, 0.5, stream())
    assert torch.allclose(turned.mean(1), images.mean(1), atol=1e-5)  # the grey part stays
    chroma = [(picture - picture.mean(1, keepdim=True)).flatten(1).norm(dim=1) for picture in (images, turned)]
    scale = chroma[1] / chroma[0]
    assert 0.5 <= float(scale.min()) < 0.7
    assert 1.3 < float(scale.max()) <= 1.5
    grey = torch.full((4, 3, 2, 2), 0.6)
    assert torch.allclose(recoloured(grey, 1.0, stream()), grey, atol=1e-6)


def test_with_full_jitter_every_hue_of_a_red_ground_is_seen():
    red = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1).expand(600, 3, 1, 1)
    seen = recoloured(red, 1.0, stream())[:, :, 0, 0]
    strongest = torch.bincount(seen.argmax(1), minlength=3) / len(seen)
    assert (strongest > 0.25).all()


# --- pretraining


def relabelled(data):
    """The same images with other labels."""
    split = data.splits["train"].split
    labels = split.labels.roll(7)
    assert not torch.equal(labels, split.labels)
    attributes = data.splits["train"].groups.attributes
    groups = replace(data.splits["train"].groups, groups=labels * 2 + attributes)
    train = LabelledSplit(Split(split.images, labels, 2, "train"), groups, data.splits["train"].cluster)
    return replace(data, splits={**data.splits, "train": train})


def pretrained(data=None, options=None, **recipe):
    trial = ToyTrial(data, with_batch_norm)
    return trial, trial.train(simclr, options, **{"epochs": 4, "lr": 1e-2, "optimizer": "adam", **recipe})


def test_pretraining_looks_at_no_label():
    weights = [trial.made[key].blobs["weights"] for trial, key in (pretrained(), pretrained(relabelled(toy_dataset())))]
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())


def test_pretraining_makes_views_of_one_image_alike_and_leaves_the_head_at_zero():
    trial, key = pretrained(epochs=10)
    losses, weights = trial.made[key].body["losses"], trial.made[key].blobs["weights"]
    assert losses[-1] < losses[0]
    assert losses[-1] < math.log(2 * 16 - 1), "better than guessing among the others of a batch of 16"
    start = trial.made[trial.init].blobs["weights"]
    changed = {name for name, tensor in weights.items() if not torch.equal(tensor, start[name])}
    assert {"0.weight", "4.weight"} <= changed
    assert not weights["7.weight"].any()
    assert not weights["7.bias"].any()


@pytest.mark.parametrize(
    "options",
    [{"temperature": 0.5}, {"projection": 8}, {"smallest_crop": 0.9}, {"flip": True}, {"color_jitter": 0.5}],
    ids=lambda options: next(iter(options)),
)
def test_every_option_of_pretraining_is_read(options):
    (one, key), (other, changed) = pretrained(), pretrained(None, options)
    weights = one.made[key].blobs["weights"]
    assert any(not torch.equal(t, other.made[changed].blobs["weights"][name]) for name, t in weights.items())


def test_colours_are_jittered_only_where_there_are_three():
    data = toy_dataset()
    splits = {
        name: replace(item, split=replace(item.split, images=item.split.images[:, :1]))
        for name, item in data.splits.items()
    }
    grey = replace(data, splits=splits, mean=(0.5,), std=(0.5,))
    with pytest.raises(BenchbiasError, match="3 channels, not 1"):
        ToyTrial(grey).train(simclr, {"color_jitter": 0.5})
    ToyTrial(grey).train(simclr, epochs=1)


# --- the probe


def test_a_probe_learns_what_is_separable_and_moves_nothing_but_the_head():
    trial = ToyTrial(model=with_batch_norm)
    key = trial.train(linear_probe, epochs=20, lr=0.05, optimizer="adam")
    weights, start = trial.made[key].blobs["weights"], trial.made[trial.init].blobs["weights"]
    assert trial.made[key].body["losses"][-1] < 0.5 * math.log(2)
    moved = {name for name, tensor in weights.items() if not torch.equal(tensor, start[name])}
    assert moved == {"7.weight", "7.bias"}, "no weight of the encoder, no statistics of batch norm"


def test_a_probe_begins_at_zero_whatever_head_stands_there():
    trial = ToyTrial(model=with_batch_norm)
    weights = trial.made[trial.train(linear_probe, epochs=0)].blobs["weights"]
    assert not weights["7.weight"].any()
    once = trial.made[trial.train(linear_probe, epochs=1, batch_size=48)].body["losses"]
    assert once == [pytest.approx(math.log(2))]


def test_a_probe_finds_scikit_learns_logistic_regression():
    from sklearn.linear_model import LogisticRegression

    trial, seen = ToyTrial(model=with_batch_norm), {}

    def probe(model, data, context):
        linear_probe(model, data, context)
        with torch.no_grad():
            batch = data.batch(data.train, torch.arange(len(data.train)))
            seen["features"] = context.features(model.eval(), batch.images).numpy()
            seen["labels"], seen["logits"] = batch.labels.numpy(), model(batch.images).numpy()

    recipe = {"epochs": 200, "batch_size": 48, "lr": 0.05, "optimizer": "adam", "schedule": "cosine"}
    trial.train(probe, **recipe, weight_decay=0.0)
    fitted = LogisticRegression(C=1e4, max_iter=5000).fit(seen["features"], seen["labels"])
    answers = seen["logits"].argmax(1)
    assert (answers == fitted.predict(seen["features"])).mean() > 0.95


def test_a_probe_of_a_pruned_encoder_sees_the_pruned_encoder():
    def everything(model, data, context):
        return {name: weight.abs() for name, weight in context.prunable(model).items()}

    trial = ToyTrial(model=with_batch_norm)
    mask = trial.prune(everything, sparsity=1.0, layers=("0",))
    key = trial.train(linear_probe, mask=mask, epochs=5, lr=0.05)
    assert trial.made[key].body["losses"][-1] == pytest.approx(math.log(2), abs=0.05), "nothing is left to read"


def test_the_published_probe_is_never_trained():
    trial = ToyTrial(model=with_batch_norm)
    made = trial.made[trial.train(linear_probe, {"as_published": True}, epochs=20)]
    start = trial.made[trial.init].blobs["weights"]
    assert made.body["steps"] == 0
    assert made.body["losses"] == []
    moved = {name for name, tensor in made.blobs["weights"].items() if not torch.equal(tensor, start[name])}
    assert moved == {"7.weight", "7.bias"}, "a head drawn at random"
    data, network = trial.training_data(), trial.network()
    network.load_state_dict(made.blobs["weights"])
    with torch.no_grad():
        logits = network.eval()(data.batch(data.train, torch.arange(48)).images)
    assert torch.allclose(logits.logsumexp(0), torch.zeros(2), atol=1e-4), "a softmax over the examples"


# --- the data, the model and the metric


def test_ten_digits_are_the_coloured_digits_with_other_labels(tmp_path: Path):
    ten, two = colored_ten_digits(tmp_path, 3, draws=2), colored_digits(tmp_path, 3, draws=2)
    for name, item in ten.splits.items():
        other = two.splits[name]
        assert torch.equal(item.cluster, other.cluster)
        assert torch.equal((item.split.labels >= 5).long(), other.split.labels)
        assert torch.equal(item.groups.attributes, other.groups.attributes)
        assert torch.equal(item.groups.aligned, other.groups.aligned)
    assert torch.equal(ten.splits["test"].split.images, two.splits["test"].split.images)
    train = ten.splits["train"]
    assert torch.bincount(train.split.labels).tolist() == [120] * 10
    assert torch.bincount(train.split.labels[~train.groups.aligned]).tolist() == [6] * 10
    assert len(train.groups.group_names) == 20


def test_at_a_half_the_colour_says_nothing_and_the_test_images_are_the_same(tmp_path: Path):
    free, tied = (colored_ten_digits(tmp_path, 1, conflict_ratio=ratio) for ratio in (0.5, 0.05))
    train = free.splits["train"]
    shares = torch.bincount(train.groups.groups).double() / len(train.split)
    assert torch.allclose(shares, torch.full((20,), 0.05, dtype=torch.float64))
    assert torch.equal(free.splits["test"].split.images, tied.splits["test"].split.images)


@pytest.mark.parametrize(("size", "features"), [(28, 2048), (8, 512), (4, 128), (32, 3200)])
def test_the_encoder_is_the_studys(size: int, features: int):
    model = conv_encoder((3, size, size), 10)
    assert model.head.in_features == features
    assert model(torch.zeros(2, 3, size, size)).shape == (2, 10)
    assert [tuple(getattr(model, f"conv{n}").weight.shape[:2]) for n in (1, 2, 3)] == [(32, 3), (64, 32), (128, 64)]


def predictions(labels, answers):
    labels, logits = torch.tensor(labels), torch.nn.functional.one_hot(torch.tensor(answers), 10).float()
    zeros = torch.zeros_like(labels)
    shares = torch.full((10,), 0.1)
    return Predictions("test", logits, labels, zeros, labels, zeros == 0, torch.arange(len(labels)), shares, 1)


def test_digit_one_accuracy_asks_only_whether_it_is_a_one():
    labels = list(range(10))
    assert digit_one_accuracy(predictions(labels, [0] * 10)) == pytest.approx(0.9), "a constant has nine tenths"
    assert digit_one_accuracy(predictions(labels, [1] * 10)) == pytest.approx(0.1)
    assert digit_one_accuracy(predictions(labels, [9, 1, *range(7, -1, -1)])) == pytest.approx(0.9)
    guess = np.random.default_rng(0).integers(0, 10, (2, 4000))
    assert digit_one_accuracy(predictions(*guess.tolist())) == pytest.approx(0.82, abs=0.02), "so has a guess .82"


def test_the_constant_predictor_answers_the_most_frequent_class_of_training():
    for classes, answer in (((1, 0, 1), 1), ((0, 1), 0)):
        trial = ToyTrial(toy_dataset(classes=classes), with_batch_norm)
        network = trial.network(trial.train(constant))
        data = trial.training_data()
        with torch.no_grad():
            logits = network.eval()(data.batch(data.train, torch.arange(48)).images)
        assert logits.argmax(1).tolist() == [answer] * 48
        shares = torch.bincount(data.train.labels, minlength=2) / 48
        assert torch.allclose(logits.softmax(1), shares.expand(48, 2), atol=1e-5)


def test_the_two_views_of_a_batch_are_drawn_apart(monkeypatch: pytest.MonkeyPatch):
    seen = []
    monkeypatch.setattr(simclr_module, "nt_xent", lambda one, two, t: seen.append((one, two)) or nt_xent(one, two, t))
    pretrained(epochs=1)
    assert len(seen) == 3
    assert all(one.shape == two.shape == (16, 128) and not torch.allclose(one, two) for one, two in seen)
    assert all(one.requires_grad and two.requires_grad for one, two in seen)
