"""A finished network written to a file, which is only left there if it gives the stored answers back."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchbias.errors import BenchbiasError, DataError, StorageError
from benchbias.finished.checking import difference
from benchbias.finished.description import described, text_of
from benchbias.finished.formats import FORMATS, own_tensors
from benchbias.finished.rebuilt import Finished, finished, prepare_torch
from benchbias.slim.slimming import Slimmed, slimmed
from benchbias.util.files import told, write_whole

EXAMPLES = 4  # images of the scored split that a cut is tried on


def export(request: Mapping[str, Any]) -> dict[str, Any]:
    """Write the network of a request's trial to its file; what was written is returned, as JSON.

    Raises UsageError, and DataError where the file does not give the stored answers: then it is not there.
    """
    prepare_torch()
    found = finished(request, request["trials"][0])
    path = Path(request["given"]["file"])
    model, slim = found.network(), None
    if request["given"]["slim"]:
        slim = slimmed(model, examples(found))
        model = slim.model
    document = _described(found, model, slim)
    aside = _aside(path)
    try:
        partial = aside / f"network{path.suffix}"
        largest = _written(found, model, partial, text_of(document), path)
        partial.replace(path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "difference": largest,
        "examples": len(found.stored()),
        "description": document,
        **_told(slim),
    }


def _aside(path: Path) -> Path:
    """A new folder beside a file's place. Raises StorageError, which names the file."""
    try:
        return Path(tempfile.mkdtemp(prefix=".benchbias-export-", dir=path.parent))
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {told(error)}") from None


def _described(found: Finished, model: nn.Module, slim: Slimmed | None) -> dict[str, Any]:
    try:
        return described(found, model, slim)
    except DataError as error:
        raise DataError(f"{found.label}: {error}") from None


def _written(found: Finished, model: nn.Module, partial: Path, text: str, path: Path) -> float:
    """Write a file aside of its place, and read it again. Raises DataError, which names the place."""
    content = FORMATS[partial.suffix](model, examples(found), text)
    try:
        write_whole(partial, content)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {told(error)}; what is finished is safe") from None
    try:
        return difference(found, partial, own_tensors(model))
    except DataError as error:
        raise DataError(
            f"{found.label}: {path} does not give the stored answers back and was not left there: "
            f"{_named(error, partial)}"
        ) from None


def _named(error: BenchbiasError, partial: Path) -> str:
    """The text of an error without the name of the file aside."""
    return str(error).replace(f"{partial}: ", "").replace(str(partial), "the file")


def examples(found: Finished) -> torch.Tensor:
    """Some images of the scored split as the network takes them, float32 (N, C, H, W); two or more."""
    data, split = found.scored()
    index = torch.arange(EXAMPLES, device=split.labels.device) % len(split)
    return data.batch(split, index).images


def _told(slim: Slimmed | None) -> dict[str, Any]:
    if slim is None:
        return {"slimmed": None, "left": []}
    return {"slimmed": str(slim), "left": [str(left) for left in slim.left]}
