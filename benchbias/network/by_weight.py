"""FLOPs of a forward pass by the weight that each product is with: a weight is known by its memory."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from benchbias.network.counting import ProductCounter
from benchbias.network.inspect import evaluating
from benchbias.network.weights import layer_weights

ACTIVATIONS = ""
"""The name that products stand under which no single weight decides: torch lets no parameter have it."""


class WeightCounter(ProductCounter):  # type: ignore[no-untyped-call]
    """The FLOPs of a pass by the name of the weight that each product is with, however the weight came there.

    A tensor is a weight's where it lies in the weight's memory (a view, a transpose, a part), or was made of that
    weight, of constants and of nothing else. Products with none, or of several, are under ACTIVATIONS.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.found: dict[str, int] = {}
        self.layers = set(layer_weights(model))
        self.used: set[str] = set()  # parameters that an operator was given
        self.starts: list[int] = []  # of the memory of known tensors, in order
        self.known: list[tuple[int, frozenset[str], Tensor]] = []  # its end, the weights; the tensor keeps it alive
        for name, parameter in model.named_parameters():
            self._learn(parameter.detach(), frozenset((name,) if parameter.ndim > 1 else ()))
        for buffer in model.buffers():
            self._learn(buffer, frozenset())

    def product(self, flops: int, args: Any, kwargs: Any) -> None:
        names = [one for tensor in _tensors((args, kwargs)) if (one := self._weights(tensor))]
        self.used.update(*names)
        single = [next(iter(one)) for one in names if len(one) == 1]
        chosen = [name for name in single if name in self.layers] or single
        name = chosen[-1] if chosen else ACTIVATIONS
        self.found[name] = self.found.get(name, 0) + flops

    def passed(self, args: Any, kwargs: Any, out: Any) -> None:
        given = [self._weights(tensor) for tensor in _tensors((args, kwargs)) if tensor.ndim]
        self.used.update(*(one for one in given if one))
        if given and all(one is not None for one in given):
            for tensor in _tensors(out):
                self._learn(tensor, frozenset().union(*(one for one in given if one)))

    def _learn(self, tensor: Tensor, names: frozenset[str]) -> None:
        if tensor.layout != torch.strided or not tensor.numel() or self._weights(tensor) is not None:
            return
        start, size = tensor.data_ptr(), _extent(tensor)
        at = bisect.bisect(self.starts, start)
        self.starts.insert(at, start)
        self.known.insert(at, (start + size, names, tensor))

    def _weights(self, tensor: Tensor) -> frozenset[str] | None:
        """The weights that a tensor is made of; None for an activation."""
        if tensor.layout != torch.strided:
            return None
        at = bisect.bisect(self.starts, tensor.data_ptr()) - 1
        if at < 0 or tensor.data_ptr() >= self.known[at][0]:
            return None
        return self.known[at][1]


def _extent(tensor: Tensor) -> int:
    """The bytes from a tensor's first element to the end of its last one."""
    last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return (last + 1) * tensor.element_size()


def _tensors(values: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


@dataclass(frozen=True)
class Pass:
    """One forward pass: dense FLOPs by the name of the weight, and the parameters of matrices that it used."""

    flops: Mapping[str, int]
    used: frozenset[str]


def forward_pass(model: nn.Module, images: Tensor) -> Pass:
    """Look at one forward pass of images (1, C, H, W), in eval mode.

    Fused kernels that hide their products (recurrent layers, attention) are off meanwhile.
    """
    counter = WeightCounter(model)
    with evaluating(model), unfused(), counter:
        model(images)
    return Pass(counter.found, frozenset(counter.used))


@contextmanager
def unfused() -> Iterator[None]:
    """Let recurrent layers and attention run as products of their own for the block."""
    kernels: tuple[Any, ...] = (torch.backends.mkldnn, torch.backends.cudnn)
    enabled, fast = [kernel.enabled for kernel in kernels], torch.backends.mha.get_fastpath_enabled()
    try:
        for kernel in kernels:
            kernel.enabled = False
        torch.backends.mha.set_fastpath_enabled(False)
        yield
    finally:
        for kernel, before in zip(kernels, enabled, strict=True):
            kernel.enabled = before
        torch.backends.mha.set_fastpath_enabled(fast)
