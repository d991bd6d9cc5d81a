"""FLOPs counted by dispatch: each product that torch runs, by torch's own formulas, wherever it is called from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode
from torch.utils.flop_counter import flop_registry

from benchbias.network.formulas import FORMULAS


class ProductCounter(TorchDispatchMode, ABC):  # type: ignore[no-untyped-call]
    """Counts the FLOPs of products and convolutions while it is on: two for a multiplication and its addition.

    Formulas are those of torch.utils.flop_counter, and FORMULAS for operators that it lacks.
    """

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.whole: set[Any] = set()  # operators that are made of no others

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: torch would import its compiler at the first operator, which takes seconds in every worker."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        packet = getattr(func, "_overloadpacket", func)
        formula = flop_registry.get(packet) or FORMULAS.get(packet)
        if formula is None and func not in self.whole and hasattr(func, "decompose"):
            with self:  # an operator made of others, which inference mode hands over whole
                made = func.decompose(*args, **kwargs)
            if made is not NotImplemented:
                return made
            self.whole.add(func)
        out = func(*args, **kwargs)
        if formula is None:
            self.passed(func, args, kwargs, out)
        else:
            self.product(int(formula(*args, **kwargs, out_val=out)), packet, args, kwargs)
        return out

    @abstractmethod
    def product(self, flops: int, operator: Any, args: Any, kwargs: Any) -> None:
        """Note a product; a subclass says under what."""

    def passed(self, func: Any, args: Any, kwargs: Any, out: Any) -> None:
        """Note any other operator; nothing by default."""


class WorkCounter(ProductCounter):  # type: ignore[no-untyped-call]
    """The FLOPs of work with gradients: passes forward while gradients are on, and all passes backward.

    A pass under no_grad is a reading and costs nothing, as does all that runs in `uncounted`. steps: of optimizers.
    """

    def __init__(self) -> None:
        super().__init__()
        self.forward = self.backward = self.steps = 0

    def product(self, flops: int, operator: Any, args: Any, kwargs: Any) -> None:
        if torch._C._current_graph_task_id() != -1:
            self.backward += flops
        elif torch.is_grad_enabled():
            self.forward += flops

    @property
    def flops(self) -> int:
        """The FLOPs of the work; 0 where nothing went backward: then it has only read."""
        return self.forward + self.backward if self.backward else 0


@contextmanager
def uncounted() -> Iterator[None]:
    """Take the counter off for the block, if one is on: what runs here is counted otherwise, or only reads."""
    counter = _get_current_dispatch_mode()
    if not isinstance(counter, WorkCounter):
        yield
        return
    counter.__exit__(None, None, None)  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        counter.__enter__()  # type: ignore[no-untyped-call]


@contextmanager
def counted_work(*, in_step: bool = False) -> Iterator[WorkCounter]:
    """Count the work with gradients of the block, and the steps of optimizers in it.

    in_step: whether the block runs inside an optimizer's step, where torch lets nobody watch others: none are counted.
    """
    work = WorkCounter()

    def note(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        work.steps += _get_current_dispatch_mode() is work

    handle = None if in_step else register_optimizer_step_post_hook(note)
    try:
        with uncounted(), work:
            yield work
    finally:
        if handle is not None:
            handle.remove()
