"""Looking at a model without changing it: eval mode, no gradients, every module's own mode restored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from benchbias.errors import ComponentError
from benchbias.network.counting import uncounted


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode and no gradients within the block; afterwards each module is in the mode that it was in.

    (A plugin may have frozen a batch norm in eval mode: `model.train(flag)` would set it to training again.)
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad(), uncounted():
            yield
    finally:
        for module, training in modes:
            module.training = training


Watch = Callable[[nn.Module, tuple[Any, ...], dict[str, Any], Any], None]
"""Told of a module's call: (module, positional arguments, keyword arguments, output)."""


def look(model: nn.Module, images: Tensor, modules: Iterable[nn.Module], watch: Watch) -> None:
    """Run one forward pass in eval mode and tell `watch` of every call of `modules`, in order."""
    handles = [module.register_forward_hook(watch, with_kwargs=True) for module in modules]
    try:
        with evaluating(model):
            model(images)
    finally:
        for handle in handles:
            handle.remove()


def head_name(model: nn.Module, images: Tensor) -> str:
    """The name of the last nn.Linear called in a forward pass of images (1, C, H, W).

    A model may name another layer in an attribute `head_name`. Raises ComponentError if there is none.
    """
    named = getattr(model, "head_name", None)
    if isinstance(named, str):
        return named
    called: list[str] = []
    linears = {module: name for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    look(model, images, linears, lambda module, args, kwargs, output: called.append(linears[module]))  # type: ignore[index]
    if not called:
        raise ComponentError("the model calls no nn.Linear: name its head in an attribute `head_name`")
    return called[-1]
