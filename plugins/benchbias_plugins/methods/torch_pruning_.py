"""Adapter: the importances of Torch-Pruning, by name, as scores of whole output units."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Annotated, Any, Literal

import torch
from torch.nn.functional import cross_entropy

from benchbias import BenchbiasError, Range, Skip, hookimpl, loss_gradients, uses

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor, nn

    from benchbias import PruneContext, Scores, TrainingData

Importance = Literal[
    "MagnitudeImportance", "TaylorImportance", "HessianImportance", "LAMPImportance", "BNScaleImportance",
    "FPGMImportance", "ActivationImportance", "RandomImportance", "GroupMagnitudeImportance", "GroupTaylorImportance",
    "GroupHessianImportance",
]  # fmt: skip
Reduction = Literal["mean", "sum", "max", "prod", "first", "gate"]
Normalizer = Literal["mean", "sum", "max", "standarization", "gaussian", "lamp", "none"]
INSTALL = "benchbias[pruning]"


@uses("torch-pruning", install=INSTALL)
def torch_pruning(
    model: nn.Module,
    data: TrainingData,
    context: PruneContext,
    *,
    importance: Importance = "MagnitudeImportance",
    p: Annotated[int | None, Range(1, 10)] = None,
    group_reduction: Reduction | None = None,
    normalizer: Normalizer | None = None,
    bias: bool | None = None,
    multivariable: bool | None = None,
    batches: Annotated[int | None, Range(0, 10_000)] = None,
) -> Scores:
    """Score whole output units as an importance of Torch-Pruning does (Fang et al., CVPR 2023); the core cuts them.

    p, group_reduction, normalizer, bias, multivariable: the importance's own; where not set, its own defaults.
    batches: over how many random training batches it looks, where it looks at data; 1 if not set, 0 takes all of
    training. Layers whose outputs are added together get the same scores and need budget = "uniform".
    """
    try:
        import torch_pruning as library
    except ImportError as error:
        raise Skip(f"torch-pruning cannot be imported ({error}): pip install '{INSTALL}'") from None
    weights = context.prunable(model)
    own = {"p": p, "group_reduction": group_reduction, "normalizer": normalizer}
    own |= {"bias": bias, "multivariable": multivariable}
    scorer = made(library, importance, {name: value for name, value in own.items() if value is not None})
    image = next(iter(data.batches(data.train))).images[:1]
    with torch.enable_grad():
        graph = library.DependencyGraph().build_dependency(model, image, verbose=False)
        look_at_data(library, scorer, graph, data, context, batches)
    with torch.random.fork_rng(devices=[]):  # RandomImportance draws from torch's stream on the CPU
        torch.default_generator.manual_seed(int(torch.randint(2**62, (), generator=context.generator)))
        return scores_of(library, scorer, graph, weights, context)


def made(library: Any, importance: str, settings: dict[str, Any]) -> Any:
    """The library's importance with these settings. Raises BenchbiasError for one that it does not take."""
    kind = getattr(library.importance, importance, None)
    if kind is None:
        raise BenchbiasError(f"torch-pruning {library.__version__} has no {importance}")
    takes = inspect.signature(kind).parameters
    for name in settings:
        if name not in takes:
            known = [other for other in takes if other not in ("target_types", "args", "kwargs")]
            raise BenchbiasError(f"{importance} takes no {name!r} (it takes: {', '.join(known) or 'nothing'})")
    if importance == "LAMPImportance" and settings.get("normalizer", "lamp") != "lamp":
        raise BenchbiasError("LAMPImportance is its normalizer: leave `normalizer` out")
    if settings.get("normalizer") == "none":
        settings["normalizer"] = None
    return kind(**settings)


def look_at_data(
    library: Any, scorer: Any, graph: Any, data: TrainingData, context: PruneContext, batches: int | None
) -> None:
    """Give an importance what it needs: gradients, their squares example by example, or activations.

    The gradients are those of the cross-entropy in training mode on augmented batches, as for `gradient`.
    """
    model = graph.model
    kinds = library.importance
    if not isinstance(scorer, kinds.GroupTaylorImportance | kinds.GroupHessianImportance | kinds.ActivationImportance):
        if batches is not None:
            raise BenchbiasError(f"{type(scorer).__name__} looks at no data: leave `batches` out")
        return
    modules = [(path, module) for path, module in model.named_modules() if module in graph.module2node]
    used = {name: weight for path, module in modules for name, weight in module.named_parameters(path, recurse=False)}
    count = 1 if batches is None else batches
    if isinstance(scorer, kinds.GroupTaylorImportance):
        slopes = loss_gradients(model, data, context.generator, used, count)
    else:
        order = torch.randperm(len(data.train), generator=context.generator).to(data.train.labels.device)
        index = order[: count * data.batch_size] if count else order
        if isinstance(scorer, kinds.ActivationImportance):
            with scorer.compute_importance(model), torch.no_grad():
                model.eval()(data.batch(data.train, index).images)
            return
        slopes = squared_gradients(model, data, index, used)
    for name, parameter in used.items():
        parameter.grad = slopes[name]


