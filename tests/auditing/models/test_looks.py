"""Images are prepared as torchvision and timm prepare them, to the bit."""

from __future__ import annotations

import io

import numpy as np
import pytest
import timm.data
import torch
from PIL import Image
from torchvision import models
from torchvision.transforms import InterpolationMode, transforms, v2

from benchbias.auditing.models.looks import look_of
from benchbias.auditing.models.pictures import FilePictures
from benchbias.auditing.models.specs import LookSpec
from benchbias.errors import DataError, UsageError

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZES = [(300, 400), (400, 300), (257, 257), (1024, 60), (90, 70)]


def picture(width: int, height: int, mode: str = "RGB") -> Image.Image:
    pixels = np.random.default_rng(width).integers(0, 256, (9, 11, 3)).astype("uint8")
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC).convert(mode)


@pytest.mark.parametrize("size", SIZES)
def test_the_usual_steps_are_those_of_torchvisions_own_weights(size):
    look, _ = look_of(LookSpec(MEAN, STD, 256, 224), "resnet18")
    image = picture(*size)
    assert torch.equal(look.prepared(image), models.ResNet18_Weights.IMAGENET1K_V1.transforms()(image))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "box", "hamming", "lanczos"])
def test_every_interpolation_is_torchvisions(size, interpolation):
    look, _ = look_of(LookSpec(MEAN, STD, 64, 48, interpolation=interpolation), None)
    mode = InterpolationMode(interpolation)
    steps = [
        transforms.Resize(64, mode),
        transforms.CenterCrop(48),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, STD),
    ]
    image = picture(*size)
    torch.testing.assert_close(look.prepared(image), transforms.Compose(steps)(image), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("spec", "steps"),
    [
        ({"size": 32}, [v2.Resize(32), v2.CenterCrop(32)]),
        ({"resize": 40}, [v2.Resize(40)]),
        ({"size": 32, "crop": "squash"}, [v2.Resize((32, 32))]),
        ({"resize": 40, "size": 32, "crop": "squash"}, [v2.Resize((40, 40)), v2.CenterCrop(32)]),
        ({"size": (32, 48), "crop": "squash"}, [v2.Resize((32, 48))]),
        ({"size": 60, "crop": "cut"}, [v2.CenterCrop(60)]),
        ({"resize": 64, "size": (32, 48)}, [v2.Resize(64), v2.CenterCrop((32, 48))]),
        ({}, []),
    ],
)
@pytest.mark.parametrize("size", SIZES)
def test_every_way_of_scaling_and_cutting_is_torchvisions(spec, steps, size):
    look, notes = look_of(LookSpec(MEAN, STD, **spec), None)
    image = picture(*size)
    oracle = [*steps, v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]
    torch.testing.assert_close(look.prepared(image), v2.Compose(oracle)(image), rtol=0, atol=1e-6)
    assert ("Resize" in notes[-1]) == any(isinstance(step, v2.Resize) for step in steps)
    assert ("CenterCrop" in notes[-1]) == any(isinstance(step, v2.CenterCrop) for step in steps)


