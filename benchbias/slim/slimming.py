"""A network cut to the units that it needs, tried after each cut: a cut that changes a logit is taken back."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchbias.network.inspect import evaluating
from benchbias.slim.groups import Channels, channel_groups, dependency_graph, zero_rows
from benchbias.slim.zeros import live_inputs

TOLERANCE = 1e-5  # of a logit, absolute and relative to the largest: other sums round otherwise
SCALES = (1.0, 10.0, 100.0, 1000.0)  # standard deviations of random images that each cut is tried on too
TRIED = 4  # images of each
SIZE_NAMES = ("in_channels", "out_channels", "groups", "in_features", "out_features", "num_features", "num_parameters")
"""Numbers of torch's layers that slimming changes."""
Sizes = Mapping[str, Mapping[str, int]]
"""Numbers that a layer was made with and that are others now, e.g. {"conv1": {"out_channels": 3}}."""


@dataclass(frozen=True)
class Left:
    """Removed units of a layer that stay as zeros: how many, and the reason."""

    layer: str
    units: int
    why: str

    def __str__(self) -> str:
        stay = "removed unit stays" if self.units == 1 else "removed units stay"
        return f"{self.layer}: {self.units} {stay} as zeros: {self.why}"


@dataclass(frozen=True, eq=False)
class Slimmed:
    """A network cut to a smaller one that gives the same logits.

    before, after: parameters. cut: units of a layer before and after, of those that lost some. left: removed units
    that could not be cut out. sizes: what `resized` needs to give a new network of the same kind this form.
    """

    model: nn.Module
    before: int
    after: int
    cut: Mapping[str, tuple[int, int]]
    left: tuple[Left, ...]
    sizes: Sizes

    def __str__(self) -> str:
        """E.g. `61,326 of 62,006 parameters, 2 layers cut`."""
        layers = f"{len(self.cut)} {'layer' if len(self.cut) == 1 else 'layers'} cut"
        return f"{self.after:,} of {self.before:,} parameters, {layers}"


def slimmed(model: nn.Module, images: Tensor) -> Slimmed:
    """Cut every unit out of a copy of a network that no logit depends on. images (N, C, H, W): to try it on.

    Units are those whose weights are zero, or that nobody reads. Raises UsageError where torch-pruning is absent, or
    cannot follow a network in which there is something to cut.
    """
    slim = copy.deepcopy(model).eval()
    slim.requires_grad_(True)  # the graph is read off gradients
    before = {name: _numbers(module) for name, module in slim.named_modules()}
    units = {name: _units(module) for name, module in slim.named_modules()}
    images = torch.cat([images, _strong(images)])
    wanted = _logits(slim, images)
    graph = dependency_graph(slim, images[:1])
    why: dict[str, str] = {}
    for channels in channel_groups(graph, slim, live_inputs(slim, tuple(images.shape[1:]))):
        failed = _cut(graph, slim, channels, images, wanted)
        why |= dict.fromkeys(channels.layers, failed or channels.why)
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    for name, parameter in slim.named_parameters():
        parameter.requires_grad_(name not in frozen)
    cut = {name: (units[name], now) for name, module in slim.named_modules() if (now := _units(module)) != units[name]}
    sizes = {
        name: changed
        for name, module in slim.named_modules()
        if (changed := {key: value for key, value in _numbers(module).items() if before[name].get(key) != value})
    }
    return Slimmed(slim, _count(model), _count(slim), cut, tuple(_left(slim, why)), sizes)


def resized(model: nn.Module, tensors: Mapping[str, Tensor], sizes: Sizes) -> None:
    """Give a network the form of a slimmed one of its kind, in place, and put these tensors into it.

    Raises RuntimeError where they do not fit.
    """
    for name, numbers in sizes.items():
        layer = model.get_submodule(name)
        for key, value in numbers.items():
            setattr(layer, key, value)
    for name, tensor in tensors.items():
        owner, _, last = name.rpartition(".")
        layer = model.get_submodule(owner)
        old = getattr(layer, last)
        if old.shape != tensor.shape:
            new = tensor.to(old.device).clone()
            setattr(layer, last, nn.Parameter(new) if isinstance(old, nn.Parameter) else new)
    model.load_state_dict(dict(tensors))


