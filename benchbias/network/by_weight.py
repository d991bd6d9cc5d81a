"""FLOPs of a forward pass by the weight that each product is with: a weight is known by its memory."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
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
"""The name that products stand under which no single weight decides: torch lets no parameter have it.

Among the weights that a tensor is made of it says that zeros of theirs may have come back.
"""

aten = torch.ops.aten
SCALED = frozenset((aten.mul, aten.mul_, aten.div, aten.div_))
"""Operators whose result is zero where the first operand is; of mul, where either is."""
JOINING = frozenset((aten.cat, aten.stack))
KEPT = (
    SCALED
    | JOINING
    | {
        *(aten.clone, aten.detach, aten.alias, aten._to_copy, aten.contiguous, aten.reshape, aten._reshape_copy),
        *(aten.view_copy, aten.t_copy, aten.transpose_copy, aten.permute_copy, aten.slice_copy, aten.select_copy),
        *(aten.index, aten.index_select, aten.gather, aten.flip, aten.roll, aten.repeat, aten.unfold, aten.copy_),
        *(aten.neg, aten.abs, aten.sign, aten.round, aten.trunc, aten.tanh, aten.relu, aten.tril, aten.triu),
    }
)
"""Operators after which no zero of a weight has become another number."""
ADDING = frozenset((aten.addmm, aten.addmv, aten.addbmm, aten.baddbmm))
"""Products whose first tensor is no factor."""


class WeightCounter(ProductCounter):  # type: ignore[no-untyped-call]
    """The FLOPs of a pass by the name of the weight that each product is with, however the weight came there.

    A tensor is a weight's where it lies in the weight's memory (a view, a transpose, a part), or was made of that
    weight, of constants and of nothing else, by operators that keep zeros (KEPT). Products with none, of several, or
    with what a pass computes in another way are under ACTIVATIONS: dense.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.found: dict[str, int] = {}
        self.layers = set(layer_weights(model))
        self.used: set[str] = set()  # parameters that an operator was given
        self.computed: set[str] = set()  # weights of layers that products had in a form computed in the pass
        self.starts: list[int] = []  # of the memory of known tensors, in order
        self.known: list[tuple[int, frozenset[str], Tensor]] = []  # its end, the weights; the tensor keeps it alive
        for name, parameter in model.named_parameters():
            self._learn(parameter.detach(), frozenset((name,) if parameter.ndim > 1 else ()))
        for buffer in model.buffers():
            self._learn(buffer, frozenset())

    def product(self, flops: int, operator: Any, args: Any, kwargs: Any) -> None:
        made = [self._weights(tensor) or frozenset() for tensor in _tensors((args, kwargs))]
        self.used.update(*made)
        factors = [names for names in made[operator in ADDING :] if names]
        factors = [names for names in factors if names & self.layers] or factors
        self.computed |= {name for names in factors if ACTIVATIONS in names for name in names & self.layers}
        name = next(iter(factors[0])) if len(factors) == 1 and len(factors[0]) == 1 else ACTIVATIONS
        self.found[name] = self.found.get(name, 0) + flops

    def passed(self, func: Any, args: Any, kwargs: Any, out: Any) -> None:
        given = [self._weights(tensor) for tensor in _tensors((args, kwargs)) if tensor.ndim]
        self.used.update(*(one for one in given if one))
        names = _made_by(getattr(func, "_overloadpacket", func), [one or frozenset() for one in given], self.layers)
        if names and hasattr(func, "_schema") and func._schema.is_mutable:
            for tensor in _tensors(out):
                self._rename(tensor, names if all(one is not None for one in given) else names | {ACTIVATIONS})
        if given and all(one is not None for one in given):
            for tensor in _tensors(out):
                self._learn(tensor, names)

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
        at = self._place(tensor)
        return None if at is None else self.known[at][1]

    def _place(self, tensor: Tensor) -> int | None:
        at = bisect.bisect(self.starts, tensor.data_ptr()) - 1
        return None if at < 0 or tensor.data_ptr() >= self.known[at][0] else at

    def _rename(self, tensor: Tensor, names: frozenset[str]) -> None:
        """Note what known memory holds after it was written to."""
        at = self._place(tensor) if tensor.layout == torch.strided else None
        if at is not None:
            end, _, kept = self.known[at]
            self.known[at] = (end, names, kept)


def _made_by(operator: Any, given: Sequence[frozenset[str]], layers: AbstractSet[str]) -> frozenset[str]:
    """The weights that an operator's result is made of, with ACTIVATIONS where it may not have their zeros.

    layers: the weights of layers, whose zeros count before those of other parameters.
    """
    if operator in SCALED:
        first = given if operator in (aten.mul, aten.mul_) else given[:1]
        zeros = {names for names in first if len(names) == 1 and ACTIVATIONS not in names}
        zeros = {names for names in zeros if names <= layers} or zeros
        if len(zeros) == 1:
            return next(iter(zeros))
    names = frozenset[str]().union(*given)
    sources = {one for one in given if one or operator in JOINING}  # others take constants as places, say
    if not names or (operator in KEPT - SCALED and len(sources) == 1):
        return names
    return names | {ACTIVATIONS}


def _extent(tensor: Tensor) -> int:
    """The bytes from a tensor's first element to the end of its last one."""
    last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return (last + 1) * tensor.element_size()


def _tensors(values: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


@dataclass(frozen=True)
class Pass:
    """One forward pass: dense FLOPs by the name of the weight, and the parameters of matrices that it used.

    computed: weights of layers that the pass computes others of, where zeros may come back: their products are dense.
    """

    flops: Mapping[str, int]
    used: frozenset[str]
    computed: frozenset[str] = frozenset()


def forward_pass(model: nn.Module, images: Tensor) -> Pass:
    """Look at one forward pass of images (1, C, H, W), in eval mode.

    Fused kernels that hide their products (recurrent layers, attention) are off meanwhile.
    """
    counter = WeightCounter(model)
    with evaluating(model), unfused(), counter:
        model(images)
    return Pass(counter.found, frozenset(counter.used - {ACTIVATIONS}), frozenset(counter.computed))


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
