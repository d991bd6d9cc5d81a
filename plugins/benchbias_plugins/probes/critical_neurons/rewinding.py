"""Layer rewinding: one layer is put back to an earlier epoch, the others stay as they are."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Annotated

import torch

from benchbias import BenchbiasError, Compared, Range, Skip, change_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from benchbias import BiasedDataset, Change, ProbeContext, Table


def layer_rewinding(
    model: nn.Module,
    data: BiasedDataset,
    context: ProbeContext,
    *,
    epochs_back: tuple[int, ...] = (5, 10, 20, 30, 40),
    controls: Annotated[int, Range(0, 1000)] = 10,
    split: str = "test",
) -> Table:
    """Rewind each layer and measure what changes in each group, beside random steps of the same length in that layer.

    A layer is a module with parameters of its own: all of them go back, and its buffers. An epoch is one of the stage
    that made the model and must be among its `keep_epochs`. As many as were trained lead to what the stage began
    from. Depths before that are left out. sensitive: the group's accuracy moves by more than a point.
    """
    if any(back < 0 for back in epochs_back):
        raise BenchbiasError(f"epochs_back: numbers from 0, not {epochs_back}")
    own = copy.deepcopy(model)
    now = {name: tensor.detach().clone() for name, tensor in own.state_dict().items()}
    parameters = {name for name, _ in own.named_parameters()}
    before = context.answers(own, split)

    def changes(values: Mapping[str, Tensor]) -> dict[str, Change]:
        own.load_state_dict({**now, **values})
        return before.changes(context.answers(own, split))

    found = []
    for back in epochs_back:
        if back > context.trained_epochs:
            continue
        earlier = context.checkpoint(context.trained_epochs - back).state_dict() if back else now
        for layer, names in layers_of(own).items():
            rewound = {name: earlier[name].detach() for name in names}
            learnt = {name: rewound[name] for name in names if name in parameters}
            found.append(
                Compared(
                    {"layer": layer, "epochs back": str(back)},
                    [changes(rewound)],
                    [changes(random_steps(now, learnt, context.generator)) for _ in range(controls)],
                    {"distance": distance(now, learnt)},
                )
            )
    if not found:
        raise Skip(f"the model's stage has {context.trained_epochs} epochs: none of {epochs_back} can be gone back")
    return change_table(found, f"One layer rewound. Split: {split}.")


def layers_of(model: nn.Module) -> dict[str, list[str]]:
    """The names of each layer's tensors, parameters and buffers, by the layer's name."""
    found = {}
    for name, module in model.named_modules():
        if next(module.parameters(recurse=False), None) is not None:
            prefix = f"{name}." if name else ""
            tensors = (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
            found[name or "model"] = [prefix + own for own, _ in tensors if prefix + own in model.state_dict()]
    return found


def random_steps(
    now: Mapping[str, Tensor], then: Mapping[str, Tensor], generator: torch.Generator
) -> dict[str, Tensor]:
    """From each tensor a step in a random direction, as long as the rewinding's; zeros that stay zero take no part."""
    found = {}
    for name, tensor in then.items():
        step = torch.randn(tensor.shape, generator=generator).to(tensor)
        step = step * ((now[name] != 0) | (tensor != 0))  # what a mask has removed
        length = float(step.norm())
        scale = float((tensor - now[name]).norm()) / length if length else 0.0
        found[name] = now[name] + scale * step
    return found


def distance(now: Mapping[str, Tensor], then: Mapping[str, Tensor]) -> float:
    """The distance that a layer goes back, over its norm."""
    moved = torch.cat([(then[name] - now[name]).double().flatten() for name in then])
    size = float(torch.cat([now[name].double().flatten() for name in then]).norm())
    return float(moved.norm()) / size if size else 0.0
