"""Every corruption of CIFAR-10-C against other libraries', image by image, on the same random numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cv2", reason="opencv-python-headless is not installed: it comes with benchbias[test]")
pytest.importorskip("skimage", reason="scikit-image is not installed: it comes with benchbias[test]")

import cv2
from scipy.stats import chisquare

from benchbias import BenchbiasError, DataError
from benchbias_plugins.datasets.cifar10.corruptions import (
    CHUNK,
    NAMES,
    by_name,
    check_names,
    check_severities,
    corrupted,
)
from benchbias_plugins.datasets.cifar10.digital import elastic_transform
from benchbias_plugins.datasets.cifar10.frost_textures import PHOTOGRAPHS, TONES, drawn, photographs
from benchbias_plugins.datasets.cifar10.noise import SHOT
from benchbias_plugins.datasets.cifar10.spatter import glitter
from benchbias_plugins.datasets.cifar10.weather import clouds
from support import corruption_oracles as oracles
from support.cifar10_pictures import COUNT, pictures

BATCHED = ("gaussian-noise", "shot-noise", "impulse-noise", "speckle-noise")  # oracles that take all images at once
SEVERITIES = (1, 2, 3, 4, 5)


def stream(*numbers):
    return np.random.default_rng([7, *numbers])


def made(name, severity, images=None, number=None):
    random = stream(severity if number is None else number)
    return by_name(drawn())[name](pictures() if images is None else images, severity, random)


def drawn_by(name, severity, count=COUNT):
    """The random numbers that the batched code draws, as the arguments of every image's oracle."""
    random = stream(severity)
    if name == "glass-blur":
        times = [random.integers(-1, 1, (2, count, 30, 30)) for _ in range(1 if severity < 4 else 2)]
        return [tuple(np.array([time[axis, image] for time in times]) for axis in (0, 1)) for image in range(count)]
    if name == "motion-blur":
        return [(degrees,) for degrees in random.uniform(-45, 45, count)]
    if name == "snow":
        flakes = random.standard_normal((count, 32, 32))
        return list(zip(flakes, random.uniform(-135, -45, count), strict=True))
    if name == "frost":
        textures = [texture.transpose(1, 2, 0) for texture in drawn()]
        chosen = random.integers(5, size=count)
        tops, lefts = (random.integers(0, [textures[at].shape[axis] - 32 for at in chosen]) for axis in (0, 1))
        return [(textures[at], top, left) for at, top, left in zip(chosen, tops, lefts, strict=True)]
    if name == "fog":
        sides = [side for side in (1, 2, 4, 8, 16) for _ in range(3)]
        every = [random.random((count, side, side)) * 2 - 1 for side in sides]  # numpy's uniform scales the same draws
        return [([part[image] for part in every],) for image in range(count)]
    if name == "spatter":
        return [(liquid,) for liquid in random.standard_normal((count, 32, 32))]
    if name == "elastic-transform":
        corners, right, down = (random.random((count, *shape)) * 2 - 1 for shape in ((3, 2), (32, 32), (32, 32)))
        return list(zip(corners, right, down, strict=True))
    return [()] * count


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("name", NAMES)
def test_a_corruption_is_another_librarys_to_one_grey_level(name: str, severity: int):
    """One level, not none: where float32 or another order of sums passes a whole level, the part dropped is another."""
    oracle = getattr(oracles, name.replace("-", "_"))
    if name in BATCHED:
        wanted = oracle(pictures(), severity, stream(severity))
    else:
        images = pictures().transpose(0, 2, 3, 1)
        draws = drawn_by(name, severity)
        each = [oracle(image, severity, *own) for image, own in zip(images, draws, strict=True)]
        wanted = np.array(each).transpose(0, 3, 1, 2)
    away = np.abs(made(name, severity).astype(int) - wanted)
    assert away.max() <= 1
    assert (away == 0).mean() > 0.999
    assert (wanted != pictures()).mean() > 0.005, "the oracle does something"


@pytest.mark.parametrize("severity", SEVERITIES)
def test_shot_noise_has_the_mean_and_the_variance_of_its_photons(severity: int):
    photons, grey = SHOT[severity - 1], 102
    images = np.full((400, 3, 32, 32), grey, dtype=np.uint8)
    found = made("shot-noise", severity, images) / 255
    assert (grey - 1) / 255 < found.mean() < grey / 255 + 5e-4, "parts of a level are dropped"
    assert found.var() == pytest.approx(grey / 255 / photons, rel=0.05), "parts of a level count in it too"


