"""The probe of stage 1: modify the k most critical neurons, and others like them, and see which groups change."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Annotated, Literal

from benchbias import BenchbiasError, Compared, Range, Table, change_table

from ...methods.critical_neurons.examples import Loss
from ...methods.critical_neurons.neurons import Linear, neuron_norms
from ...methods.critical_neurons.ranking import Reranked, Scope
from .controls import first, matched_controls, norm_ratio
from .modifying import Distribution, How, Modification, modifications
from .network import ByGroup, Network
from .rankings import Ranking, ranking_examples

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn

    from benchbias import BiasedDataset, ProbeContext

WORST = 200  # examples of a group that the released code takes


def critical(
    model: nn.Module,
    data: BiasedDataset,
    context: ProbeContext,
    *,
    modification: How = "zero",
    rankings: tuple[Ranking, ...] = ("magnitude", "gradient", "group gradient"),
    neurons: tuple[int, ...] = (1, 2, 3),
    scope: Scope = "network",
    within: tuple[str, ...] = ("!head",),
    linear: Linear = "units",
    order: Reranked = "largest",
    sigma: tuple[float, ...] = (),
    distribution: Distribution = "normal",
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
    """Modify the k most critical neurons and measure what changes in each group, beside others like them.

    rankings: by the norm of the weights, of the gradient on hard training examples, or of that on a group's own, for
    each group. ranked_on: the split of the groups' own examples; empty: `split`. neurons: the values of k. scope: the
    top of the network, or of each layer in turn. within: globs of layers, as in a prune stage. order: `reranked` ranks
    again after each neuron, with those taken at zero. sigma: of init and noise, each made `repeats` times. controls:
    how many sets of others, drawn from the same layers and the `nearest` norms. control: those, or the smallest.
    """
    if not neurons or min(neurons) < 0:
        raise BenchbiasError(f"critical neurons: numbers from 0, at least one, not {neurons}")
    ways = modifications(modification, sigma, distribution, repeats, context.generator)
    network = Network.of(model, context, within, split, linear, loss)
    norms, most = neuron_norms(network.weights, linear), max(neurons)
    places = ["network"] if scope == "network" else list(network.weights)
    worst = WORST if group_examples == "worst_200_as_published" else None
    found = []
    for ranking in rankings:
        examples = ranking_examples(ranking, network, ranked_on or split, worst, pool, batch)
        top = network.most_critical(examples, most, scope, order)
        least = network.most_critical(examples, most, scope, control) if control != "matched" else {}
        for place, k, way in itertools.product(places, neurons, ways):
            target = first(top, place, k)
            if control == "matched":
                others = matched_controls(target, norms, nearest, controls, context.generator)
            else:
                others = [first(least, place, k)] * way.runs
            texts = {"ranking": ranking, "in": place.removesuffix(".weight"), "neurons": str(k)}
            ratio = norm_ratio(target, others, norms)
            found.append(compared(network, way, target, others, texts, ratio))
    return change_table(found, f"Neurons modified: {modification}. Split: {split}.")


def compared(
    network: Network,
    way: Modification,
    target: ByGroup,
    others: Sequence[ByGroup],
    texts: Mapping[str, str],
    ratio: float | None,
) -> Compared:
    """Modify the critical neurons as often as the modification is made, and each set of others once."""
    return Compared(
        {**texts, **way.texts},
        [network.changes(target, way.apply) for _ in range(way.runs)],
        [network.changes(other, way.apply) for other in others],
        {"control norm / norm": ratio},
    )
