"""Networks of one form as one: every parameter and buffer with a first axis over the networks."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap


class Stack:
    """Networks of one form as one: every parameter and buffer with a first axis over the members."""

    def __init__(self, models: Sequence[nn.Module], chosen: Sequence[str]) -> None:
        self.models = models
        self.base = copy.deepcopy(models[0]).to("meta")
        self.parameters, self.buffers = stack_module_state(list(models))
        self.chosen = [self.parameters[name] for name in chosen]

    def logits(self, images: Tensor) -> Tensor:
        """The answers of all members to their own images (M, B, C, H, W): (M, B, K)."""

        def one(parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor], images: Tensor) -> Tensor:
            answer: Tensor = functional_call(self.base, (dict(parameters), dict(buffers)), (images,))
            return answer

        answers: Tensor = vmap(one, randomness="error")(self.parameters, self.buffers, images)
        return answers

    @torch.no_grad()
    def write_back(self, number: int) -> nn.Module:
        """One member's network, with its weights and buffers as they are now."""
        model = self.models[number]
        for tensors, stacked in ((model.named_parameters(), self.parameters), (model.named_buffers(), self.buffers)):
            for name, tensor in tensors:
                tensor.copy_(stacked[name][number])
        return model

    @torch.no_grad()
    def read_in(self, number: int) -> None:
        """Take over what a caller has changed of a member's network."""
        model = self.models[number]
        for tensors, stacked in ((model.named_parameters(), self.parameters), (model.named_buffers(), self.buffers)):
            for name, tensor in tensors:
                stacked[name][number].copy_(tensor)
