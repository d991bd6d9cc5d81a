"""Whatever file a network is in: its logits are those of the network, or one line says why it is not opened."""

from __future__ import annotations

import copy
import io
import os
import pickle
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.ao.pruning import WeightNormSparsifier
from torch.nn.utils import parametrizations, parametrize, prune

from benchbias.auditing.models.builders import Fitting, architecture
from benchbias.auditing.models.networks import Network, opened_network
from benchbias.auditing.models.specs import Source, model_spec
from benchbias.errors import BenchbiasError, DataError, UsageError

SHAPE = (3, 32, 32)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def dense() -> nn.Module:
    """A small network of torchvision for 3 classes, with running statistics that are not those of the start."""
    torch.manual_seed(0)
    network = torchvision.models.shufflenet_v2_x0_5(num_classes=3)
    with torch.no_grad():
        network.train()(torch.randn(16, *SHAPE))
    return network.eval()


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(5, *SHAPE, generator=torch.Generator().manual_seed(1))


def opened(file: Path | None, model: str | None = "shufflenet_v2_x0_5", **changes: Any) -> Network:
    table = changes.pop("table", None)
    spec = model_spec("dense.safetensors", ["pruned.pth"], **changes)
    return opened_network(Source(file, "it", model, table), spec, changes.get("shape", SHAPE), CPU)


def answers(network: Network, images: Tensor) -> Tensor:
    with torch.inference_mode():
        return network.call(images)


def pruned(dense: nn.Module) -> nn.Module:
    copied = copy.deepcopy(dense)
    for part in copied.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            prune.l1_unstructured(part, "weight", 0.5)
    return copied


class Masked(nn.Module):
    """A parametrization that multiplies by a mask, as a user writes one."""

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.mask


def parametrized(dense: nn.Module) -> nn.Module:
    copied = copy.deepcopy(dense)
    for part in list(copied.modules()):
        if isinstance(part, nn.Conv2d | nn.Linear):
            mask = (part.weight.abs() > part.weight.abs().median()).float()
            parametrize.register_parametrization(part, "weight", Masked(mask))
    return copied


def sparsified(dense: nn.Module) -> nn.Module:
    """Pruned by torch.ao.pruning, whose masks are in no state_dict."""
    copied = copy.deepcopy(dense)
    sparsifier = WeightNormSparsifier(sparsity_level=0.5)
    sparsifier.prepare(copied, [{"tensor_fqn": "fc.weight"}])
    sparsifier.step()
    return copied


FORMS: dict[str, Callable[[dict[str, Tensor]], object]] = {
    "plain": lambda state: state,
    "state_dict": lambda state: {"state_dict": state, "epoch": 3, "optimizer": {"lr": 0.1}},
    "model": lambda state: {"model": state, "args": None},
    "net": lambda state: {"net": state, "acc": 91.2},
    "data parallel": lambda state: {f"module.{name}": value for name, value in state.items()},
    "compiled": lambda state: {f"_orig_mod.{name}": value for name, value in state.items()},
    "lightning": lambda state: {"state_dict": {f"model.{name}": value for name, value in state.items()}, "epoch": 1},
    "compiled in parallel": lambda state: {f"module._orig_mod.{name}": value for name, value in state.items()},
    "averaged": lambda state: {
        "n_averaged": torch.tensor(7),
        **{f"module.{name}": value for name, value in state.items()},
    },
    "average alone": lambda state: {"model_ema": {f"module.{name}": value for name, value in state.items()}},
    "without counts": lambda state: {name: value for name, value in state.items() if "num_batches" not in name},
    "parameters": lambda state: {name: nn.Parameter(value, False) for name, value in state.items()},
}


MADE = {"masks": pruned, "parametrized": parametrized, "dense": copy.deepcopy}


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        *((form, "masks") for form in FORMS),
        ("plain", "parametrized"),
        ("data parallel", "parametrized"),
        ("plain", "dense"),
    ],
)
def test_the_answers_are_the_networks_whatever_the_form_of_its_file(dense, images, tmp_path, form, kind):
    network = MADE[kind](dense)
    torch.save(FORMS[form](network.state_dict()), tmp_path / "it.pth")
    found = opened(tmp_path / "it.pth")
    with torch.inference_mode():
        oracle = network(images)
    assert torch.equal(answers(found, images), oracle)
    assert any("masks" in note for note in found.notes) == (kind != "dense")


def test_a_file_of_safetensors_may_hold_masks_too(dense, images, tmp_path):
    network = pruned(dense)
    save_file(network.state_dict(), tmp_path / "it.safetensors")
    with torch.inference_mode():
        assert torch.equal(answers(opened(tmp_path / "it.safetensors"), images), network(images))


