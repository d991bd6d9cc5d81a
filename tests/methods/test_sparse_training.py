"""RigL, SET, static and gradual magnitude pruning inside a train stage: what every update of their masks must do."""

from __future__ import annotations

import functools
import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from benchbias.data.values import Split, TrainingData
from benchbias.network.cost import layer_flops
from benchbias.sparse.cutting import budget_counts, removed_count
from benchbias.sparse.masks import Mask, drop_and_grow, random_mask
from benchbias.suite.tables import Recipe
from benchbias.training.context import PruneContext
from benchbias_plugins.methods.magnitude import magnitude
from benchbias_plugins.methods.rigl import rigl
from benchbias_plugins.methods.set_ import set_
from benchbias_plugins.methods.static import static
from support.sparse_runs import (
    DENSITY,
    END,
    EPOCHS,
    EVERY,
    STEPS,
    WEIGHTS,
    Run,
    brute_force,
    cosine,
    erk_counts,
    network,
    parameters,
    plain,
    same,
    toy_data,
)

quick = settings(max_examples=80, deadline=None, derandomize=True)


@functools.cache
def shared(name):
    """Runs that several tests read."""
    pruner = {"rigl": rigl, "set": set_, "static": static, "magnitude": magnitude}[name]
    if name == "magnitude":
        return Run(pruner, updates={"every": 4, "ramp": "cubic"}, cut={"density": 0.13, "budget": "global"})
    return Run(pruner)


def indices(mask):
    return set(mask.flatten().nonzero().flatten().tolist())


# --- what holds for every method of constant sparsity


@pytest.mark.parametrize("name", ["rigl", "set", "static"])
def test_the_non_zeros_of_each_layer_are_those_of_erk_at_every_step(name):
    run = shared(name)
    counts = erk_counts()
    assert len({counts[name] / parameters()[name].numel() for name in WEIGHTS}) > 1, "ERK is not uniform here"
    assert [step for step, _ in run.holder.history] == [0, *range(EVERY, END + 1, EVERY)]
    assert all(kept == counts for _, kept in run.holder.history)
    assert len(run.stepped) == STEPS
    for weights in run.stepped:
        assert all(int(weights[name].count_nonzero()) <= count for name, count in counts.items())
    assert {name: int(run.weights[name].count_nonzero()) for name in WEIGHTS} == counts
    assert {name: int(run.mask[name].sum()) for name in WEIGHTS} == run.body["kept"] == counts
    assert all(int(run.weights[name][~run.mask[name]].count_nonzero()) == 0 for name in WEIGHTS)
    assert run.body["mask_updates"] == END // EVERY


@pytest.mark.parametrize("name", ["rigl", "set", "static", "magnitude"])
def test_no_mask_changes_after_the_updates_end(name):
    run = shared(name)
    assert max(asked.step for asked in run.asked) <= END
    held = [{name: weights[name] != 0 for name in WEIGHTS} for weights in run.stepped[END:]]
    assert all(not bool((kept[name] & ~run.mask[name]).any()) for kept in held for name in WEIGHTS)


@pytest.mark.parametrize("name", ["rigl", "set"])
def test_growth_preserves_the_function(name):
    """Right after an update the network is the one of which the dropped weights were only removed."""
    run = shared(name)
    images = toy_data().batch(toy_data().val, torch.arange(8)).images
    grew = 0
    for asked in run.changes:
        pruned, now = network().eval(), network().eval()
        both = {n: asked.weights[n] * (asked.old.tensors[n] & asked.answer.tensors[n]) for n in WEIGHTS}
        pruned.load_state_dict({**asked.weights, **both})
        now.load_state_dict(run.updated[asked.step])
        assert torch.equal(pruned(images), now(images))
        grew += sum(int((asked.answer.tensors[n] & ~asked.old.tensors[n]).sum()) for n in WEIGHTS)
    assert grew > 20


@pytest.mark.parametrize("name", ["rigl", "set"])
def test_grown_weights_are_trained_from_the_update_on(name):
    run = shared(name)
    for asked in run.changes:
        for layer in WEIGHTS:
            grown = asked.answer.tensors[layer] & ~asked.old.tensors[layer]
            assert int(run.updated[asked.step][layer][grown].count_nonzero()) == 0
            moved = run.stepped[asked.step][layer] != 0
            assert torch.equal(moved[grown], (asked.gradients[layer] != 0)[grown])


