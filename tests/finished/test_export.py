"""Exports: files that give the stored answers back, and nothing where they do not."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

import benchbias
from benchbias.errors import ComponentError, DataError, StorageError, UsageError
from benchbias.finished import exporting, formats, loading
from benchbias.finished.api import export_trial
from benchbias.finished.asking import request_of
from benchbias.finished.description import SCHEMA, digest_of
from benchbias.finished.loading import description_of
from benchbias.finished.rebuilt import Finished, finished
from benchbias.plan.finding import row_trial
from benchbias.plan.trials import Plan, Selection
from benchbias.runner.workspace import Workspace
from benchbias_plugins.networks.lenet import lenet_small
from support import ROOT
from support.markdown import blocks

Cli = Callable[..., subprocess.CompletedProcess[str]]

HALF = "magnitude[sparsity=0.5]"


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Workspace.open(quiet=True).plan("smoke", Selection(["erm", "magnitude"]))


def request(plan: Plan, out: Path, file: Path, row: str = HALF, *, slim: bool = False) -> dict[str, Any]:
    given = {"file": str(file), "slim": slim}
    return request_of("export", plan, [row_trial(plan, row, 0, None, "test")], out, given)


def stored_logits(out: Path, row: str = HALF) -> torch.Tensor:
    return benchbias.load_results("smoke", out=out).predictions(row, seed=0).logits


def normalised(plan: Plan, out: Path, document: dict[str, Any]) -> torch.Tensor:
    """The images of the test split as plain torch gives them to a network, by the description alone."""
    found = finished(request(plan, out, Path("-")), request(plan, out, Path("-"))["trials"][0])
    images = found.job.blob("test", "test", ("images",))["images"].float() / 255
    mean, std = (torch.tensor(document[name]).view(1, -1, 1, 1) for name in ("mean", "std"))
    return (images - mean) / std


def test_a_safetensors_file_gives_the_stored_answers_to_plain_torch(smoke: Path, plan: Plan, tmp_path: Path):
    """Its tensors in the network's factory, on images normalised by its description: nothing of ours reads it."""
    file = tmp_path / "net.safetensors"
    told = exporting.export(request(plan, smoke, file))
    assert told["difference"] == 0
    with safe_open(file, framework="pt") as opened:
        document = json.loads(opened.metadata()["benchbias"])
    assert document["model"]["name"] == "lenet_small"
    model = lenet_small(tuple(document["input_shape"]), document["num_classes"], **document["model"]["options"])
    model.load_state_dict(load_file(file))
    with torch.no_grad():
        answers = model.eval()(normalised(plan, smoke, document))
    assert torch.allclose(answers, stored_logits(smoke), rtol=0, atol=1e-6)
    weights = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    zeros = sum(int((weight == 0).sum()) for weight in weights)
    assert document["sparsity"] == pytest.approx(0.5, abs=0.01)
    assert zeros / sum(weight.numel() for weight in weights) == pytest.approx(document["sparsity"])
    assert document["parameters"] == sum(parameter.numel() for parameter in model.parameters())


def test_the_description_says_whose_network_it_is(smoke: Path, plan: Plan, tmp_path: Path):
    file = tmp_path / "net.safetensors"
    exporting.export(request(plan, smoke, file))
    document, trial = description_of(file), row_trial(plan, HALF, 0, None, "test")
    assert document["schema"] == SCHEMA
    assert document["trial"] == trial.id
    assert (document["suite"], document["task"], document["seed"]) == ("smoke", trial.task, 0)
    assert (document["method"], document["swept"]) == ("magnitude", {"sparsity": 0.5})
    assert document["made_by"]["torch"] == torch.__version__
    assert file.stat().st_mode & 0o044, "others may read it, as the umask says"


def test_a_loaded_file_is_the_network(smoke: Path, plan: Plan, tmp_path: Path):
    file = tmp_path / "net.safetensors"
    exporting.export(request(plan, smoke, file, "erm"))
    state = torch.random.get_rng_state()
    model = benchbias.load_network(file)
    assert torch.equal(torch.random.get_rng_state(), state), "whoever loads a network draws the numbers that he drew"
    assert not model.training
    images = normalised(plan, smoke, description_of(file))
    with torch.no_grad():
        assert torch.allclose(model(images), stored_logits(smoke, "erm"), rtol=0, atol=1e-6)


