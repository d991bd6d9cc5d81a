"""The weights of a model: one name for each, the layers that use it, and what of all matrices pruning reaches."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

ROWS = (nn.Linear, nn.modules.conv._ConvNd, nn.Bilinear)
"""Layers whose units are the rows of their weight, but for transposed convolutions."""


@dataclass(frozen=True)
class LayerWeight:
    """One weight that can be pruned: its tensor, and the names of the layers that it belongs to (tied: several).

    rows: whether its rows are output units, of every one of these layers.
    """

    parameter: nn.Parameter
    layers: tuple[str, ...]
    rows: bool


def layer_weights(model: nn.Module) -> dict[str, LayerWeight]:
    """The weights that can be pruned, by the first name that the model has for each, in the order of its layers.

    Those of linear and bilinear layers, convolutions, recurrent layers and cells, and nn.MultiheadAttention.
    """
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found: dict[str, LayerWeight] = {}
    for layer, module in model.named_modules():
        for parameter in _own_weights(module):
            name = names[id(parameter)]
            other = found.get(name)
            layers = (*other.layers, layer) if other is not None else (layer,)
            rows = _by_rows(module) and (other is None or other.rows)
            found[name] = LayerWeight(parameter, layers, rows)
    return found


def weight_names(module: nn.Module) -> tuple[str, ...]:
    """The names of the weights of a layer that can be pruned, in the layer itself."""
    if isinstance(module, ROWS):
        return ("weight",)
    if isinstance(module, nn.RNNBase):
        return tuple(name for name in module._flat_weights_names if name.startswith("weight"))
    if isinstance(module, nn.RNNCellBase):
        return ("weight_ih", "weight_hh")
    if isinstance(module, nn.MultiheadAttention):
        return ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")  # those that it has
    return ()


def _own_weights(module: nn.Module) -> Iterator[nn.Parameter]:
    for name in weight_names(module):
        parameter = getattr(module, name, None)
        if isinstance(parameter, nn.Parameter):
            yield parameter


def _by_rows(module: nn.Module) -> bool:
    return isinstance(module, ROWS) and not isinstance(module, nn.modules.conv._ConvTransposeNd)


def load_state(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put all of a model's tensors into it; with its own versions of layers, which some ask for when they load."""
    state = model.state_dict()
    state.update(tensors)
    model.load_state_dict(state)


def unreached(model: nn.Module, used: Collection[str]) -> list[str]:
    """The names of the matrices among `used` that pruning does not reach: embeddings, bare parameters.

    A matrix has two dimensions or more that are larger than one.
    """
    reached = layer_weights(model)
    return [
        name
        for name, parameter in model.named_parameters()
        if name in used and name not in reached and sum(size > 1 for size in parameter.shape) > 1
    ]