@pytest.mark.parametrize("skip", [False, True])
def test_an_update_step_moves_kept_weights_only_where_it_is_not_skipped(skip):
    run = Run(rigl, updates={"skip_step": skip})
    for asked in run.changes:
        after, before = run.stepped[asked.step], run.stepped[asked.step - 1]
        still = [torch.equal(after[n], before[n] * asked.answer.tensors.get(n, True)) for n in (*WEIGHTS, "6.bias")]
        assert still == [skip] * 4


@pytest.mark.parametrize("pruner", [rigl, set_, static])
def test_at_density_1_weights_are_those_of_plain_training_bit_for_bit(pruner):
    assert same(Run(pruner, cut={"density": 1.0}).weights, plain())


@pytest.mark.parametrize("pruner", [rigl, set_])
def test_to_drop_nothing_is_static_sparse_training(pruner):
    assert same(Run(pruner, options={"drop": 0.0}).weights, shared("static").weights)
    assert not same(shared("set").weights, shared("static").weights)


@pytest.mark.parametrize(("pruner", "optimizer"), [(rigl, "adam"), (set_, "adamw")])
def test_non_zeros_hold_under_adaptive_optimizers(pruner, optimizer):
    run = Run(pruner, recipe={"optimizer": optimizer, "lr": 0.01, "weight_decay": 0.1, "epochs": 3})
    assert {name: int(run.weights[name].count_nonzero()) for name in WEIGHTS} == erk_counts()


@pytest.mark.parametrize("budget", ["global", "uniform", "erk"])
@pytest.mark.parametrize("pruner", [rigl, set_, static])
def test_a_random_mask_keeps_of_each_layer_what_the_budget_says_and_by_default_what_erk_does(pruner, budget):
    run = Run(pruner, cut={"budget": budget, "layers": ["!head"]}, recipe={"epochs": 1})
    weights = {name: tensor for name, tensor in parameters().items() if name != "6.weight"}
    expected = budget_counts(weights, {"density": DENSITY}, "erk" if budget == "global" else budget)
    assert all(kept == expected for _, kept in run.holder.history)
    other = budget_counts(weights, {"density": DENSITY}, "erk" if budget == "uniform" else "uniform")
    assert other != expected, "the budgets differ here"


# --- RigL


@pytest.mark.parametrize("alpha", [0.3, 0.8])
def test_rigl_drops_the_smallest_and_grows_the_largest_gradients(alpha):
    run = shared("rigl") if alpha == 0.3 else Run(rigl, options={"drop": alpha})
    for asked in run.changes:
        for name in WEIGHTS:
            old = asked.old.tensors[name]
            count = int(cosine(alpha, asked.step) * int(old.sum()))
            stay, grown = brute_force(asked.weights[name], old, asked.gradients[name].abs(), count)
            new = indices(asked.answer.tensors[name])
            assert new == stay | grown
            assert len(new ^ indices(old)) <= 2 * count
    assert not same(dict(run.changes[0].answer.tensors), dict(run.changes[0].old.tensors))


def test_rigl_sees_the_gradients_of_weights_that_are_removed():
    sparse = [name for name, count in erk_counts().items() if count < parameters()[name].numel()]
    assert len(sparse) >= 2
    assert all(bool((a.gradients[n] != 0)[~a.old.tensors[n]].any()) for a in shared("rigl").changes for n in sparse)


@pytest.mark.parametrize("pruner", [rigl, set_])
def test_the_drop_falls_from_all_of_it_to_none_where_the_updates_end(pruner):
    """With every weight dropped and none of equal value regrown, the change is the count itself."""
    total = 400
    mask = torch.arange(1000) < total
    model = nn.Sequential(nn.Flatten(), nn.Linear(1000, 1))
    images = torch.zeros((2, 1, 10, 100), dtype=torch.uint8)
    data = TrainingData(*[Split(images, torch.zeros(2).long(), 2, name) for name in ("train", "val")], (0.5,), (1.0,))
    dropped = []
    for step in range(1, 21):
        context = PruneContext(
            device=torch.device("cpu"), generator=torch.Generator().manual_seed(0), recipe=Recipe(), data=data,
            order=torch.Generator(), mask=Mask({"1.weight": mask[None]}), step=step, progress=step / 20,
            dense_gradients={"1.weight": (~mask).float()[None]},
        )  # fmt: skip
        new = pruner(model, data, context, drop=0.4).tensors["1.weight"][0]
        assert int(new.sum()) == total
        stay, _ = brute_force(model[1].weight[0], mask, torch.zeros(1000), int(cosine(0.4, step, 20) * total))
        assert stay <= indices(new)
        dropped.append(int((mask & ~new).sum()))
    if pruner is rigl:
        assert dropped == [int(cosine(0.4, step, 20) * total) for step in range(1, 21)]
        assert all(later <= earlier for earlier, later in itertools.pairwise(dropped))
        assert 0.95 * 0.4 * total < dropped[0] <= 0.4 * total, "alpha at the start"
    assert dropped[-1] == 0


