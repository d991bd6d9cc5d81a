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
    """Run one forward pass in eval mode and call `watch` for every call of `modules`, in order."""
    handles = [module.register_forward_hook(watch, with_kwargs=True) for module in modules]
    try:
        with evaluating(model):
            model(images)
    finally:
        for handle in handles:
            handle.remove()


def head_name(model: nn.Module, images: Tensor) -> str:
    """The name of the last nn.Linear called in a forward pass of images (1, C, H, W).

    A model may name another layer in an attribute `head_name`. Raises ComponentError if there is none, and where that
    layer makes another number of outputs than there are logits: then something else makes these.
    """
    named = getattr(model, "head_name", None)
    if isinstance(named, str):
        return named
    called: list[tuple[str, int]] = []
    logits: list[int] = []
    linears = {module: name for name, module in model.named_modules() if isinstance(module, nn.Linear)}

    def watch(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        if isinstance(module, nn.Linear):
            called.append((linears[module], output.shape[-1]))
        if module is model:
            logits.append(output.shape[-1])

    look(model, images, dict.fromkeys((*linears, model)), watch)
    if not called:
        raise ComponentError("the model calls no nn.Linear: name its head in an attribute `head_name`")
    name, outputs = called[-1]
    if [outputs] != logits:
        raise ComponentError(
            f"the last nn.Linear that the model calls, {name!r}, makes {outputs} numbers and the model {logits[0]} "
            "logits: name its head in an attribute `head_name`"
        )
    return name