def squared_gradients(
    model: nn.Module, data: TrainingData, index: Tensor, used: Mapping[str, nn.Parameter]
) -> dict[str, Tensor]:
    """The mean over examples of the squared gradient of an example's cross-entropy, by parameter name.

    By hand: HessianImportance.accumulate_grad of torch-pruning 1.6.1 forgets all examples but the last.
    """
    batch = data.batch(data.train, index, augment=True)
    losses = cross_entropy(model.train()(batch.images), batch.labels, reduction="none")
    total = {name: torch.zeros_like(parameter) for name, parameter in used.items()}
    for loss in losses:
        for name, part in zip(used, torch.autograd.grad(loss, list(used.values()), retain_graph=True), strict=True):
            total[name] += part.square() / len(losses)
    return total


def scores_of(
    library: Any, scorer: Any, graph: Any, weights: Mapping[str, nn.Parameter], context: PruneContext
) -> Scores:
    """The importance of every unit (O,) by parameter name, from the group of layers that lose it together."""
    found: dict[str, Tensor] = {}
    for name in weights:
        if name in found:
            continue
        owner, _, last = name.rpartition(".")
        layer = graph.model.get_submodule(owner)
        if last != "weight":
            raise BenchbiasError(f"{name} is a matrix of a larger layer: its units are no rows; exclude it (`layers`)")
        if layer not in graph.module2node:
            raise BenchbiasError(
                f"{name}: Torch-Pruning does not find the layer in a forward pass; exclude it (`layers`)"
            )
        if getattr(layer, "transposed", False):
            raise BenchbiasError(f"{name} is a transposed convolution: its units are no rows; exclude it (`layers`)")
        prune_units = graph.get_pruner_of_module(layer).prune_out_channels
        group = graph.get_pruning_group(layer, prune_units, list(range(len(weights[name]))))
        tied = tied_layers(library, graph, group, name)
        check_tied(tied, weights, context)
        values = scorer(group)
        if values is None:
            raise BenchbiasError(f"{type(scorer).__name__} says nothing of {name}: exclude it (`layers`)")
        units = len(weights[name])
        if values.shape != (units,):
            raise BenchbiasError(f"{type(scorer).__name__} gives {len(values)} scores for the {units} units of {name}")
        if not bool(torch.isfinite(values).all()):
            raise BenchbiasError(f"{type(scorer).__name__} is not finite on {name}: are its gradients or weights zero?")
        found |= dict.fromkeys(tied, values)
    return found


def tied_layers(library: Any, graph: Any, group: Any, name: str) -> list[str]:
    """The weights whose units go when those of `name` go: itself, and layers that are added to it or filter it.

    Raises BenchbiasError where a unit of one is not just that unit of the other.
    """
    kinds = library.pruner.function
    outputs = (kinds.prune_conv_out_channels, kinds.prune_linear_out_channels, kinds.prune_depthwise_conv_out_channels)
    named = {module: f"{path}.weight" for path, module in graph.model.named_modules()}
    tied = []
    for item in group:
        layer = item.dep.target.module
        groups = getattr(layer, "groups", 1)
        if layer in named and groups not in (1, getattr(layer, "out_channels", 1)):
            raise BenchbiasError(
                f"{name} feeds or is {named[layer]}, a convolution in {groups} groups: exclude both (`layers`)"
            )
        if item.dep.handler in outputs:
            if list(item.idxs) != list(item.root_idxs) or len(item.idxs) != len(layer.weight):
                raise BenchbiasError(f"{name} and {named[layer]} share some units only: exclude both (`layers`)")
            tied.append(named[layer])
    return tied


def check_tied(tied: list[str], weights: Mapping[str, Tensor], context: PruneContext) -> None:
    """Refuse a cut that could part layers which lose their units together. Raises BenchbiasError."""
    outside = [name for name in tied if name not in weights]
    if outside:
        raise BenchbiasError(
            f"the units of {tied[0]} go with those of {', '.join(outside)}: admit all or none (`layers`)"
        )
    if len(tied) > 1 and context.counts is None:
        raise BenchbiasError(
            f'the units of {", ".join(tied)} go together, and a global cut could part them: set budget = "uniform"'
        )


@hookimpl
def benchbias_pruners() -> dict[str, Callable[..., Scores]]:
    return {"torch_pruning": torch_pruning}
