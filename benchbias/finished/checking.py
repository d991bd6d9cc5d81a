"""An exported file read again, and its answers held against those that the trial was scored by."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from benchbias.auditing.models.runtimes import exported_call, onnx_call
from benchbias.errors import DataError
from benchbias.finished.loading import network_of
from benchbias.finished.rebuilt import Finished
from benchbias.network.inspect import evaluating
from benchbias.store.tensor_files import read_tensors
from benchbias.training.fit import logits

TOLERANCE = {".safetensors": 1e-5, ".pt2": 1e-5, ".onnx": 1e-4}
"""By how much a logit may differ from the stored one, over the largest (at least 1): other sums round otherwise."""


def difference(found: Finished, path: Path, wanted: dict[str, Tensor]) -> float:
    """The largest difference of a logit of the file from the stored one.

    wanted: the tensors that it must hold. Raises DataError where it gives other answers, or holds other tensors.
    """
    if path.suffix == ".safetensors":
        _check_tensors(read_tensors(path), wanted)
    stored, answers = found.stored(), _answers(found, path)
    if answers.shape != stored.shape:
        raise DataError(f"its logits have the shape {tuple(answers.shape)}, the stored ones {tuple(stored.shape)}")
    apart = (answers - stored).abs()
    largest = float(apart.max()) if apart.numel() else 0.0
    allowed = TOLERANCE[path.suffix] * max(1.0, float(stored.abs().max()) if stored.numel() else 0.0)
    if not largest <= allowed:  # also where it is not a number
        example = int(apart.max(dim=1).values.argmax())
        raise DataError(
            f"a logit of example {example} differs from the stored one by {largest:.3g} (allowed: {allowed:.1g})"
        )
    others = _other_classes(answers, stored, allowed)
    if others:
        raise DataError(f"{others} of {len(stored)} examples are given another class than the stored one")
    return largest


def _check_tensors(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    odd = sorted(
        name
        for name in found.keys() | wanted.keys()
        if name not in found or name not in wanted or not _same(found[name], wanted[name])
    )
    if odd:
        raise DataError(f"{len(odd)} tensors are not those of the trial: {', '.join(odd[:3])}")


def _same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are the same bytes: signs of zeros and what is no number count too."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    return torch.equal(one.reshape(-1).view(torch.uint8), other.reshape(-1).view(torch.uint8))


def _other_classes(answers: Tensor, stored: Tensor, allowed: float) -> int:
    """How many examples are given another class, though the stored answer is no tie within what may differ."""
    best = stored.gather(1, answers.argmax(dim=1, keepdim=True)).squeeze(1)
    return int((stored.max(dim=1).values - best > 2 * allowed).sum())


def _answers(found: Finished, path: Path) -> Tensor:
    data, split = found.scored()
    device = found.job.device
    if path.suffix == ".safetensors":
        return logits(network_of(path, found.job.components, found.job.data_root).to(device), data, split)
    call: Callable[[Tensor], Tensor]
    if path.suffix == ".onnx":
        call = onnx_call(path, torch.device("cpu"))
    else:
        call, _ = exported_call(path, device, trust=True)
    with torch.no_grad():
        return torch.cat([call(batch.images).float().cpu() for batch in data.batches(split)])


def same_as_stored(found: Finished) -> float:
    """The largest difference of a logit of the rebuilt network from the stored one; used before anything is timed."""
    data, split = found.scored()
    model = found.network()
    with evaluating(model):
        return float((logits(model, data, split) - found.stored()).abs().max())
