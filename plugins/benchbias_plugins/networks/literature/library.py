"""Any classification network of torchvision or timm, by name."""

from __future__ import annotations

import copy
import difflib
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from benchbias import BenchbiasError

from .vit import Attention
from .weights import with_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

AUXILIARY = ("googlenet", "inception_v3")  # torchvision's, with more heads for training unless told otherwise
NEAREST = 5  # known names that a message tells


def torchvision_model(
    input_shape: tuple[int, int, int],
    num_classes: int,
    root: Path,
    *,
    name: str = "resnet18",
    weights: str | None = None,
    sha256: str | None = None,
) -> nn.Module:
    """A classification network of torchvision by its name, with its own initial values or those of a file.

    name: as in torchvision.models, e.g. efficientnet_b0. weights, sha256: a file of tensors below the data folder,
    with torchvision's names, and its digest. On images of one channel it is the network on three equal channels.
    """
    import torchvision.models
    from torchvision.models import get_model_builder, list_models, maxvit, vision_transformer

    _check_known("torchvision", name, list_models(module=torchvision.models))
    channels, height, width = input_shape
    if channels not in (1, 3):
        raise BenchbiasError(f"torchvision's networks take images of 1 or 3 channels, not of {channels}")
    options: dict[str, Any] = {"weights": None, "num_classes": num_classes}
    builder = get_model_builder(name)
    if builder.__module__ == vision_transformer.__name__:
        if height != width:
            raise BenchbiasError(f"torchvision: {name} takes square images, not {height}x{width}")
        options["image_size"] = height
    elif builder.__module__ == maxvit.__name__:
        options["input_size"] = (height, width)
    elif name in AUXILIARY:
        options |= {"aux_logits": False, "init_weights": True}
    network = _made(f"torchvision: {name}", input_shape, lambda: builder(**options))
    network = with_weights(network, root, weights, sha256, (3, height, width))
    with_linear_attention(network)
    if channels == 1:
        sum_colours(network)
    return _checked(network, f"torchvision: {name}", input_shape, num_classes)


def timm_model(
    input_shape: tuple[int, int, int],
    num_classes: int,
    root: Path,
    *,
    name: str = "resnet18",
    weights: str | None = None,
    sha256: str | None = None,
) -> nn.Module:
    """A network of timm by its name, with its own initial values or those of a file; any number of channels.

    name: as timm.list_models() has it, e.g. vit_tiny_patch16_224; nothing is fetched. weights, sha256: a safetensors
    file below the data folder, with timm's names and for this image size, and its digest.
    """
    import timm

    _check_known("timm", name, timm.list_models())
    options: dict[str, Any] = {"pretrained": False, "num_classes": num_classes, "in_chans": input_shape[0]}

    def build() -> Any:
        try:
            return timm.create_model(name, img_size=input_shape[1:], **options)
        except TypeError as error:
            if "img_size" not in str(error):
                raise
        return timm.create_model(name, **options)

    network = _made(f"timm: {name}", input_shape, build)
    network = with_weights(network, root, weights, sha256, input_shape)
    return _checked(network, f"timm: {name}", input_shape, num_classes)


class CalledAttention(Attention):
    """Attention in place of nn.MultiheadAttention(batch_first=True) where queries, keys and values are one tensor."""

    def forward(self, query: Tensor, *_: Tensor, need_weights: bool = False) -> tuple[Tensor, None]:  # type: ignore[override]
        """query (B, N, D) -> (B, N, D), and no attention weights."""
        return super().forward(query), None


def with_linear_attention(network: nn.Module) -> None:
    """Put layers q, k, v and proj in place of each nn.MultiheadAttention, whose matrices are no layers, in place.

    The function is the same.
    """
    found = [(name, module) for name, module in network.named_modules() if isinstance(module, nn.MultiheadAttention)]
    for name, old in found:
        new = CalledAttention(old.embed_dim, old.num_heads)
        layers = (new.q, new.k, new.v, new.proj)
        weights = (*old.in_proj_weight.chunk(3), old.out_proj.weight)
        biases = (*old.in_proj_bias.chunk(3), old.out_proj.bias)
        with torch.no_grad():
            for layer, weight, bias in zip(layers, weights, biases, strict=True):
                layer.weight.copy_(weight)
                layer.bias.copy_(bias)
        owner, _, last = name.rpartition(".")
        setattr(network.get_submodule(owner), last, new)


