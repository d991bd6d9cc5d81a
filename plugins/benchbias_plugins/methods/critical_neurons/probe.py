"""The probe of stage 1: modify the k most critical neurons, and others like them, and see which groups change."""

from __future__ import annotations

import functools
import itertools
import math
from typing import TYPE_CHECKING, Annotated, Literal

import torch

from benchbias import BenchbiasError, Compared, Range, Table, change_table

from .examples import Loss
from .network import ByGroup, Network, Ranking, ranking_examples
from .neurons import Linear, Neuron, Order, Scope, matched, neuron_norms, ranked, reranked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor, nn

    from benchbias import BiasedDataset, ProbeContext


def modify(
    how: Literal["zero", "init", "noise"],
    sigma: float,
    distribution: Literal["normal", "uniform_as_published"],
    generator: torch.Generator,
) -> Callable[[Tensor], object]:
    """Set a neuron's weights to zero, to sigma e, or add sigma e; e standard normal, or uniform from 0 to 1."""

    def random(part: Tensor) -> Tensor:
        draw = torch.randn if distribution == "normal" else torch.rand
        return sigma * draw(part.shape, generator=generator).to(part)

    if how == "zero":
        return lambda part: part.zero_()
    return (lambda part: part.copy_(random(part))) if how == "init" else (lambda part: part.add_(random(part)))


def critical(
    model: nn.Module,
    data: BiasedDataset,
    context: ProbeContext,
    *,
    modification: Literal["zero", "init", "noise"] = "zero",
    rankings: tuple[Ranking, ...] = ("magnitude", "gradient", "group gradient"),
    neurons: tuple[int, ...] = (1, 2, 3),
    scope: Scope = "network",
    within: tuple[str, ...] = ("!head",),
    linear: Linear = "units",
    order: Order = "largest",
    rerank: bool = False,
    sigma: tuple[float, ...] = (),
    distribution: Literal["normal", "uniform_as_published"] = "normal",
    repeats: Annotated[int, Range(1, 1000)] = 10,
    control: Literal["matched", "smallest_as_published"] = "matched",
    controls: Annotated[int, Range(0, 1000)] = 20,
    nearest: Annotated[int, Range(1, 1000)] = 5,
    split: str = "test",
    ranked_on: str = "",
    group_examples: Literal["all", "worst_200_as_published"] = "all",
    pool: Annotated[int, Range(1, 1_000_000)] = 256,
    batch: Annotated[int, Range(1, 1_000_000)] = 128,
    loss: Loss = "cross_entropy",
) -> Table:
    """What modifying the k most critical neurons does to each group, beside others of the same layers and near norms.

    All is measured on one split. rankings: by the norm of the weights, of the gradient of a batch of hard training
    examples, or, for each group, of the gradient of its own examples (of `ranked_on`; empty: the same split). neurons:
    the values of k. within: globs of layers, as in a prune stage. scope: the largest of the network, or of each layer
    in turn. sigma: of init and noise, each repeated `repeats` times. controls: how many sets of other neurons; for
    as_published the smallest ones take their place.
    """
    if not neurons or min(neurons) < 0:
        raise BenchbiasError(f"critical neurons: numbers from 0, at least one, not {neurons}")
    if modification != "zero" and not sigma:
        raise BenchbiasError("critical neurons: init and noise need a sigma")
    if rerank and order != "largest":
        raise BenchbiasError("critical neurons: rerank goes with the largest")
    network = Network.of(model, context, within, split, linear, loss)
    norms = neuron_norms(network.weights, linear)
    most, worst = max(neurons), 200 if group_examples == "worst_200_as_published" else None
    places = ["network"] if scope == "network" else list(network.weights)
    sizes = sigma if modification != "zero" else (0.0,)
    found = []
    for ranking in rankings:
        examples = ranking_examples(ranking, network, ranked_on or split, worst, pool, batch)
        lists = {g: _ranking(network, e, most, scope, order, rerank) for g, e in examples.items()}
        last: ByGroup = {}
        if control != "matched":
            last = {g: _ranking(network, e, most, scope, "smallest_as_published", False) for g, e in examples.items()}
        for place, k, size in itertools.product(places, neurons, sizes):
            target, smallest = ({g: first(n, place, k) for g, n in chosen.items()} for chosen in (lists, last))
            runs = 1 if modification == "zero" else repeats
            others: list[ByGroup] = [smallest] * runs
            if control == "matched":
                others = matched_controls(target, norms, nearest, controls, context.generator)
            apply = modify(modification, size, distribution, context.generator)
            texts = {"ranking": ranking, "in": place.removesuffix(".weight"), "neurons": str(k)}
            found.append(
                Compared(
                    texts if modification == "zero" else {**texts, "sigma": str(size)},
                    [network.changes(target, apply) for _ in range(runs)],
                    [network.changes(other, apply) for other in others],
                    {"control norm / norm": norm_ratio(target, others, norms)},
                )
            )
    return change_table(found, f"Neurons modified: {modification}. Split: {split}.")


def _ranking(
    network: Network, examples: tuple[str, Tensor] | None, count: int, scope: Scope, order: Order, rerank: bool
) -> list[Neuron]:
    if rerank:
        return reranked(network.weights, functools.partial(network.scores, examples), count, scope, network.linear)
    return ranked(network.scores(examples), count, 0.0, scope, order)


def first(neurons: Sequence[Neuron], place: str, count: int) -> list[Neuron]:
    """The first `count` neurons of a ranking: of the network, or of those of one layer."""
    return [neuron for neuron in neurons if place in ("network", neuron[0])][:count]


def matched_controls(
    target: ByGroup, norms: Mapping[str, Tensor], nearest: int, count: int, generator: torch.Generator
) -> list[ByGroup]:
    """`count` sets of other neurons; none where a layer has too few."""
    found: list[ByGroup] = []
    for _ in range(count):
        others = {group: matched(neurons, norms, nearest, generator) for group, neurons in target.items()}
        whole = {group: neurons for group, neurons in others.items() if neurons is not None}
        if len(whole) < len(others):
            return []
        found.append(whole)
    return found


def norm_ratio(target: ByGroup, others: Sequence[ByGroup], norms: Mapping[str, Tensor]) -> float | None:
    """The controls' norm over that of the critical neurons, averaged over controls and groups: 1 is a perfect match."""

    def norm(neurons: Sequence[Neuron]) -> float:
        return math.sqrt(math.fsum(float(norms[name][number]) ** 2 for name, number in neurons))

    pairs = [(norm(other[group]), norm(neurons)) for other in others for group, neurons in target.items()]
    ratios = [control / own for control, own in pairs if own]
    return math.fsum(ratios) / len(ratios) if ratios else None
