"""Batches are the bytes of the plain way: index, normalise, then move float pixels by one advanced index."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbias.data import augment
from benchbias.data.augment import AUGMENTATIONS, Normaliser, normalise
from benchbias.data.values import Split, TrainingData, rows

quick = settings(max_examples=40, deadline=None)


def plainly_augmented(images, how, generator, mean, std):
    """The first form of augmentation: normalised images (B, C, H, W), moved as floats."""
    if how == "flip-resized-crop":
        return plain_crops(images, generator)
    reach = 1 if how == "shift" else 4
    count, _, height, width = images.shape
    moves = torch.randint(-reach, reach + 1, (2, count, 1), generator=generator)
    moved_rows, moved_columns = torch.arange(height) + moves[0], torch.arange(width) + moves[1]
    if how != "shift":
        mirrored = torch.rand((count, 1), generator=generator) < 0.5
        moved_columns = torch.where(mirrored, moved_columns.flip(1), moved_columns)
    down, across = moved_rows.clamp(0, height - 1), moved_columns.clamp(0, width - 1)
    each = torch.arange(count)[:, None, None]
    made = images.movedim(1, 3)[each, down[:, :, None], across[:, None, :]].movedim(3, 1).contiguous()
    if how != "flip-crop-zeros":
        return made
    inside = (down == moved_rows)[:, None, :, None] & (across == moved_columns)[:, None, None, :]
    black = normalise(torch.zeros((1, len(mean), 1, 1), dtype=torch.uint8), mean, std)
    return torch.where(inside, made, black)


def plain_crops(images, generator):
    count, _, height, width = images.shape
    area = 0.7 + (1.0 - 0.7) * torch.rand((10, count), generator=generator)
    low, high = math.log(3 / 4), math.log(4 / 3)
    ratio = torch.exp(low + (high - low) * torch.rand((10, count), generator=generator)) * height / width
    sides = torch.sqrt(area * ratio), torch.sqrt(area / ratio)
    fits = (sides[0] <= 1) & (sides[1] <= 1)
    first = fits.to(torch.int64).argmax(dim=0, keepdim=True)
    size = torch.stack([torch.where(fits.any(0), side.gather(0, first)[0], 1.0) for side in sides])
    centre = (1 - size) * (2 * torch.rand((2, count), generator=generator) - 1)
    mirror = torch.where(torch.rand((count,), generator=generator) < 0.5, -1.0, 1.0)
    theta = torch.zeros((count, 2, 3))
    theta[:, 0, 0], theta[:, 1, 1], theta[:, :, 2] = size[0] * mirror, size[1], centre.T
    grid = torch.nn.functional.affine_grid(theta, list(images.shape), align_corners=False)
    return torch.nn.functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def made_data(how, shape, count, batch_size=16, seed=0):
    stream = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, *shape), generator=stream, dtype=torch.uint8)
    whole = Split(images, torch.arange(count) % 3, 3, "train")
    mean = tuple(torch.rand(shape[0], generator=stream).tolist())
    std = tuple((0.02 + torch.rand(shape[0], generator=stream)).tolist())
    return TrainingData(whole, whole, mean, std, batch_size, how, torch.Generator().manual_seed(seed + 1))


@quick
@given(
    st.sampled_from(AUGMENTATIONS),
    st.tuples(st.integers(1, 4), st.integers(1, 12), st.integers(1, 12)),
    st.lists(st.integers(0, 19), min_size=1, max_size=40),
    st.integers(0, 2**16),
)
def test_two_batches_and_their_streams_are_those_of_the_plain_form(how, shape, chosen, seed):
    data, index = made_data(how, shape, 20, seed=seed), torch.tensor(chosen)
    stream = torch.Generator().manual_seed(seed + 1)
    for _ in range(2):
        expected = normalise(data.train.images[index], data.mean, data.std)
        if how != "none":
            expected = plainly_augmented(expected, how, stream, data.mean, data.std)
        batch = data.batch(data.train, index, augment=True)
        assert torch.equal(batch.images, expected)
        if shape[1] * shape[2] > 1:  # of one pixel there are several ways to say the same strides
            assert batch.images.stride() == expected.stride()  # a convolution goes by it
        assert torch.equal(batch.labels, data.train.labels[index])
    assert torch.equal(data.augment_generator.get_state(), stream.get_state())


@pytest.mark.parametrize("how", ["shift", "flip-crop", "flip-crop-zeros"])
def test_images_too_large_for_a_table_of_all_moves_are_moved_alike(monkeypatch: pytest.MonkeyPatch, how):
    index = torch.arange(20)
    one, other = (made_data(how, (3, 6, 5), 20) for _ in range(2))
    tabled = one.batch(one.train, index, augment=True).images
    monkeypatch.setattr(augment, "TABLE_SIZE", 0)
    moved = other.batch(other.train, index, augment=True).images
    assert (one._augmenter.table is None, other._augmenter.table is None) == (False, True)
    assert torch.equal(tabled, moved)
    assert tabled.stride() == moved.stride()


@pytest.mark.parametrize("how", ["none", "flip-crop"])
def test_a_pass_over_a_split_is_its_batches_by_index(how):
    one, other = (made_data(how, (3, 6, 5), 20, batch_size=8) for _ in range(2))
    for batch, index in zip(one.batches(one.train, augment=True), torch.arange(20).split(8), strict=True):
        expected = other.batch(other.train, index, augment=True)
        assert torch.equal(batch.images, expected.images)
        assert torch.equal(batch.labels, expected.labels)
        assert torch.equal(batch.index, index)
        batch.labels.zero_()  # a copy: the split stays as it is
    assert torch.equal(one.train.labels, torch.arange(20) % 3)


@quick
@given(st.integers(1, 4), st.integers(1, 9), st.floats(0, 1), st.floats(0.01, 2))
def test_kept_constants_normalise_every_level_to_the_same_bytes_at_every_place(channels, side, mean, std):
    means, stds = (mean,) * channels, tuple(std + place for place in range(channels))
    images = torch.arange(256, dtype=torch.uint8)[:, None, None, None].repeat(1, channels, side, side)
    kept = Normaliser.of(means, stds, images.shape[1:], images.device)
    assert torch.equal(kept(images), normalise(images, means, stds))
    assert kept.fits(images)
    assert not kept.fits(images[:, :, :, :0])


def test_images_of_another_shape_than_the_training_images_are_normalised_and_moved_too():
    data, small = made_data("shift", (3, 6, 5), 20), made_data("shift", (3, 4, 4), 20)
    index, stream = torch.arange(9), torch.Generator().manual_seed(1)
    plain = normalise(small.train.images[:9], data.mean, data.std)
    assert torch.equal(data.batch(small.train, index).images, plain)
    moved = plainly_augmented(plain, "shift", stream, data.mean, data.std)
    assert torch.equal(data.batch(small.train, index, augment=True).images, moved)


@pytest.mark.parametrize("index", [[-1, 0, 3], [[0, 1], [2, 3]], [True, False, True, False]])
def test_rows_are_what_an_index_gives(index):
    values = torch.arange(8).view(4, 2)
    assert torch.equal(rows(values, torch.tensor(index)), values[torch.tensor(index)])


def test_rows_beyond_the_end_are_refused():
    with pytest.raises(IndexError):
        rows(torch.arange(4), torch.tensor([4]))