@pytest.mark.parametrize("name", ["rigl", "set"])
def test_the_update_at_the_end_changes_nothing(name):
    last = shared(name).changes[-1]
    assert last.step == END
    assert same(dict(last.answer.tensors), dict(last.old.tensors))
    assert not same(dict(shared(name).changes[0].answer.tensors), dict(shared(name).changes[0].old.tensors))


def no_gradient(model, data, context):
    context.fit(model, data, loss=lambda model, batch: 0 * model(batch.images).sum())


@pytest.mark.parametrize("pruner", [rigl, set_])
def test_without_any_gradient_and_with_ties_no_layer_shrinks(pruner):
    run = Run(pruner, trainer=no_gradient, options={"drop": 0.9}, recipe={"weight_decay": 0.0})
    assert len(run.holder.history) == 1 + END // EVERY
    assert all(kept == erk_counts() for _, kept in run.holder.history)
    assert any(int(run.weights[n].count_nonzero()) < erk_counts()[n] for n in WEIGHTS), "grown weights stayed zero"


# --- SET


def test_set_grows_other_weights_than_rigl_and_keeps_the_same():
    one, other = shared("set").changes[0], shared("rigl").changes[0]
    assert same(one.weights, other.weights)
    for name in WEIGHTS:
        count = int(cosine(0.3, EVERY) * int(one.old.tensors[name].sum()))
        stay, _ = brute_force(one.weights[name], one.old.tensors[name], torch.zeros(one.weights[name].shape), count)
        assert stay <= indices(one.answer.tensors[name])
    assert not same(dict(one.answer.tensors), dict(other.answer.tensors))


def test_set_draws_from_the_methods_generator_alone():
    asked = shared("set").changes[0]

    def update(seed, other):
        torch.manual_seed(other)
        before = torch.get_rng_state()
        model = network()
        model.load_state_dict(asked.weights)
        context = PruneContext(
            device=torch.device("cpu"), generator=torch.Generator().manual_seed(seed), recipe=Recipe(),
            data=toy_data(), order=torch.Generator(), mask=asked.old, step=EVERY, progress=EVERY / END,
        )  # fmt: skip
        torch.set_rng_state(before)
        tensors = dict(set_(model, toy_data(), context).tensors)
        assert torch.equal(torch.get_rng_state(), before)
        return tensors

    assert same(update(1, 1), update(1, 2))
    assert not same(update(1, 1), update(2, 1))


@pytest.mark.parametrize("anneal", [False, True])
def test_set_can_keep_its_drop_constant(anneal):
    run = Run(set_, options={"drop": 0.5, "anneal": anneal})
    assert same(dict(run.changes[-1].answer.tensors), dict(run.changes[-1].old.tensors)) == anneal


@pytest.mark.parametrize(("name", "reads"), [("rigl", True), ("set", False), ("static", False), ("magnitude", False)])
def test_only_rigl_reads_gradients(name, reads):
    assert {asked.context.read_gradients for asked in shared(name).changes} == {reads}


@pytest.mark.parametrize("name", ["rigl", "set", "static", "magnitude"])
def test_the_stage_counts_its_training_flops_from_the_masks_held(name):
    run = shared(name)
    dense = layer_flops(network(), torch.zeros(1, 3, 8, 8))
    expected = 0.0
    for step in range(STEPS):
        kept = [kept for start, kept in run.holder.history if start <= step][-1]
        sparse = sum(flops * kept[n] / parameters()[n].numel() for n, flops in dense.items())
        read = name == "rigl" and any(asked.step == step for asked in run.changes)
        expected += 8 * (2 * sparse + (sum(dense.values()) if read else sparse))
    assert run.body["training_flops"] == pytest.approx(expected, abs=1)