def spoilt(change: Callable[[nn.Module], None]) -> Callable[..., bytes]:
    def write(model: nn.Module, images: torch.Tensor, text: str) -> bytes:
        import copy

        other = copy.deepcopy(model)
        with torch.no_grad():
            change(other)
        return formats.as_safetensors(other, images, text)

    return write


FAULTS: dict[str, tuple[Callable[[nn.Module], Any], str]] = {
    "a weight by one bit": (lambda m: m.conv1.bias[:1].mul_(1 + 2**-22), r"1 tensors are not those .*: conv1\.bias"),
    "a zero revived": (lambda m: m.fc1.weight.masked_fill_(m.fc1.weight == 0, 1e-9), r"fc1\.weight"),
    "another type": (lambda m: m.double(), "10 tensors are not those of the trial"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_holds_other_weights_is_not_left(
    fault: str, smoke: Path, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    change, said = FAULTS[fault]
    monkeypatch.setitem(exporting.FORMATS, ".safetensors", spoilt(change))  # type: ignore[arg-type]
    file = tmp_path / "net.safetensors"
    file.write_bytes(b"an older file")
    with pytest.raises(DataError, match=said):
        exporting.export(request(plan, smoke, file))
    assert list(tmp_path.iterdir()) == [file]
    assert file.read_bytes() == b"an older file"


def test_answers_that_are_not_the_stored_ones_are_refused(
    smoke: Path, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The weights are written as they are rebuilt, and these are not those that the trial was scored with."""
    real = Finished.network

    def other(self: Finished) -> nn.Module:
        model = real(self)
        with torch.no_grad():
            model.fc3.bias[0] += 0.01  # type: ignore[index, operator]
        return model

    monkeypatch.setattr(Finished, "network", other)
    with pytest.raises(DataError, match=r"does not give the stored answers .*a logit of example \d+ differs"):
        exporting.export(request(plan, smoke, tmp_path / "net.safetensors"))
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_only_read_with_a_whole_description(smoke: Path, plan: Plan, tmp_path: Path):
    file, other = tmp_path / "net.safetensors", tmp_path / "other.safetensors"
    exporting.export(request(plan, smoke, file, "erm"))
    tensors, document = load_file(file), description_of(file)

    def refused(metadata: dict[str, str] | None, match: str, state: dict[str, torch.Tensor] = tensors) -> None:
        save_file(state, other, metadata)
        with pytest.raises(UsageError, match=match):
            benchbias.load_network(other)

    whole = {"benchbias": json.dumps(document)}
    refused(None, "no description of benchbias")
    refused({"benchbias": "{"}, "its description is damaged")
    refused({"benchbias": json.dumps({"schema": 1})}, "its description is damaged")
    refused({"benchbias": json.dumps({**document, "schema": 9})}, r"by a newer benchbias \(schema 9, not 1\)")
    unknown = {**document, "model": {**document["model"], "name": "nobody"}}
    refused({"benchbias": json.dumps(unknown)}, "no plugin here has the network 'nobody'")
    short = {k: v for k, v in tensors.items() if k != "conv1.bias"}
    refused(with_digest(document, short), "it lacks conv1.bias", short)
    other_size = {**tensors, "conv1.bias": torch.zeros(99)}
    refused(with_digest(document, other_size), r"do not fit 'lenet_small': .*conv1\.bias.*\[99\]", other_size)
    double = {**tensors, "conv1.bias": tensors["conv1.bias"].double()}
    refused(with_digest(document, double), r"do not fit 'lenet_small': conv1\.bias is torch\.float64", double)
    nan = {**tensors, "fc3.bias": tensors["fc3.bias"] * float("nan")}
    refused(with_digest(document, nan), "gives other answers than at its export", nan)
    one_bit = {**tensors, "conv1.bias": tensors["conv1.bias"] * (1 + 2**-22)}
    refused(whole, "its tensors are damaged: their SHA-256", one_bit)
    refused(whole, "its tensors are damaged: their SHA-256", short)
    other.write_bytes(b"nothing")
    with pytest.raises(DataError, match="no safetensors file"):
        benchbias.load_network(other)
    with pytest.raises(UsageError, match="is not there"):
        benchbias.load_network(tmp_path / "absent.safetensors")
    with pytest.raises(UsageError, match=r"load_network reads \.safetensors"):
        benchbias.load_network(tmp_path / "net.pt2")


def with_digest(document: dict[str, Any], tensors: dict[str, torch.Tensor]) -> dict[str, str]:
    """Metadata of a file whose damage no digest tells."""
    return {"benchbias": json.dumps({**document, "sha256": digest_of(tensors)})}


DAMAGES: dict[str, tuple[tuple[Any, ...], Any]] = {
    "no model": (("model",), None),
    "a model by name alone": (("model",), "lenet_small"),
    "no name": (("model", "name"), 3),
    "options in a list": (("model", "options"), []),
    "a shape of text": (("input_shape",), "388"),
    "a shape of nothing": (("input_shape",), [3, 0, 8]),
    "classes as text": (("num_classes",), "2"),
    "no class": (("num_classes",), 0),
    "a schema that is true": (("schema",), True),
    "a schema before the first": (("schema",), 0),
    "a schema as a fraction": (("schema",), 1.0),
    "a mean of text": (("mean",), ["a"]),
    "sizes in a list": (("slimmed",), []),
    "a size of nothing": (("slimmed",), {"conv1": {"out_channels": 0}}),
    "a size that is none": (("slimmed",), {"conv1": {"training": 1}}),
    "a method in place of a size": (("slimmed",), {"conv1": {"forward": 1}}),
    "a backbone of text": (("backbone",), "lenet"),
    "a digest of another length": (("sha256",), "ab"),
    "answers of one image": (("reference",), [[0.0, 1.0]]),
}


@pytest.fixture(scope="module")
def erm_file(smoke: Path, plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("exported") / "net.safetensors"
    exporting.export(request(plan, smoke, file, "erm"))
    return file


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_description_is_one_line_that_names_the_place(damage: str, erm_file: Path, tmp_path: Path):
    way, value = DAMAGES[damage]
    document = description_of(erm_file)
    inner = document
    for step in way[:-1]:
        inner = inner[step]
    inner[way[-1]] = value
    other = tmp_path / "other.safetensors"
    save_file(load_file(erm_file), other, {"benchbias": json.dumps(document)})
    with pytest.raises(UsageError, match="its description is damaged: ") as caught:
        benchbias.load_network(other)
    assert way[0] in str(caught.value)
    assert str(other) in str(caught.value)


def test_a_network_of_another_source_is_refused(erm_file: Path, monkeypatch: pytest.MonkeyPatch):
    """The same name, the same tensors, another activation: no tensor tells it."""
    real = loading.call_component

    def other(*given: Any) -> nn.Module:
        model = real(*given)
        model.register_forward_pre_hook(lambda module, args: (args[0].abs(),))
        return model  # type: ignore[no-any-return]

    benchbias.load_network(erm_file)
    monkeypatch.setattr(loading, "call_component", other)
    with pytest.raises(DataError, match=r"the network 'lenet_small' of .* gives other answers than at its export"):
        benchbias.load_network(erm_file)


def test_options_that_a_factory_does_not_take_are_one_line(erm_file: Path, tmp_path: Path):
    document, other = description_of(erm_file), tmp_path / "other.safetensors"
    document["model"]["options"] = {"nobody": 1}
    save_file(load_file(erm_file), other, {"benchbias": json.dumps(document)})
    with pytest.raises(ComponentError, match=r"the network 'lenet_small' cannot be made again \(TypeError"):
        benchbias.load_network(other)


def test_what_is_no_plain_file_is_neither_read_nor_waited_for(tmp_path: Path, erm_file: Path):
    with pytest.raises(UsageError, match="load_network: file is a path, not None"):
        benchbias.load_network(None)  # type: ignore[arg-type]
    pipe, link = tmp_path / "pipe.safetensors", tmp_path / "link.safetensors"
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match=r"pipe\.safetensors: cannot be read: it is not a plain file"):
        benchbias.load_network(pipe)
    link.symlink_to(erm_file)
    assert isinstance(benchbias.load_network(link), nn.Module)
    with pytest.raises(UsageError, match="null"):
        benchbias.load_network(tmp_path / "a\0.safetensors")
    with pytest.raises(StorageError, match="File name too long"):
        benchbias.load_network(tmp_path / f"{'a' * 300}.safetensors")


def test_names_that_no_file_can_have_are_one_line(smoke: Path, plan: Plan, tmp_path: Path):
    trial = row_trial(plan, "erm", 0, None, "test")
    for file, error, said in (
        (tmp_path / f"{'a' * 300}.pt2", StorageError, "File name too long"),
        (tmp_path / "a\0.pt2", UsageError, "no control characters"),
        (tmp_path / "a\nb.pt2", UsageError, "no control characters"),
        (smoke / "blobs/net.safetensors", UsageError, "results folder's own files"),
        (smoke / "records/../blobs/net.safetensors", UsageError, "results folder's own files"),
    ):
        with pytest.raises(error, match=said) as caught:
            export_trial({}, plan, trial, file, smoke, slim=False)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"suite": 3},
        {"file": None},
        {"method": ["erm"]},
        {"seed": "0"},
        {"seed": True},
        {"task": 1},
        {"plugins": 5},
        {"plugins": [5]},
        {"out": None},
        {"config": 1},
        {"data_dir": 1},
        {"limit": "40"},
        {"device": 3},
        {"stack": "a"},
        {"assignments": 3},
        {"assignments": [3]},
        {"slim": "yes"},
    ],
)
def test_arguments_of_wrong_types_are_one_message(wrong: dict[str, Any], tmp_path: Path):
    given: dict[str, Any] = {
        "suite": "smoke",
        "file": tmp_path / "net.pt2",
        "method": "erm",
        "seed": 0,
        "out": tmp_path,
    }
    given |= wrong
    suite, file = given.pop("suite"), given.pop("file")
    with pytest.raises(UsageError, match=f"export: {next(iter(wrong))} "):
        benchbias.export(suite, file, **given)


def test_mistakes_are_one_line_before_anything_runs(smoke: Path, plan: Plan, tmp_path: Path):
    trial = row_trial(plan, "erm", 0, None, "test")
    for file, error, said in (
        (tmp_path / "net.pth", UsageError, r"ends in \.safetensors, \.pt2, \.onnx"),
        (tmp_path / "no/net.pt2", StorageError, "its folder is not there"),
    ):
        with pytest.raises(error, match=said):
            export_trial({}, plan, trial, file, smoke, slim=False)
    with pytest.raises(UsageError, match=r"colored-digits-tiny/erm/0 is not done in .*nothing"):
        exporting.export(request(plan, tmp_path / "nothing", tmp_path / "net.pt2", "erm"))
    with pytest.raises(UsageError, match=r"colored-digits-tiny/erm/0 is not done in .*nothing with these options"):
        export_trial({}, plan, trial, tmp_path / "net.pt2", tmp_path / "nothing", slim=False)


def test_a_factory_that_fails_is_named(smoke: Path, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def failing(self: object) -> nn.Module:
        raise KeyError("its weights have gone")

    monkeypatch.setattr("benchbias.stages.job.Job.fresh_model", failing)
    with pytest.raises(ComponentError, match=r"erm/0: its network cannot be made again \(KeyError: .*have gone"):
        exporting.export(request(plan, smoke, tmp_path / "net.pt2", "erm"))


PAGE = (ROOT / "docs/export.md").read_text()


def test_every_block_of_python_on_the_page_works(
    smoke: Path, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    exporting.export(request(plan, smoke, tmp_path / "pruned.safetensors"))
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    found = []
    for block in blocks(PAGE, "python"):
        exec(compile(block, "export.md", "exec"), names)
        found.append(names["model"].state_dict())
    assert names["logits"].shape == (4, 2)
    ours, plain = found
    assert all(torch.equal(ours[name], tensor) for name, tensor in plain.items())


def test_the_page_has_every_key_of_a_description(smoke: Path, plan: Plan, tmp_path: Path):
    file = tmp_path / "net.safetensors"
    exporting.export(request(plan, smoke, file))
    assert {key for key in description_of(file) if f"`{key}`" not in PAGE} == {"schema"}


@pytest.mark.slow
def test_the_commands_of_the_page_work(tmp_path: Path, cli: Cli):
    for line in (line for block in blocks(PAGE, "sh") for line in block.splitlines()):
        done = cli(*shlex.split(line)[1:], cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"results", "pruned.safetensors"}
    assert (tmp_path / "results/latency/smoke.json").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["safetensors", "pt2", "onnx"])
def test_the_verb_writes_each_kind(suffix: str, smoke: Path, tmp_path: Path, cli: Cli, plan: Plan):
    if suffix == "onnx":
        pytest.importorskip("onnxscript")
        pytest.importorskip("onnxruntime")
    file = tmp_path / f"net.{suffix}"
    done = cli("export", f"colored-digits-tiny/{HALF}/0", "-o", str(file), "--out", str(smoke), "-s", "smoke")
    assert done.returncode == 0, done.stderr
    assert "it gives the stored answers to" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    document = {"mean": [0.5] * 3, "std": [1.0] * 3}
    images = normalised(plan, smoke, document)
    if suffix == "pt2":
        extra = {"benchbias.json": ""}
        program = torch.export.load(file, extra_files=extra)
        assert json.loads(extra["benchbias.json"])["seed"] == 0
        for count in (1, 7):
            answers = program.module()(images[:count])
            assert torch.allclose(answers, stored_logits(smoke)[:count], rtol=0, atol=1e-5)
    if suffix == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(file)
        assert "benchbias" in session.get_modelmeta().custom_metadata_map
        for count in (1, 7):
            (found,) = session.run(["logits"], {"images": images[:count].numpy()})
            assert torch.allclose(torch.from_numpy(found), stored_logits(smoke)[:count], rtol=0, atol=1e-4)


@pytest.mark.slow
def test_a_network_without_units_is_slimmed_on_request(tmp_path: Path, cli: Cli):
    """All of it in processes of their own, as a user has it."""
    pytest.importorskip("torch_pruning")
    run = ("run", "-s", "smoke", "-m", "torch_pruning", "--set", "torch_pruning.sparsity=0.5", "--seeds", "1", "-q")
    assert cli(*run, cwd=tmp_path).returncode == 0
    for file, slim in (("whole.safetensors", False), ("slim.safetensors", True), ("slim.pt2", True)):
        done = cli(
            "export", "colored-digits-tiny/torch_pruning/0", "-o", file, *(["--slim"] if slim else []), cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        assert ("4 layers cut" in done.stdout) == slim
    whole, slim_ = (benchbias.load_network(tmp_path / f"{name}.safetensors") for name in ("whole", "slim"))
    images = torch.randn(9, 3, 8, 8)
    with torch.no_grad():
        assert torch.allclose(whole(images), slim_(images), rtol=0, atol=1e-5)
    count = [sum(parameter.numel() for parameter in model.parameters()) for model in (whole, slim_)]
    assert count[1] < count[0] / 2
    assert description_of(tmp_path / "slim.safetensors")["parameters"] == count[1]


@pytest.mark.slow
def test_from_python_it_is_the_same(smoke: Path, tmp_path: Path):
    made = benchbias.export("smoke", tmp_path / "net.safetensors", method=HALF, seed=0, out=smoke)
    assert (made.difference, made.slimmed, made.left) == (0.0, None, ())
    assert made.examples == len(stored_logits(smoke))
    assert made.bytes == (tmp_path / "net.safetensors").stat().st_size
    with pytest.raises(UsageError, match="export: 'magnitude' has several rows"):
        benchbias.export("smoke", tmp_path / "net.safetensors", method="magnitude", seed=0, out=smoke)
    with pytest.raises(UsageError, match="is not done in"):
        benchbias.export("smoke", tmp_path / "net.safetensors", method="erm", seed=99, out=smoke)
