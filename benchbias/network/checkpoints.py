"""Tensors from the content of a file: safetensors, or what torch.save wrote, of which tensors alone are read."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from benchbias.errors import DataError
from benchbias.network.refusals import refusal

ARCHIVE, LEGACY = b"PK\x03\x04", b"\x80"  # torch.save's archive, and the bare pickle of old versions
NESTED = ("state_dict", "model_state_dict", "model", "net", "network", "weights")  # where training scripts keep it
AVERAGED = ("state_dict_ema", "model_ema", "ema_state_dict", "ema", "params_ema")  # and the average over steps
COUNT = "n_averaged"  # what torch's AveragedModel keeps beside its `module.`
WRAPPED = ("module.", "_orig_mod.", "model.")  # what DataParallel, torch.compile and Lightning put before each name
ORIGINAL, MASK = "_orig", "_mask"  # what torch's pruning makes of a tensor
PARAMETRIZED = ".parametrizations."  # where torch.nn.utils.parametrize keeps what a tensor is made of
SHOWN = 4  # names that a message tells
TABLELESS = "has no inner tables: its tensors are read as they stand there"

Say = Callable[[str], None]
"""Told in one sentence what was done to make the tensors of a file fit."""


def checkpoint_tensors(
    content: bytes,
    own: Mapping[str, Tensor],
    name: str,
    *,
    table: str | None = None,
    say: Say = print,
    warn: Say | None = None,
) -> dict[str, Tensor]:
    """The tensors of a file of weights, with masks applied and without the prefixes that a model's have not.

    content: safetensors, or what torch.save wrote, which is read with `weights_only`: nothing of it is run. own: the
    model's tensors, whose names decide about prefixes. name: the file's, for messages. table: the name of the inner
    table to read, where a file has several (`model_ema`). say: called with what was done. warn: called with an average
    over steps that is there and not used (None: say). Raises DataError for a file that is damaged or holds more than
    tensors, and for masks or parametrizations that cannot be applied.
    """
    found = tensors_of(content, name, table=table, say=say, warn=warn)
    return unwrapped(folded(found, name, say), own, name, say)


def tensors_of(
    content: bytes, name: str, *, table: str | None = None, say: Say = print, warn: Say | None = None
) -> dict[str, Tensor]:
    """The tensors of a file as they stand there, by name. Raises DataError. Arguments as in `checkpoint_tensors`.

    A file that has no inner tables is read as it is, even where a table is named.
    """
    if not content:
        raise DataError(f"{name}: the file is empty")
    if content.startswith((ARCHIVE, LEGACY)):
        return _state(_unpickled(content, name), name, table, say, warn or say)
    if table is not None:
        say(f"{name} {TABLELESS}")
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
                if any(entry.endswith("/constants.pkl") for entry in archive.namelist()):
                    raise DataError(
                        f"{name} is a TorchScript archive, a program and not tensors: a factory can open it "
                        "(torch.jit.load), or save its state_dict()"
                    )
                if sum(entry.file_size for entry in archive.infolist()) > len(content):
                    raise DataError(f"{name} unpacks to more than its own size, as no file of torch.save does")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the pickle's version: what matters is an error
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except DataError:
        raise
    except Exception as error:  # whatever a damaged or hostile file makes torch raise
        raise DataError(refusal(content, str(error) or type(error).__name__, name, NESTED)) from None


def _state(found: object, name: str, table: str | None, say: Say, warn: Say) -> dict[str, Tensor]:
    """The tensors by name, which may lie one table deeper, as training scripts save them."""
    if isinstance(found, Mapping) and not _all_tensors(found):
        found = _inner(found, name, table, say, warn)
    elif table is not None:
        say(f"{name} {TABLELESS}")
    if not isinstance(found, Mapping) or not found:
        raise DataError(f"{name} holds a {type(found).__name__}, not tensors by name")
    odd = [str(key) for key, value in found.items() if not (isinstance(key, str) and _plain(value))]
    if odd:
        raise DataError(
            f"{name}: not a tensor by name, dense and within its file: {', '.join(odd[:SHOWN])} (tensors may also "
            f"stand in a table {', '.join(map(repr, NESTED))})"
        )
    return {key: value.detach() for key, value in found.items()}


def _inner(found: Mapping[object, object], name: str, table: str | None, say: Say, warn: Say) -> object:
    """The inner table that holds the tensors; the outer one where there is none. Raises DataError."""
    inner = [key for key in (*NESTED, *AVERAGED) if isinstance(found.get(key), Mapping)]
    if table is not None and not isinstance(found.get(table), Mapping):
        known = ", ".join(str(key) for key, value in found.items() if isinstance(value, Mapping)) or "none"
        raise DataError(f"{name} has no table {table!r:.80} (it has: {known:.200})")
    chosen = table or (inner[0] if inner else None)
    if chosen is None:
        return found
    others = [key for key in inner if key != chosen]
    unused = f"; not used: {', '.join(others)}" if others else ""
    said = f"{name}: its tensors are those of {chosen!r}{unused}"
    averages = [key for key in others if key in AVERAGED]
    if averages:
        warn(f"{said}. Where the average is what you ship: --weights-table {averages[0]}")
    else:
        say(said)
    return found[chosen]


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


def unwrapped(
    tensors: Mapping[str, Tensor], own: Mapping[str, Tensor], name: str, say: Say = print
) -> dict[str, Tensor]:
    """The tensors without a prefix that all names have, and none of the model's does: `module.` and others."""
    found = {key: tensor for key, tensor in tensors.items() if key != COUNT or key in own}
    for prefix in (*WRAPPED, *WRAPPED):  # one may lie in another
        if found and all(key.startswith(prefix) for key in found) and not any(key.startswith(prefix) for key in own):
            say(f"{name}: {prefix!r} is left out before each name")
            found = {key.removeprefix(prefix): tensor for key, tensor in found.items()}
    return found


