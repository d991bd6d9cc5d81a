"""Networks that a user's own function makes: slimmed, quantised, wrapped; and what is wrong with some of them."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from benchbias.auditing.models.answering import probed
from benchbias.auditing.models.measuring import parameter_counts
from benchbias.auditing.models.networks import Network, opened_network
from benchbias.auditing.models.specs import Source, model_spec, source_of
from benchbias.errors import DataError, UsageError

CPU = torch.device("cpu")
SHAPE = (1, 8, 8)
NETWORK = """
from torch import nn


def network():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, {units}), nn.ReLU(), nn.Linear({units}, 3))
"""


@pytest.fixture
def dense() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 3))


@pytest.fixture
def images() -> Tensor:
    return torch.randn(6, *SHAPE)


def opened(folder: Path, code: str, file: str | None = None, function: str = "make") -> Network:
    (folder / "own.py").write_text(code)
    text = f"{folder / 'own.py'}:{function}"
    source = source_of(text if file is None else f"{folder / file}={text}", None)
    return opened_network(source, model_spec("d.pth", ["p.pth"]), SHAPE, CPU)


def answers(network: Network, images: Tensor) -> Tensor:
    with torch.inference_mode():
        return network.call(images)


def test_a_function_without_arguments_makes_the_network_that_the_file_fills(dense, images, tmp_path):
    slim = nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.ReLU(), nn.Linear(5, 3))
    torch.save({"model": slim.state_dict()}, tmp_path / "slim.pth")
    found = opened(tmp_path, NETWORK.format(units=5), "slim.pth", "network")
    assert torch.equal(answers(found, images), slim(images).detach())
    torch.save(dense.state_dict(), tmp_path / "dense.pth")
    with pytest.raises(DataError, match=r"dense\.pth are not the model's; of another shape: 1\.weight \(16, 64\)"):
        opened(tmp_path, NETWORK.format(units=5), "dense.pth", "network")


def test_a_function_with_an_argument_is_given_the_file(dense, images, tmp_path):
    torch.save(dense.state_dict(), tmp_path / "dense.pth")
    code = NETWORK.format(units=16) + "def make(file):\n    import torch\n    made = network()\n"
    code += "    made.load_state_dict(torch.load(file))\n    return made\n"
    assert torch.equal(answers(opened(tmp_path, code, "dense.pth"), images), dense(images).detach())
    with pytest.raises(UsageError, match="takes the file of weights: name it"):
        opened(tmp_path, code)


def test_files_beside_the_factory_may_be_imported_and_are_no_others(images, tmp_path):
    made = []
    for name, units in (("one", 4), ("two", 9)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "layers.py").write_text(NETWORK.format(units=units))
        made.append(opened(tmp_path / name, "from layers import network as make"))
    shapes = [dict(one.module.named_parameters())["1.weight"].shape[0] for one in made if one.module]
    assert shapes == [4, 9]


def test_an_edit_of_what_a_factory_imports_makes_another_network(tmp_path):
    def identity(comment: str) -> str | None:
        (tmp_path / "layers.py").write_text(f"# {comment}\n{NETWORK.format(units=4)}")
        code = "import torch\nfrom layers import network\ndef make():\n    torch.manual_seed(0)\n    return network()\n"
        return opened(tmp_path, code).identity

    first = identity("first")
    assert first is not None
    assert identity("first") == first
    assert identity("second") != first


def test_other_weights_make_another_network(tmp_path):
    code = NETWORK.format(units=4) + "import torch\ndef make():\n    torch.manual_seed({})\n    return network()\n"
    (tmp_path / "seed.txt").write_text("1")
    reading = code.replace("{}", f"int(open({str(tmp_path / 'seed.txt')!r}).read())")
    first = opened(tmp_path, reading).identity
    assert opened(tmp_path, reading).identity == first
    (tmp_path / "seed.txt").write_text("2")
    assert opened(tmp_path, reading).identity != first


def test_networks_quantised_by_torch_are_run_and_counted(dense, images, tmp_path):
    torch.save(dense.state_dict(), tmp_path / "dense.pth")
    code = NETWORK.format(units=16) + (
        "def make(file):\n    import torch\n    made = network().eval()\n"
        "    made.load_state_dict(torch.load(file))\n"
        "    return torch.ao.quantization.quantize_dynamic(made, {nn.Linear}, torch.qint8)\n"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = opened(tmp_path, code, "dense.pth")
    oracle = dense(images).detach()
    logits = torch.cat([answers(found, one) for one in torch.split(images, 1)])
    assert not torch.equal(logits, oracle)
    torch.testing.assert_close(logits, oracle, atol=0.05, rtol=0.05)
    total, nonzero = parameter_counts(found.module)
    assert total == sum(one.numel() for one in dense.parameters())
    assert nonzero is not None
    assert total - 60 < nonzero <= total
    assert found.identity is not None
    _, notes = probed(found, images)
    assert notes == [] or "other images are in its batch" in notes[0]


@pytest.mark.slow
def test_networks_quantised_by_torchao_are_run_and_counted(dense, images, tmp_path):
    pytest.importorskip("torchao")
    torch.save(dense.state_dict(), tmp_path / "dense.pth")
    code = NETWORK.format(units=16) + (
        "def make(file):\n    import torch\n    from torchao.quantization import Int8WeightOnlyConfig, quantize_\n"
        "    made = network().eval()\n    made.load_state_dict(torch.load(file))\n"
        "    quantize_(made, Int8WeightOnlyConfig())\n    return made\n"
    )
    found, again = (opened(tmp_path, code, "dense.pth") for _ in range(2))
    oracle = dense(images).detach()
    assert not torch.equal(answers(found, images), oracle)
    torch.testing.assert_close(answers(found, images), oracle, atol=0.05, rtol=0.05)
    total, nonzero = parameter_counts(found.module)
    assert total == sum(one.numel() for one in dense.parameters())
    assert nonzero is not None
    assert total - 60 < nonzero < total, "small weights are rounded to zero"
    assert found.identity is not None
    assert found.identity == again.identity


BATCHED = """
import torch
from torch import nn


