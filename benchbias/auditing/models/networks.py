"""One network of an audit, opened: whatever its file is, a call from prepared images to logits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchbias.auditing.models.builders import Fitting, architecture
from benchbias.auditing.models.factories import made_by
from benchbias.auditing.models.filling import fill, filled
from benchbias.auditing.models.runtimes import exported_call, onnx_call, onnx_parts
from benchbias.auditing.models.specs import EXPORTED, FACTORY, ONNX, ModelSpec, Source
from benchbias.errors import DataError, UsageError
from benchbias.network.checkpoints import checkpoint_tensors, tensors_of
from benchbias.util import canonical

LARGEST_FILE = 64 << 30  # bytes

Call = Callable[[Tensor], Tensor]
"""Prepared images, float32 (B, C, H, W), to logits, float32 (B, K), on the device of the images."""


@dataclass(frozen=True)
class Network:
    """A network that answers. module: None where it is none of torch. identity: of what a file's sha256 does not tell.

    notes, warnings: on how its file was read; warnings are what a reader may not miss.
    identity is None where nobody can say whether the network is the same another time: its answers are not kept.
    """

    source: Source
    call: Call
    module: nn.Module | None = None
    identity: str | None = ""
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class File:
    """A file of weights. sha256: of the file, or of the sums of it and those that it refers to; size: of all, bytes."""

    sha256: str
    size: int


def file_of(path: Path) -> File:
    """The sum and the size of a file. Raises DataError where it cannot be read, or is a folder."""
    sums, size = [], 0
    for part in [path, *(onnx_parts(path) if path.suffix.lower() == ONNX else [])]:
        try:
            with part.open("rb") as content:
                sums.append(hashlib.file_digest(content, "sha256").hexdigest())
                size += content.tell()
        except FileNotFoundError:
            raise DataError(f"{part}: no such file") from None
        except IsADirectoryError:
            raise DataError(f"{part}: a folder; name the file of weights in it") from None
        except OSError as error:
            raise DataError(f"{part}: cannot be read: {error.strerror}") from None
    return File(sums[0] if len(sums) == 1 else canonical.digest(sums), size)


def is_factory(source: Source) -> bool:
    """Whether a network is made by a user's function."""
    return source.model is not None and FACTORY.fullmatch(source.model) is not None


def opened_network(source: Source, spec: ModelSpec, shape: tuple[int, int, int], device: torch.device) -> Network:
    """Open a network for images of a shape (C, H, W), in evaluation mode, on a device.

    Raises DataError for files that do not fit, are damaged or hold more than tensors, and UsageError for unknown names.
    """
    notes: list[str] = []
    warnings: list[str] = []
    ending = source.file.suffix.lower() if source.file is not None else ""
    if is_factory(source):
        return _from_factory(source, device)
    assert source.file is not None
    if ending == ONNX:
        return Network(source, onnx_call(source.file, device), notes=tuple(notes))
    if ending == EXPORTED:
        call, module = exported_call(source.file, device, trust=spec.trust)
        return Network(source, call, module, notes=tuple(notes))
    if source.model is None:
        raise UsageError(f"{source.file}: tensors alone are no network: --model NAME says what they are the weights of")
    content = _content(source.file)
    names = tensors_of(content, str(source.file), table=source.table, say=_silent)
    built = architecture(source.model, Fitting(shape, spec.options, spec.plugins, frozenset(names)))
    module = filled(built, content, str(source.file), notes.append, table=source.table, warn=warnings.append)
    return replace(_of_module(source, module, device, notes, built.identity), warnings=tuple(warnings))


def _from_factory(source: Source, device: torch.device) -> Network:
    assert source.model is not None
    notes: list[str] = []
    warnings: list[str] = []
    made = made_by(source.model, source.file)
    value = made.value
    if not callable(value):
        raise DataError(f"{source.model} returned {type(value).__name__}, not a network")
    if not isinstance(value, nn.Module):
        return Network(source, _plain_call(value, None, source.what), None, None)
    if not made.whole and source.file is not None:
        own = value.state_dict()
        content, name = _content(source.file), str(source.file)
        fill(
            value,
            checkpoint_tensors(content, own, name, table=source.table, say=notes.append, warn=warnings.append),
            name,
            notes.append,
        )
    sums = state_digest(value)
    identity = None if sums is None else canonical.digest([made.sources, sums, repr(value)])
    return replace(_of_module(source, value, device, notes, identity), warnings=tuple(warnings))


