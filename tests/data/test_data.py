"""Data values: wrong ones are refused; batches are normalised, augmented by their own draws, and complete."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from benchbias.data.augment import Augmenter, drawn, normalise
from benchbias.data.values import BiasedDataset, GroupLabels, LabelledSplit, Predictions, Split, TrainingData

quick = settings(max_examples=40, deadline=None, derandomize=True)

LABELS = torch.tensor([0, 0, 1, 1, 2])
ATTRIBUTES = torch.tensor([0, 1, 0, 1, 1])


def pictures(count=5, size=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=generator)


def split(**changes):
    return Split(**{"images": pictures(), "labels": LABELS, "num_classes": 3, "name": "train"} | changes)


def groups(**changes):
    plain = {
        "attributes": ATTRIBUTES,
        "groups": LABELS * 2 + ATTRIBUTES,
        "aligned": LABELS == ATTRIBUTES,
        "num_attributes": 2,
        "group_names": tuple("abcdef"),
    }
    return GroupLabels(**plain | changes)


def labelled(**changes):
    return LabelledSplit(**{"split": split(), "groups": groups(), "cluster": torch.arange(5)} | changes)


def with_test(**changes):
    return {"train": labelled(), "val": labelled(), "test": labelled(**changes)}


def dataset(**changes):
    plain = {
        "splits": with_test(),
        "mean": (0.5, 0.5, 0.5),
        "std": (1.0, 1.0, 1.0),
        "source": "made up",
        "licence": "none",
    }
    return BiasedDataset(**plain | changes)


def predictions(**changes):
    plain = {
        "split": "test",
        "logits": torch.zeros(5, 3),
        "labels": LABELS,
        "attributes": ATTRIBUTES,
        "groups": LABELS * 2 + ATTRIBUTES,
        "aligned": LABELS == ATTRIBUTES,
        "cluster": torch.arange(5),
        "train_group_shares": torch.full((6,), 1 / 6),
        "num_attributes": 2,
    }
    return Predictions(**plain | changes)


# --- values


@pytest.mark.parametrize("make", [split, groups, labelled, dataset, predictions])
def test_the_values_that_are_spoilt_below_are_right_before(make):
    assert make()


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"images": pictures().float()}, id="float images"),
        pytest.param({"images": pictures()[:, 0]}, id="no channels"),
        pytest.param({"images": pictures(4)}, id="fewer images than labels"),
        pytest.param({"labels": LABELS.int()}, id="int32 labels"),
        pytest.param({"labels": LABELS[:, None]}, id="labels in two dimensions"),
        pytest.param({"labels": LABELS - 1}, id="a negative label"),
        pytest.param({"num_classes": 2}, id="a label beyond the classes"),
        pytest.param({"images": pictures(0), "labels": LABELS[:0]}, id="empty"),
    ],
)
def test_a_wrong_split_is_refused_by_name(changes):
    with pytest.raises(ValueError, match="outer space"):
        split(name="outer space", **changes)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"attributes": ATTRIBUTES.float()}, "attributes"),
        ({"attributes": ATTRIBUTES + 1, "groups": LABELS * 2 + ATTRIBUTES + 1}, "attributes"),
        ({"attributes": ATTRIBUTES[:, None]}, "attributes"),
        ({"groups": (LABELS * 2 + ATTRIBUTES).int()}, "groups"),
        ({"groups": (LABELS * 2 + ATTRIBUTES)[:4]}, "groups"),
        ({"groups": LABELS * 2 + 1 - ATTRIBUTES}, "groups"),
        ({"groups": LABELS * 2 + ATTRIBUTES - 2}, "group"),
        ({"aligned": (LABELS == ATTRIBUTES).long()}, "aligned"),
        ({"aligned": (LABELS == ATTRIBUTES)[:4]}, "aligned"),
        ({"group_names": tuple("abcde")}, "name"),
    ],
)
def test_wrong_group_labels_are_refused(changes, named):
    with pytest.raises(ValueError, match=named):
        groups(**changes)


def test_groups_are_label_times_attributes_plus_attribute():
    made = GroupLabels.of(LABELS, ATTRIBUTES, LABELS == ATTRIBUTES, 4, ("red", "green"))
    assert len(made.group_names) == 8, "a class without an example has its groups too"
    assert [made.group_names[group] for group in made.groups] == ["0/red", "0/green", "1/red", "1/green", "2/green"]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"cluster": torch.arange(5).float()}, id="float clusters"),
        pytest.param({"cluster": torch.arange(4)}, id="a cluster short"),
        pytest.param({"split": split(labels=LABELS.flip(0))}, id="groups of other labels"),
        pytest.param({"split": split(images=pictures(4), labels=LABELS[:4])}, id="another length"),
    ],
)
def test_a_labelled_split_whose_parts_disagree_is_refused(changes):
    with pytest.raises(ValueError, match="train"):
        labelled(**changes)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"splits": {"train": labelled(), "val": labelled()}}, "test"),
        ({"splits": with_test(split=split(images=pictures(5, 6)))}, "shape"),
        ({"splits": with_test(split=split(num_classes=4))}, "classes"),
        ({"splits": with_test(groups=groups(group_names=tuple("zbcdef")))}, "group_names"),
        ({"mean": (0.5,)}, "mean"),
        ({"std": (1.0, 1.0)}, "std"),
        ({"augmentations": ("none", "sihft")}, "sihft"),
    ],
)
def test_a_data_set_whose_parts_disagree_is_refused(changes, named):
    with pytest.raises(ValueError, match=named):
        dataset(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"logits": torch.zeros(4, 3)},
        {"logits": torch.zeros(5)},
        {"labels": LABELS.float()},
        {"cluster": torch.arange(6)},
        {"groups": LABELS.int()},
    ],
)
def test_predictions_whose_parts_disagree_are_refused(changes):
    with pytest.raises(ValueError, match="predictions"):
        predictions(**changes)


def test_of_equal_logits_the_first_class_is_predicted():
    logits = torch.tensor([[1.0, 1.0, 0.0], [0.0, 2.0, 2.0], [3.0, 3.0, 3.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    assert predictions(logits=logits).predicted.tolist() == [0, 1, 0, 2, 1]


@pytest.mark.parametrize("value", [split(), groups(), labelled(), dataset(), predictions()])
def test_values_are_frozen(value):
    field = dataclasses.fields(value)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, field, None)


# --- batches


@quick
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.05, 2)), min_size=3, max_size=3))
def test_normalised_images_are_scaled_shifted_and_divided_per_channel(channels):
    mean, std = zip(*channels, strict=True)
    images = pictures(8)
    plain = (images.double() / 255 - torch.tensor(mean, dtype=torch.float64).view(3, 1, 1)) / torch.tensor(
        std, dtype=torch.float64
    ).view(3, 1, 1)
    made = normalise(images, mean, std)
    assert made.dtype == torch.float32
    torch.testing.assert_close(made.double(), plain, rtol=1e-5, atol=1e-5)


def windows(image, reach):
    """All shifts of one image (C, H, W) by up to `reach` pixels with replicated borders: (moves squared, C, H, W)."""
    size = image.shape[-1]
    wide = functional.pad(image[None], (reach,) * 4, mode="replicate")[0]
    moves = range(2 * reach + 1)
    return torch.stack([wide[:, row : row + size, column : column + size] for row in moves for column in moves])


def moved(images, how, seed):
    draws = drawn(how, len(images), images.shape[1:], torch.Generator().manual_seed(seed))
    return Augmenter.of(how, images.shape[1:], images.device)(images, draws, lambda plain: plain)


@pytest.mark.parametrize(("how", "reach", "mirrored"), [("shift", 1, False), ("flip-crop", 4, True)])
def test_every_augmented_image_is_a_small_move_of_its_own_image(how, reach, mirrored):
    images = torch.rand(40, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    made = moved(images, how, 2)
    for image, result in zip(images, made, strict=True):
        allowed = windows(image, reach)
        if mirrored:
            allowed = torch.cat([allowed, allowed.flip(-1)])
        assert bool((allowed == result).all(dim=(1, 2, 3)).any())


@pytest.mark.parametrize(("how", "reach", "distinct"), [("shift", 1, 9), ("flip-crop", 4, 162)])
def test_every_move_is_drawn_and_each_image_has_a_draw_of_its_own(how, reach, distinct):
    image = torch.rand(1, 1, 12, 12, generator=torch.Generator().manual_seed(3))
    made = moved(image.expand(4000, 1, 12, 12), how, 4)
    kinds, counts = torch.unique(made.flatten(1), dim=0, return_counts=True)
    assert len(kinds) == distinct
    # each equally likely: 4000 / distinct expected, far from any of these bounds by chance
    assert int(counts.max()) < 3 * 4000 / distinct
    assert int(counts.min()) * 5 > 4000 / distinct


def test_crops_with_black_borders_are_those_with_replicated_ones_but_for_the_border():
    images = 1 + torch.rand(200, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    made = moved(images, "flip-crop-zeros", 2)
    replicated = moved(images, "flip-crop", 2)
    for image, result, other in zip(images, made, replicated, strict=True):
        padded = torch.zeros(3, 16, 16)
        padded[:, 4:12, 4:12] = image
        allowed = torch.stack([padded[:, row : row + 8, at : at + 8] for row in range(9) for at in range(9)])
        allowed = torch.cat([allowed, allowed.flip(-1)])
        assert bool((allowed == result).all(dim=(1, 2, 3)).any())
        assert torch.equal(torch.where(result == 0, other, result), other)
    dark = training_data(augment="flip-crop-zeros")
    batch = dark.batch(dark.train, torch.arange(len(dark.train)), augment=True)
    black_pixel = normalise(torch.zeros((1, 3, 1, 1), dtype=torch.uint8), dark.mean, dark.std)
    assert float(batch.images.amin()) == pytest.approx(float(black_pixel.amin()))


def test_resized_crops_are_parts_of_the_area_and_shape_that_was_asked():
    """On images whose pixels say where they are, a crop's corners say what part of the image it is."""
    size, count = 64, 3000
    at = (torch.arange(size) + 0.5) / size
    place = torch.stack([at[None].expand(size, size), at[:, None].expand(size, size)])  # (2, H, W): x, then y
    made = moved(place.expand(count, 2, size, size), "flip-resized-crop", 5)
    scale = size / (size - 1)  # from centres of the outer pixels to the edges
    wide = (made[:, 0, 32, -1] - made[:, 0, 32, 0]) * scale
    high = (made[:, 1, -1, 32] - made[:, 1, 0, 32]) * scale
    assert bool((high > 0).all())
    assert float((wide < 0).double().mean()) == pytest.approx(0.5, abs=0.05)
    area, ratio = wide.abs() * high, wide.abs() / high
    assert 0.69 < float(area.min()) < 0.72
    assert 0.98 < float(area.max()) < 1.01
    assert 0.74 < float(ratio.min()) < 0.8
    assert 1.25 < float(ratio.max()) < 1.34
    assert float(made.min()) >= float(at[0]) - 1e-6
    assert float(made.max()) <= float(at[-1]) + 1e-6
    left = torch.minimum(made[:, 0, 32, 0], made[:, 0, 32, -1])
    assert float(left.std()) > 0.02, "crops lie in different places"


