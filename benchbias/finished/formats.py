"""The contents of files: a network's tensors, torch's exported program, ONNX; each with its description."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from benchbias.errors import UsageError, first_line
from benchbias.finished.description import KEY
from benchbias.util.packages import needs

EXTRA = f"{KEY}.json"  # the name of the description in an exported program
INSTALL = "benchbias[onnx]"


def as_safetensors(model: nn.Module, images: Tensor, text: str) -> bytes:
    """All tensors of a network by name, with the description in the file's metadata."""
    import safetensors.torch

    return safetensors.torch.save(own_tensors(model), {"format": "pt", KEY: text})


def as_program(model: nn.Module, images: Tensor, text: str) -> bytes:
    """A program of torch.export for any number of images. images (N, C, H, W): an example.

    Raises UsageError for a network that torch.export cannot follow.
    """
    with _quiet():
        try:
            program = torch.export.export(model, (images,), dynamic_shapes=_any_number())
            content = io.BytesIO()
            torch.export.save(program, content, extra_files={EXTRA: text})
            return content.getvalue()
        except Exception as error:  # whatever a network makes torch raise
            raise _cannot("torch.export", error) from None


def as_onnx(model: nn.Module, images: Tensor, text: str) -> bytes:
    """An ONNX file for any number of images. Raises UsageError where onnx is absent or cannot follow the network."""
    for package in ("onnx", "onnxscript", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            raise UsageError(needs("a file of ONNX", package, INSTALL))
    with _quiet():
        try:
            program: Any = torch.onnx.export(
                model,
                (images,),
                dynamo=True,
                input_names=["images"],
                output_names=["logits"],
                dynamic_shapes=_any_number(),
                verbose=False,
            )
            program.model.metadata_props[KEY] = text
            content: bytes = program.model_proto.SerializeToString()
            return content
        except Exception as error:
            raise _cannot("torch.onnx", error) from None


FORMATS: Mapping[str, Callable[[nn.Module, Tensor, str], bytes]] = {
    ".safetensors": as_safetensors,
    ".pt2": as_program,
    ".onnx": as_onnx,
}


def own_tensors(model: nn.Module) -> dict[str, Tensor]:
    """The tensors that a network is stored by, on the CPU, none in another's memory."""
    return {
        name: tensor.detach().cpu().contiguous().clone()
        for name, tensor in model.state_dict().items()
        if isinstance(tensor, Tensor)
    }


def _any_number() -> tuple[dict[int, Any]]:
    return ({0: torch.export.Dim("batch", min=1)},)


def _cannot(what: str, error: Exception) -> UsageError:
    return UsageError(
        f"{what} cannot follow this network ({type(error).__name__}: {first_line(error):.200}); a .safetensors file "
        "holds its weights"
    )


@contextlib.contextmanager
def _quiet() -> Any:
    """Torch's exporters tell much of themselves."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