def make():
    torch.manual_seed(0)
    norm = nn.BatchNorm1d(9, track_running_stats=False)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 9), norm, nn.Linear(9, 3))
"""


def test_a_network_that_looks_at_the_whole_batch_is_told(images, tmp_path):
    _, notes = probed(opened(tmp_path, BATCHED), images)
    assert len(notes) == 1
    assert "other images are in its batch" in notes[0]


def classes(forward: str, more: str = "") -> str:
    return (
        "import torch\nfrom torch import nn\nfrom torch.nn import functional as F\nclass Own(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        torch.manual_seed(0)\n"
        "        self.fc = nn.Linear(64, 3)\n        self.drop = nn.Dropout()\n"
        f"    def forward(self, x):\n        x = x.flatten(1)\n        return {forward}\n{more}\n"
        "def make():\n    return Own()\n"
    )


def test_a_network_in_training_mode_is_put_into_evaluation(images, tmp_path):
    found = opened(tmp_path, classes("self.fc(self.drop(x))"))
    assert torch.equal(answers(found, images), answers(found, images))
    assert probed(found, images) == (3, [])


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (classes("self.fc(F.dropout(x))"), "differently from call to call, as in training mode"),
        (
            classes("self.fc(self.drop(x))", "    def train(self, mode=True):\n        return super().train(True)"),
            "stays in training mode after eval",
        ),
        (classes("(self.fc(x), x)"), "returns tuple, not a tensor of logits"),
        (classes("self.fc(x)[:, :1]"), r"returns one number for an image: .*torch\.cat"),
        (classes("self.fc(x)[:, :, None]"), r"returns a tensor \(6, 3, 1\) for 6 images"),
        (classes("self.fc(x)[:2]"), r"returns a tensor \(2, 3\) for 6 images"),
        (classes("self.fc(x[:, :5])"), r"fails on images \(6, 1, 8, 8\): RuntimeError"),
        (classes("1 / 0"), "fails on images .*ZeroDivisionError: division by zero"),
    ],
)
def test_what_is_no_classifier_is_one_line(images, tmp_path, code, told):
    with pytest.raises(DataError, match=told):
        probed(opened(tmp_path, code), images)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("def make():\n    return 3\n", "returned int, not a network"),
        ("def other():\n    pass\n", "has no function 'make'"),
        ("def make(a, b):\n    pass\n", "needs a, b: a factory takes the file of weights, or nothing"),
        ("def make(*, a):\n    pass\n", "needs a: a factory"),
        ("def make():\n    raise ValueError('mine')\n", r"own\.py, line 2: ValueError: mine"),
        ("import nowhere\n", r"own\.py, line 1: ModuleNotFoundError"),
        ("def make(:\n", r"own\.py, line 1: "),
        ("import sys\nsys.exit(3)\n", r"own\.py, line 2: SystemExit: 3"),
    ],
)
def test_a_faulty_factory_is_one_line_with_its_place(tmp_path, code, told):
    with pytest.raises((DataError, UsageError), match=told):
        opened(tmp_path, code)


def test_a_plain_function_may_be_the_network_and_its_answers_are_not_kept(images, tmp_path):
    found = opened(tmp_path, "def make():\n    return lambda x: x.flatten(1)[:, :4]\n")
    assert torch.equal(answers(found, images), images.flatten(1)[:, :4])
    assert found.identity is None


def test_a_half_precision_network_is_run_in_half_precision_and_told(dense, images, tmp_path):
    code = classes("self.fc(x)").replace("return Own()", "return Own().bfloat16()")
    found = opened(tmp_path, code)
    assert answers(found, images).dtype == torch.float32
    assert any("computes in bfloat16" in note for note in found.notes)


def test_options_that_no_network_takes_stop():
    with pytest.raises(UsageError, match="no network here takes options"):
        model_spec("a.pth", ["b.pth"], model="own.py:make", options={"width": 2})
    mixed = model_spec("a.pth", ["b.pth=own.py:make"], model="mlp", options={"width": 2})
    assert [source.is_whole for source in mixed.sources] == [False, True]


def test_sources_name_their_files_and_models():
    assert source_of("a/b.pth", "resnet18") == Source(Path("a/b.pth"), "b", "resnet18")
    assert source_of("a/b.pth=own.py:make", "resnet18") == Source(Path("a/b.pth"), "make", "own.py:make")
    assert source_of("own.py:make", "resnet18") == Source(None, "make", "own.py:make")
    with pytest.raises(UsageError, match="FILE=MODEL"):
        source_of("b.pth=", "resnet18")
    spec = model_spec("x/a.pth", ["y/b.pth", "z/b.pth", "y/a.pth", "c.pth"], model="resnet18")
    assert [one.name for one in spec.compressed] == ["y/b.pth", "z/b.pth", "y/a.pth", "c"]
    with pytest.raises(UsageError, match=r"called 'b\.pth': is one named twice"):
        model_spec("a.pth", ["b.pth", "b.pth"])


@pytest.mark.parametrize(
    ("compressed", "names"),
    [
        (["dense.pth=int8.py:int8"], ["int8"]),
        (["dense.pth=int8.py:a", "dense.pth=int8.py:b"], ["a", "b"]),
        (["x/one.pth=slim.py:slim", "two.pth=slim.py:slim"], ["one:slim", "two:slim"]),
        (["dense.pth=int8.py:make", "dense.pth=int4.py:make"], ["int8:make", "int4:make"]),
        (["dense.pth=a/q.py:make", "dense.pth=b/q.py:make"], ["dense.pth=a/q.py:make", "dense.pth=b/q.py:make"]),
        (["int8.pth=int8.py:dense", "plain.pth"], ["int8:dense", "plain"]),
    ],
)
def test_a_model_is_called_by_its_function_and_by_more_where_that_is_taken(compressed, names):
    spec = model_spec("dense.pth", compressed, model="resnet18")
    assert [one.name for one in spec.compressed] == names
    assert spec.dense.name == "dense"


def test_one_function_for_all_files_names_none():
    spec = model_spec("dense.pth", ["pruned.pth"], model="own.py:network")
    assert (spec.dense.name, spec.compressed[0].name) == ("dense", "pruned")
    own = model_spec("dense.pth=own.py:network", ["pruned.pth=own.py:network"])
    assert (own.dense.name, own.compressed[0].name) == ("dense", "network")


def test_the_number_of_classes_is_no_option():
    with pytest.raises(UsageError, match="num_classes: the number of classes is read from the weights"):
        model_spec("a.pth", ["b.pth"], model="resnet18", options={"num_classes": 3})


def test_a_factory_whose_weights_do_not_fit_says_which(dense, tmp_path):
    torch.save(dense[:2].state_dict(), tmp_path / "half.pth")
    code = NETWORK.format(units=16) + "def make(file):\n    import torch\n    made = network()\n"
    code += "    made.load_state_dict(torch.load(file))\n    return made\n"
    with pytest.raises(DataError, match=r'Error\(s\) in loading .*: Missing key\(s\) .*"3\.weight", "3\.bias"') as told:
        opened(tmp_path, code, "half.pth")
    assert len(str(told.value).splitlines()) == 1


def test_torchs_advice_to_run_a_files_code_is_not_quoted(dense, tmp_path):
    torch.save(dense, tmp_path / "whole.pth")
    code = "import torch\ndef make(file):\n    return torch.load(file, weights_only=True)\n"
    with pytest.raises(DataError, match=r"own\.py, line 3: .*holds more than tensors \(torch\.nn\.") as told:
        opened(tmp_path, code, "whole.pth")
    assert "Re-running" not in str(told.value)


@pytest.mark.parametrize(("channels", "told"), [(3, "images as grey"), (1, "images as colour")])
def test_a_network_of_other_channels_says_what_to_give(tmp_path, channels, told):
    code = "from torch import nn\ndef make():\n"
    code += f"    return nn.Sequential(nn.Conv2d({channels}, 2, 8), nn.Flatten())\n"
    with pytest.raises(
        DataError, match=rf"numbers? in --mean reads? {told}, and this network takes {channels} channel"
    ):
        probed(opened(tmp_path, code), torch.zeros(2, 4 - channels, 8, 8))
