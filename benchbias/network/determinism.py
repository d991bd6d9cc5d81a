"""Operations of a network that have no deterministic form on a card: found on the CPU, by name and layer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from benchbias.errors import ComponentError
from benchbias.network.counting import uncounted
from benchbias.network.inspect import evaluating

IMAGES = 2  # of a batch: batch norm cannot train on one
WHOLE = "the network itself"  # where an operation is called in no layer that has a name
REMEDY = "train it on the CPU, or put `deterministic = false` into the recipe: its numbers may not come out again"


def _always(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    return True


def _of_largest(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    return int(args[8]) == 2  # mode `max` of a bag of embeddings


def _weighted(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    return (args[1] if len(args) > 1 else kwargs.get("weights")) is not None


def _product(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    return "prod" in (*args, *kwargs.values())


@dataclass(frozen=True)
class Operation:
    """An operation of torch. words: its name for a reader. of: the forward operation whose gradient it is, or None.

    counts: whether a call with these arguments is one that has no deterministic form.
    """

    words: str
    of: str | None = None
    counts: Callable[[Sequence[Any], Mapping[str, Any]], bool] = _always


def _gradient(words: str, *forward: str) -> dict[str, Operation]:
    return {f"aten::{name}_backward": Operation(words, f"aten::{name}") for name in forward}


OPERATIONS: Mapping[str, Operation] = {
    **_gradient("3-d average pooling", "avg_pool3d"),
    **_gradient("adaptive average pooling to a size other than 1", "_adaptive_avg_pool2d", "_adaptive_avg_pool3d"),
    **_gradient("adaptive max pooling", "adaptive_max_pool2d"),
    **_gradient("fractional max pooling", "fractional_max_pool2d", "fractional_max_pool3d"),
    "aten::max_unpool2d": Operation("max unpooling"),
    "aten::max_unpool3d": Operation("max unpooling"),
    **_gradient("interpolation", "upsample_linear1d", "upsample_bicubic2d"),
    **_gradient("interpolation", "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"),
    **_gradient("reflection padding", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d"),
    "aten::nll_loss2d_forward": Operation("cross-entropy by pixel"),
    **_gradient("CTC loss", "_ctc_loss"),
    "aten::_embedding_bag_backward": Operation(
        "the largest of a bag of embeddings", "aten::_embedding_bag", _of_largest
    ),
    "aten::put": Operation("put"),
    "aten::put_": Operation("put"),
    "aten::histc": Operation("histogram (histc)"),
    "aten::bincount": Operation("weighted bincount", None, _weighted),
    "aten::median.dim": Operation("median with indices"),
    "aten::nanmedian.dim": Operation("median with indices"),
    **_gradient("sampling on a grid", "grid_sampler_2d", "grid_sampler_3d"),
    "aten::scatter_reduce.two": Operation("scatter_reduce by product", None, _product),
    "aten::scatter_reduce_.two": Operation("scatter_reduce by product", None, _product),
}
"""By name, with an overload where only that one counts: what raises on a card, from the documentation of
`torch.use_deterministic_algorithms` (torch 2.15, its second list).

Left out: bilinear and trilinear interpolation and padding by replication, which `torch.nn.functional` makes of other
operations there; cross-entropy by example, of which only the form by pixel raises; quantized tensors, which nothing
here trains.
"""


@dataclass(frozen=True)
class Found:
    """An operation without a deterministic form, and the layers that call it, in order."""

    words: str
    layers: tuple[str, ...]

    @property
    def text(self) -> str:
        """E.g. `adaptive max pooling (layer 'pool')`."""
        named = ", ".join(repr(layer) for layer in self.layers if layer) or WHOLE
        return f"{self.words} ({f'layer {named}' if named != WHOLE else named})"


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes which operations are called, and in which layers."""

    supports_higher_order_operators = True

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: torch would import its compiler at the first operator, which takes seconds in every worker."""
        return False

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.layers: list[str] = []  # those that are being called, the outermost first
        self.seen: dict[str, list[str]] = {}  # the layers that call each operation
        self.found: dict[str, list[str]] = {}  # by words

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        self._note(str(func.name()), args, kwargs or {})
        return func(*args, **(kwargs or {}))

    def _note(self, full: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        name, here = full.partition(".")[0], self.layers[-1] if self.layers else ""
        self.seen.setdefault(name, []).append(here)
        operation = OPERATIONS.get(full) or OPERATIONS.get(name)
        if operation is not None and operation.counts(args, kwargs):
            layers = [here] if operation.of is None else self.seen.get(operation.of, [""])
            self.found.setdefault(operation.words, []).extend(layers)


def without_deterministic_form(model: nn.Module, images: Tensor) -> tuple[Found, ...]:
    """The operations of a network that have no deterministic form on a card, in a training step and in evaluation.

    images: normalised, float32 (B, C, H, W), at least one. A copy on the CPU is trained by one step of cross-entropy
    and asked for answers; a gradient counts where it is needed: none flows to images, or to layers that are frozen.
    """
    twin, watch = copy.deepcopy(model).cpu(), _Watch()
    batch = images[:1].cpu().expand(IMAGES, *images.shape[1:]).contiguous()
    with torch.random.fork_rng(devices=[]), uncounted(), _named(twin, watch), watch:
        twin.train()
        logits = twin(batch)
        loss = nn.functional.cross_entropy(logits.float(), torch.zeros(IMAGES, dtype=torch.int64))
        if loss.requires_grad:
            loss.backward()  # type: ignore[no-untyped-call]
        with evaluating(twin):
            twin(batch)
    return tuple(Found(words, tuple(dict.fromkeys(layers))) for words, layers in watch.found.items())


def told(found: Sequence[Found]) -> str:
    """Tell a user of a network with such operations, in one line."""
    return f"the network has what has no deterministic form on a card: {'; '.join(one.text for one in found)}; {REMEDY}"


def refuse_without_deterministic_form(model: nn.Module, images: Tensor) -> None:
    """Raises ComponentError, before anything is trained, where a network cannot be trained deterministically on a card.

    images: see `without_deterministic_form`. A network that does not run on the CPU at all is let go on: there torch
    itself raises at the first such operation.
    """
    try:
        found = without_deterministic_form(model, images)
    except Exception:  # whatever a network raises that is made for cards alone
        return
    if found:
        raise ComponentError(told(found))


@contextmanager
def _named(model: nn.Module, watch: _Watch) -> Iterator[None]:
    """Keep the names of the layers that are being called."""

    def enter(name: str) -> Callable[..., None]:
        return lambda module, args: watch.layers.append(name)

    def leave(module: nn.Module, args: Any, output: Any) -> None:
        watch.layers.pop()

    with ExitStack() as hooks:
        for name, module in model.named_modules():
            hooks.callback(module.register_forward_pre_hook(enter(name)).remove)
            hooks.callback(module.register_forward_hook(leave).remove)
        yield
