"""Hue, saturation and value by array code: matplotlib's to the last bit, and so the pixels of corrupted CIFAR-10."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from matplotlib.colors import hsv_to_rgb, rgb_to_hsv

from benchbias_plugins.datasets.cifar10.colours import (
    BRIGHTNESS,
    SATURATE,
    brightness,
    hsv_of_rgb,
    rgb_of_hsv,
    saturate,
)
from benchbias_plugins.datasets.cifar10.pixels import levels, unit
from support.cifar10_pictures import pictures

FLOATS = (np.float32, np.float64)
LEVELS = (0.0, 1e-30, 1 / 255, 0.25, 0.5, np.nextafter(0.5, 1), 2 / 3, 254 / 255, np.nextafter(1.0, 0), 1.0)


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """Equal in shape, dtype and every bit."""
    return (one.shape, one.dtype, one.tobytes()) == (other.shape, other.dtype, other.tobytes())


def holds(colours: np.ndarray) -> bool:
    there = rgb_to_hsv(colours)
    return same(hsv_of_rgb(colours), there) and same(rgb_of_hsv(there), hsv_to_rgb(there))


def some_colours(dtype: type, most: float = 1.0) -> st.SearchStrategy[np.ndarray]:
    """Colours (N, 3) with many ties, zeros and ones."""
    width = np.dtype(dtype).itemsize * 8
    edge = st.sampled_from([float(dtype(level)) for level in LEVELS])
    value = edge | st.floats(0, most, width=width) | st.integers(0, 255).map(lambda level: float(dtype(level / 255)))
    return arrays.arrays(dtype, st.tuples(st.integers(1, 20), st.just(3)), elements=value)


@pytest.mark.parametrize("dtype", FLOATS)
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_colours_are_matplotlibs_there_and_back(dtype: type, data: st.DataObject):
    assert holds(data.draw(some_colours(dtype)))


@pytest.mark.parametrize("dtype", FLOATS)
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_hue_saturation_and_value_is_matplotlibs_colour(dtype: type, data: st.DataObject):
    """Those that no colour has too: a hue of a whole turn, or a hue of grey."""
    coloured = data.draw(some_colours(dtype))
    assert same(rgb_of_hsv(coloured), hsv_to_rgb(coloured))


@pytest.mark.parametrize("dtype", FLOATS)
def test_greys_primaries_ties_and_neighbours_are_matplotlibs(dtype: type):
    every = np.array(list(itertools.product(LEVELS, repeat=3)), dtype=dtype)
    assert holds(every)
    assert holds(every.reshape(10, 100, 3)), "of any shape"
    assert not np.signbit(hsv_of_rgb(every)).any()
    with np.errstate(all="raise", under="ignore"):
        assert np.array_equal(hsv_of_rgb(np.zeros((1, 3), dtype)), np.zeros((1, 3), dtype))


@pytest.mark.parametrize("blue", [0, 1, 127, 128, 254, 255])
def test_the_colours_of_bytes_are_matplotlibs(blue: int):
    red, green = np.meshgrid(np.arange(256), np.arange(256))
    assert holds(unit(np.stack([red, green, np.full_like(red, blue)], axis=-1)))


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_brightness_and_saturation_of_images_are_matplotlibs(severity: int):
    random = np.random.default_rng(severity).integers(0, 256, (40, 3, 32, 32), dtype=np.uint8)
    for images in (pictures(), random, random // 64 * 85):
        there = rgb_to_hsv(unit(images).transpose(0, 2, 3, 1))
        for made, channel, times, plus in (
            (brightness, 2, 1.0, BRIGHTNESS[severity - 1]),
            (saturate, 1, *SATURATE[severity - 1]),
        ):
            moved = there.copy()
            moved[..., channel] = np.clip(moved[..., channel] * times + plus, 0, 1)
            wanted = levels(hsv_to_rgb(moved).transpose(0, 3, 1, 2))
            assert same(made(images, severity, np.random.default_rng()), wanted)
            assert not np.array_equal(wanted, images)
