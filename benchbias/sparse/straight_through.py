"""Straight-through masks: binary draws that pass their relaxation's gradient, and a model under given weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call


def sample_mask(logits: Tensor, generator: torch.Generator, *, temperature: float = 1.0) -> Tensor:
    """Draw a mask that keeps each weight with probability sigmoid(logit), whose gradient is a relaxation's.

    logits: float, of any shape; the mask is float of that shape, exactly 0 or 1. The relaxation is the
    Gumbel-sigmoid s = sigmoid((logit + L) / temperature), L = log u - log(1 - u) logistic noise, the difference of
    two Gumbels (Maddison et al., 2017); the mask is 1 where s > 1/2, and d mask / d logit = s (1 - s) / temperature
    (straight through, Bengio et al., 2013).
    """
    uniform = torch.rand(logits.shape, generator=generator, dtype=logits.dtype).to(logits.device)
    noisy = logits + torch.logit(uniform)
    soft = torch.sigmoid(noisy / temperature)
    return (noisy > 0).to(logits.dtype) + (soft - soft.detach())  # the bracket is exactly 0


def logits_under(model: nn.Module, weights: Mapping[str, Tensor], images: Tensor) -> Tensor:
    """The answers of a model to images (B, C, H, W) with other weights, by parameter name: float (B, K).

    Gradients flow to these weights. The model stays as it is, and so do its buffers: batch-norm statistics of the
    other network do not get into it.
    """
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    answers: Tensor = functional_call(model, {**buffers, **weights}, (images,))
    return answers
