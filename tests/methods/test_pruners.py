"""The score-based pruners: exact counts, what they may touch, and the criteria against gradients taken by hand."""

from __future__ import annotations

import copy
import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import benchbias_plugins.methods.gradient
import benchbias_plugins.methods.undecayed
from benchbias.sparse.cutting import budget_counts
from benchbias.sparse.masks import Mask
from benchbias.training.context import PruneContext
from benchbias_plugins.methods.gradient import gradient
from benchbias_plugins.methods.largest_first import largest_first
from benchbias_plugins.methods.magnitude import magnitude
from benchbias_plugins.methods.random_pruning import random
from benchbias_plugins.methods.undecayed import two_sided, undecayed
from support.pruning import COUNT, LAYERS, by_hand, context, cut_mask, first, gone, kept, network, same, source

PRUNERS = {
    "magnitude": magnitude,
    "gradient": gradient,
    "random": random,
    "undecayed": undecayed,
    "largest_first": largest_first,
}
SPARSITIES = (0.0, 0.3, 0.5, 0.9, 0.99, 1.0)
FORMULAS = ("poster", "absolute", "squares")  # those that do what they are asked


def pruned(
    name: str,
    sparsity: float,
    net: nn.Module | None = None,
    budget: Any = "global",
    asked: PruneContext | None = None,
    **options: Any,
) -> Mask:
    return cut_mask(
        name,
        lambda model, context: PRUNERS[name](model, context.data, context, **options),
        net if net is not None else network(),
        asked or context(),
        {"sparsity": sparsity},
        budget,
    )


@pytest.mark.parametrize("name", PRUNERS)
@pytest.mark.parametrize("sparsity", SPARSITIES)
def test_counts_are_exact(name: str, sparsity: float):
    weights = {key: value for key, value in network().named_parameters() if key in LAYERS}
    total = sum(weight.numel() for weight in weights.values())
    assert int((~kept(pruned(name, sparsity))).sum()) == gone(total, sparsity)
    uniform = pruned(name, sparsity, budget="uniform").counts()
    assert uniform == {key: weight.numel() - gone(weight.numel(), sparsity) for key, weight in weights.items()}
    assert pruned(name, sparsity, budget="erk").counts() == budget_counts(weights, {"sparsity": sparsity}, "erk")


@pytest.mark.parametrize("name", PRUNERS)
def test_sparsity_zero_keeps_everything(name: str):
    assert all(bool(kept(pruned(name, 0.0, budget=budget)).all()) for budget in ("global", "uniform", "erk"))


@pytest.mark.parametrize("name", PRUNERS)
@pytest.mark.parametrize("budget", ["global", "uniform"])
def test_masks_are_nested_as_the_sparsity_grows(name: str, budget: str):
    masks = [kept(pruned(name, sparsity, budget=budget)) for sparsity in SPARSITIES]
    assert not any(bool((later & ~earlier).any()) for earlier, later in itertools.pairwise(masks))


def test_random_masks_depend_on_the_seed_and_on_nothing_else():
    assert same(pruned("random", 0.5), pruned("random", 0.5, network(norm=False)))
    assert not same(pruned("random", 0.5), pruned("random", 0.5, asked=context(seed=5)))


def test_random_masks_take_every_layer_alike():
    shares = [float(tensor.double().mean()) for tensor in pruned("random", 0.5).tensors.values()]
    sizes = [tensor.numel() for tensor in pruned("random", 0.5).tensors.values()]
    assert all(abs(share - 0.5) < 4 * 0.5 / math.sqrt(size) for share, size in zip(shares, sizes, strict=True))


@pytest.mark.parametrize("name", PRUNERS)
def test_the_head_is_left_alone_where_asked_and_biases_and_norms_always(name: str):
    assert list(pruned(name, 0.9).tensors) == LAYERS
    assert list(pruned(name, 0.9, asked=context(("!head",))).tensors) == LAYERS[:-1]