def folded(tensors: Mapping[str, Tensor], name: str, say: Say = print) -> dict[str, Tensor]:
    """The tensors with torch's pruning applied: `weight_orig` and `weight_mask` become their product `weight`.

    So do the `original` and the one `mask` of a parametrization. Raises DataError where two have different shapes,
    where the product's name is there too, and for any other parametrization: torch.ao.pruning does not save its masks.
    """
    pairs = {
        key: (f"{key}{ORIGINAL}", f"{key}{MASK}")
        for key in (mask.removesuffix(MASK) for mask in tensors if mask.endswith(MASK))
        if f"{key}{ORIGINAL}" in tensors
    }
    pairs |= _parametrized(tensors, name)
    parts = {part for pair in pairs.values() for part in pair}
    found = {key: tensor for key, tensor in tensors.items() if key not in parts}
    for key, (original, mask) in pairs.items():
        if tensors[original].shape != tensors[mask].shape or key in tensors:
            raise DataError(f"{name}: {original} and {mask} do not make one {key}")
        found[key] = tensors[original] * tensors[mask].to(tensors[original].dtype)
    if pairs:
        zeros = sum(int((found[key] == 0).sum()) for key in pairs)
        total = sum(found[key].numel() for key in pairs)
        say(f"{name}: the masks of {len(pairs)} pruned tensors are applied: {zeros:,} of {total:,} weights are zero")
    return found


def _parametrized(tensors: Mapping[str, Tensor], name: str) -> dict[str, tuple[str, str]]:
    """The names of parametrized tensors with those of their original and their mask. Raises DataError for others."""
    parts: dict[str, set[str]] = {}
    for key in tensors:
        layer, found, rest = key.partition(PARAMETRIZED)
        if found:
            tensor, _, part = rest.partition(".")
            parts.setdefault(f"{layer}.{tensor}", set()).add(part)
    odd = [key for key, own in parts.items() if own != {"original", "0.mask"}]
    if odd:
        raise DataError(
            f"{name}: {odd[0]} is parametrized ({', '.join(sorted(parts[odd[0]]))}) by what the file does not say: "
            "call torch.nn.utils.parametrize.remove_parametrizations before saving, or use a factory"
        )
    return {key: _parts(key) for key in parts}


def _parts(key: str) -> tuple[str, str]:
    layer, _, tensor = key.rpartition(".")
    return f"{layer}{PARAMETRIZED}{tensor}.original", f"{layer}{PARAMETRIZED}{tensor}.0.mask"