def test_impulses_are_salt_and_pepper_alike():
    found = made("impulse-noise", 5, np.full((200, 3, 32, 32), 100, dtype=np.uint8))
    counts = [(found == value).sum() for value in (0, 255)]
    assert chisquare(counts).pvalue > 1e-3


def test_clouds_are_those_of_a_fractal():
    """Power falls with frequency, more so where small shapes fade faster."""
    slopes = []
    for decay in (1.75, 3.0):
        found = clouds(200, decay, stream())
        assert found.min() == 0
        assert found.max() == 1
        power = (np.abs(np.fft.fft2(found - found.mean(axis=(1, 2), keepdims=True))) ** 2).mean(axis=0)
        octaves = [power[0, at : 2 * at].mean() for at in (1, 2, 4, 8)]
        slopes.append(np.polyfit(np.arange(4), np.log2(octaves), 1)[0])
    assert slopes[1] < slopes[0] < -1


UNEVEN = (
    "glass-blur",
    "frost",
    "saturate",
    "spatter",
    "elastic-transform",
)  # by design of the published constants: see the card


def distance(name, severity):
    images = pictures(120)
    return np.abs(made(name, severity, images, 0).astype(float) - images).mean()


@pytest.mark.parametrize("name", [name for name in NAMES if name not in UNEVEN])
def test_the_higher_the_severity_the_further_from_the_clean_image(name: str):
    away = [distance(name, severity) for severity in SEVERITIES]
    assert away == sorted(away)
    assert away[0] < 0.8 * away[-1]


def test_glass_saturation_spatter_and_frost_grow_in_their_own_ways():
    glass = [distance("glass-blur", severity) for severity in SEVERITIES]
    assert max(glass[:3]) < min(glass[3:]), "one round of moved pixels, then two"
    saturate = [distance("saturate", severity) for severity in SEVERITIES]
    assert saturate[0] < saturate[1], "less colour"
    assert saturate[2] < saturate[3] < saturate[4], "more colour"
    spatter = [distance("spatter", severity) for severity in SEVERITIES]
    assert spatter[0] < spatter[1] < spatter[2], "more water"
    assert spatter[3] < spatter[4], "more mud"
    images = pictures(120) // 4  # so dark that nothing is cut off
    alike = []
    for severity in SEVERITIES:
        frosted = made("frost", severity, images, 0)
        pairs = zip(images.reshape(120, -1), frosted.reshape(120, -1), strict=True)
        alike.append(np.mean([np.corrcoef(one, other)[0, 1] for one, other in pairs]))
    assert alike == sorted(alike, reverse=True), "less of the image, more of the texture"


def test_elastic_shifts_grow_where_the_affine_map_shrinks():
    """Ramps tell where each pixel was read: what is left of it after the best affine fit is local."""
    row, column = np.mgrid[:32, :32]
    ramps = np.broadcast_to((8 * np.stack([row, column, row])).astype(np.uint8), (60, 3, 32, 32))
    inner = np.s_[8:24, 8:24]
    known = np.stack([np.ones(256), row[inner].ravel(), column[inner].ravel()], axis=1)
    local, affine = [], []
    for severity in SEVERITIES:
        read = elastic_transform(ramps, severity, stream(severity))[:, :2, 8:24, 8:24].reshape(120, 256).T / 8.0
        fitted, *_ = np.linalg.lstsq(known, read, rcond=None)
        local.append(np.std(read - known @ fitted))
        affine.append(np.std(known @ (fitted - fitted.mean(axis=1, keepdims=True))))
    assert local == sorted(local)
    assert local[-1] > 5 * local[0]
    assert affine[0] > affine[-1]


@pytest.mark.parametrize("name", NAMES)
def test_equal_streams_give_equal_images_and_nothing_else_does_if_it_is_random(name: str):
    images = pictures().copy()
    one, again, other = (by_name(drawn())[name](images, 3, stream(at)) for at in (0, 0, 1))
    assert one.dtype == np.uint8
    assert one.shape == images.shape
    assert np.array_equal(one, again)
    assert np.array_equal(images, pictures()), "the images are left as they were"
    certain = {"defocus-blur", "zoom-blur", "brightness", "contrast", "pixelate", "jpeg-compression", "gaussian-blur"}
    assert np.array_equal(one, other) == (name in certain | {"saturate"})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("grey", [0, 255])