def test_unmasked_gradients_cost_a_dense_gradient_at_every_step():
    dense = layer_flops(network(), torch.zeros(1, 3, 8, 8))
    sparse = sum(flops * erk_counts()[n] / parameters()[n].numel() for n, flops in dense.items())
    run = Run(rigl, updates={"mask_gradients": False})
    assert run.body["training_flops"] == pytest.approx(STEPS * 8 * (2 * sparse + sum(dense.values())), abs=1)


# --- gradual magnitude pruning


@pytest.mark.parametrize("budget", ["global", "uniform", "erk"])
def test_gradual_pruning_only_shrinks_by_the_schedule_and_ends_exactly(budget):
    run = Run(magnitude, updates={"every": 4, "ramp": "cubic"}, cut={"density": 0.13, "budget": budget})
    total = sum(tensor.numel() for tensor in parameters().values())
    held = [kept for _, kept in run.holder.history]
    assert [step for step, _ in run.holder.history] == [0, 4, 8, 12, 16, END]
    assert held[0] == {name: tensor.numel() for name, tensor in parameters().items()}
    for earlier, later in itertools.pairwise(held):
        assert all(later[name] <= earlier[name] for name in WEIGHTS)
        assert later == held[-1] or sum(later.values()) < sum(earlier.values())
    if budget == "global":
        for step, kept in run.holder.history[1:-1]:
            density = 1 - 0.87 * (1 - (1 - step / END) ** 3)
            assert abs(sum(kept.values()) - density * total) <= 1
        assert sum(held[-1].values()) == total - removed_count(total, density=0.13)
    else:
        assert held[-1] == budget_counts(parameters(), {"density": 0.13}, budget)
    assert {name: int(run.mask[name].sum()) for name in WEIGHTS} == held[-1]


def test_gradual_pruning_never_revives_a_weight():
    gone = {name: torch.zeros(tensor.shape, dtype=torch.bool) for name, tensor in parameters().items()}
    steps = {step for step, _ in shared("magnitude").holder.history}
    for step, weights in enumerate(shared("magnitude").stepped):
        assert all(int(weights[name][gone[name]].count_nonzero()) == 0 for name in WEIGHTS)
        if step in steps:
            gone = {name: weights[name] == 0 for name in WEIGHTS}
    assert all(bool(tensor.any()) for tensor in gone.values())


def test_the_mask_of_a_selected_epoch_is_the_one_its_weights_were_trained_with():
    """The worst class gets no better after the first epoch, so the first is kept, and with it the mask of then."""

    updates = {"every": 4, "ramp": "cubic"}
    cut = {"density": 0.13, "budget": "global"}
    recipe = {"select": "val_worst_class", "lr": 1e-6}
    run = Run(magnitude, updates=updates, cut=cut, recipe=recipe)
    epoch = run.body["selected_epoch"]
    assert epoch < EPOCHS
    assert same({n: run.weights[n] for n in WEIGHTS}, {n: run.stepped[epoch * 4 - 1][n] for n in WEIGHTS})
    history = [kept for step, kept in run.holder.history if step < epoch * 4]
    assert run.body["kept"] == history[-1]
    assert {name: int(run.weights[name].count_nonzero()) for name in WEIGHTS} == history[-1]


# --- a pruner changes nothing


def vandal(model, data, context):
    """Static, but it tears down what it was given, and draws global random numbers."""
    mask = static(model, data, context)
    kept = Mask({name: tensor.clone() for name, tensor in mask.tensors.items()})
    for tensor in model.state_dict().values():
        tensor.zero_()
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
        parameter.requires_grad_(False)
    model.eval()
    torch.rand(5)
    if context.step:
        for gradient in context.gradients.values():
            gradient.zero_()
    return kept


def noisy(model, data, context):
    """A trainer that uses torch's global random numbers."""

    def loss(model, batch):
        images = batch.images + 0.1 * torch.randn_like(batch.images)
        return nn.functional.cross_entropy(model(images), batch.labels)

    torch.manual_seed(4)
    context.fit(model, data, loss=loss)