def _cut(graph: Any, model: nn.Module, channels: Channels, images: Tensor, wanted: Tensor) -> str | None:
    """Cut the removable channels of a group; the reason is returned where that cannot be, and nothing is changed."""
    removable = list(channels.removable)
    if not removable:
        return None
    pruner = graph.get_pruner_of_module(channels.root).prune_out_channels
    try:
        group = graph.get_pruning_group(channels.root, pruner, removable)
        with _restored(item.dep.target.module for item in group.items) as keep:
            group.prune()
            found = _logits(model, images)
            if found.shape != wanted.shape:
                return f"cut out they change the shape of the logits to {tuple(found.shape)}"
            if not _close(found, wanted):
                apart = (found - wanted).abs()
                return f"cut out they change a logit by {float(apart.nan_to_num().max()):.2g}"
            keep()
    except Exception as error:  # whatever a network makes of other shapes
        first = str(error).splitlines()[0] if str(error) else ""
        return f"without them the network does not run ({type(error).__name__}: {first:.120})"
    return None


@contextmanager
def _restored(modules: Iterable[Any]) -> Iterator[Any]:
    """Put modules back as they are now, unless what is given is called."""
    kept = False
    own = {
        id(module): (module, dict(module.__dict__), dict(module._parameters), dict(module._buffers))
        for module in modules
        if isinstance(module, nn.Module)
    }

    def keep() -> None:
        nonlocal kept
        kept = True

    try:
        yield keep
    finally:
        if not kept:
            for module, attributes, parameters, buffers in own.values():
                module.__dict__.update(attributes)
                module._parameters.clear()
                module._parameters.update(parameters)
                module._buffers.clear()
                module._buffers.update(buffers)


def _strong(images: Tensor) -> Tensor:
    """Random images up to a thousand times as large as real ones, of both signs: they wake units that real ones do not.

    A unit behind a higher threshold sleeps on all of them.
    """
    random = torch.Generator().manual_seed(0)
    drawn = torch.cat([scale * torch.randn(TRIED, *images.shape[1:], generator=random) for scale in SCALES])
    return drawn.to(images)


def _left(slim: nn.Module, why: Mapping[str, str]) -> Iterator[Left]:
    """The layers of a slimmed network that have units of zeros."""
    for name, module in slim.named_modules():
        if _units(module) and (rest := int(zero_rows(module).sum())):
            yield Left(name, rest, why.get(name, "Torch-Pruning does not follow this layer"))


def _logits(model: nn.Module, images: Tensor) -> Tensor:
    with evaluating(model):
        found: Tensor = model(images).float()
    return found


def _close(found: Tensor, wanted: Tensor) -> bool:
    """Whether the logits of each image are the same, by its own largest; images that are too large are left out."""
    usable = torch.isfinite(wanted).flatten(1).all(dim=1)
    found, wanted = found[usable].flatten(1), wanted[usable].flatten(1)
    allowed = TOLERANCE * wanted.abs().amax(dim=1, keepdim=True).clamp(min=1.0)
    return bool(torch.isfinite(found).all()) and bool(((found - wanted).abs() <= allowed).all())


def _numbers(module: nn.Module) -> dict[str, int]:
    """The whole numbers that a module was made with, e.g. out_channels, groups."""
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, int) and not isinstance(value, bool) and not name.startswith("_")
    }


def _units(module: nn.Module) -> int:
    """The output units of a layer; 0 of any other module."""
    found = getattr(module, "out_channels", getattr(module, "out_features", 0))
    layer = isinstance(module, nn.Linear | nn.modules.conv._ConvNd)
    return found if layer and isinstance(found, int) else 0


def _count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
