"""Weights from a safetensors file: filled in exactly, told apart by their bytes, and every fault is one message."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save, save_file

from benchbias import BenchbiasError, DataError
from benchbias_plugins.networks.literature import benchbias_models

MODELS = benchbias_models()
SHAPE = (3, 16, 16)
SMALL = {
    "resnet18": {"width": 0.05},
    "resnet50": {"width": 0.05},
    "vit": {"depth": 1, "heads": 2, "dim": 8},
    "torchvision": {"name": "shufflenet_v2_x0_5"},
    "timm": {"name": "resnet10t"},
}


def make(model, root=Path(), classes=4, seed=1, shape=SHAPE, **options):
    torch.manual_seed(seed)
    return MODELS[model](shape, classes, root, **SMALL[model], **options)


def written(root, tensors, name="some.safetensors"):
    """A file of these tensors; the options that name it."""
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, root / name)
    return named(root, name)


def named(root, name):
    return {"weights": name, "sha256": hashlib.sha256((root / name).read_bytes()).hexdigest()}


@pytest.mark.parametrize("model", SMALL)
def test_a_file_of_a_models_own_weights_gives_that_model(model, tmp_path):
    source = make(model, seed=2).state_dict()
    filled = make(model, tmp_path, **written(tmp_path, source)).state_dict()
    assert all(torch.equal(filled[name], tensor) for name, tensor in source.items())
    assert any(not torch.equal(make(model).state_dict()[name], tensor) for name, tensor in source.items())


@pytest.mark.parametrize("model", SMALL)
def test_a_head_of_other_classes_keeps_its_initial_values_and_says_so(model, tmp_path, capsys):
    source, plain = make(model, classes=7, seed=2).state_dict(), make(model).state_dict()
    filled = make(model, tmp_path, **written(tmp_path, source)).state_dict()
    head = {name for name in filled if filled[name].shape != source[name].shape}
    assert len(head) == 2
    assert all(torch.equal(filled[name], (plain if name in head else source)[name]) for name in filled)
    assert "keeps its initial values" in capsys.readouterr().out


def test_a_file_without_a_head_and_without_counters_is_taken(tmp_path):
    source = make("resnet18", seed=2).state_dict()
    body = {name: t for name, t in source.items() if not name.startswith("fc.") and "num_batches" not in name}
    filled = make("resnet18", tmp_path, **written(tmp_path, body)).state_dict()
    assert all(torch.equal(filled[name], tensor) for name, tensor in body.items())
    assert torch.equal(filled["fc.weight"], make("resnet18").state_dict()["fc.weight"])


def test_vit_takes_a_file_of_timms(tmp_path):
    from timm.models.vision_transformer import VisionTransformer

    torch.manual_seed(0)
    theirs = VisionTransformer(img_size=16, patch_size=4, num_classes=4, embed_dim=8, depth=1, num_heads=2).eval()
    ours = make("vit", tmp_path, **written(tmp_path, theirs.state_dict())).eval()
    images = torch.rand(2, *SHAPE)
    torch.testing.assert_close(ours(images), theirs(images))


def test_torchvision_fills_in_colour_weights_before_it_sums_them_for_grey_images(tmp_path):
    source = make("torchvision", seed=2)
    grey = make("torchvision", tmp_path, shape=(1, 16, 16), **written(tmp_path, source.state_dict())).eval()
    images = torch.rand(2, 1, 16, 16)
    torch.testing.assert_close(grey(images), source.eval()(images.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-5)


def test_other_bytes_under_the_same_name_are_refused(tmp_path):
    options = written(tmp_path, make("resnet18", seed=2).state_dict())
    written(tmp_path, make("resnet18", seed=3).state_dict())
    with pytest.raises(DataError, match=rf"some\.safetensors is another file: .*, not {options['sha256']}"):
        make("resnet18", tmp_path, **options)


def test_without_a_digest_the_message_tells_it(tmp_path):
    options = written(tmp_path, make("resnet18").state_dict())
    with pytest.raises(DataError, match=f'sha256 = "{options["sha256"]}"'):
        make("resnet18", tmp_path, weights=options["weights"])
    with pytest.raises(DataError, match="64 hexadecimal digits"):
        make("resnet18", tmp_path, weights=options["weights"], sha256="ABC")
    with pytest.raises(BenchbiasError, match="goes with weights"):
        make("resnet18", tmp_path, sha256=options["sha256"])


@pytest.mark.parametrize("path", ["/etc/hostname", "../some.safetensors", "", "a/../../b"])
def test_a_path_stays_below_the_data_folder(path, tmp_path):
    with pytest.raises(DataError, match="relative to the data folder"):
        make("resnet18", tmp_path, weights=path, sha256="0" * 64)


def test_a_missing_file_and_a_folder_are_told(tmp_path):
    with pytest.raises(DataError, match=r"'none\.safetensors' are not there: looked for .*BENCHBIAS_DATA"):
        make("resnet18", tmp_path, weights="none.safetensors", sha256="0" * 64)
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="cannot be read"):
        make("resnet18", tmp_path, weights="folder", sha256="0" * 64)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_is_never_opened(legacy, tmp_path):
    torch.save({"a": torch.zeros(1)}, tmp_path / "some.pth", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(DataError, match="is a pickle"):
        make("resnet18", tmp_path, **named(tmp_path, "some.pth"))


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_damaged_file_is_one_message(keep, tmp_path):
    content = save(make("resnet18").state_dict())
    (tmp_path / "some.safetensors").write_bytes(content[:keep])
    with pytest.raises(DataError, match="no safetensors file, or a damaged one"):
        make("resnet18", tmp_path, **named(tmp_path, "some.safetensors"))


def test_tensors_that_are_not_the_models_are_named(tmp_path):
    source = make("resnet18").state_dict()
    source["extra.weight"] = source.pop("layer1.0.conv1.weight")
    source["bn1.bias"] = torch.zeros(77)
    with pytest.raises(DataError) as told:
        make("resnet18", tmp_path, **written(tmp_path, source))
    for part in (
        "some.safetensors",
        "missing: layer1.0.conv1.weight",
        "not the model's: extra.weight",
        "bn1.bias (77,)",
    ):
        assert part in str(told.value)
    whole = {f"module.{name}": tensor for name, tensor in make("resnet18").state_dict().items()}
    with pytest.raises(DataError, match=r"and \d+ more") as told:
        make("resnet18", tmp_path, **written(tmp_path, whole))
    assert len(str(told.value)) < 600
