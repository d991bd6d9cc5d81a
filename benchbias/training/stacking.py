"""Networks of one form as one: every parameter and buffer with a first axis over the networks."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from benchbias.data.values import TrainingData

TRIED = 8  # examples of each copy, in the step by which a network is tried
ROUNDING = 1e-6  # of the largest gradient, in float64: beyond it a stack computes something else


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


def refused(model: nn.Module, data: TrainingData) -> str | None:
    """Why a network cannot be stacked: random numbers inside, an operator, values that are other ones in a stack.

    None: it can. Found by a step forward and backward of two copies in float64, at once and one after another.
    """
    twins = [copy.deepcopy(model).double().train() for _ in range(2)]
    index = torch.arange(2 * min(TRIED, len(data.train) // 2), device=data.train.labels.device)
    batch = data.batch(data.train, index).images.double()
    images = batch.view(2, -1, *batch.shape[1:])  # (networks, B, C, H, W)
    try:
        with torch.random.fork_rng(devices=[images.device] if images.is_cuda else []):
            stack = Stack(twins, [])
            logits = stack.logits(images)
            if not isinstance(logits, Tensor) or logits.ndim != 3:
                return "its network does not answer with one tensor of logits"
            logits.square().sum().backward()  # type: ignore[no-untyped-call]
            for twin, own in zip(twins, images, strict=True):
                twin(own).square().sum().backward()
    except Exception as error:  # whatever a network of a user's raises here, it is trained alone
        return f"torch cannot stack its network: {(str(error).strip() or type(error).__name__).splitlines()[0][:200]}"
    return next((f"in a stack {what} comes out otherwise" for what in _other_values(stack, twins)), None)


def _other_values(stack: Stack, twins: Sequence[nn.Module]) -> Iterator[str]:
    """The buffers, and the gradients, that are others in a stack than of its networks alone."""
    largest = max(_largest(p.grad) for twin in twins for p in twin.parameters() if p.grad is not None)
    for number, twin in enumerate(twins):
        for name, buffer in twin.named_buffers():
            if not _alike(stack.buffers[name][number], buffer, _largest(buffer)):
                yield f"the buffer {name}"
        for name, parameter in twin.named_parameters():
            at_once = stack.parameters[name].grad
            one = torch.zeros_like(parameter) if at_once is None else at_once[number]
            other = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            if not _alike(one, other, largest):
                yield f"the gradient of {name}"


def _largest(tensor: Tensor) -> float:
    """The largest finite size of a tensor's values; 0 without any."""
    return float(tensor.detach().double().nan_to_num(0.0, 0.0, 0.0).abs().max()) if tensor.numel() else 0.0


def _alike(one: Tensor, other: Tensor, largest: float) -> bool:
    return torch.allclose(one.double(), other.double(), rtol=ROUNDING, atol=largest * ROUNDING, equal_nan=True)