@pytest.mark.parametrize("how", ["shift", "flip-crop", "flip-crop-zeros", "flip-resized-crop"])
def test_the_same_generator_gives_the_same_augmentation(how):
    images = torch.rand(16, 3, 8, 8)
    first, second, other = (moved(images, how, seed) for seed in (5, 5, 6))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def training_data(**changes):
    plain = {"train": split(), "val": split(name="val"), "mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.4)}
    return TrainingData(**plain | changes)


@quick
@given(st.integers(1, 30), st.integers(1, 40))
def test_batches_go_once_over_the_split_in_its_order(length, batch_size):
    whole = Split(pictures(length), torch.arange(length) % 3, 3, "train")
    data = training_data(train=whole, batch_size=batch_size)
    batches = list(data.batches(whole))
    assert torch.cat([batch.index for batch in batches]).tolist() == list(range(length))
    assert torch.equal(torch.cat([batch.labels for batch in batches]), whole.labels)
    assert torch.equal(torch.cat([batch.images for batch in batches]), normalise(whole.images, data.mean, data.std))
    assert all(len(batch.labels) == batch_size for batch in batches[:-1])


def test_only_a_batch_that_asks_for_it_is_augmented():
    whole = Split(pictures(64, 8), torch.zeros(64, dtype=torch.int64), 3, "train")
    plain = normalise(whole.images, (0.4, 0.5, 0.6), (0.2, 0.3, 0.4))
    shifting = training_data(train=whole, augment="shift")
    still = training_data(train=whole, augment="none")
    everything = torch.arange(64)
    assert torch.equal(shifting.batch(whole, everything).images, plain)
    assert torch.equal(still.batch(whole, everything, augment=True).images, plain)
    assert not torch.equal(shifting.batch(whole, everything, augment=True).images, plain)


def reachable(value, seen):
    """Collect every value that attributes and items lead to; what lies inside tensors is of no interest."""
    if id(value) in seen or isinstance(value, type):
        return
    seen[id(value)] = value
    inside = [] if isinstance(value, torch.Tensor) else list(getattr(value, "__dict__", {}).values())
    inside += value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else []
    for item in inside:
        reachable(item, seen)


def test_training_data_leads_to_no_test_image_and_to_no_group_label():
    data = training_data()
    seen = {}
    reachable(data, seen)
    tensors = {id(value) for value in seen.values() if isinstance(value, torch.Tensor)}
    assert tensors == {id(tensor) for part in (data.train, data.val) for tensor in (part.images, part.labels)}
    assert not [value for value in seen.values() if isinstance(value, GroupLabels | LabelledSplit | BiasedDataset)]
