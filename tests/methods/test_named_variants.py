"""Named variants: each fault of a paper or of its released code, done on purpose, and what the repaired method does."""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from benchbias.data.values import GroupLabels
from benchbias.errors import UsageError
from benchbias.network.cost import layer_flops
from benchbias.plan.trial_path import _updates
from benchbias.sparse.cutting import budget_densities, erk_densities
from benchbias.sparse.holding import Updates
from benchbias.sparse.masks import independent_mask
from benchbias.suite.catalogue import load, shipped_file
from benchbias.suite.tables import LATER_UPDATE_KEYS, UpdatesTable
from benchbias_plugins.methods.magnitude import magnitude
from benchbias_plugins.methods.rest import BETAS, RATIOS, beta, released_update, rest, rest_preset, rest_release
from benchbias_plugins.methods.rigl import keep_and_grow, rigl, rigl_google
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
)  # fmt: skip

quick = settings(max_examples=80, deadline=None, derandomize=True)
RELEASED = {"until": 1.0, "after_step": True, "mask_gradients": False}
GOOGLE = {"at_start": True, "skip_step": True}


# --- when masks change


def steps(total, **keys):
    return [step for step in range(total + 1) if Updates(**keys).due(step, total)]


def test_begin_moves_the_time_of_updates():
    assert steps(100, every=10, until=0.5) == [10, 20, 30, 40, 50]
    assert steps(100, every=10, until=0.5, begin=0.2) == [30, 40, 50]
    assert steps(100, every=10, until=0.5, begin=0.2, at_start=True) == [20, 30, 40, 50]
    assert steps(100, every=30, until=0.5, at_start=True) == [0, 30]
    assert steps(100, every=30, until=0.5, begin=0.1, ramp="cubic") == [40, 50], "a ramp ends where it should"
    told = Updates(until=0.5, begin=0.2)
    assert [told.progress(step, 100) for step in (0, 20, 35, 50, 80)] == [0, 0, 0.5, 1, 1]


def test_the_pie_studys_schedule():
    """Steps 5,000 to 8,000 of 32,000, every 500: the sparsities that its card gives for 0.9."""
    study = Updates(every=500, begin=5000 / 32000, until=0.25, ramp="cubic")
    assert steps(32_000, every=500, begin=5000 / 32000, until=0.25, ramp="cubic") == list(range(5500, 8001, 500))
    sparsity = [1 - study.density(0.1, step, 32_000) for step in range(5000, 8001, 500)]
    assert sparsity == pytest.approx([0, 0.379, 0.633, 0.788, 0.867, 0.896, 0.9], abs=6e-4)
    assert all(study.density(0.1, step, 32_000) == 1 for step in (0, 4999))
    assert study.density(0.1, 20_000, 32_000) == pytest.approx(0.1)
    shipped = load(shipped_file()).methods["gradual-magnitude-pie"].stages[0]["prune"]
    assert (shipped["begin"], shipped["until"]) == (5000 / 32000, 8000 / 32000)
    assert shipped["every"] == int(500 * 475 / 32000)


def test_gradual_pruning_with_a_late_beginning_is_dense_before_it_and_layerwise_exact_at_the_end():
    run = Run(
        magnitude, updates={"every": 2, "ramp": "cubic", "begin": 0.3, "until": 0.7},
        cut={"density": 0.13, "budget": "uniform"},
    )  # fmt: skip
    assert [step for step, _ in run.holder.history] == [0, 9, 11, 13, 15, 16]
    assert all(bool((weights[n] != 0).any()) for weights in run.stepped[:9] for n in WEIGHTS)
    totals = {name: tensor.numel() for name, tensor in parameters().items()}
    assert run.holder.history[0][1] == totals
    assert run.body["kept"] == {name: total - math.floor(0.87 * total) for name, total in totals.items()}
    assert same({n: run.stepped[8][n] for n in WEIGHTS}, {n: Run(None).stepped[8][n] for n in WEIGHTS})


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"begin": 0.5, "until": 0.5}, "begin must be below until"),
        ({"skip_step": True, "after_step": True}, "not both"),
        ({"at_start": True, "after_step": True}, "no step before the first"),
        ({"begin": 1.5}, "begin"),
    ],
)
def test_contradictory_schedules_are_refused(table, told):
    with pytest.raises(UsageError, match=told):
        _updates(table, "here")