def test_a_pruner_inside_a_train_stage_cannot_change_the_model_it_is_given():
    assert same(Run(vandal, trainer=noisy).weights, Run(static, trainer=noisy).weights)


# --- drop and grow, random masks


values = st.sampled_from([0.0, -1.0, 1.0, 0.25, -0.25, 3.0]) | st.floats(-9, 9, width=32)
rows = st.lists(st.tuples(values, st.booleans(), values), min_size=1, max_size=24)


@quick
@given(rows, st.data())
def test_drop_and_grow_is_what_it_says_and_keeps_the_count_through_ties(rows, data):
    weight, kept, growth = (torch.tensor(column) for column in zip(*rows, strict=True))
    count = data.draw(st.integers(0, int(kept.sum())))
    before = (weight.clone(), kept.clone(), growth.clone())
    new = drop_and_grow(weight[:, None], kept[:, None], growth[:, None], count)
    assert new.dtype == torch.bool
    assert new.shape == (len(rows), 1)
    stay, grown = brute_force(weight, kept, growth, count)
    assert indices(new) == stay | grown
    assert int(new.sum()) == int(kept.sum())
    assert all(torch.equal(one, other) for one, other in zip(before, (weight, kept, growth), strict=True))


def test_a_just_dropped_weight_may_grow_again_and_keeps_its_value():
    mask = torch.tensor([True, True, False])
    new = drop_and_grow(torch.tensor([1.0, 2.0, 0.0]), mask, torch.tensor([5.0, 0.0, 1.0]), 1)
    assert new.tolist() == [True, True, False]


@quick
@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1, max_size=4), st.data(), st.integers(0, 99))
def test_random_masks_keep_exactly_the_counts(shapes, data, seed):
    tensors = {str(number): torch.zeros(shape) for number, shape in enumerate(shapes)}
    counts = {name: data.draw(st.integers(0, tensor.numel())) for name, tensor in tensors.items()}
    mask = random_mask(tensors, counts, torch.Generator().manual_seed(seed))
    assert mask.counts() == counts
    assert {name: tensor.shape for name, tensor in mask.tensors.items()} == {n: t.shape for n, t in tensors.items()}
    again = random_mask(tensors, counts, torch.Generator().manual_seed(seed))
    assert same(dict(mask.tensors), dict(again.tensors))


def test_every_weight_is_as_likely_to_be_kept_by_a_random_mask():
    stream = torch.Generator().manual_seed(0)
    draws = [random_mask({"a": torch.zeros(4, 5)}, {"a": 5}, stream).tensors["a"].float() for _ in range(2000)]
    assert float((torch.stack(draws).mean(0) - 0.25).abs().max()) < 5 * math.sqrt(0.25 * 0.75 / 2000)


# --- known bugs: take the mark away with the fix


@pytest.mark.parametrize("until", [0.0, 1.0])
def test_a_ramp_over_all_steps_or_none_ends_at_the_target(until):
    updates = {"every": 4, "ramp": "cubic", "until": until}
    run = Run(magnitude, updates=updates, cut={"density": 0.13, "budget": "global"}, recipe={"epochs": 2})
    total = sum(tensor.numel() for tensor in parameters().values())
    assert sum(run.body["kept"].values()) == total - removed_count(total, density=0.13)


def test_a_ramp_with_unmasked_gradients_costs_two_passes_of_the_mask_held_then_and_a_dense_one():
    updates = {"every": 2, "ramp": "cubic", "mask_gradients": False}
    run = Run(magnitude, updates=updates, cut={"density": 0.13, "budget": "global"}, recipe={"epochs": 2})
    dense = layer_flops(network(), torch.zeros(1, 3, 8, 8))
    expected = 0.0
    for step in range(8):
        kept = [kept for start, kept in run.holder.history if start <= step][-1]
        sparse = sum(flops * kept[n] / parameters()[n].numel() for n, flops in dense.items())
        expected += 8 * (2 * sparse + sum(dense.values()))
    assert run.body["training_flops"] == pytest.approx(expected, abs=1)


def test_a_pruner_cannot_change_the_model_through_its_context():
    def writes(model, data, context):
        for weight in context.weights.values():
            weight.fill_(7)
        return static(model, data, context)

    assert same(Run(writes, recipe={"epochs": 1}).weights, Run(static, recipe={"epochs": 1}).weights)
