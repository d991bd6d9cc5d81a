"""Files that are whole networks: ONNX through onnxruntime, and exported programs after --trust."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from benchbias.auditing.models.networks import Network, file_of, opened_network
from benchbias.auditing.models.runtimes import batched, onnx_parts
from benchbias.auditing.models.specs import Source, model_spec
from benchbias.errors import DataError, UsageError

CPU = torch.device("cpu")
SHAPE = (1, 8, 8)


@pytest.fixture(scope="module")
def dense() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)).eval()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(7, *SHAPE)


def opened(file: Path, *, trust: bool = False) -> Network:
    spec = model_spec("d.pth", ["p.pth"], model="resnet18", trust=trust)
    return opened_network(Source(file, "it", "resnet18"), spec, SHAPE, CPU)


def answers(network: Network, images: Tensor) -> Tensor:
    with torch.inference_mode():
        return network.call(images)


@pytest.mark.parametrize("size", [1, 3, 7, 20])
def test_a_network_of_a_fixed_batch_answers_any_number_of_images(dense, images, size):
    seen = []

    def fixed(part: Tensor) -> Tensor:
        seen.append(len(part))
        return dense(part)

    with torch.no_grad():
        torch.testing.assert_close(batched(fixed, size)(images), dense(images))
    assert set(seen) == {size}


@pytest.mark.parametrize("fixed", [True, False])
def test_an_exported_program_is_opened_after_trust_only(dense, images, tmp_path, fixed):
    shapes = None if fixed else ({0: torch.export.Dim("batch", min=1, max=64)},)
    program = torch.export.export(dense, (torch.randn(4, *SHAPE),), dynamic_shapes=shapes)
    torch.export.save(program, tmp_path / "it.pt2")
    with pytest.raises(UsageError, match=r"after --trust only: .*can run what its maker put there"):
        opened(tmp_path / "it.pt2")
    found = opened(tmp_path / "it.pt2", trust=True)
    with torch.inference_mode():
        torch.testing.assert_close(answers(found, images), dense(images))
    (tmp_path / "no.pt2").write_bytes(b"no program")
    with pytest.raises(DataError, match=r"no\.pt2: torch cannot open it"):
        opened(tmp_path / "no.pt2", trust=True)


def exported_onnx(network: nn.Module, path: Path, *, fixed: bool, inputs: int = 1) -> None:
    pytest.importorskip("onnxscript")
    shapes = None if fixed else tuple({0: torch.export.Dim("batch", min=1, max=64)} for _ in range(inputs))
    arguments = tuple(torch.randn(4, *SHAPE) for _ in range(inputs))
    torch.onnx.export(network, arguments, path, dynamo=True, dynamic_shapes=shapes, verbose=False)


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.slow
def test_an_onnx_file_gives_the_networks_answers(dense, images, tmp_path, fixed):
    pytest.importorskip("onnxruntime")
    exported_onnx(dense, tmp_path / "it.onnx", fixed=fixed)
    found = opened(tmp_path / "it.onnx")
    with torch.inference_mode():
        torch.testing.assert_close(answers(found, images), dense(images), atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_the_sum_of_an_onnx_file_is_also_that_of_the_weights_beside_it(dense, tmp_path):
    exported_onnx(dense, tmp_path / "it.onnx", fixed=True)
    beside = tmp_path / "it.onnx.data"
    assert onnx_parts(tmp_path / "it.onnx") == [beside]
    first = file_of(tmp_path / "it.onnx")
    assert first.size == sum(path.stat().st_size for path in tmp_path.iterdir())
    beside.write_bytes(bytes(beside.stat().st_size))
    assert file_of(tmp_path / "it.onnx").sha256 != first.sha256
    beside.unlink()
    with pytest.raises(DataError, match=r"it\.onnx\.data: no such file"):
        file_of(tmp_path / "it.onnx")


class Two(nn.Module):
    def forward(self, one: Tensor, two: Tensor) -> Tensor:
        return (one + two).flatten(1)


@pytest.mark.slow
def test_onnx_files_that_are_no_classifier_are_one_line(dense, images, tmp_path):
    pytest.importorskip("onnxruntime")
    (tmp_path / "no.onnx").write_bytes(b"no network")
    with pytest.raises(DataError, match=r"no\.onnx: onnxruntime refuses it"):
        opened(tmp_path / "no.onnx")
    exported_onnx(Two(), tmp_path / "two.onnx", fixed=False, inputs=2)
    with pytest.raises(DataError, match=r"two\.onnx: not one input of images and one output"):
        opened(tmp_path / "two.onnx")
    exported_onnx(nn.Conv2d(1, 2, 3), tmp_path / "maps.onnx", fixed=False)
    with pytest.raises(DataError, match=r"maps\.onnx returns \(7, 2, 6, 6\) for 7 images, not logits"):
        answers(opened(tmp_path / "maps.onnx"), images)
    exported_onnx(dense, tmp_path / "it.onnx", fixed=False)
    with pytest.raises(DataError, match=r"it\.onnx: onnxruntime cannot run it on \(2, 1, 9, 9\)"):
        answers(opened(tmp_path / "it.onnx"), torch.zeros(2, 1, 9, 9))


def test_without_onnxruntime_one_line_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    (tmp_path / "it.onnx").write_bytes(b"")
    with pytest.raises(UsageError, match=r"it\.onnx .*needs onnxruntime, which is not here: pip install 'onnxruntime'"):
        opened(tmp_path / "it.onnx")
