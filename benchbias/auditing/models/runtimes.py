"""Files that are whole networks: ONNX through onnxruntime, and torch's exported programs."""

from __future__ import annotations

import contextlib
import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from benchbias.errors import DataError, UsageError, first_line
from benchbias.util.packages import needs

TYPES = {"tensor(float)": torch.float32, "tensor(float16)": torch.float16, "tensor(double)": torch.float64}

LOCATION = re.compile(rb"\x0a\x08location\x12([\x01-\x7f])", re.DOTALL)
"""The entry `location` of a tensor of ONNX whose numbers lie in another file, and the length of that file's name."""

Call = Callable[[Tensor], Tensor]


def onnx_call(path: Path, device: torch.device) -> Call:
    """The network of an ONNX file, run by onnxruntime.

    Raises UsageError where onnxruntime is not installed or has no such device, and DataError for a file that it
    refuses, or a network with other than one input of images and one output.
    """
    try:
        onnxruntime: Any = importlib.import_module("onnxruntime")
    except ImportError:
        raise UsageError(needs(f"{path} (an ONNX file)", "onnxruntime", "onnxruntime")) from None
    provider = "CUDAExecutionProvider" if device.type == "cuda" else "CPUExecutionProvider"
    if provider not in onnxruntime.get_available_providers():
        raise UsageError(f"{path}: onnxruntime here cannot use a GPU (pip install onnxruntime-gpu, or --device cpu)")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=[provider])
    except Exception as error:  # onnxruntime has a class of errors for each fault
        raise DataError(f"{path}: onnxruntime refuses it: {first_line(error)}") from None
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or len(outputs) != 1 or inputs[0].type not in TYPES:
        told = [f"{one.name} {one.type}" for one in (*inputs, *outputs)]
        raise DataError(f"{path}: not one input of images and one output of logits: {', '.join(told)}")
    name, dtype, first = inputs[0].name, TYPES[inputs[0].type], inputs[0].shape[0]

    def run(images: Tensor) -> Tensor:
        try:
            (found,) = session.run(None, {name: images.cpu().to(dtype).numpy()})
        except Exception as error:
            raise DataError(
                f"{path}: onnxruntime cannot run it on {tuple(images.shape)}: {first_line(error)}"
            ) from None
        return checked(torch.from_numpy(found), images, path).to(images.device)

    return batched(run, first if isinstance(first, int) else None)


def onnx_parts(path: Path) -> list[Path]:
    """The files beside an ONNX file in which its large tensors lie, by name; none where it holds all itself."""
    try:
        content = path.read_bytes()
    except OSError:
        return []  # which is told when it is opened
    found = set()
    for entry in LOCATION.finditer(content):
        name = content[entry.end() : entry.end() + entry[1][0]]
        with contextlib.suppress(UnicodeDecodeError):
            found.add(path.parent / name.decode())
    return sorted(found)


def exported_call(path: Path, device: torch.device, *, trust: bool) -> tuple[Call, nn.Module]:
    """The network of a file of torch.export.save, and its module.

    trust: whether the file may be opened: opening one can run code that it holds. Raises UsageError without it, and
    DataError for a file that torch refuses.
    """
    if not trust:
        raise UsageError(
            f"{path}: an exported program is opened after --trust only: it holds pickled objects and a program, so "
            "opening it can run what its maker put there"
        )
    try:
        program = torch.export.load(path)
        if device.type != "cpu":
            from torch.export.passes import move_to_device_pass

            program = move_to_device_pass(program, device)
        module = program.module()
    except Exception as error:  # whatever a damaged file makes torch raise
        raise DataError(f"{path}: torch cannot open it: {first_line(error)}") from None

    def run(images: Tensor) -> Tensor:
        return checked(module(images), images, path)

    return batched(run, _batch_of(program)), module


def _batch_of(program: Any) -> int | None:
    """The number of images that a program was exported for; None where any will do."""
    names = program.graph_signature.user_inputs
    for node in program.graph.nodes:
        if node.op == "placeholder" and node.name in names and isinstance(node.meta.get("val"), Tensor):
            size = node.meta["val"].shape[0]
            return size if isinstance(size, int) else None
    return None


def checked(found: Any, images: Tensor, path: Path) -> Tensor:
    """The logits, float32 (B, K). Raises DataError for anything else."""
    if not isinstance(found, Tensor) or found.ndim != 2 or len(found) != len(images) or found.shape[1] < 2:
        made = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise DataError(f"{path} returns {made} for {len(images)} images, not logits (B, K)")
    return found.float()


def batched(run: Call, size: int | None) -> Call:
    """The same for any number of images, where a network takes `size` at once: the last ones are filled up."""
    if size is None:
        return run

    def call(images: Tensor) -> Tensor:
        parts = []
        for part in torch.split(images, size):
            whole = pad(part, (0, 0, 0, 0, 0, 0, 0, size - len(part)))  # (size, C, H, W)
            parts.append(run(whole)[: len(part)])
        return torch.cat(parts)

    return call
