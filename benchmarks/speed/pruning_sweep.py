"""14 sparsities of one network: ours against torch's global pruning and against Torch-Pruning, models included.

Ours ranks the scores once and sets the removed weights of a copy a level to zero. torch prunes a copy a level.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from benchbias.network.weights import layer_weights
from benchbias.sparse.cutting import cut_levels
from benchbias.sparse.masks import apply

from .circumstances import version
from .peers import require_torch_pruning
from .rows import Absent, Goal, Row, Setting
from .subjects import Subject, prepare_torch
from .timing import interleaved, ratios

SPARSITIES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.9995)
UNIT_SPARSITIES = SPARSITIES[:9]  # Torch-Pruning leaves a unit a layer, and cannot go further


def rows(setting: Setting) -> Iterator[Row]:
    prepare_torch()
    name = "LeNet" if setting.quick else "ResNet-18"
    subject = Subject(name, (3, 32, 32), 10, 64, steps=1, epochs=1)
    model = subject.network()
    weights = {key: weight.parameter for key, weight in layer_weights(model).items()}
    require_same(model, weights)
    found = interleaved(
        {"ours": lambda: ours(model, weights), "masks": lambda: masks(weights), "torch": lambda: torchs(model)},
        setting.rounds,
        warm=0,
    )
    levels = len(SPARSITIES)
    whole = ratios(found, "ours", "torch")
    note = f"torch.nn.utils.prune.global_unstructured of torch {torch.__version__}"
    yield Row(f"{levels} sparsities of {name}, models too, over torch's pruning", whole, Goal(1 / 20), note=note)
    yield Row(f"{levels} sparsities of {name}, masks alone, over torch's pruning", ratios(found, "masks", "torch"))
    require_torch_pruning()
    yield from against_torch_pruning(subject, weights, setting)


def ours(model: nn.Module, weights: dict[str, nn.Parameter]) -> None:
    for mask in cut_levels(sizes(weights), weights, [{"sparsity": level} for level in SPARSITIES]):
        apply(copy.deepcopy(model), mask)


def masks(weights: dict[str, nn.Parameter]) -> None:
    cut_levels(sizes(weights), weights, [{"sparsity": level} for level in SPARSITIES])


def sizes(weights: dict[str, nn.Parameter]) -> dict[str, Tensor]:
    return {name: weight.detach().abs() for name, weight in weights.items()}


def torchs(model: nn.Module, levels: Sequence[float] = SPARSITIES) -> list[nn.Module]:
    """A copy a level, as torch prunes it."""
    made = []
    for level in levels:
        pruned = copy.deepcopy(model)
        pairs = [(layer, "weight") for layer in pruned.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
        prune.global_unstructured(pairs, prune.L1Unstructured, amount=level)
        made.append(pruned)
    return made


def require_same(model: nn.Module, weights: dict[str, nn.Parameter]) -> None:
    """Raises Absent where torch and we do not remove the same weights: the times would not compare."""
    (theirs,) = torchs(model, [0.9])
    (mask,) = cut_levels(sizes(weights), weights, [{"sparsity": 0.9}])
    own = {name: value.bool() for name, value in theirs.named_buffers() if name.endswith("weight_mask")}
    if any(not torch.equal(own[f"{name}_mask"], kept) for name, kept in mask.tensors.items()):
        raise Absent("torch removes other weights than we do: the two do not compute the same")


def against_torch_pruning(subject: Subject, weights: dict[str, nn.Parameter], setting: Setting) -> Iterator[Row]:
    """Whole units by the sum of their weights' sizes: our masks of all levels, their cut networks."""
    import torch_pruning

    model = subject.network()
    example = torch.zeros(1, *subject.shape)
    head = [layer for layer in model.modules() if isinstance(layer, nn.Linear)][-1]

    def units() -> None:
        scores = {name: weight.detach().abs().flatten(1).sum(1) for name, weight in weights.items()}
        for mask in cut_levels(scores, weights, [{"sparsity": level} for level in UNIT_SPARSITIES]):
            apply(copy.deepcopy(model), mask)

    def theirs() -> None:
        for level in UNIT_SPARSITIES:
            importance = torch_pruning.importance.MagnitudeImportance(p=1)
            options = {"pruning_ratio": level, "global_pruning": True, "importance": importance}
            torch_pruning.pruner.BasePruner(copy.deepcopy(model), example, ignored_layers=[head], **options).step()

    calls: dict[str, Callable[[], object]] = {"ours": units, "theirs": theirs}
    found = interleaved(calls, setting.rounds)
    note = f"torch-pruning {version('torch-pruning')}, which cuts the units out; ours sets them to zero"
    title = f"{len(UNIT_SPARSITIES)} levels of whole units of {subject.name} over Torch-Pruning"
    yield Row(title, ratios(found, "ours", "theirs"), note=note)
