"""Milliseconds and bytes of the finished networks of a request: each timed beside its dense network, slimmed too."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from benchbias.errors import BenchbiasError, DataError, UsageError
from benchbias.finished.checking import TOLERANCE, same_as_stored
from benchbias.finished.exporting import examples
from benchbias.finished.formats import own_tensors
from benchbias.finished.rebuilt import Finished, finished, prepare_torch
from benchbias.finished.timing import ProcessClock, Timed, interleaved, median_interval, quartiles, ratios
from benchbias.keys.environment import THREADS, cpu, device_name
from benchbias.records.latency_claims import is_gain
from benchbias.slim.slimming import slimmed

BATCHES = (1, 64)


@dataclass(eq=False)
class Entry:
    """A network to be timed: its counts, and its samples by size of a batch."""

    what: str
    model: nn.Module
    samples: dict[int, tuple[float, ...]] = field(default_factory=dict)

    def counts(self) -> dict[str, Any]:
        tensors = list(self.model.parameters())
        return {
            "what": self.what,
            "parameters": sum(tensor.numel() for tensor in tensors),
            "nonzero": sum(int(tensor.count_nonzero()) for tensor in tensors),
            "bytes": len(safetensors.torch.save(own_tensors(self.model))),
        }


@dataclass(eq=False)
class Timing:
    """The networks of one architecture on one task: dense twice, then finished and slimmed ones."""

    found: Finished
    dense: Entry
    again: Entry
    rows: list[tuple[dict[str, Any], Entry, Entry | None]] = field(default_factory=list)

    @property
    def entries(self) -> list[Entry]:
        others = (one for _, *entries in self.rows for one in entries if one is not None)
        return [self.dense, self.again, *others]


def latency(request: Mapping[str, Any]) -> dict[str, Any]:
    """Measure all trials of a request: architectures, rows, what was left out and why, and the machine; as JSON."""
    prepare_torch()
    timings: dict[str, Timing] = {}
    left_out = []
    for trial in request["trials"]:
        try:
            found = finished(request, trial)
            _add(timings, found, trial)
        except BenchbiasError as error:
            left_out.append({"task": trial["task"], "row": trial["row"], "reason": str(error)})
    worked = [_timed(timing, request["given"]["repeats"]) for timing in timings.values()]
    wall, own = sum(one.wall for one in worked), sum(one.own for one in worked)
    on_card = request["plan"]["device"] != "cpu"
    return {
        "architectures": [_architecture(timing) for timing in timings.values()],
        "rows": [row for number, timing in enumerate(timings.values()) for row in _rows(timing, number)],
        "left_out": left_out,
        "own_time": None if on_card or wall == 0 else min(1.0, own / wall),
        "machine": {
            "cpu": cpu().rpartition(" ")[0],
            "device": device_name(request["plan"]["device"]),
            "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
            "torch": str(torch.__version__),
            "benchbias": str(request["provenance"]["benchbias"]),
            "threads": THREADS,
        },
    }


def _add(timings: dict[str, Timing], found: Finished, trial: Mapping[str, Any]) -> None:
    """Make the networks of a trial; its answers are held against the stored ones first. Raises BenchbiasError."""
    apart = same_as_stored(found)
    if not apart <= TOLERANCE[".pt2"] * max(1.0, float(found.stored().abs().max())):
        raise DataError(
            f"the rebuilt network gives other answers than the stored ones (a logit differs by {apart:.2g})"
        )
    key = json.dumps([trial["task"], found.init["component"], found.init.get("backbone")], sort_keys=True)
    if key not in timings:
        timings[key] = Timing(found, Entry("dense", found.dense()), Entry("dense", found.dense()))
    model, mask = found.network(), found.mask
    row: dict[str, Any] = {
        "trial": trial["id"],
        "product": trial["stages"][-1],
        **{name: trial[name] for name in ("task", "method", "swept", "row", "seed")},
        "units": mask is not None and mask.units,
        "left": [],
        "note": None,
    }
    slim = None
    if mask is not None:
        try:
            cut = slimmed(model, examples(found))
            row["left"] = [str(left) for left in cut.left]
            slim = Entry("slimmed", cut.model) if cut.cut else None
        except UsageError as error:
            row["note"] = str(error) if mask.units else None
    timings[key].rows.append((row, Entry("finished", model), slim))


def _timed(timing: Timing, repeats: int) -> Timed:
    """Time all networks of an architecture on real images, batch size by batch size."""
    device = timing.found.job.device
    settle = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    data, split = timing.found.scored()
    wall, own = 0.0, 0.0
    found = Timed((), 0, 0)
    for size in BATCHES:
        index = torch.arange(size, device=split.labels.device) % len(split)
        images = data.batch(split, index).images
        calls = [_call(entry.model, images) for entry in timing.entries]
        with torch.inference_mode():
            found = interleaved(calls, repeats, ProcessClock(settle))
        wall, own = wall + found.wall, own + found.own
        for entry, samples in zip(timing.entries, found.samples, strict=True):
            entry.samples[size] = samples
    return Timed((), wall, own)


def _call(model: nn.Module, images: Tensor) -> Callable[[], object]:
    return lambda: model(images)


def _architecture(timing: Timing) -> dict[str, Any]:
    return {
        "task": timing.found.trial["task"],
        "network": timing.found.init["component"]["name"],
        "images": list(timing.found.data["input_shape"]),
        "dense": _network(timing, timing.dense),
        "again": _network(timing, timing.again),
    }


def _rows(timing: Timing, number: int) -> list[dict[str, Any]]:
    return [
        row
        | {"architecture": number, "finished": _network(timing, entry)}
        | {"slimmed": None if slim is None else _network(timing, slim)}
        for row, entry, slim in timing.rows
    ]


def _network(timing: Timing, entry: Entry) -> dict[str, Any]:
    return entry.counts() | {"timings": [_times(timing, entry, size) for size in BATCHES]}


def _times(timing: Timing, entry: Entry, size: int) -> dict[str, Any]:
    samples, dense = entry.samples[size], timing.dense.samples[size]
    again = median_interval(ratios(timing.again.samples[size], dense))
    ratio = median_interval(ratios(samples, dense))
    return {
        "batch": size,
        "milliseconds": _spread(quartiles([1000 * value for value in samples])),
        "ratio": _spread(ratio),
        "gain": entry.what != "dense" and is_gain(ratio, again),
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    median, lower, upper = values
    return {"median": median, "lower": lower, "upper": upper}
