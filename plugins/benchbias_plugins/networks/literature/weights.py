"""Weights from a file below the data folder: checked by sha256, so that equal options are equal bytes."""

from __future__ import annotations

import hashlib
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from benchbias import BenchbiasError, DataError, checkpoint_tensors, head_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

SHA256 = re.compile(r"[0-9a-f]{64}")
SHOWN = 4  # tensors that a message names


def with_weights(
    model: nn.Module,
    root: Path,
    weights: str | None,
    sha256: str | None,
    input_shape: tuple[int, int, int],
    renamed: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]] = dict,
) -> nn.Module:
    """Fill a model, in place, from the file `weights` below `root`; None leaves its initial values.

    The head keeps them where the file has none, or one of another number of classes; a line in the stage's log says
    so, and what else was done to fit: masks applied, prefixes left out. renamed: makes the model's names of the
    file's. Raises DataError for a file that is missing, not the one that `sha256` names, damaged, holds more than
    tensors, or whose tensors are not the model's.
    """
    if weights is None:
        if sha256 is not None:
            raise BenchbiasError("sha256 goes with weights: name the file too")
        return model
    own = model.state_dict()
    tensors = dict(renamed(checkpoint_tensors(_content(root, weights, sha256), own, weights)))
    head = head_name(model, torch.zeros(1, *input_shape))
    ours = [name for name in own if name.startswith(f"{head}.")]
    fits = all(name in tensors and tensors[name].shape == own[name].shape for name in ours)
    left = [] if fits else ours
    tensors = {name: tensor for name, tensor in tensors.items() if name not in left}
    needed = [name for name in own if name not in left and not name.endswith(".num_batches_tracked")]
    _check(weights, tensors, own, needed)
    own.update(tensors)  # which knows the versions of its layers
    model.load_state_dict(own)
    if left:
        print(f"{weights}: the head {head!r} is not the file's, which has another or none: it keeps its initial values")
    return model


def _content(root: Path, weights: str, sha256: str | None) -> bytes:
    """The bytes of the file, which are those that the sha256 names. Raises DataError."""
    parts = PurePosixPath(weights).parts
    if not parts or PurePosixPath(weights).is_absolute() or ".." in parts or "\0" in weights:
        raise DataError(f"weights {weights!r:.200}: a path relative to the data folder, without `..`")
    path = root.joinpath(*parts)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(
            f"the weights {weights!r:.200} are not there: looked for {path}; --data-dir DIR or BENCHBIAS_DATA says "
            "in which folder they lie (default: ./data)"
        ) from None
    except OSError as error:
        raise DataError(f"the weights {path} cannot be read: {error.strerror}") from None
    found = hashlib.sha256(content).hexdigest()
    if sha256 is None:
        raise DataError(f'{path}: say which file is meant: sha256 = "{found}" is this one')
    if not SHA256.fullmatch(sha256):
        raise DataError(f"sha256 {sha256!r:.80} is not 64 hexadecimal digits; that of {path} is {found}")
    if found != sha256:
        raise DataError(f"{path} is another file: its sha256 is {found}, not {sha256}")
    return content


def _check(weights: str, tensors: Mapping[str, Tensor], own: Mapping[str, Tensor], needed: list[str]) -> None:
    """Raises DataError where tensors are missing, unknown or of another shape, naming the first of them."""
    shapes = [
        f"{name} {tuple(tensors[name].shape)}, not {tuple(own[name].shape)}"
        for name in own
        if name in tensors and tensors[name].shape != own[name].shape
    ]
    faults = {
        "missing": [name for name in needed if name not in tensors],
        "not the model's": [name for name in tensors if name not in own],
        "of another shape": shapes,
    }
    told = [
        f"{what}: {', '.join(names[:SHOWN])}{f' and {len(names) - SHOWN} more' if len(names) > SHOWN else ''}"
        for what, names in faults.items()
        if names
    ]
    if told:
        raise DataError(f"the tensors of {weights} are not the model's; {'; '.join(told)}")