@pytest.mark.parametrize("name", PRUNERS)
def test_what_a_mask_in_force_removed_stays_removed(name: str):
    before = pruned("random", 0.5, asked=context(seed=8))
    after = pruned(name, 0.7, asked=context(mask=before))
    assert not bool((kept(after) & ~kept(before)).any())
    assert int((~kept(after)).sum()) == gone(len(kept(after)), 0.7)


@pytest.mark.parametrize("name", PRUNERS)
def test_the_model_given_and_torchs_random_numbers_stay_as_they_are(name: str):
    net = network().eval()
    before, state = copy.deepcopy(net.state_dict()), torch.random.get_rng_state()
    pruned(name, 0.5, net)
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())
    assert not net.training
    assert torch.equal(state, torch.random.get_rng_state())


def test_magnitude_keeps_the_largest():
    mask = kept(pruned("magnitude", 0.6))
    sizes = torch.cat([dict(network().named_parameters())[name].detach().abs().flatten() for name in LAYERS])
    assert sizes[mask].min() >= sizes[~mask].max()


# the gradient


def scores(pruner: Any, net: nn.Module, **options: Any) -> dict[str, Tensor]:
    found = pruner(copy.deepcopy(net), source(), context(), **options)
    return {name: score.detach() for name, score in found.items()}


def agree(found: dict[str, Tensor], slopes: dict[str, Tensor], net: nn.Module) -> None:
    weights = {name: dict(net.named_parameters())[name].detach() for name in LAYERS}
    assert list(found) == LAYERS
    for name, score in found.items():
        torch.testing.assert_close(score, (weights[name] * slopes[name]).abs(), rtol=1e-5, atol=1e-8)
        assert score.count_nonzero() > 0


def test_gradient_scores_are_weight_times_gradient_of_one_training_batch():
    net = network().eval()
    agree(scores(gradient, net), by_hand(net, first(16)), net)
    agree(scores(gradient, net, batches=1), by_hand(net, first(16)), net)


@pytest.mark.parametrize(("batches", "examples"), [(0, COUNT), (2, 32), (4, COUNT), (99, COUNT)])
def test_more_batches_are_the_gradient_of_all_their_examples(batches: int, examples: int):
    net = network(norm=False)  # batch norm makes an example's gradient depend on its batch
    agree(scores(gradient, net, batches=batches), by_hand(net, first(examples)), net)


def test_the_gradient_criterion_does_not_see_a_rescaling_that_leaves_the_function():
    net, scaled = network(), network()
    with torch.no_grad():
        for parameter in scaled[7].parameters():
            parameter *= 4
        scaled[9].weight /= 4
    for sparsity in (0.3, 0.5, 0.9):
        assert same(pruned("gradient", sparsity, net), pruned("gradient", sparsity, scaled))
        assert not same(pruned("magnitude", sparsity, net), pruned("magnitude", sparsity, scaled))


def give_gradients(monkeypatch: pytest.MonkeyPatch, rule: Any) -> None:
    """Let the gradient of every weight be rule(weight)."""

    def slopes(model: Any, data: Any, generator: Any, weights: Any, batches: int) -> dict[str, Tensor]:
        return {name: rule(weight.detach()) for name, weight in weights.items()}

    monkeypatch.setattr(benchbias_plugins.methods.gradient, "loss_gradients", slopes)
    monkeypatch.setattr(benchbias_plugins.methods.undecayed, "loss_gradients", slopes)


@pytest.mark.parametrize("sparsity", SPARSITIES)
def test_gradients_of_zero_prune_exactly_as_many(monkeypatch: pytest.MonkeyPatch, sparsity: float):
    give_gradients(monkeypatch, torch.zeros_like)
    mask = kept(pruned("gradient", sparsity))
    assert int((~mask).sum()) == gone(len(mask), sparsity)


# UP


def test_without_decay_up_is_the_gradient_criterion():
    one, other = scores(undecayed, network(), decay=0.0), scores(gradient, network())
    assert all(torch.equal(one[name], other[name]) for name in LAYERS)
    for formula in FORMULAS:
        assert same(pruned("undecayed", 0.5, decay=0.0, formula=formula), pruned("gradient", 0.5))


