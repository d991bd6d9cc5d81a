"""The size and the speed of networks, measured in turns, so that all of them meet the same state of the machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from benchbias.auditing.models.answering import called
from benchbias.auditing.models.networks import Network
from benchbias.auditing.values import Latency
from benchbias.errors import DataError
from benchbias.keys.environment import cpu

ONE, LARGE = 1, (64, 32, 16, 8)  # batch sizes: of the larger ones, the largest that can be timed in time
SECONDS = 2.0  # of all networks together at one batch size, about
LONGEST = 3.0  # the same, where so few repeats as LEAST take longer
SHARE = 0.1  # of the seconds that the answers took: so much more may slow networks take
LEAST, MOST = 3, 50  # repeats
WARM = 2  # calls before the first that counts


def machine(device: torch.device) -> str:
    """The machine as a reader knows it: processor or GPU, threads, torch. No name of a host."""
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else cpu().rpartition(" ")[0]
    threads = torch.get_num_threads()
    return f"{where}, {threads} thread{'s' if threads > 1 else ''}, torch {torch.__version__}"


def latencies(
    networks: Sequence[Network], images: Tensor, device: torch.device, spent: float = 0.0
) -> list[tuple[Latency, ...]]:
    """The milliseconds of each network at two batch sizes; one that does not fit into memory is left out.

    images: (B, C, H, W), of which batches are made by repeating them. spent: the seconds that the networks' answers
    took. The larger batch has 64 images, and fewer where timing it twice would take longer than a few seconds and a
    tenth of these.
    """
    found: list[list[Latency]] = [[] for _ in networks]
    with torch.inference_mode():
        for number in range(2):
            known = [own[0].median for own in found if own and device.type != "cuda"]  # a GPU does them side by side
            size = ONE if number == 0 else large_batch(known, spent)
            batch = images.repeat(-(-size // len(images)), 1, 1, 1)[:size].to(device)
            try:
                times = _in_turns([_timed(network, batch, device) for network in networks])
            except DataError:
                continue
            for own, seconds in zip(found, times, strict=True):
                own.append(_latency(size, seconds))
    return [tuple(own) for own in found]


def large_batch(milliseconds: Sequence[float], spent: float) -> int:
    """The larger batch size, from the milliseconds that each network took for one image."""
    allowed = max(LONGEST, SHARE * spent)
    passes = 2 * sum(milliseconds) / 1000
    return next((size for size in LARGE if size * passes <= allowed), LARGE[-1])


def _timed(network: Network, batch: Tensor, device: torch.device) -> Callable[[], float]:
    def once() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        start = time.perf_counter()
        called(network, batch)  # ends with a copy to the CPU, which waits for the device
        return time.perf_counter() - start

    return once


def _in_turns(calls: Sequence[Callable[[], float]]) -> list[list[float]]:
    """The seconds of each call, repeated in turns, forwards and backwards; the first count where they are slow."""
    first = [once() for once in calls]
    slow = sum(first) > SECONDS
    for _ in range(0 if slow else WARM - 1):
        for once in calls:
            once()
    times: list[list[float]] = [[seconds] if slow else [] for seconds in first]
    start = time.perf_counter()
    for turn in range(MOST):
        spent = time.perf_counter() - start
        if spent > (SECONDS if len(times[0]) >= LEAST else LONGEST):
            break
        for place in range(len(calls)) if turn % 2 == 0 else reversed(range(len(calls))):
            times[place].append(calls[place]())
    return times


def _latency(size: int, seconds: Sequence[float]) -> Latency:
    low, median, high = statistics.quantiles([1000 * one for one in seconds], n=4, method="inclusive")
    return Latency(size, median, low, high, len(seconds))


def parameter_counts(module: nn.Module | None) -> tuple[int | None, int | None]:
    """The numbers of parameters, and of those that are not zero; packed weights of quantised layers count too.

    None where that cannot be told.
    """
    if module is None:
        return None, None
    tensors = [parameter.detach() for parameter in module.parameters()]
    tensors += [weight for part in module.modules() for weight in _packed(part)]
    try:
        return sum(tensor.numel() for tensor in tensors), sum(_nonzeros(tensor) for tensor in tensors)
    except (RuntimeError, NotImplementedError, TypeError):
        return sum(tensor.numel() for tensor in tensors), None


def _packed(part: nn.Module) -> list[Tensor]:
    """The weight and the bias of a quantised layer of torch.ao, which has methods in place of parameters."""
    found: list[Any] = []
    for name in ("weight", "bias"):
        method = getattr(part, name, None)
        if callable(method) and not isinstance(method, Tensor | nn.Module):
            try:
                found.append(method())
            except (RuntimeError, TypeError):
                continue
    return [value.detach() for value in found if isinstance(value, Tensor)]


def _nonzeros(tensor: Tensor) -> int:
    if tensor.is_quantized:
        return int((tensor.dequantize() != 0).sum())
    dense = tensor.dequantize() if hasattr(tensor, "__tensor_flatten__") and hasattr(tensor, "dequantize") else tensor
    return int(torch.count_nonzero(dense))
