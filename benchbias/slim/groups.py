"""Channels that can only be cut together: whose rows make them, what reads them, and which of them nobody misses."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchbias.errors import UsageError

INSTALL = "benchbias[pruning]"
PASSED = ("CONV", "DEPTHWISE_CONV", "LINEAR", "BN", "PRELU", "CONCAT", "SPLIT", "RESHAPE", "ELEMENTWISE", "SLICE")
"""Kinds of Torch-Pruning's graph through which a channel of zeros can go, or can be taken out."""
NAMED = {"LN": "a layer norm", "GN": "a group norm", "MHA": "nn.MultiheadAttention", "PARAMETER": "a bare parameter"}
"""Kinds through which it cannot, as a message calls them."""


@dataclass(frozen=True)
class Channels:
    """Channels that go together, by their number in the first of their layers.

    layers: the names of those whose rows make them. removable: the numbers that nobody misses. why: the reason why
    other channels of zeros stay.
    """

    root: nn.Module
    layers: tuple[str, ...]
    removable: tuple[int, ...]
    why: str


def dependency_graph(model: nn.Module, images: Tensor) -> Any:
    """Torch-Pruning's graph of a network. Raises UsageError where the package is absent or cannot follow the network.

    images (N, C, H, W).
    """
    try:
        import torch_pruning
    except ImportError as error:
        raise UsageError(f"slimming needs torch-pruning ({error}): pip install '{INSTALL}'") from None
    try:
        with torch.enable_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch_pruning.DependencyGraph().build_dependency(model, images, verbose=False)
    except Exception as error:  # whatever a network makes it raise
        told = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        raise UsageError(f"Torch-Pruning cannot follow this network ({told:.200})") from None


def channel_groups(graph: Any, model: nn.Module, live: Mapping[str, Tensor]) -> list[Channels]:
    """All channels of a network's convolutions and linear layers, group by group.

    live: the input channels of each layer that can be other than zero (`zeros.live_inputs`).
    """
    names = {module: name for name, module in model.named_modules()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [_channels(graph, group, names, live) for group in list(graph.get_all_groups())]


def _channels(graph: Any, group: Any, names: Mapping[nn.Module, str], live: Mapping[str, Tensor]) -> Channels:
    root = group[0].dep.target.module
    count = len(group[0].idxs)
    made: list[str] = []
    free, read = torch.ones(count, dtype=torch.bool), False
    for item in group.items:
        module, own = item.dep.target.module, [int(index) for index in item.idxs]
        if not isinstance(module, nn.Linear | nn.modules.conv._ConvNd):
            continue
        if graph.is_out_channel_pruning_fn(item.dep.handler):
            made.append(names[module])
        elif not _filters(module):
            read = True
            missed = _missed(module, live.get(names[module]))
            for index, place in zip(own, item.root_idxs, strict=True):
                free[int(place)] &= not bool(missed[index]) if index < len(missed) else False
    refused = _refused(group, names) or ("" if read else "no layer reads them: they are the network's answers")
    removable = () if refused else tuple(free.nonzero().flatten().tolist())
    every = len(removable) == count
    return Channels(root, tuple(made), removable[int(every) :], refused or _why(made, every))


def _filters(module: nn.Module) -> bool:
    """Whether a layer makes each channel of that channel alone: then others read it."""
    return isinstance(module, nn.modules.conv._ConvNd) and module.groups == module.out_channels > 1


def zero_rows(module: nn.Module) -> Tensor:
    """The units of a layer whose weights are zero, bias and all, bool (O,)."""
    weight, bias = _weight(module).detach(), module.bias
    if isinstance(module, nn.modules.conv._ConvTransposeNd):  # (I, O / groups, ...): inputs are the rows
        by_group = weight.reshape(module.groups, -1, weight.shape[1], math.prod(weight.shape[2:]))
        zero = ~(by_group != 0).any(dim=3).any(dim=1).flatten()
    else:
        zero = ~(weight != 0).flatten(1).any(dim=1)
    return zero & (bias.detach() == 0) if isinstance(bias, Tensor) else zero


def _weight(module: nn.Module) -> Tensor:
    weight = module.weight
    assert isinstance(weight, Tensor)
    return weight


def _missed(module: nn.Module, live: Tensor | None) -> Tensor:
    """The input channels of a layer that are not always zero and that a weight of it reads, bool (I,)."""
    used = _weight(module).detach() != 0
    groups = module.groups if isinstance(module, nn.modules.conv._ConvNd) else 1
    if isinstance(module, nn.modules.conv._ConvTransposeNd):
        reads = used.flatten(1).any(dim=1)
    else:  # (O, I / groups, ...): the rows of each group read its own channels
        reads = used.reshape(groups, -1, used.shape[1], math.prod(used.shape[2:])).any(dim=3).any(dim=1).flatten()
    return reads if live is None else reads & live.to(reads.device)


def _refused(group: Any, names: Mapping[nn.Module, str]) -> str:
    """The reason why no channel of a group can be cut, or an empty text."""
    for item in group.items:
        kind = item.dep.target.type.name
        if kind not in PASSED:
            called = names.get(item.dep.target.module) if isinstance(item.dep.target.module, nn.Module) else None
            what = NAMED.get(kind, f"an operation ({kind.lower()})")
            return f"{what}{f' ({called})' if called else ''} uses all of these channels"
    return ""


def _why(made: Sequence[str], every: bool) -> str:
    if every:
        return "all units are removed, and a layer cannot be without one"
    if len(made) > 1:
        return f"these channels are sums: {', '.join(made)} are added or read together, and not all of them are zero"
    return "what follows makes a constant other than zero of them: a bias, or a norm that goes with no removed unit"