def _of_module(
    source: Source, module: nn.Module, device: torch.device, notes: list[str], identity: str | None
) -> Network:
    """A module in evaluation mode, on the device, called in its own number format."""
    try:
        module.eval()
    except NotImplementedError:  # of an exported program: it is what it was when it was exported
        notes.append(f"{source.what}: an exported program cannot be put into evaluation mode; it is run as it is")
    else:
        still = [name or "the network itself" for name, part in module.named_modules() if part.training]
        if still:
            raise DataError(f"{source.what} stays in training mode after eval(): {', '.join(still[:3])}")
    try:
        module.to(device)
    except (RuntimeError, NotImplementedError) as error:
        raise DataError(f"{source.what} cannot be moved to {device}: {str(error).splitlines()[0]}") from None
    dtype = next((one.dtype for one in module.parameters() if one.is_floating_point()), torch.float32)
    if dtype != torch.float32:
        notes.append(f"{source.what} computes in {str(dtype).removeprefix('torch.')}")
    return Network(source, _plain_call(module, dtype, source.what), module, identity, tuple(notes))


def _plain_call(function: Callable[[Tensor], Any], dtype: torch.dtype | None, what: str) -> Call:
    def call(images: Tensor) -> Tensor:
        found = function(images if dtype in (None, torch.float32) else images.to(dtype))
        return logits_in(found, len(images), what)

    return call


def logits_in(found: Any, count: int, what: str) -> Tensor:
    """The logits of what a network returned, float32 (B, K). Raises DataError for anything else."""
    if not isinstance(found, Tensor) and isinstance(getattr(found, "logits", None), Tensor):
        found = found.logits  # of the outputs of transformers
    if not isinstance(found, Tensor):
        raise DataError(f"{what} returns {type(found).__name__}, not a tensor of logits (B, K): a factory can wrap it")
    if found.ndim != 2 or len(found) != count:
        raise DataError(f"{what} returns a tensor {tuple(found.shape)} for {count} images, not logits (B, K)")
    if found.shape[1] < 2:
        raise DataError(
            f"{what} returns one number for an image: a factory can return two logits, torch.cat([-x, x], 1)"
        )
    return found.float()


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise DataError(f"{path}: more than {LARGEST_FILE >> 30} GiB")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _silent(text: str) -> None:
    pass


def state_digest(module: nn.Module) -> str | None:
    """The sha256 of all tensors of a module, and None where one has no bytes that can be looked at."""
    total = hashlib.sha256()
    try:
        for name, value in _values(module.state_dict(), ""):
            content = _bytes(value) if isinstance(value, Tensor) else repr(value).encode()
            total.update(f"{name}\0{len(content)}\0".encode() + content)
    except (RuntimeError, NotImplementedError, TypeError, AttributeError):
        return None
    return total.hexdigest()


def _values(found: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The tensors and other values in tables and lists of them, by name."""
    if isinstance(found, Mapping):
        for key, value in found.items():
            yield from _values(value, f"{name}.{key}")
    elif isinstance(found, list | tuple):
        for place, value in enumerate(found):
            yield from _values(value, f"{name}[{place}]")
    else:
        yield name, found


def _bytes(tensor: Tensor) -> bytes:
    """The type, the shape and the numbers of a tensor; of a quantised one its integers and scales."""
    if hasattr(tensor, "__tensor_flatten__"):
        parts, rest = tensor.__tensor_flatten__()
        return repr((type(tensor), rest)).encode() + b"".join(_bytes(getattr(tensor, part)) for part in parts)
    about = f"{tensor.dtype} {tuple(tensor.shape)} {tensor.layout} ".encode()
    if tensor.is_quantized:
        return about + repr((tensor.qscheme(), tensor)).encode() + _bytes(tensor.int_repr())
    plain = tensor.detach().cpu().contiguous()
    return about + plain.reshape(-1).view(torch.uint8).numpy().tobytes()