def test_up_is_the_gradient_criterion_plus_decay_times_magnitude():
    net = network()
    weights = dict(net.named_parameters())
    slopes = by_hand(net, first(16))
    found = {formula: scores(undecayed, net, decay=0.01, formula=formula) for formula in FORMULAS}
    for name in LAYERS:
        w, g = weights[name].detach(), slopes[name]
        for formula, expected in (
            ("poster", (w * g).abs() + 0.01 * w.abs()),
            ("absolute", (-w * g + 0.01 * w * w).abs()),
            ("squares", (w * g).abs() + 0.01 * w * w),
        ):
            torch.testing.assert_close(found[formula][name], expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("sparsity", [0.3, 0.5, 0.9])
def test_with_much_decay_up_is_magnitude(formula: str, sparsity: float):
    assert same(pruned("undecayed", sparsity, decay=1e8, formula=formula), pruned("magnitude", sparsity))
    assert not same(pruned("undecayed", sparsity, decay=5e-4, formula=formula), pruned("magnitude", sparsity))


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.9, 1.0])
def test_where_the_gradient_is_zero_up_is_magnitude(monkeypatch: pytest.MonkeyPatch, formula: str, sparsity: float):
    give_gradients(monkeypatch, torch.zeros_like)
    assert same(pruned("undecayed", sparsity, formula=formula), pruned("magnitude", sparsity))


@pytest.mark.parametrize("formula", [*FORMULAS, "signed_as_published"])
def test_where_decay_and_gradient_balance_up_is_magnitude(monkeypatch: pytest.MonkeyPatch, formula: str):
    """At g = -decay w the signed score is 2 decay w^2; with the other sign it would be zero everywhere."""
    give_gradients(monkeypatch, lambda weight: -0.01 * weight)
    assert same(pruned("undecayed", 0.6, decay=0.01, formula=formula), pruned("magnitude", 0.6))


@pytest.mark.parametrize(("sparsity", "removed"), [(0.3, 0.0), (0.5, 0.0), (0.8, 0.6), (0.9, 0.8)])
def test_the_published_signed_score_prunes_less_than_asked(
    monkeypatch: pytest.MonkeyPatch, sparsity: float, removed: float
):
    """Of symmetric scores the fraction 2s - 1 lies between -tau and tau: the defect; the other formulas are exact."""
    stream = torch.Generator().manual_seed(0)
    give_gradients(monkeypatch, lambda weight: torch.randn(weight.shape, generator=stream))
    mask = kept(pruned("undecayed", sparsity, formula="signed_as_published"))
    assert float((~mask).double().mean()) == pytest.approx(removed, abs=0.06)
    for formula in FORMULAS:
        mask = kept(pruned("undecayed", sparsity, formula=formula))
        assert int((~mask).sum()) == gone(len(mask), sparsity)


def test_two_sided_removes_what_lies_strictly_between():
    score = {"a": torch.tensor([-5.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 6.0])}
    assert two_sided(score, 0.5).tensors["a"].tolist() == [True, False, False, False, True, True, True, True]
    assert bool(two_sided(score, 1.0).tensors["a"].all())


# --- the largest first


@pytest.mark.parametrize("sparsity", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("layers", [(), ("3",)])
def test_what_goes_first_is_no_smaller_than_anything_that_stays(sparsity, layers):
    net = network()
    mask = pruned("largest_first", sparsity, net, asked=context(layers))
    sizes = {name: dict(net.named_parameters())[name].detach().abs() for name in mask.tensors}
    gone = torch.cat([sizes[name][~kept] for name, kept in mask.tensors.items()])
    stays = torch.cat([sizes[name][kept] for name, kept in mask.tensors.items()])
    assert float(gone.min()) >= float(stays.max())
    small = pruned("magnitude", 1 - sparsity, net, asked=context(layers))
    assert all(bool((mask.tensors[name] ^ kept).float().mean() > 0.98) for name, kept in small.tensors.items())