def sum_colours(network: nn.Module) -> None:
    """Make the first convolution one of a single channel, in place: its kernels summed over the three colours."""
    name, first = next((name, module) for name, module in network.named_modules() if isinstance(module, nn.Conv2d))
    new = nn.Conv2d(
        1,
        first.out_channels,
        first.kernel_size,  # type: ignore[arg-type]
        first.stride,  # type: ignore[arg-type]
        first.padding,  # type: ignore[arg-type]
        bias=first.bias is not None,
    )
    with torch.no_grad():
        new.weight.copy_(first.weight.sum(dim=1, keepdim=True))
        if new.bias is not None and first.bias is not None:
            new.bias.copy_(first.bias)
    owner, _, last = name.rpartition(".")
    setattr(network.get_submodule(owner), last, new)


def _check_known(library: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        near = difflib.get_close_matches(name[:80], known, n=NEAREST, cutoff=0.5)
        hint = f"; the nearest known: {', '.join(near)}" if near else ""
        raise BenchbiasError(f"{library} has no model {name!r:.80}{hint} ({len(known):,} are known)")


def _made(what: str, input_shape: tuple[int, int, int], build: Callable[[], Any]) -> nn.Module:
    """The network that the library builds; its objections become one message, a BenchbiasError."""
    try:
        network: nn.Module = build()
    except (ValueError, TypeError, AssertionError, RuntimeError, IndexError) as error:
        raise BenchbiasError(f"{what} does not take images of {_text(input_shape)}: {_first_line(error)}") from None
    return network


def _checked(network: nn.Module, what: str, input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    """Refuse a network that cannot take such images, makes other logits, or uses layers that nobody can watch.

    A layer whose weights are used without a call of it would count nothing, and its units could not be removed.
    """
    layers = {m: name for name, m in network.named_modules() if isinstance(m, nn.Linear | nn.modules.conv._ConvNd)}
    called: dict[nn.Module, Tensor] = {}

    def watch(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        called[module] = args[0]

    handles = [layer.register_forward_hook(watch) for layer in layers]
    modes = [(module, module.training) for module in network.modules()]
    try:
        with torch.no_grad():
            logits = network.eval()(torch.zeros(1, *input_shape))
    except (ValueError, TypeError, AssertionError, RuntimeError, IndexError) as error:
        raise BenchbiasError(f"{what} cannot take images of {_text(input_shape)}: {_first_line(error)}") from None
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes:
            module.training = training
    if not isinstance(logits, Tensor) or logits.shape != (1, num_classes):
        made = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise BenchbiasError(f"{what} is no classifier here: it makes {made}, not logits (1, {num_classes})")
    unseen = [name for layer, name in layers.items() if layer not in called]
    if unseen:
        raise BenchbiasError(
            f"{what} uses {', '.join(unseen[:3])} without calling them as layers: what is pruned of "
            "them, and its cost, could not be counted"
        )
    changed = [name for layer, name in layers.items() if not _uses_its_weight(layer, called[layer])]
    if changed:
        raise BenchbiasError(
            f"{what}: {', '.join(changed[:3])} make other weights of theirs in a forward pass: one that is set to zero "
            "would not be gone"
        )
    return network


def _uses_its_weight(layer: nn.Module, inputs: Tensor) -> bool:
    """Whether a layer's output is linear in its weight: not so where it standardises it first."""
    if type(layer) in (nn.Conv2d, nn.Linear) or not isinstance(layer.weight, Tensor):
        return True
    twin: Any = copy.deepcopy(layer)
    with torch.no_grad():
        whole = twin(torch.ones_like(inputs))
        twin.weight.mul_(2)
        double = twin(torch.ones_like(inputs))
        twin.weight.zero_()
        bias = twin(torch.ones_like(inputs))
    return bool(torch.allclose(double - bias, 2 * (whole - bias), rtol=1e-3, atol=1e-4))


def _text(input_shape: tuple[int, int, int]) -> str:
    return "x".join(map(str, input_shape))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
