"""Images run through networks in batches: nothing is held but the logits, and every image is decoded once."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from benchbias.auditing.models.looks import COLOUR, GREY, Look
from benchbias.auditing.models.networks import Network
from benchbias.auditing.models.pictures import Pictures, digest
from benchbias.errors import BenchbiasError, DataError, first_line
from benchbias.util.progress import progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

WORKERS = 8  # threads that decode, at most
PROBED = 4  # images of a first look
SAME = 1e-3  # of the largest logit: more than rounding


@dataclass(frozen=True)
class Batches:
    """The images of an audit in the order of `numbers`, prepared. sums: the sha256 that each image had before."""

    pictures: Pictures
    numbers: Sequence[int]
    sums: Sequence[bytes]
    look: Look

    @functools.cached_property
    def shape(self) -> tuple[int, int, int]:
        """The shape of the first image (C, H, W), which all have. Raises DataError."""
        number = self.numbers[0]
        channels, height, width = prepared(self.pictures, self.pictures.content(number), number, self.look).shape
        return channels, height, width

    def first(self, count: int) -> Tensor:
        """The first images (B, C, H, W). Raises DataError."""
        return torch.stack([self.prepared(number) for number in self.numbers[:count]])

    def prepared(self, number: int) -> Tensor:
        """One image as networks are given it, float32 (C, H, W). Raises DataError where the file was changed since."""
        content = self.pictures.content(number)
        if digest(content) != self.sums[number]:
            raise DataError(f"{self.pictures.where(number)}: changed while it was read: run again")
        made = prepared(self.pictures, content, number, self.look)
        if tuple(made.shape) != self.shape:
            raise DataError(
                f"{self.pictures.where(number)}: {made.shape[2]} x {made.shape[1]} pixels after preparing, the first "
                f"image {self.shape[2]} x {self.shape[1]}: --resize and --size make all images alike"
            )
        return made

    def batches(self, size: int) -> Iterator[tuple[Sequence[int], Tensor]]:
        """The numbers and the images (B, C, H, W) of each batch; the next one is prepared while one is worked on."""
        parts = [self.numbers[start : start + size] for start in range(0, len(self.numbers), size)]
        with ThreadPoolExecutor(min(WORKERS, len(os.sched_getaffinity(0)))) as pool:
            waiting: list[list[Future[Tensor]]] = []
            try:
                for part in parts[:1]:
                    waiting.append([pool.submit(self.prepared, number) for number in part])
                for place, part in enumerate(parts):
                    for following in parts[place + 1 : place + 2]:
                        waiting.append([pool.submit(self.prepared, number) for number in following])
                    yield part, torch.stack([future.result() for future in waiting.pop(0)])
            finally:
                pool.shutdown(cancel_futures=True)


def prepared(pictures: Pictures, content: bytes, number: int, look: Look) -> Tensor:
    """One image, prepared, from its bytes. Raises DataError."""
    image = pictures.image(content, number)
    try:
        return look.prepared(image)
    except (ValueError, OSError, TypeError, RuntimeError) as error:
        raise DataError(f"{pictures.where(number)}: cannot be prepared: {first_line(error)}") from None


def logits_of(
    networks: Sequence[Network], batches: Batches, device: torch.device, batch: int, *, quiet: bool
) -> list[NDArray[Any]]:
    """The logits of each network on all images, float32 (N, K). Raises DataError for logits that are not finite."""
    found: list[list[Tensor]] = [[] for _ in networks]
    total = -(-len(batches.numbers) // batch)
    steps = batches.batches(batch)
    with torch.inference_mode():
        for numbers, images in steps if quiet else progress(steps, total, "batches"):
            placed = images.to(device)
            for network, parts in zip(networks, found, strict=True):
                parts.append(_answered(network, placed, batches, numbers))
    return [torch.cat(parts).numpy() for parts in found]


def _answered(network: Network, images: Tensor, batches: Batches, numbers: Sequence[int]) -> Tensor:
    logits = called(network, images)
    if not bool(torch.isfinite(logits).all()):
        where = batches.pictures.where(numbers[int((~torch.isfinite(logits)).any(1).nonzero()[0])])
        raise DataError(f"{network.source.what} gives logits that are no numbers (NaN or infinite) on {where}")
    return logits


def called(network: Network, images: Tensor) -> Tensor:
    """The logits of a network, float32 (B, K), on the CPU. Raises DataError where it fails, or memory is too small."""
    try:
        return network.call(images).cpu()
    except BenchbiasError:
        raise
    except (torch.OutOfMemoryError, MemoryError):
        raise _too_large(network, images) from None
    except Exception as error:  # whatever a network raises on images that are not its own
        if "can't allocate memory" in str(error) or "not enough memory" in str(error):
            raise _too_large(network, images) from None
        told = _channels(network, images) or f"{type(error).__name__}: {first_line(error)}"
        raise DataError(f"{network.source.what} fails on images {tuple(images.shape)}: {told}") from None


def _channels(network: Network, images: Tensor) -> str:
    """The remedy where a network takes the same images with 3 channels for 1, or 1 for 3; nothing where it does not."""
    grey = images.shape[1] == 1
    try:
        network.call(images.expand(-1, 3, -1, -1) if grey else images[:, :1])
    except Exception:  # whatever a network raises: then it is not the channels
        return ""
    return GREY if grey else COLOUR


def _too_large(network: Network, images: Tensor) -> DataError:
    fewer = max(1, len(images) // 4)
    return DataError(
        f"a batch of {len(images)} images does not fit into memory ({network.source.what}): --batch {fewer}"
    )


def probed(network: Network, images: Tensor) -> tuple[int, list[str]]:
    """The number of classes of a network, and notes on it, from a few images (B, C, H, W).

    Raises DataError where two calls on the same images give other answers: something random is on in evaluation.
    """
    with torch.inference_mode():
        first, second = called(network, images), called(network, images)
        apart = torch.cat([called(network, two) for two in torch.split(images, 2)])
    finite = torch.isfinite(first)
    limit = SAME * float(first[finite].abs().max()) if bool(finite.any()) else 0.0
    if bool(((first - second).abs() > limit).any()):
        raise DataError(
            f"{network.source.what} answers the same images differently from call to call, as in training mode: "
            "something random is on, such as F.dropout without training=self.training"
        )
    notes = []
    if bool(((first - apart).abs() > limit).any()):
        notes.append(
            f"{network.source.what} answers an image differently when other images are in its batch (dynamic "
            "quantisation, a batch norm without running statistics): its answers are those of these batches"
        )
    return first.shape[1], notes