def test_keys_that_came_later_stand_in_no_inputs_at_their_defaults():
    """Else every sparse method's identity would be another, and its records no longer its own."""
    assert set(_updates({}, "here")) == {"every", "until", "ramp", "skip_step", "mask_gradients"}
    assert _updates({"begin": 0.1, "at_start": False}, "here")["begin"] == 0.1
    assert set(LATER_UPDATE_KEYS) < set(UpdatesTable.model_fields)


# --- an update after the step, and the optimizer's state


def test_an_update_after_the_step_uses_its_gradients_and_the_weights_it_left():
    run, seen = Run(rigl, updates={"after_step": True}), Run(rigl)
    assert [asked.step for asked in run.changes] == [asked.step for asked in seen.changes]
    for asked in run.changes:
        held = {n: asked.weights[n] * asked.answer.tensors[n] for n in WEIGHTS}
        assert same(held, {n: run.stepped[asked.step - 1][n] for n in WEIGHTS}), "the weights after that step"
    first = run.changes[0]
    earlier = Run(static_then(first.step), updates={"every": 1})
    gradients = next(asked.gradients for asked in earlier.changes if asked.step == first.step - 1)
    assert same(first.gradients, gradients), "the batch of the step before"
    for layer in WEIGHTS:
        grown = first.answer.tensors[layer] & ~first.old.tensors[layer]
        assert int(run.updated[first.step][layer][grown].count_nonzero()) == 0
    assert all(kept == erk_counts() for _, kept in run.holder.history)


def static_then(last):
    """RigL's first mask, kept: what a run sees before its first update."""

    def still(model, data, context):
        return rigl(model, data, context) if context.mask is None else context.mask

    return still


def momentum_of_grown(updates, trainer_recipe):
    """Momentum at weights that have just grown, and at removed weights before, at the first update."""
    found = {}

    def peek(model, data, context):
        from torch.optim.optimizer import register_optimizer_step_pre_hook

        def look(optimizer, *_):
            if context.holder.step == EVERY:
                for name, parameter in model.named_parameters():
                    state = optimizer.state.get(parameter, {}).get("momentum_buffer")
                    if name in WEIGHTS and state is not None:
                        found[name] = state.clone()

        handle = register_optimizer_step_pre_hook(look)
        context.fit(model, data)
        handle.remove()

    run = Run(rigl, trainer=peek, updates=updates, recipe=trainer_recipe)
    change = run.changes[0]
    grown = {n: change.answer.tensors[n] & ~change.old.tensors[n] for n in WEIGHTS}
    gone = {n: ~change.answer.tensors[n] & ~change.old.tensors[n] for n in WEIGHTS}
    return [sum(int(found[n][at[n]].count_nonzero()) for n in WEIGHTS) for at in (grown, gone)]


@pytest.mark.parametrize(
    ("updates", "expected"),
    [
        ({}, (False, False)),
        ({"mask_gradients": False}, (True, True)),
        ({"mask_gradients": False, "reset_state": True}, (False, False)),
        ({"reset_state": False}, (False, False)),  # state of weights that were always masked is zero anyway
    ],
)
def test_stale_state_gathers_at_removed_weights_only_where_a_stage_says_so(updates, expected):
    counts = momentum_of_grown(updates, {"optimizer": "sgd", "momentum": 0.9})
    assert tuple(count > 0 for count in counts) == expected


def test_state_of_dropped_weights_stays_where_it_is_not_reset():
    """With masked gradients only what was dropped has state: it fades by the momentum, and is there again on growth."""
    one, other = Run(rigl, updates={"reset_state": False}), Run(rigl)
    assert not same(one.weights, other.weights)
    assert same(Run(rigl, updates={"reset_state": True}).weights, other.weights)
    assert same(Run(rigl, updates={"reset_state": False, "mask_gradients": False}).weights,
                Run(rigl, updates={"mask_gradients": False}).weights)  # fmt: skip


# --- Google's RigL


