"""NT-Xent, and fine-tuning against a pruned branch: branches, gradients, and what the controls come down to."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import nn

from benchbias import BenchbiasError, Mask, nt_xent
from benchbias.sparse.masks import apply
from benchbias.testing.toys.toy import toy_model, with_batch_norm
from benchbias.testing.toys.trial import ToyTrial
from benchbias_plugins.methods import critical_finetuning as module
from benchbias_plugins.methods.critical_finetuning import Branch, critical_finetuning, pruned_answers, smallest_masked


def erm(model, data, context):
    context.fit(model, data)


def magnitude(model, data, context):
    return {name: weight.abs() for name, weight in context.prunable(model).items()}


def units(model, data, context):
    """Whole output units, by their norm."""
    return {name: weight.flatten(1).norm(dim=1) for name, weight in context.prunable(model).items()}


def views(rows=5, columns=7, seed=0):
    stream = torch.Generator().manual_seed(seed)
    return torch.randn(rows, columns, generator=stream), torch.randn(rows, columns, generator=stream)


# --- NT-Xent


def by_the_formula(first, second, temperature):
    """The mean over all 2 B anchors of -log(exp(sim(i, p) / t) / sum over k != i of exp(sim(i, k) / t)), one by one."""
    rows, half = [*first.double(), *second.double()], len(first)

    def alike(i, k):
        return math.exp(float(rows[i] @ rows[k] / (rows[i].norm() * rows[k].norm())) / temperature)

    return sum(
        -math.log(alike(i, (i + half) % (2 * half)) / sum(alike(i, k) for k in range(2 * half) if k != i))
        for i in range(2 * half)
    ) / (2 * half)


@pytest.mark.parametrize("temperature", [0.07, 0.5, 3.0])
def test_nt_xent_is_its_formula(temperature: float):
    first, second = views()
    assert float(nt_xent(first, second, temperature)) == pytest.approx(by_the_formula(first, second, temperature), 1e-5)


def test_nt_xent_does_not_know_which_branch_is_which_nor_how_long_features_are():
    first, second = views()
    value = nt_xent(first, second, 0.5)
    assert torch.allclose(nt_xent(second, first, 0.5), value)
    assert torch.allclose(nt_xent(3 * first, torch.arange(1.0, 6).view(-1, 1) * second, 0.5), value)


def test_identical_branches_are_best_paired_with_themselves():
    first, _ = views(rows=4)
    values = {order: float(nt_xent(first, first[list(order)], 0.5)) for order in itertools.permutations(range(4))}
    assert min(values, key=values.__getitem__) == (0, 1, 2, 3)


@pytest.mark.parametrize("rows", [1, 2, 6])
def test_where_all_features_coincide_an_anchor_guesses_among_all_others(rows: int):
    same = torch.ones(rows, 3)
    assert float(nt_xent(same, same, 0.1)) == pytest.approx(math.log(2 * rows - 1), abs=1e-5)


def test_nt_xent_refuses_what_is_no_pair_of_views():
    for first, second in ((torch.ones(2, 3), torch.ones(3, 3)), (torch.ones(2), torch.ones(2))):
        with pytest.raises(ValueError, match=r"both \(B, D\)"):
            nt_xent(first, second, 0.5)
    with pytest.raises(ValueError, match="positive"):
        nt_xent(torch.ones(2, 3), torch.ones(2, 3), 0.0)


# --- the branches


@pytest.fixture
def branched():
    """Called with a function of (branch, mask, images) inside a train stage on a network with batch norm."""

    def run(look, pruner=magnitude, model=with_batch_norm):
        trial = ToyTrial(model=model)
        auxiliary = trial.prune(pruner, sparsity=0.4)
        found = []

        def inside(model, data, context):
            images = data.batch(data.train, torch.arange(8)).images
            found.append(look(Branch(model.train(), context), context.auxiliary_mask, images))

        trial.train(inside, auxiliary=auxiliary)
        return found[0]

    return run


@pytest.mark.parametrize("pruner", [magnitude, units])
def test_the_pruned_branch_is_the_network_without_what_the_mask_removes(branched, pruner):
    def look(branch, mask, images):
        assert mask.sparsity > 0
        assert bool(mask.attached) == (pruner is units)
        features, logits = pruned_answers(branch, mask, images, move_statistics=True)
        before = {name: tensor.clone() for name, tensor in branch.model.state_dict().items()}
        apply(branch.model, mask)
        expected = branch.context.features(branch.model, images)
        same = torch.equal(features, expected) and torch.equal(logits, branch.context.head(branch.model)(expected))
        return same, before

    same, before = branched(look, pruner)
    assert same
    assert all(tensor.count_nonzero() for name, tensor in before.items() if name.endswith("weight"))


def test_with_nothing_removed_both_branches_are_the_plain_network(branched):
    def look(branch, mask, images):
        whole = Mask({name: torch.ones_like(tensor) for name, tensor in mask.tensors.items()})
        one, other = branch(images), pruned_answers(branch, whole, images, move_statistics=False)
        return (
            torch.equal(one[0], other[0])
            and torch.equal(one[1], other[1])
            and torch.equal(one[1], branch.model(images))
        )

    assert branched(look)


def test_a_pruned_pass_moves_batch_norm_statistics_only_if_it_is_asked_to(branched):
    def look(branch, mask, images):
        moved = []
        for move in (False, True):
            before = [buffer.clone() for buffer in branch.model.buffers()]
            pruned_answers(branch, mask, images, move_statistics=move)
            moved.append(not all(map(torch.equal, before, branch.model.buffers())))
        return moved

    assert branched(look) == [False, True]


def test_both_branches_get_the_gradients_that_the_released_codes_two_halves_add_up_to(branched):
    def look(branch, mask, images):
        weights = list(branch.model.parameters())

        def gradients(hold_full, hold_pruned):
            full, _ = branch(images)
            pruned, _ = pruned_answers(branch, mask, images, move_statistics=False)
            value = nt_xent(full.detach() if hold_full else full, pruned.detach() if hold_pruned else pruned, 0.5)
            return torch.autograd.grad(value, weights, allow_unused=True, materialize_grads=True)

        return (
            mask,
            dict(branch.model.named_parameters()),
            gradients(False, False),
            gradients(True, False),
            gradients(False, True),
        )

    mask, named, joint, of_pruned, of_full = branched(look)
    for one, two, three in zip(joint, of_pruned, of_full, strict=True):
        assert torch.allclose(one, two + three, atol=1e-5)
    assert any(two.any() for two in of_pruned)
    assert any(three.any() for three in of_full)
    for name, gradient in zip(named, of_pruned, strict=True):
        if name in mask.tensors:
            assert not gradient[~mask.tensors[name]].any(), f"{name}: the pruned branch has no such weight"


def test_the_smallest_are_masked_again_as_many_as_before():
    model = toy_model((3, 8, 8), 2)
    names = [name for name, parameter in model.named_parameters() if parameter.ndim > 1]
    weights = dict(model.named_parameters())
    old = Mask({name: torch.rand(weights[name].shape) < 0.7 for name in names})
    new = smallest_masked(model, old)
    assert sum(new.counts().values()) == sum(old.counts().values())
    removed = torch.cat([weights[name].abs()[~new.tensors[name]] for name in names])
    kept = torch.cat([weights[name].abs()[new.tensors[name]] for name in names])
    assert removed.max() <= kept.min()


# --- the loss


def test_the_supervised_terms_by_hand():
    logits, labels = torch.tensor([[0.0, 0.0], [math.log(3), 0.0]]), torch.tensor([0, 1])
    probabilities = [(0.5, 0.5), (0.75, 0.25)]
    squared = ((0.5 - 1) ** 2 + 0.5**2 + 0.75**2 + (0.25 - 1) ** 2) / 2
    once = -(math.log(0.5) + math.log(0.25)) / 2
    twice = sum(math.log(math.exp(p) + math.exp(q)) for p, q in probabilities) / 2 - (0.5 + 0.25) / 2
    for term, expected in (("squared_error", squared), ("cross_entropy", once), ("softmax_cross_entropy", twice)):
        assert float(module.supervised(logits, labels, term)) == pytest.approx(expected, abs=1e-6)


def trained(trainer, options=None, sparsity=0.4, pruner=magnitude, **recipe):
    trial = ToyTrial(model=with_batch_norm)
    auxiliary = trial.prune(pruner, sparsity=sparsity)
    return trial.made[trial.train(trainer, options, auxiliary=auxiliary, **recipe)]


def test_without_contrast_it_is_plain_training():
    options = {"contrast": 0.0, "weight": 1.0, "term": "cross_entropy"}
    one, other = trained(critical_finetuning, options), trained(erm)
    assert one.body["losses"] == pytest.approx(other.body["losses"])
    for name, tensor in one.blobs["weights"].items():
        assert torch.allclose(tensor, other.blobs["weights"][name], atol=1e-6), name


def test_its_loss_is_the_contrast_and_the_supervised_term_in_their_proportions():
    """One batch of all, at the first step: before anything has moved."""
    once = {"epochs": 1, "batch_size": 48}
    loss = {
        (contrast, weight): trained(critical_finetuning, {"contrast": contrast, "weight": weight}, **once).body[
            "losses"
        ][0]
        for contrast, weight in ((1.0, 0.0), (0.0, 1.0), (2.0, 0.3))
    }
    assert loss[2.0, 0.3] == pytest.approx(2 * loss[1.0, 0.0] + 0.3 * loss[0.0, 1.0], rel=1e-5)
    assert loss[1.0, 0.0] > 0
    assert loss[0.0, 1.0] > 0


@pytest.mark.parametrize(
    "options",
    [{"temperature": 0.1}, {"contrasted": "softmax"}, {"term": "cross_entropy"}, {"mask_again": "smallest_each_epoch"}],
    ids=lambda options: next(iter(options)),
)
def test_every_option_changes_what_is_learned(options):
    def largest(model, data, context):
        return {name: -weight.abs() for name, weight in context.prunable(model).items()}

    plain, changed = (trained(critical_finetuning, given, pruner=largest) for given in ({}, options))
    assert any(not torch.equal(t, changed.blobs["weights"][name]) for name, t in plain.blobs["weights"].items())


def test_the_mask_is_in_no_ones_way_but_the_branchs():
    """It is auxiliary: the weights that it removes are trained, and none is zero at the end."""
    trial = ToyTrial()
    auxiliary = trial.prune(magnitude, sparsity=0.4)
    weights = trial.made[trial.train(critical_finetuning, auxiliary=auxiliary)].blobs["weights"]
    start = trial.made[trial.init].blobs["weights"]
    for name, kept in trial.mask_of(auxiliary).tensors.items():
        assert weights[name][~kept].all()
        assert not torch.equal(weights[name][~kept], start[name][~kept])


def test_the_released_variant_masks_anew_before_every_epoch(monkeypatch: pytest.MonkeyPatch):
    calls = []
    monkeypatch.setattr(module, "smallest_masked", lambda model, mask: calls.append(1) or smallest_masked(model, mask))
    made = trained(module.critical_finetuning_released, {}, epochs=3)
    assert len(calls) == 4  # before the first epoch, and after each
    assert all(math.isfinite(loss) for loss in made.body["losses"])
    assert module.critical_finetuning_released.keywords == {
        "term": "softmax_cross_entropy",
        "contrasted": "softmax",
        "mask_again": "smallest_each_epoch",
        "pruned_statistics": True,
    }


def test_without_an_auxiliary_mask_it_says_what_it_needs():
    with pytest.raises(BenchbiasError, match='a prune stage with mask = "auxiliary" before it'):
        ToyTrial().train(critical_finetuning)


def test_a_branch_is_the_callers_own_network():
    """Nothing of the caller's model is replaced for good by a call with other weights."""
    trial, seen = ToyTrial(), []

    def inside(model, data, context):
        before = {name: id(parameter) for name, parameter in model.named_parameters()}
        images = data.batch(data.train, torch.arange(4)).images
        pruned_answers(Branch(model, context), context.auxiliary_mask, images, move_statistics=False)
        seen.append(before == {name: id(parameter) for name, parameter in model.named_parameters()})
        assert isinstance(model, nn.Module)

    trial.train(inside, auxiliary=trial.prune(magnitude))
    assert seen == [True]


def test_the_contrast_holds_neither_branch_fixed_and_the_pruned_one_lacks_its_weights(monkeypatch: pytest.MonkeyPatch):
    seen = []
    monkeypatch.setattr(module, "nt_xent", lambda one, two, t: seen.append((one, two)) or nt_xent(one, two, t))
    trained(critical_finetuning, epochs=1)
    assert all(one.requires_grad and two.requires_grad and not torch.equal(one, two) for one, two in seen)
    seen.clear()
    trained(critical_finetuning, sparsity=0.0, epochs=1)
    assert all(torch.equal(one, two) for one, two in seen), "the control without a mask: both branches whole"
