"""Adapter: the pruning methods of torch.nn.utils.prune, by name."""

from __future__ import annotations

import inspect
import pkgutil
from typing import TYPE_CHECKING, Annotated, Any, Literal

import torch
from torch import nn
from torch.nn.utils import prune

from benchbias import BenchbiasError, Mask, Range, hookimpl, removed_count

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from benchbias import PruneContext, Scores, TrainingData

    Weights = Mapping[str, nn.Parameter]

Method = Literal["l1_unstructured", "random_unstructured", "ln_structured", "random_structured"]

STRUCTURED: dict[str, tuple[type[prune.BasePruningMethod], tuple[str, ...]]] = {
    "ln_structured": (prune.LnStructured, ("n", "dim")),
    "random_structured": (prune.RandomStructured, ("dim",)),
}


def torch_prune(
    model: nn.Module,
    data: TrainingData,
    context: PruneContext,
    *,
    method: Method = "l1_unstructured",
    n: Annotated[float | None, Range(0, 100)] = None,
    dim: Literal[0, 1] | None = None,
    custom: str | None = None,
) -> Scores | Mask:
    """Prune by a criterion of torch.nn.utils.prune: scores that the core cuts exactly, or the library's own mask.

    method: scores of single weights or, structured with dim 0 (the default), of whole output units; dim 1 is a Mask
    of whole inputs with the library's rounding, layer by layer. n: of ln_structured's norm, 2 if not set. custom:
    "package.module:Class", a BasePruningMethod of an installed package in place of `method`: its own Mask, of all
    layers at once where it is unstructured and the budget is global, else layer by layer.
    """
    settings = {name: value for name, value in (("n", n), ("dim", dim)) if value is not None}
    takes = () if custom is not None else STRUCTURED.get(method, (None, ()))[1]
    for name in settings:
        if name not in takes:
            raise BenchbiasError(f"{custom or method} takes no {name!r} (it takes: {', '.join(takes) or 'nothing'})")
    weights = context.prunable(model)
    if custom is not None:
        return own_mask(method_class(custom), {}, weights, context)
    if method == "l1_unstructured":
        return {name: weight.abs() for name, weight in weights.items()}
    if method == "random_unstructured":
        return {name: uniform(weight.shape, context) for name, weight in weights.items()}
    if dim == 1:
        norm = {"n": 2.0 if n is None else n} if "n" in takes else {}
        return own_mask(STRUCTURED[method][0], {"dim": 1, **norm}, weights, context)
    if method == "random_structured":
        return {name: uniform(weight.shape[:1], context) for name, weight in weights.items()}
    order = 2.0 if n is None else n
    return {name: torch.linalg.vector_norm(weight.flatten(1), order, dim=1) for name, weight in weights.items()}


def uniform(shape: Sequence[int], context: PruneContext) -> Tensor:
    """Uniform random numbers from the method's own stream."""
    return torch.rand(shape, generator=context.generator, dtype=torch.float64)


def method_class(path: str) -> type[prune.BasePruningMethod]:
    """The class that "package.module:Class" names. Raises BenchbiasError. Only ever called in a worker."""
    try:
        found = pkgutil.resolve_name(path)
    except (ImportError, AttributeError, ValueError) as error:
        raise BenchbiasError(f'custom = "{path}": {error} (write "package.module:Class", installed here)') from None
    if not (isinstance(found, type) and issubclass(found, prune.BasePruningMethod)):
        raise BenchbiasError(f'custom = "{path}" is no class derived from torch.nn.utils.prune.BasePruningMethod')
    return found


def own_mask(
    method: type[prune.BasePruningMethod], settings: dict[str, Any], weights: Weights, context: PruneContext
) -> Mask:
    """The mask that a method of the library makes: of all weights as one vector, or of each layer.

    Its `amount`, where it takes one, is the fraction to remove of the weights still there, a float.
    """
    takes = inspect.signature(method).parameters.values()
    needed = {p.name for p in takes if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    missing = sorted(needed - {"amount", *settings})
    if missing:
        raise BenchbiasError(f"{method.__name__} needs {', '.join(missing)}: derive a class that sets them")
    tensors = {name: weight.detach().cpu() for name, weight in weights.items()}
    held = {name: torch.ones_like(tensor, dtype=torch.bool) for name, tensor in tensors.items()}
    if context.mask is not None:
        held |= {name: mask.cpu() for name, mask in context.mask.tensors.items() if name in held}
    counts = counts_for(method, context) if any(p.name == "amount" for p in takes) else {}
    with torch.random.fork_rng(devices=[]):  # the library draws from torch's stream
        torch.default_generator.manual_seed(int(torch.randint(2**62, (), generator=context.generator)))
        if counts is None:
            flat, there = (torch.cat([t.flatten() for t in part.values()]) for part in (tensors, held))
            keep = len(flat) - removed_count(len(flat), density=context.density)
            parts = torch.split(applied(method, settings, flat, there, keep), [t.numel() for t in tensors.values()])
            kept = {name: part.view(tensors[name].shape) for name, part in zip(tensors, parts, strict=True)}
        else:
            kept = {
                name: applied(method, settings, tensor, held[name], counts.get(name))
                for name, tensor in tensors.items()
            }
    rows = [mask.flatten(1) for mask in kept.values()]
    return Mask(kept, units=all(torch.equal(row.any(dim=1), row.all(dim=1)) for row in rows))


def counts_for(method: type[prune.BasePruningMethod], context: PruneContext) -> Mapping[str, int] | None:
    """How many weights of each layer a method should keep; None: it decides over all layers. Raises BenchbiasError."""
    if context.density is None:
        raise BenchbiasError("the stage must set sparsity or density")
    if context.counts is None and getattr(method, "PRUNING_TYPE", None) == "structured":
        raise BenchbiasError(f'{method.__name__} cuts layer by layer: set budget = "uniform"')
    return context.counts


def applied(method: Any, settings: dict[str, Any], weight: Tensor, held: Tensor, keep: int | None) -> Tensor:
    """Apply a method as torch's users do, over the mask that is there already; the mask after it, bool.

    keep: how many weights should be left; None for a method that takes no amount.
    """
    holder = nn.Module()
    holder.register_parameter("weight", nn.Parameter(weight.clone()))
    prune.custom_from_mask(holder, "weight", held)  # type: ignore[no-untyped-call]
    there = int(held.sum())
    amount = {} if keep is None else {"amount": max(there - keep, 0) / max(there, 1)}
    method.apply(holder, "weight", **amount, **settings)
    return holder.get_buffer("weight_mask").bool()


@hookimpl
def benchbias_pruners() -> dict[str, Callable[..., Scores | Mask]]:
    return {"torch_prune": torch_prune}