def test_googles_first_update_comes_before_the_first_step_and_in_its_place():
    run = Run(rigl_google, updates=GOOGLE)
    assert [asked.step for asked in run.changes] == list(range(0, END + 1, EVERY))
    assert run.body["mask_updates"] == len(run.changes)
    first = run.changes[0]
    assert first.gradients is not None
    for name in WEIGHTS:
        count = int(0.3 * int(first.old.tensors[name].sum()))
        stay, grown = brute_force(first.weights[name], first.old.tensors[name], first.gradients[name].abs(), count)
        assert set(first.answer.tensors[name].flatten().nonzero().flatten().tolist()) == stay | grown
    for asked in run.changes[1:]:
        before = run.stepped[asked.step - 1]
        assert all(torch.equal(run.stepped[asked.step][n], before[n] * asked.answer.tensors[n]) for n in WEIGHTS)
    start = network().state_dict()["6.bias"]
    assert torch.equal(run.stepped[0]["6.bias"], start)
    assert all(kept == erk_counts() for _, kept in run.holder.history)


def test_without_noise_and_its_schedule_googles_rigl_is_ours():
    quiet, loud = (Run(rigl_google, options={"noise": noise}) for noise in (0.0, 1.0))
    assert same(quiet.weights, Run(rigl).weights)
    assert not same(loud.weights, quiet.weights)
    assert not same(Run(rigl_google, updates=GOOGLE).weights, Run(rigl).weights)


@pytest.mark.parametrize("drop", [0.3, 0.8])
def test_what_was_dropped_grows_again_unless_that_is_forbidden(drop):
    free, strict = (Run(rigl_google, options={"drop": drop, "regrow_dropped": flag}) for flag in (True, False))
    again = 0
    for run in (free, strict):
        for asked in run.changes:
            for name in WEIGHTS:
                old, new = asked.old.tensors[name], asked.answer.tensors[name]
                count = int(cosine(drop, asked.step) * int(old.sum()))
                back = count - int((old & ~new).sum())  # of the dropped ones
                room = old.numel() - int(old.sum())
                assert back >= 0
                if run is strict:
                    assert back == max(count - room, 0)
                else:
                    again += back
    assert again > 0
    assert all(kept == erk_counts() for _, kept in strict.holder.history)


signs = st.sampled_from([0.0, 0.0, 0.5, -1.0, 2.0])
masks = st.lists(st.tuples(st.booleans(), signs, st.sampled_from([0.0, 0.0, 1.0, 3.0])), min_size=1, max_size=20)


@quick
@given(masks, st.floats(0, 1))
def test_google_keeps_and_grows_over_all_positions_and_never_changes_the_count(rows, rate):
    kept, weight, growth = (torch.tensor(column) for column in zip(*rows, strict=True))
    nonzeros = int(kept.sum())
    after = keep_and_grow((weight * kept).abs(), growth, nonzeros, rate)
    grown = int(rate * nonzeros)
    order = sorted(range(len(kept)), key=lambda at: (-float((weight * kept).abs()[at]), at))
    stay = set(order[: nonzeros - grown])
    rest_ = sorted(set(range(len(kept))) - stay, key=lambda at: (-float(growth[at]), at))
    assert set(after.nonzero().flatten().tolist()) == stay | set(rest_[:grown])
    assert int(after.sum()) == nonzeros


def test_noise_may_keep_what_is_removed_in_place_of_weights_that_are_zero():
    """Kept weights that are exactly zero tie with removed ones: Google's ranking cannot tell them apart, ours does."""
    weight, mask = torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0]), torch.tensor([True, True, True, False, False])
    noise = torch.tensor([0.0, 0.0, 0.0, 1e-5, 1e-5])
    after = keep_and_grow((weight * mask).abs() + noise, torch.zeros(5), 3, 0.0)
    assert after.tolist() == [False, False, True, True, True]


# --- REST's released masks


def by_hand(weight, mask, gradient, rate):
    """sparselearning/core.py: magnitude_death and gradient_growth, on lists."""
    sizes, kept, slopes = weight.abs().tolist(), mask.tolist(), gradient.tolist()
    nonzeros = sum(kept)
    removed = math.ceil(rate * nonzeros)
    if removed == 0:
        after = [size != 0 for size in sizes]
    else:
        threshold = sorted(sizes)[len(kept) - nonzeros + removed - 1]
        after = [size > threshold for size in sizes]
    missing = nonzeros - sum(after)
    score = [abs(slope) * (not keep) for slope, keep in zip(slopes, after, strict=True)]
    for at in sorted(range(len(kept)), key=lambda at: (-score[at], at))[:missing]:
        after[at] = True
    return after