@pytest.mark.parametrize(
    "name", ["resnet18.a1_in1k", "vit_tiny_patch16_224", "efficientnet_b0", "convnext_tiny", "mobilenetv3_small_100"]
)
@pytest.mark.parametrize("size", SIZES)
def test_timms_weights_carry_their_own_steps(name, size):
    warned: list[str] = []
    look, _ = look_of(LookSpec(), f"timm:{name}", warn=warned.append)
    config = timm.data.resolve_data_config({}, pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
    image = picture(*size)
    oracle = timm.data.create_transform(**config, is_training=False)(image)
    torch.testing.assert_close(look.prepared(image), oracle, rtol=0, atol=1e-6)
    assert warned[0].startswith("mean, std, size, resize, interpolation: from timm's published weights")
    assert "If yours were trained otherwise" in warned[0]


@pytest.mark.parametrize(
    ("spec", "options", "resize", "size", "taken"),
    [
        ({"mean": (0.5,) * 3, "std": (0.5,) * 3}, {}, 248, None, "size, resize, interpolation"),
        ({"size": 96}, {}, 106, (96, 96), "mean, std, resize, interpolation"),
        ({"resize": 300, "interpolation": "box"}, {}, 300, (224, 224), "mean, std, size"),
        ({}, {"img_size": 96}, 106, (96, 96), "mean, std, resize, interpolation"),
        ({"size": 64, "crop": "cut"}, {}, None, (64, 64), "mean, std"),
    ],
)
def test_single_values_replace_timms_and_the_size_is_that_of_the_network(spec, options, resize, size, taken):
    warned: list[str] = []
    look, _ = look_of(LookSpec(**spec), "timm:vit_tiny_patch16_224", options=options, warn=warned.append)
    assert (look.resize, look.size) == (resize, size or (224, 224))
    assert look.mean == (spec.get("mean") or (0.5,) * 3)
    assert warned[0].startswith(f"{taken}: from timm's published weights")


def test_nothing_is_timms_where_a_user_says_all():
    warned: list[str] = []
    look, notes = look_of(LookSpec((0.1,) * 3, (0.2,) * 3, 40, 32, None, "box"), "timm:resnet18", warn=warned.append)
    assert (look.mean, look.std, look.resize, look.size) == ((0.1,) * 3, (0.2,) * 3, 40, (32, 32))
    assert look.interpolation == "box"
    assert not warned
    assert not any("timm" in note for note in notes)


def test_channels_are_reversed_and_grey_is_one_channel():
    image = picture(40, 40)
    rgb, bgr = (look_of(LookSpec((0.5,) * 3, (0.5,) * 3, channel_order=order), None)[0] for order in ("rgb", "bgr"))
    assert torch.equal(rgb.prepared(image).flip(0), bgr.prepared(image))
    grey, _ = look_of(LookSpec((0.5,), (0.5,)), None)
    assert torch.equal(grey.prepared(image), v2.functional.pil_to_tensor(image.convert("L")) / 255 * 2 - 1)


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"mean": MEAN}, "go together"),
        ({"mean": MEAN, "std": (0.2, 0.2, 0.0)}, "above 0"),
        ({"mean": MEAN, "std": (0.2,)}, "three values each"),
        ({"mean": (123.7, 116.3, 103.5), "std": (58.4, 57.1, 57.4)}, "divide"),
        ({"resize": 0}, "at least 1 pixel"),
        ({"crop": "middle"}, "unknown crop 'middle'.*center"),
        ({"crop": "cut", "resize": 3, "size": 2}, "scales nothing"),
        ({"channel_order": "gbr"}, "known: bgr, rgb"),
        ({"mean": MEAN, "std": STD, "interpolation": "cubic"}, "did you mean 'bicubic'"),
        ({"mean": MEAN, "std": STD, "resize": 32, "size": 48}, "the rest would be black"),
        ({"mean": MEAN, "std": STD, "crop": "squash"}, "say to what by --size"),
    ],
)
def test_a_look_that_cannot_be_is_one_line(spec, told):
    with pytest.raises(UsageError, match=told):
        look_of(LookSpec(**spec), None)


@pytest.fixture
def loaded(tmp_path):
    """The image of a file as an audit loads it, with the notes on it, and as torchvision's loader does."""

    def load(image: Image.Image, name: str, *, upright: bool = False, **how: object):
        image.save(tmp_path / name, **how)
        pictures = FilePictures([("here", tmp_path / name)], upright)
        own = pictures.image(pictures.content(0), 0).convert("RGB")
        with Image.open(io.BytesIO((tmp_path / name).read_bytes())) as file:
            return own, file.convert("RGB"), pictures.odd.notes(upright=upright)

    return load


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "1", "CMYK", "I;16"])
def test_every_kind_of_pixel_is_loaded_as_torchvision_does(loaded, mode):
    image = (
        Image.fromarray(np.arange(0, 6000, 5).reshape(30, 40).astype("uint16"))
        if mode == "I;16"
        else picture(40, 30, mode)
    )
    own, oracle, notes = loaded(image, "a.tif")
    assert np.array_equal(np.asarray(own), np.asarray(oracle))
    assert any("8 bits" in note for note in notes) == (mode == "I;16")
    assert any("transparency" in note for note in notes) == (mode in ("RGBA", "LA"))


def test_a_cameras_orientation_is_told_and_applied_when_asked(loaded):
    exif = Image.Exif()
    exif[0x0112] = 6
    own, oracle, notes = loaded(picture(40, 30), "a.jpg", exif=exif)
    assert own.size == (40, 30)
    assert np.array_equal(np.asarray(own), np.asarray(oracle))
    assert any("--upright" in note for note in notes)
    turned, _, notes = loaded(picture(40, 30), "a.jpg", exif=exif, upright=True)
    assert turned.size == (30, 40)
    assert notes == []


def test_what_is_no_image_is_named(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"no image")
    pictures = FilePictures([("labels.csv, example 3", tmp_path / "a.jpg")])
    with pytest.raises(DataError, match=r"labels\.csv, example 3: .*a\.jpg: no image of a known format"):
        pictures.image(pictures.content(0), 0)