def test_of_two_tables_the_plain_one_is_read_and_the_other_when_it_is_named(dense, images, tmp_path):
    other = pruned(dense)
    ema = {f"module.{name}": value for name, value in other.state_dict().items()}
    torch.save({"model": dense.state_dict(), "model_ema": ema}, tmp_path / "it.pth")
    first, second = opened(tmp_path / "it.pth"), opened(tmp_path / "it.pth", table="model_ema")
    with torch.inference_mode():
        assert torch.equal(answers(first, images), dense(images))
        assert torch.equal(answers(second, images), other(images))
    assert any("not used: model_ema. Where the average is what you ship" in told for told in first.warnings)
    assert second.warnings == ()
    with pytest.raises(DataError, match=r"no table 'mine' \(it has: model, model_ema\)"):
        opened(tmp_path / "it.pth", table="mine")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_number_formats_are_computed_with_in_float32_and_told(dense, images, tmp_path, dtype):
    state = {
        name: value.to(dtype) if value.is_floating_point() else value for name, value in dense.state_dict().items()
    }
    torch.save(state, tmp_path / "it.pth")
    found = opened(tmp_path / "it.pth")
    oracle = copy.deepcopy(dense)
    oracle.load_state_dict(state)
    with torch.inference_mode():
        assert torch.equal(answers(found, images), oracle(images))
    assert any("turned into float32" in note for note in found.notes)


@pytest.mark.parametrize("classes", [1, 2, 17, 1000, 1001])
def test_the_head_says_for_how_many_classes(tmp_path, classes):
    state = torchvision.models.squeezenet1_1(num_classes=classes).state_dict()
    torch.save(state, tmp_path / "it.pth")
    module = opened(tmp_path / "it.pth", "squeezenet1_1").module
    assert module is not None
    assert module.state_dict()["classifier.1.weight"].shape[0] == classes


@pytest.mark.parametrize(("name", "heads"), [("googlenet", True), ("googlenet", False), ("inception_v3", True)])
def test_networks_with_more_heads_for_training_are_opened_with_and_without_them(tmp_path, name, heads):
    shape = (3, 96, 96)
    network = torchvision.models.get_model(name, num_classes=4, aux_logits=heads, init_weights=False).eval()
    torch.save(network.state_dict(), tmp_path / "it.pth")
    images = torch.randn(2, *shape)
    spec = model_spec("d.pth", ["p.pth"])
    found = opened_network(Source(tmp_path / "it.pth", "it", name), spec, shape, CPU)
    with torch.inference_mode():
        assert torch.equal(answers(found, images), network(images))


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "resnet10t"])
def test_networks_of_timm(tmp_path, name):
    shape = (3, 64, 64)
    try:
        network = timm.create_model(name, num_classes=5, img_size=64).eval()
    except TypeError:
        network = timm.create_model(name, num_classes=5).eval()
    torch.save({"state_dict": network.state_dict(), "arch": name}, tmp_path / "it.pth.tar")
    spec = model_spec("d.pth", ["p.pth"])
    found = opened_network(Source(tmp_path / "it.pth.tar", "it", f"timm:{name}"), spec, shape, CPU)
    images = torch.randn(2, *shape)
    with torch.inference_mode():
        assert torch.equal(answers(found, images), network(images))


@pytest.mark.slow
def test_a_vision_transformer_of_torchvision_is_built_for_the_size_of_the_images(tmp_path):
    network = torchvision.models.vit_b_16(num_classes=3, image_size=32).eval()
    torch.save(network.state_dict(), tmp_path / "it.pth")
    found = opened(tmp_path / "it.pth", "torchvision:vit_b_16")
    images = torch.randn(2, *SHAPE)
    with torch.inference_mode():
        assert torch.equal(answers(found, images), network(images))


@pytest.mark.parametrize("model", ["mlp", "plugin:mlp"])
def test_models_of_plugins_take_their_options(tmp_path, model):
    units = (3 * 32 * 32, 50, 50, 8)
    layers = [part for a, b in pairwise(units) for part in (nn.Linear(a, b), nn.ReLU())]
    network = nn.Sequential(nn.Flatten(), *layers, nn.Linear(8, 3))
    spec = model_spec("d.pth", ["p.pth"], options={"width": 0.5})
    plugin = Fitting(SHAPE, {"width": 0.5})
    own = architecture(model, plugin).build(3)
    own.load_state_dict(dict(zip(own.state_dict(), network.state_dict().values(), strict=True)))
    torch.save(own.state_dict(), tmp_path / "it.pth")
    found = opened_network(Source(tmp_path / "it.pth", "it", model), spec, SHAPE, CPU)
    images = torch.randn(2, *SHAPE)
    with torch.inference_mode():
        assert torch.equal(answers(found, images), network(images))
    with pytest.raises(UsageError, match="unknown option 'widht'"):
        opened(tmp_path / "it.pth", model, options={"widht": 1})


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("resnet81", "no torchvision or plugin model 'resnet81'; the nearest known: .*resnet18"),
        ("torchvision:mlp", "no torchvision model 'mlp'"),
        ("timm:resnet81", "no timm model 'resnet81'; the nearest known"),
        ("plugin:mpl", "nearest known: .*mlp"),
        ("convnext_nano", r"timm has one: timm:convnext_nano"),
        (None, "--model NAME"),
        ("nowhere.py:make", "no such Python file"),
    ],
)
def test_an_unknown_model_is_one_line_with_the_nearest(dense, tmp_path, model, told):
    torch.save(dense.state_dict(), tmp_path / "it.pth")
    with pytest.raises(UsageError, match=told):
        opened(tmp_path / "it.pth", model)


