"""Looking at a model without changing it: eval mode, no gradients, every module's own mode restored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode and no gradients within the block; afterwards each module is in the mode that it was in.

    (A plugin may have frozen a batch norm in eval mode: `model.train(flag)` would set it to training again.)
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training
