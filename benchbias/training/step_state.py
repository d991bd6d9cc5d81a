"""The state that a training step moves, copied, put back and compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from benchbias.training.stepping import Stepping


@dataclass(frozen=True)
class StepState:
    """Model, optimizer, further tensors and the random numbers of the device, as they were.

    tensors: the live ones, by what they are. values: copies of them. stream: the state of the device's generator.
    """

    tensors: Mapping[str, Tensor]
    values: Mapping[str, Tensor]
    device: torch.device
    stream: Tensor

    @staticmethod
    def of(stepping: Stepping, further: Sequence[Tensor]) -> StepState:
        """Copy all that a step may move."""
        model, optimizer = stepping.model, stepping.optimizer
        tensors = {f"parameter {name}": value.detach() for name, value in model.named_parameters()}
        tensors |= {f"buffer {name}": value for name, value in model.named_buffers()}
        for at, parameter in enumerate(stepping.parameters):
            state = optimizer.state.get(parameter, {})
            tensors |= {f"{key} of weight {at}": value for key, value in state.items() if isinstance(value, Tensor)}
        tensors |= {f"weight {at}": parameter.detach() for at, parameter in enumerate(stepping.parameters)}
        tensors |= {f"sum {at}": value for at, value in enumerate(further)}
        device = stepping.data.train.labels.device
        return StepState(tensors, {name: value.clone() for name, value in tensors.items()}, device, _stream(device))

    def put_back(self) -> None:
        """Give every tensor, where it lies, and the generator what they had."""
        with torch.no_grad():
            for name, tensor in self.tensors.items():
                tensor.copy_(self.values[name])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(self.stream, self.device)
        else:
            torch.set_rng_state(self.stream)

    def difference(self, other: StepState) -> str | None:
        """The first thing that is not the same in another state, in words; None where all is."""
        for name, value in self.values.items():
            if name not in other.values or not torch.equal(value, other.values[name]):
                return name
        if len(other.values) != len(self.values):
            return "the optimizer's state"
        return None if torch.equal(self.stream, other.stream) else "the random numbers of the device"


def _stream(device: torch.device) -> Tensor:
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()