def test_images_of_one_level_are_no_trouble(name: str, grey: int):
    images = np.full((3, 3, 32, 32), grey, dtype=np.uint8)
    with np.errstate(all="raise"):
        found = [by_name(drawn())[name](images, severity, stream()) for severity in SEVERITIES]
    if name.endswith(("-blur", "transform", "pixelate", "contrast")):
        assert all(np.array_equal(each, images) for each in found), "a mean of equal levels is that level"


def test_many_images_are_corrupted_in_parts_of_one_stream():
    images = np.random.default_rng(0).integers(0, 256, (CHUNK + 5, 3, 32, 32), dtype=np.uint8)
    corruption, whole = by_name(drawn())["gaussian-noise"], stream()
    found = corrupted(images, corruption, 3, stream())
    parts = [corruption(part, 3, whole) for part in (images[:CHUNK], images[CHUNK:])]
    assert np.array_equal(found, np.concatenate(parts))
    assert corrupted(images[:0], corruption, 3, stream()).shape == (0, 3, 32, 32)


def test_without_a_drop_there_is_no_water():
    assert not glitter(np.zeros((2, 32, 32))).any()


def test_our_frost_has_the_tones_of_the_photographs_and_a_spectrum_of_one_over_the_frequency():
    for texture, (means, deviations) in zip(drawn(), TONES, strict=True):
        assert np.abs(texture.mean(axis=(1, 2)) - means).max() < 3
        assert np.abs(texture.std(axis=(1, 2)) - deviations).max() < 3
        field = texture.mean(axis=0)
        power = np.abs(np.fft.rfft2(field - field.mean())) ** 2
        frequency = np.hypot(np.fft.fftfreq(field.shape[0])[:, None], np.fft.rfftfreq(field.shape[1]))
        within = (frequency > 0.03) & (frequency < 0.5)
        slope = np.polyfit(np.log(frequency[within]), np.log(power[within]), 1)[0]
        assert -1.2 < slope < -0.8
    assert len({texture.tobytes() for texture in drawn()}) == 5


def written(folder, size):
    folder.mkdir()
    images = [np.random.default_rng(at).integers(0, 256, (*size, 3), dtype=np.uint8) for at in range(5)]
    for name, image in zip(PHOTOGRAPHS, images, strict=True):
        cv2.imwrite(str(folder / name), image)
    return [cv2.imread(str(folder / name)) for name in PHOTOGRAPHS]


@pytest.mark.parametrize("size", [(600, 900), (350, 527), (315, 560)])  # of published photographs
def test_photographs_are_taken_at_a_fifth_as_opencv_scales_them(tmp_path: Path, size: tuple[int, int]):
    images = written(tmp_path / "frost", size)
    for texture, image in zip(photographs(tmp_path, "frost"), images, strict=True):
        wanted = cv2.resize(image, (0, 0), fx=0.2, fy=0.2)[..., ::-1].transpose(2, 0, 1)
        assert np.array_equal(texture, wanted)


def test_what_is_wrong_with_the_photographs_is_told(tmp_path: Path):
    with pytest.raises(DataError, match="frost: no files"):
        photographs(tmp_path, "frost")
    written(tmp_path / "small", (160, 600))
    with pytest.raises(DataError, match=r"frost1.png has 600x160 pixels, and more than 160x160 are needed"):
        photographs(tmp_path, "small")
    written(tmp_path / "part", (350, 500))
    (tmp_path / "part/frost5.jpg").unlink()
    with pytest.raises(DataError, match=r"must hold frost1.png, .*frost5.jpg: no such file"):
        photographs(tmp_path, "part")


def test_unknown_names_and_severities_are_refused_with_the_known_ones():
    with pytest.raises(
        BenchbiasError, match=r"here: no corruption is called 'frog' .known: gaussian-noise, .*saturate"
    ):
        check_names(("fog", "frog"), "here")
    with pytest.raises(BenchbiasError, match="here: severities are from 1 to 5, not 0"):
        check_severities((1, 0), "here")
    check_names(NAMES, "here")
    check_severities(SEVERITIES, "here")