@quick
@example([(True, 0.0, 0.0), (True, 1.0, 0.0), (False, 0.0, 0.0)], 0.5)
@given(masks, st.floats(0, 1))
def test_the_released_update_is_that_of_the_code(rows, rate):
    kept, weight, gradient = (torch.tensor(column) for column in zip(*rows, strict=True))
    weight = weight * kept
    after = released_update(weight, kept, gradient, rate)
    assert after.tolist() == by_hand(weight, kept, gradient, rate)
    assert int(after.sum()) <= int(kept.sum())


def test_without_gradients_the_released_growth_loses_weights_and_ours_does_not():
    weight = torch.tensor([3.0, 2.0, 1.0, 0.5, 0.0, 0.0])
    mask, nothing = weight != 0, torch.zeros(6)
    assert int(released_update(weight, mask, nothing, 0.5).sum()) == 2
    run = Run(rest_release, trainer=no_gradient, options={"exact_init": True}, updates=RELEASED,
              recipe={"weight_decay": 0.0})  # fmt: skip
    assert run.holder.history[0][1] == erk_counts()
    assert sum(run.holder.history[-1][1].values()) < sum(erk_counts().values())


def no_gradient(model, data, context):
    context.fit(model, data, loss=lambda model, batch: 0 * model(batch.images).sum())


def test_released_masks_are_updated_to_the_end_after_the_step_and_fall_from_drop_to_final_drop():
    run = Run(rest_release, updates=RELEASED)
    assert [asked.step for asked in run.changes] == list(range(EVERY, STEPS, EVERY))
    for asked in run.changes:
        rate = 0.005 + (0.5 - 0.005) / 2 * (1 + math.cos(math.pi * asked.step / STEPS))
        for name in WEIGHTS:
            one = (asked.weights[name].flatten(), asked.old.tensors[name].flatten(), asked.gradients[name].flatten())
            assert asked.answer.tensors[name].flatten().tolist() == by_hand(*one, rate)
        held = {n: asked.weights[n] * asked.answer.tensors[n] for n in WEIGHTS}
        assert same(held, {n: run.stepped[asked.step - 1][n] for n in WEIGHTS})
    dense = layer_flops(network(), torch.zeros(1, 3, 8, 8))
    held = [[kept for start, kept in run.holder.history if start <= step][-1] for step in range(STEPS)]
    sparse = [sum(flops * kept[n] / parameters()[n].numel() for n, flops in dense.items()) for kept in held]
    assert run.body["training_flops"] == pytest.approx(8 * (2 * sum(sparse) + STEPS * sum(dense.values())), abs=1)


def by_gradient(model, data, context):
    """Gradual pruning that reads gradients, so that the masks before and after an update cost differently."""
    gradients = context.gradients if context.dense_gradients is not None else dict(context.prunable(model))
    return {name: (weight * gradients[name]).abs() for name, weight in context.prunable(model).items()}


@pytest.mark.parametrize("after_step", [False, True])
def test_a_dense_gradient_is_paid_for_at_the_step_that_made_it_under_the_mask_held_then(after_step):
    updates = {"ramp": "cubic", "after_step": after_step}
    run = Run(by_gradient, updates=updates, cut={"budget": "uniform"}, recipe={"epochs": 3})
    layers, expected = layer_flops(network(), torch.zeros(1, 3, 8, 8)), 0.0
    paid = [asked.step - after_step for asked in run.changes]
    for step in range(12):
        kept = [kept for start, kept in run.holder.history if start <= step][-1]
        sparse = sum(flops * kept[n] / parameters()[n].numel() for n, flops in layers.items())
        expected += 8 * (2 * sparse + (sum(layers.values()) if step in paid else sparse))
    assert run.body["training_flops"] == pytest.approx(expected, abs=1)


def test_independent_masks_keep_each_weight_with_its_layers_density():
    shapes = {"a": torch.zeros(40, 50), "b": torch.zeros(30)}
    densities = {"a": 0.2, "b": 1.0}
    stream = torch.Generator().manual_seed(0)
    draws = [independent_mask(shapes, densities, stream) for _ in range(200)]
    counts = torch.tensor([mask.counts()["a"] for mask in draws]).double()
    assert abs(float(counts.mean()) - 400) < 4 * math.sqrt(2000 * 0.16 / 200)
    assert 0.75 * 2000 * 0.16 < float(counts.var()) < 1.3 * 2000 * 0.16, "binomial: not an exact count"
    assert all(mask.counts()["b"] == 30 for mask in draws)


