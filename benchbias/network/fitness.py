"""A new model held against what the core relies on: what does not fit is one message, before any training."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize, prune
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from benchbias.errors import BenchbiasError, ComponentError, Skip, first_line
from benchbias.network.weights import weight_names

COMPUTING = (WeightNorm, SpectralNorm, prune.BasePruningMethod)
"""Hooks of torch that compute a weight anew before each pass."""
SHOWN = 4  # names that a message tells
IMAGES = 2  # of the passes that are tried: batch norm cannot train on one


def check_model(model: nn.Module, what: str, input_shape: tuple[int, ...], num_classes: int) -> None:
    """Refuse a model that cannot be stored, masked, trained or scored, saying why. Raises ComponentError.

    what: its name in messages. The model stays as it is: passes are tried on a copy.
    """
    for find in (_unshaped, _scripted, _computed, _stateful, _unfit_parameters):
        fault = find(model)
        if fault is not None:
            raise ComponentError(f"{what}: {fault}")
    twin = _copied(model, what)
    device = next(model.parameters()).device
    images = torch.rand((IMAGES, *input_shape), generator=torch.Generator().manual_seed(0)).to(device)
    for mode in ("eval", "training"):
        twin.train(mode == "training")
        _check_logits(_answers(twin, what, images), f"{what} in {mode} mode", (IMAGES, num_classes))


def _unshaped(model: nn.Module) -> str | None:
    tensors: Iterable[tuple[str, Tensor]] = (*model.named_parameters(), *model.named_buffers())
    lazy = [name for name, tensor in tensors if is_lazy(tensor)]
    if not lazy:
        return None
    return f"lazy layers have no shapes yet ({_names(lazy)}): pass one batch through the model before it is returned"


def _scripted(model: nn.Module) -> str | None:
    found = [name or type(layer).__name__ for name, layer in model.named_modules() if _is_scripted(layer)]
    if not found:
        return None
    return f"layers of torch.jit cannot be masked or counted ({_names(found)}): give the model without script or trace"


def _is_scripted(layer: nn.Module) -> bool:
    return isinstance(layer, torch.jit.ScriptModule)


def _computed(model: nn.Module) -> str | None:
    found = list(_computing_layers(model))
    if not found:
        return None
    return (
        f"layers whose weight is computed from other tensors in each pass cannot be masked ({_names(found)}): remove "
        "weight norm, spectral norm, parametrizations or torch's pruning before the model is returned"
    )


def _computing_layers(model: nn.Module) -> Iterator[str]:
    for name, module in model.named_modules():
        values = [module.__dict__.get(own, module._buffers.get(own)) for own in weight_names(module)]
        hooks = (*module._forward_pre_hooks.values(), *module._forward_hooks.values())
        if (
            parametrize.is_parametrized(module)
            or any(isinstance(hook, COMPUTING) for hook in hooks)
            or any(isinstance(value, Tensor) for value in values)
        ):
            yield name or type(module).__name__


def _stateful(model: nn.Module) -> str | None:
    try:
        state: Mapping[str, object] = model.state_dict()
    except Exception as error:
        return f"its state cannot be read: {first_line(error)}"
    odd = [name for name, value in state.items() if not isinstance(value, Tensor)]
    if not odd:
        return None
    return f"its state holds more than tensors, which is not stored ({_names(odd)}): keep it out of get_extra_state"


def _unfit_parameters(model: nn.Module) -> str | None:
    parameters = dict(model.named_parameters())
    if not parameters:
        return "it has no parameter: nothing can be trained"
    odd = [name for name, parameter in parameters.items() if not parameter.is_floating_point()]
    if odd:
        return f"parameters are float tensors, not complex ones or integers: {_names(odd)}"
    infinite = [name for name, parameter in parameters.items() if not bool(torch.isfinite(parameter).all())]
    if infinite:
        return f"initial weights are not finite: {_names(infinite)}"
    if not any(parameter.requires_grad for parameter in parameters.values()):
        return "all its parameters are frozen (requires_grad is False): nothing can be trained"
    return None


def _copied(model: nn.Module, what: str) -> nn.Module:
    try:
        return copy.deepcopy(model)
    except Exception as error:
        raise ComponentError(f"{what}: it cannot be copied, as pruners need: {first_line(error)}") from None


def _answers(model: nn.Module, what: str, images: Tensor) -> object:
    """The model's answers to images (B, C, H, W). Raises ComponentError for whatever it raises."""
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[images.device] if images.is_cuda else []):
            return model(images)
    except (BenchbiasError, Skip):
        raise
    except Exception as error:
        size = "x".join(map(str, images.shape[1:]))
        mode = "training" if model.training else "eval"
        raise ComponentError(
            f"{what} in {mode} mode does not take float32 images of {size}: {type(error).__name__}: {first_line(error)}"
        ) from None


def _check_logits(logits: object, what: str, shape: tuple[int, int]) -> None:
    wanted = f"a model answers with one float tensor of logits (images, classes), here {shape}"
    if not isinstance(logits, Tensor):
        raise ComponentError(f"{what} answers with a {type(logits).__name__}: {wanted}")
    if not logits.is_floating_point():
        raise ComponentError(f"{what} answers with {str(logits.dtype).removeprefix('torch.')} numbers: {wanted}")
    if tuple(logits.shape) != shape:
        raise ComponentError(f"{what} answers with the shape {tuple(logits.shape)}: {wanted}")


def _names(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
