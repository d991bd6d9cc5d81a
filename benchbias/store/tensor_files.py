"""Tensors as safetensors files, read strictly: what a file claims is checked before anything is made of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from benchbias.errors import StorageError
from benchbias.util import canonical

if TYPE_CHECKING:
    from torch import Tensor

MAX_HEADER_BYTES = 8 << 20


def packed(tensors: Mapping[str, Tensor]) -> list[memoryview]:
    """The bytes of a file of these tensors, the same for equal tensors, in pieces: the tensors' own memory, not a copy.

    They are the bytes that `safetensors.torch.save` gives (a test holds it), which needs them in memory twice.
    """
    import safetensors.torch
    import torch

    apart = _apart(tensors)
    bare = safetensors.torch.save({name: tensor.new_empty(0) for name, tensor in apart.items()})
    order = json.loads(bare[8:])  # safetensors' own, and its names of the types
    place = 0
    for name, entry in order.items():
        stop = place + apart[name].nbytes
        entry |= {"shape": list(apart[name].shape), "data_offsets": [place, stop]}
        place = stop
    header = json.dumps(order, separators=(",", ":"), ensure_ascii=False).encode()
    header += b" " * (-len(header) % 8)
    content = [apart[name].reshape(-1).view(torch.uint8).numpy().data for name in order if apart[name].numel()]
    return [memoryview(len(header).to_bytes(8, "little") + header), *content]


def read_tensors(path: Path, names: tuple[str, ...] | None = None) -> dict[str, Tensor]:
    """The tensors of a file (all, or only `names`). Raises StorageError for what is no file of them, and OSError."""
    import safetensors.torch

    _check_header(path)
    try:
        if names is None:
            return safetensors.torch.load_file(path)
        with safetensors.safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in names}
    except (safetensors.SafetensorError, KeyError, ValueError) as error:
        raise StorageError(f"{path} is no file of these tensors: {error}") from None


def _check_header(path: Path) -> None:
    """The names and places of a file of tensors, strictly: safetensors takes the last of two equal names."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > MAX_HEADER_BYTES:
            raise StorageError(f"a header of {length} bytes")
        canonical.loads(file.read(length))


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors by sorted name, on the CPU; none shares its memory with another, which safetensors refuses."""
    found: dict[str, Tensor] = {}
    places: set[int] = set()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        place = tensor.untyped_storage().data_ptr()
        found[name] = tensor.clone() if place in places else tensor
        places.add(place)
    return found
