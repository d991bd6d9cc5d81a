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
from benchbias.sparse.masks import apply, with_attached

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
    for mask in cut_levels(sizes(weights), weights, sparsities(SPARSITIES)):
        apply(copy.deepcopy(model), mask)


def masks(weights: dict[str, nn.Parameter]) -> None:
    cut_levels(sizes(weights), weights, sparsities(SPARSITIES))


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
    """Raises Absent where torch and we do not remove the same weights: the times would not compare.

    torch rounds a number of weights that is none, ours is cut: so one weight may differ.
    """
    (theirs,) = torchs(model, [0.9])
    (mask,) = cut_levels(sizes(weights), weights, [{"sparsity": 0.9}])
    own = {name: value.bool() for name, value in theirs.named_buffers() if name.endswith("weight_mask")}
    if sum(int((own[f"{name}_mask"] != kept).sum()) for name, kept in mask.tensors.items()) > 1:
        raise Absent("torch removes other weights than we do: the two do not compute the same")


def against_torch_pruning(subject: Subject, weights: dict[str, nn.Parameter], setting: Setting) -> Iterator[Row]:
    """Whole units by the sum of their weights' sizes: our masks of all levels, our cut networks, their cut networks."""
    import torch_pruning

    from benchbias.slim.slimming import slimmed

    model = subject.network()
    example = torch.zeros(1, *subject.shape)
    head = [layer for layer in model.modules() if isinstance(layer, nn.Linear)][-1]

    def units() -> list[nn.Module]:
        """A copy a level, its removed units set to zero with their biases and batch norms."""
        scores = {name: weight.detach().abs().flatten(1).sum(1) for name, weight in weights.items()}
        made = [copy.deepcopy(model) for _ in UNIT_SPARSITIES]
        for one, mask in zip(made, cut_levels(scores, weights, sparsities(UNIT_SPARSITIES)), strict=True):
            apply(one, with_attached(mask, one, example))
        return made

    def theirs() -> None:
        for level in UNIT_SPARSITIES:
            importance = torch_pruning.importance.MagnitudeImportance(p=1)
            options = {"pruning_ratio": level, "global_pruning": True, "importance": importance}
            torch_pruning.pruner.BasePruner(copy.deepcopy(model), example, ignored_layers=[head], **options).step()

    calls: dict[str, Callable[[], object]] = {
        "units": units,
        "cut": lambda: [slimmed(one, example) for one in units()],
        "theirs": theirs,
    }
    found = interleaved(calls, setting.rounds, warm=0)
    title, note = (
        f"{len(UNIT_SPARSITIES)} levels of whole units of {subject.name}",
        f"torch-pruning {version('torch-pruning')}",
    )
    yield Row(
        f"{title}, set to zero, over Torch-Pruning, which cuts them out", ratios(found, "units", "theirs"), note=note
    )
    checked = f"{note}; ours compares the logits before and after"
    yield Row(f"{title}, cut out, over Torch-Pruning", ratios(found, "cut", "theirs"), note=checked)


def sparsities(levels: Sequence[float]) -> list[dict[str, float]]:
    return [{"sparsity": level} for level in levels]
