"""Weights from a file of tensors: filled in exactly, different by their bytes, and every fault is one message."""

from __future__ import annotations

import hashlib
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save, save_file
from torch.nn.utils import prune

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


def saved(root, found, name="some.pth", **how):
    """A file of torch.save; the options that name it."""
    torch.save(found, root / name, **how)
    return named(root, name)


LEGACY = {"_use_new_zipfile_serialization": False}


@pytest.mark.parametrize(
    ("prefix", "place", "how"),
    [
        *(("", None, {}), ("", None, LEGACY), ("", "state_dict", {}), ("module.", "model", LEGACY)),
        *(("module._orig_mod.", "net", {}), ("model.", "model_state_dict", {})),
    ],
)
def test_a_file_of_torch_save_gives_that_model_however_it_is_nested(prefix, place, how, tmp_path, capsys):
    source = make("resnet18", seed=2).state_dict()
    found = {prefix + name: tensor for name, tensor in source.items()}
    whole = found if place is None else {"epoch": 3, "optimizer": {"lr": 0.1}, place: found}
    filled = make("resnet18", tmp_path, **saved(tmp_path, whole, **how)).state_dict()
    assert all(torch.equal(filled[name], tensor) for name, tensor in source.items())
    said = capsys.readouterr().out
    assert (place is None) == ("its tensors are those of" not in said)
    assert (prefix == "") == ("left out before each name" not in said)


def test_the_masks_of_torchs_pruning_are_applied_and_told(tmp_path, capsys):
    source = make("resnet18", seed=2)
    for layer in (source.conv1, source.fc):
        prune.l1_unstructured(layer, "weight", amount=0.5)
    prune.random_unstructured(source.fc, "bias", amount=1)
    state = source.state_dict()
    assert "conv1.weight_orig" in state
    filled = make("resnet18", tmp_path, **saved(tmp_path, state))
    for layer in (source.conv1, source.fc):
        prune.remove(layer, "weight")
    prune.remove(source.fc, "bias")
    assert all(torch.equal(filled.state_dict()[name], tensor) for name, tensor in source.state_dict().items())
    assert abs(int((filled.conv1.weight == 0).sum()) - filled.conv1.weight.numel() / 2) <= 0.5
    assert "the masks of 3 pruned tensors are applied" in capsys.readouterr().out
    for odd in ({"conv1.weight_mask": torch.ones(1)}, {"conv1.weight": torch.ones(1)}):
        with pytest.raises(DataError, match=r"conv1\.weight_orig and conv1\.weight_mask do not make one conv1\.weight"):
            make("resnet18", tmp_path, **saved(tmp_path, state | odd))


class Canary:
    """Unpickled, it leaves a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.parametrize("how", [{}, LEGACY], ids=["archive", "legacy"])
def test_a_file_that_would_run_code_is_refused_and_runs_none(how, tmp_path):
    options = saved(tmp_path, {"conv1.weight": Canary(tmp_path / "canary")}, **how)
    with pytest.raises(DataError, match=r"some\.pth .*holds more than tensors \(save model\.state_dict"):
        make("resnet18", tmp_path, **options)
    assert not (tmp_path / "canary").exists()
    (tmp_path / "bare.pth").write_bytes(pickle.dumps(Canary(tmp_path / "canary")))
    with pytest.raises(DataError, match="holds more than tensors"):
        make("resnet18", tmp_path, **named(tmp_path, "bare.pth"))
    assert not (tmp_path / "canary").exists()
    with pytest.raises(DataError, match="holds more than tensors"):  # the model, not its state
        make("resnet18", tmp_path, **saved(tmp_path, torch.nn.Linear(1, 1), **how))


ODD = {
    "a list": ([torch.zeros(1)], "holds a list, not tensors by name"),
    "nothing": ({}, "holds a dict, not tensors by name"),
    "a number": ({"a.weight": torch.zeros(1), "b": 3}, "not a tensor by name, .*: b "),
    "an unknown place": ({"mine": {"a.weight": torch.zeros(1)}}, "not a tensor by name, .*: mine .*'state_dict'"),
    "a huge view": ({"conv1.weight": torch.zeros(1).expand(10**5, 10**5)}, "within its file: conv1.weight"),
    "a sparse tensor": ({"conv1.weight": torch.zeros(3, 3).to_sparse()}, "dense .*: conv1.weight"),
    "a tensor without numbers": ({"conv1.weight": torch.zeros(3, device="meta")}, "dense .*: conv1.weight"),
    "names that are numbers": ({1: torch.zeros(1)}, "not a tensor by name, .*: 1 "),
}


@pytest.mark.parametrize("how", [{}, LEGACY], ids=["archive", "legacy"])
@pytest.mark.parametrize("name", ODD)
def test_a_file_of_other_things_is_one_message(name, how, tmp_path):
    found, said = ODD[name]
    with pytest.raises(DataError, match=said):
        make("resnet18", tmp_path, **saved(tmp_path, found, **how))


def test_an_archive_that_unpacks_to_more_than_itself_is_refused(tmp_path):
    torch.save({"conv1.weight": torch.zeros(9)}, tmp_path / "plain.pth")
    with (
        zipfile.ZipFile(tmp_path / "plain.pth") as plain,
        zipfile.ZipFile(tmp_path / "some.pth", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for entry in plain.infolist():
            packed.writestr(entry.filename, plain.read(entry) + bytes(10**5))
    with pytest.raises(DataError, match="unpacks to more than its own size"):
        make("resnet18", tmp_path, **named(tmp_path, "some.pth"))


@pytest.mark.parametrize("how", [{}, LEGACY], ids=["archive", "legacy"])
@pytest.mark.parametrize("keep", [4, 100, 3000, -1000])
def test_a_damaged_file_of_torch_save_is_one_message(keep, how, tmp_path):
    saved(tmp_path, make("resnet18").state_dict(), **how)
    content = (tmp_path / "some.pth").read_bytes()[:keep]
    (tmp_path / "some.pth").write_bytes(content)
    with pytest.raises(DataError, match="or a damaged one"):
        make("resnet18", tmp_path, **named(tmp_path, "some.pth"))


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_damaged_file_is_one_message(keep, tmp_path):
    content = save(make("resnet18").state_dict())
    (tmp_path / "some.safetensors").write_bytes(content[:keep])
    with pytest.raises(DataError, match=r"no safetensors file, or a damaged one|the file is empty"):
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
    whole = {f"other.{name}": tensor for name, tensor in make("resnet18").state_dict().items()}
    with pytest.raises(DataError, match=r"and \d+ more") as told:
        make("resnet18", tmp_path, **written(tmp_path, whole))
    assert len(str(told.value)) < 600
