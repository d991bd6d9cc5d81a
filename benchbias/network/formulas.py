"""FLOPs of operators that torch's table of formulas lacks: two for a multiplication and its addition."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import flop_registry

aten = torch.ops.aten


def _matrix_vector(matrix: Tensor, vector: Tensor, *_: Any, **__: Any) -> int:
    return 2 * matrix.numel()


def _added_matrix_vector(added: Tensor, matrix: Tensor, vector: Tensor, *_: Any, **__: Any) -> int:
    return 2 * matrix.numel()


def _dot(one: Tensor, other: Tensor, **_: Any) -> int:
    return 2 * one.numel()


def _added_batches(added: Tensor, one: Tensor, other: Tensor, *_: Any, **__: Any) -> int:
    return 2 * one.numel() * other.shape[2]


def _trilinear(
    one: Tensor,
    two: Tensor,
    three: Tensor,
    expand1: Sequence[int],
    expand2: Sequence[int],
    expand3: Sequence[int],
    *_: Any,
    **__: Any,
) -> int:
    """The products of nn.Bilinear: every weight is used once an example."""
    shapes = []
    for tensor, expand in ((one, expand1), (two, expand2), (three, expand3)):
        shape = list(tensor.shape)
        for at in sorted(expand):
            shape.insert(at, 1)
        shapes.append(shape)
    return 2 * math.prod(int(max(sizes)) for sizes in zip(*shapes, strict=True))


def _recurrent(given: Tensor, weights: Sequence[Tensor], batch_first: bool = False) -> int:
    """Recurrent layers: every matrix is used once a step and example. given: (T, B, I), or packed (sum of T, I)."""
    uses = given.numel() // given.shape[-1]
    return int(2 * uses * sum(weight.numel() for weight in weights if weight.ndim == 2))


def _mkldnn_recurrent(given: Tensor, *weights_and_more: Any, **_: Any) -> int:
    return _recurrent(given, weights_and_more[:2])


def _mkldnn_recurrent_backward(given: Tensor, *weights_and_more: Any, **_: Any) -> int:
    return 2 * _recurrent(given, weights_and_more[:2])


def _fused_recurrent(given: Tensor, weights: Sequence[Tensor], *_: Any, **__: Any) -> int:
    return _recurrent(given, weights)


def _fused_recurrent_backward(given: Tensor, weights: Sequence[Tensor], *_: Any, **__: Any) -> int:
    return 2 * _recurrent(given, weights)


def _convolution_over_time(given: Tensor, weight: Tensor, *_: Any, out_val: Tensor, **__: Any) -> int:
    return 2 * out_val.shape[0] * out_val.shape[1] * weight.numel()


def _attention_backward(*args: Any, out_val: Any = None, **kwargs: Any) -> int:
    return int(flop_registry[aten._scaled_dot_product_flash_attention_backward](*args, out_val=out_val))


FORMULAS: Mapping[Any, Callable[..., int]] = {
    aten.mv: _matrix_vector,
    aten.addmv: _added_matrix_vector,
    aten.dot: _dot,
    aten.vdot: _dot,
    aten.addbmm: _added_batches,
    aten._trilinear: _trilinear,
    aten.conv_tbc: _convolution_over_time,
    aten.mkldnn_rnn_layer: _mkldnn_recurrent,
    aten.mkldnn_rnn_layer_backward: _mkldnn_recurrent_backward,
    aten._cudnn_rnn: _fused_recurrent,
    aten._cudnn_rnn_backward: _fused_recurrent_backward,
    aten._scaled_dot_product_flash_attention_for_cpu: flop_registry[aten._scaled_dot_product_flash_attention],
    aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
}
"""By operator, for the tensors that it is called with; `out_val` is what it made."""