def test_each_near_name_is_told_once(tmp_path):
    for model in ("resnet81", "timm:resnet81", "torchvision:resnet81"):
        with pytest.raises(UsageError) as told:
            architecture(model, Fitting(SHAPE, {}))
        names = str(told.value).partition("known: ")[2].partition(";")[0].split(", ")
        assert "resnet18" in names
        assert len(names) == len(set(names))


class Bomb:
    """Leaves a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_nothing_of_a_pickle_is_run(dense, tmp_path):
    torch.save({"state_dict": dense.state_dict(), "args": Bomb(tmp_path / "ran")}, tmp_path / "it.pth")
    with pytest.raises(DataError, match="holds more than tensors"):
        opened(tmp_path / "it.pth")
    assert not (tmp_path / "ran").exists()


class Command:
    """Runs a command of the shell where it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("true",)


class Evaluated:
    """Runs Python where it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, ("1",)


@pytest.mark.parametrize(("value", "told"), [(Command(), r"(posix|nt)\.system"), (Evaluated(), r"\w+\.eval")])
@pytest.mark.parametrize("protocol", [None, 0, 2, 4])
def test_a_hostile_pickle_is_named_and_nobody_is_told_to_open_it(dense, tmp_path, recwarn, value, told, protocol):
    content = {"state_dict": dense.state_dict(), "args": value}
    if protocol is None:
        torch.save(content, tmp_path / "it.pth")
    else:
        (tmp_path / "it.pth").write_bytes(pickle.dumps(value, protocol=protocol))
    with pytest.raises(DataError) as error:
        opened(tmp_path / "it.pth")
    if protocol != 0:  # which has no mark of a pickle: no file of tensors at all
        assert re.search(rf"it\.pth holds {told}, which is no tensor: do not open it", str(error.value))
    for advice in ("weights_only", "Re-running", "python -c"):
        assert advice not in str(error.value)
    assert not recwarn.list


@pytest.mark.parametrize("form", ["module", "table", "module in a table", "odd name"])
def test_what_holds_more_is_refused_with_a_command_that_makes_tensors_of_it(dense, images, tmp_path, form):
    import argparse
    import shlex

    args = argparse.Namespace(lr=0.1)
    content = {"table": {"model": dense.state_dict(), "args": args}, "module in a table": {"model": dense, "epoch": 3}}
    name = "it's $HOME.pth" if form == "odd name" else "whole.pth"
    torch.save(content.get(form, dense), tmp_path / name)
    with pytest.raises(DataError, match="python -c") as told:
        opened(tmp_path / name)
    program, option, code = shlex.split(str(told.value)[str(told.value).index("python -c") :])
    assert (program, option) == ("python", "-c")
    exec(code, {})  # the shell's work is done by shlex
    found = opened(tmp_path / name.replace(".pth", "-tensors.pth"))
    assert torch.equal(answers(found, images), dense(images).detach())


def scripted(dense: nn.Module) -> bytes:
    content = io.BytesIO()
    torch.jit.save(torch.jit.trace(dense, torch.zeros(1, *SHAPE)), content)
    return content.getvalue()


def test_files_that_do_not_fit_are_named(dense, tmp_path):
    state = dense.state_dict()
    norm = copy.deepcopy(dense)
    parametrizations.weight_norm(norm.fc)
    slim = {**state, "conv5.0.weight": state["conv5.0.weight"][:7]}
    whole = {name: value.to(torch.int8) for name, value in state.items()}
    cases: dict[str, tuple[object, str]] = {
        "missing": ({name: value for name, value in state.items() if name != "fc.bias"}, "missing: fc.bias"),
        "extra": ({**state, "fc2.bias": torch.zeros(3)}, "not the model's: fc2.bias; is --model another network\\?$"),
        "slim": (
            slim,
            r"of another shape: conv5\.0\.weight .*--model another network, .*A slimmed network is made by a factory",
        ),
        "int8": (whole, "int8, as quantised weights are: a factory"),
        "parametrized": (norm.state_dict(), r"fc\.weight is parametrized .*remove_parametrizations"),
        "sparsified": (sparsified(dense).state_dict(), r"fc\.weight is parametrized \(original\)"),
        "list": ([torch.zeros(1)], "holds a list"),
    }
    for name, (content, told) in cases.items():
        torch.save(content, tmp_path / f"{name}.pth")
        with pytest.raises(DataError, match=rf"{name}\.pth.*{told}|{told}"):
            opened(tmp_path / f"{name}.pth")
    (tmp_path / "empty.pth").write_bytes(b"")
    (tmp_path / "script.pt").write_bytes(scripted(dense))
    with pytest.raises(DataError, match=r"empty\.pth: the file is empty"):
        opened(tmp_path / "empty.pth")
    with pytest.raises(DataError, match=r"a TorchScript archive, a program and not tensors: a factory can open it"):
        opened(tmp_path / "script.pt")
    for name in ("empty.pth", "script.pt", "absent.pth"):
        with pytest.raises(BenchbiasError, match=name.replace(".", r"\.")):
            opened(tmp_path / name)
