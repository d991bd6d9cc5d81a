"""Tensors from the content of a file: safetensors, or what torch.save wrote, of which tensors alone are read."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

import torch
from torch import Tensor

from benchbias import DataError

ARCHIVE, LEGACY = b"PK\x03\x04", b"\x80"  # torch.save's archive, and the bare pickle of old versions
NESTED = ("state_dict", "model_state_dict", "model", "net", "network", "weights")  # where training scripts keep it
WRAPPED = ("module.", "_orig_mod.", "model.")  # what DataParallel, torch.compile and Lightning put before each name
ORIGINAL, MASK = "_orig", "_mask"  # what torch's pruning makes of a tensor
SHOWN = 4  # names that a message tells


def tensors_of(content: bytes, name: str) -> dict[str, Tensor]:
    """The tensors of a file by name. Raises DataError for a file that is damaged or holds more than tensors.

    A file of torch.save is read with `weights_only`: nothing of it is run. name: the file's, for messages.
    """
    if content.startswith((ARCHIVE, LEGACY)):
        return _state(_unpickled(content, name), name)
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise DataError(f"{name} is no safetensors file, or a damaged one: {error}") from None


def _unpickled(content: bytes, name: str) -> object:
    try:
        if content.startswith(ARCHIVE):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                if sum(entry.file_size for entry in archive.infolist()) > len(content):
                    raise DataError(f"{name} unpacks to more than its own size, as no file of torch.save does")
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except DataError:
        raise
    except Exception as error:  # whatever a damaged or hostile file makes torch raise
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        told = next((line for line in lines if "Unsupported" in line), lines[0] if lines else type(error).__name__)
        raise DataError(
            f"{name} is no file of tensors that torch.save wrote, or a damaged one, or holds more than tensors "
            f"(save model.state_dict(), not the model): {told:.300}"
        ) from None


def _state(found: object, name: str) -> dict[str, Tensor]:
    """The tensors by name, which may lie one table deeper, as training scripts save them."""
    if isinstance(found, Mapping) and not _all_tensors(found):
        inner = [key for key in NESTED if isinstance(found.get(key), Mapping)]
        if inner:
            print(f"{name}: its tensors are those of {inner[0]!r}")
            found = found[inner[0]]
    if not isinstance(found, Mapping) or not found:
        raise DataError(f"{name} holds a {type(found).__name__}, not tensors by name")
    odd = [str(key) for key, value in found.items() if not (isinstance(key, str) and _plain(value))]
    if odd:
        raise DataError(
            f"{name}: not a tensor by name, dense and within its file: {', '.join(odd[:SHOWN])} (tensors may also "
            f"stand in a table {', '.join(map(repr, NESTED))})"
        )
    return {key: value.detach() for key, value in found.items()}


def _all_tensors(found: Mapping[object, object]) -> bool:
    return all(isinstance(value, Tensor) for value in found.values())


def _plain(value: object) -> bool:
    """Whether a value is a dense tensor whose numbers all stand in the file: none is repeated by its strides."""
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
        and value.numel() * value.element_size() <= value.untyped_storage().nbytes()
    )


def unwrapped(tensors: Mapping[str, Tensor], own: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors without a prefix that all names have, and none of the model's does: `module.` and others."""
    found = dict(tensors)
    for prefix in (*WRAPPED, *WRAPPED):  # one may lie in another
        if found and all(key.startswith(prefix) for key in found) and not any(key.startswith(prefix) for key in own):
            print(f"{name}: {prefix!r} is left out before each name")
            found = {key.removeprefix(prefix): tensor for key, tensor in found.items()}
    return found


def folded(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors with torch's pruning applied: `weight_orig` and `weight_mask` become their product `weight`.

    Raises DataError where the two have different shapes, or where the product's name is there too.
    """
    masks = {key.removesuffix(MASK): key for key in tensors if key.endswith(MASK)}
    pruned = [key for key in masks if f"{key}{ORIGINAL}" in tensors]
    parts = {f"{key}{part}" for key in pruned for part in (ORIGINAL, MASK)}
    found = {key: tensor for key, tensor in tensors.items() if key not in parts}
    for key in pruned:
        original, mask = tensors[f"{key}{ORIGINAL}"], tensors[f"{key}{MASK}"]
        if original.shape != mask.shape or key in tensors:
            raise DataError(f"{name}: {key}{ORIGINAL} and {key}{MASK} do not make one {key}")
        found[key] = original * mask.to(original.dtype)
    if pruned:
        zeros = sum(int((found[key] == 0).sum()) for key in pruned)
        total = sum(found[key].numel() for key in pruned)
        print(f"{name}: the masks of {len(pruned)} pruned tensors are applied: {zeros:,} of {total:,} weights are zero")
    return found