def test_the_first_released_mask_is_drawn_from_erks_densities_before_they_are_rounded():
    run = Run(rest_release, updates=RELEASED, recipe={"epochs": 1})
    shapes = {name: tuple(tensor.shape) for name, tensor in parameters().items()}
    densities = erk_densities(shapes, DENSITY)
    assert budget_densities(parameters(), {"density": DENSITY}, "erk") == densities
    assert budget_densities(parameters(), {"sparsity": 0.7}, "uniform") == pytest.approx(dict.fromkeys(WEIGHTS, 0.3))
    expected = independent_mask(parameters(), densities, run_stream())
    assert same(dict(run.asked[0].answer.tensors), dict(expected.tensors))
    assert run.holder.history[0][1] != erk_counts()


def run_stream():
    from benchbias.stages.seeding import generator

    return generator(0, "method")


# --- REST's weights


def flags(share, count=1000):
    labels = torch.zeros(count, dtype=torch.int64)
    conflicting = torch.arange(count) < round(share * count)
    return GroupLabels.of(labels, conflicting.long(), ~conflicting, 1, ("same", "other"))


@pytest.mark.parametrize(("share", "paper", "dcwp"), [(0.005, 10, 80), (0.01, 30, 50), (0.02, 50, 30), (0.05, 80, 10)])
def test_the_published_weights_by_the_share_of_conflicting_examples(share, paper, dcwp):
    assert [beta(name, flags(share)) for name in ("paper", "code80", "dcwp")] == [paper, 80, dcwp]
    near = share * 1.15
    assert [beta(name, flags(near)) for name in ("paper", "code80", "dcwp")] == [paper, 80, dcwp]


def test_shares_beyond_the_published_ones_have_the_nearest_weight():
    assert [beta("paper", flags(share)) for share in (0.0, 0.001, 0.5, 1.0)] == [10, 10, 80, 80]
    assert set(BETAS) == {"paper", "paper_bffhq", "code80", "dcwp"}
    assert beta("paper_bffhq", flags(0.005)) == 80
    assert all(len(row) == len(RATIOS) for row in BETAS.values())
    assert all(later > earlier for earlier, later in itertools.pairwise(BETAS["paper"]))
    assert tuple(reversed(BETAS["paper"])) == BETAS["dcwp"]


@pytest.mark.parametrize("weighting", ["loss", "sampling"])
def test_a_preset_is_rest_with_its_weight(weighting):
    given_: list[tuple] = []
    context = SimpleNamespace(fit_weighted=lambda model, data, weights, kind: given_.append((weights.tolist(), kind)))
    groups = flags(0.05)
    rest_preset(nn.Identity(), None, context, groups, betas="dcwp", weighting=weighting)
    rest(nn.Identity(), None, context, groups, upweight=10.0, weighting=weighting)
    assert given_[0] == given_[1]
    assert given_[0][1] == weighting


# --- the shipped variants


def test_every_shipped_variant_has_the_repaired_method_as_its_baseline():
    catalogue = load(shipped_file())
    table = catalogue.suites["named-variants"]
    for name in table.methods:
        method = catalogue.methods[name]
        repaired = name.split("-")[0]
        if method.ranked or repaired not in ("mrm", "rest", "rigl", "undecayed", "gradual") or name == "rest-dense":
            continue
        base = {"gradual": "gradual-magnitude"}.get(repaired, repaired)
        assert method.baseline == base in table.methods
        assert method.sweep == catalogue.methods[base].sweep
        assert method.follows in (base, None)
        assert set(method.parameters) <= set(catalogue.methods[base].parameters)
        assert table.override.get(name, {}).get("recipe") == table.override.get(base, {}).get("recipe")


def test_plain_training_is_untouched_by_all_of_it():
    assert same(Run(rigl_google, cut={"density": 1.0}).weights, plain())
    assert same(Run(rest_release, cut={"density": 1.0}, options={"drop": 0.0, "final_drop": 0.0}).weights, plain())
    assert EPOCHS * 4 == STEPS
