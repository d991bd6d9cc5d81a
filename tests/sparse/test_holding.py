"""Masks that hold under any optimizer and training loop, and masks that change: when, and what is left behind."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from benchbias.sparse.holding import Holder, Updates, enforced, holding
from benchbias.sparse.masks import Mask

quick = settings(max_examples=60, deadline=None, derandomize=True)

OPTIMIZERS = {
    "sgd with momentum, nesterov and weight decay": lambda p: torch.optim.SGD(
        p, 0.1, momentum=0.9, nesterov=True, weight_decay=0.1
    ),
    "adam with weight decay": lambda p: torch.optim.Adam(p, 0.01, weight_decay=0.1),
    "adamw": lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1),
    "fused adamw": lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1, fused=True),
    "centered rmsprop with momentum": lambda p: torch.optim.RMSprop(
        p, 0.01, centered=True, momentum=0.9, weight_decay=0.1
    ),
}


def network():
    torch.manual_seed(7)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))


def random_mask(model):
    generator = torch.Generator().manual_seed(8)
    return Mask(
        {name: torch.rand(p.shape, generator=generator) < 0.5 for name, p in model.named_parameters() if p.ndim == 2},
        attached={"0.bias": torch.arange(8) % 2 == 0},
    )


def everything(mask):
    return {**mask.tensors, **mask.attached}


def backward(model):
    inputs = torch.rand(16, 6)
    nn.functional.cross_entropy(model(inputs), torch.randint(0, 3, (16,))).backward()


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_removed_weights_are_exactly_zero_after_every_step(make):
    model = network()
    mask = random_mask(model)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = make(model.parameters())
    with enforced(model, mask):
        for _ in range(8):
            optimizer.zero_grad()
            backward(model)
            optimizer.step()
            for name, tensor in everything(mask).items():
                assert int(model.get_parameter(name)[~tensor].count_nonzero()) == 0
    for name, tensor in everything(mask).items():
        assert bool((model.get_parameter(name) != before[name])[tensor].all()), "kept weights are trained"


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_no_momentum_gathers_on_removed_weights(make):
    model = network()
    mask = random_mask(model)
    optimizer = make(model.parameters())
    with enforced(model, mask):
        for _ in range(4):
            optimizer.zero_grad()
            backward(model)
            optimizer.step()
    for name, tensor in everything(mask).items():
        states = [s for s in optimizer.state[model.get_parameter(name)].values() if s.shape == tensor.shape]
        assert states
        assert any(bool(state[tensor].any()) for state in states)
        assert all(int(state[~tensor].count_nonzero()) == 0 for state in states)


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_momentum_from_before_the_mask_moves_no_removed_weight(make):
    model = network()
    mask = random_mask(model)
    optimizer = make(model.parameters())
    for _ in range(3):
        optimizer.zero_grad()
        backward(model)
        optimizer.step()
    with enforced(model, mask):
        optimizer.zero_grad()
        backward(model)
        optimizer.step()
        assert all(int(model.get_parameter(n)[~t].count_nonzero()) == 0 for n, t in everything(mask).items())


def test_a_mask_holds_from_before_the_first_step():
    model = network()
    mask = random_mask(model)
    with enforced(model, mask):
        assert all(int(model.get_parameter(n)[~t].count_nonzero()) == 0 for n, t in everything(mask).items())


def test_a_mask_holds_for_a_loop_that_uses_no_optimizer():
    model = network()
    mask = random_mask(model)
    with enforced(model, mask):
        for _ in range(3):
            model.zero_grad()
            backward(model)
            for parameter in model.parameters():
                parameter.data -= 0.1 * parameter.grad
    assert all(int(model.get_parameter(n)[~t].count_nonzero()) == 0 for n, t in everything(mask).items())


def test_no_momentum_gathers_where_the_gradients_are_made_inside_the_step():
    model = network()
    mask = random_mask(model)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)

    def closure():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(torch.ones(2, 6)), torch.tensor([0, 1]))
        loss.backward()
        return loss

    with enforced(model, mask):
        for _ in range(2):
            optimizer.step(closure)
    for name, tensor in everything(mask).items():
        assert int(optimizer.state[model.get_parameter(name)]["momentum_buffer"][~tensor].count_nonzero()) == 0


def steps_freely(model, mask):
    """Whether an optimizer moves the removed weights of a model: no hook of ours is left."""
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    optimizer.zero_grad()
    backward(model)
    optimizer.step()
    return all(int(model.get_parameter(name)[~tensor].count_nonzero()) > 0 for name, tensor in mask.tensors.items())


def test_nothing_is_held_after_the_block():
    model = network()
    mask = random_mask(model)
    with enforced(model, mask):
        pass
    assert steps_freely(model, mask)


def test_nothing_is_held_after_an_exception_in_the_block():
    model = network()
    mask = random_mask(model)
    with pytest.raises(KeyboardInterrupt), enforced(model, mask):
        raise KeyboardInterrupt
    assert steps_freely(model, mask)


def test_another_model_is_not_touched_while_a_mask_is_in_force():
    model, other = network(), network()
    mask = random_mask(model)
    with enforced(model, mask):
        assert steps_freely(other, mask)


def test_without_a_mask_nothing_is_held():
    model = network()
    before = [p.detach().clone() for p in model.parameters()]
    with enforced(model, None):
        assert all(torch.equal(one, other) for one, other in zip(before, model.parameters(), strict=True))
        backward(model)
        torch.optim.SGD(model.parameters(), 0.1).step()
    assert not any(torch.equal(one, other) for one, other in zip(before, model.parameters(), strict=True))


# --- when a mask changes

thousandths = st.integers(0, 1000)


@quick
@example(1, 290, 100, "none")  # 0.29 * 100 is a little less than 29 in binary
@given(st.integers(1, 40), thousandths, st.integers(1, 300), st.sampled_from(["none", "cubic"]))
def test_updates_are_due_at_multiples_from_the_first_step_on_until_the_end(every, parts, total, ramp):
    updates = Updates(every, parts / 1000, ramp)
    end = max(min(parts * total // 1000, total - 1), 0)
    expected = {step for step in range(every, total, every) if step <= end}
    if ramp == "cubic" and 0 < end < total:
        expected.add(end)
    assert {step for step in range(total) if updates.due(step, total)} == expected


@quick
@given(thousandths, st.integers(2, 300), thousandths)
def test_the_cubic_ramp_falls_from_dense_to_the_target_and_stays_there(parts, total, target):
    updates, target = Updates(every=7, until=parts / 1000, ramp="cubic"), target / 1000
    end = max(min(parts * total // 1000, total - 1), 0)
    densities = [updates.density(target, step, total) for step in range(total + 1)]
    assert all(later <= earlier for earlier, later in itertools.pairwise(densities))
    assert densities[max(end, 1) :] == pytest.approx([target] * (total + 1 - max(end, 1)))
    if end:
        assert densities[0] == 1
        half = 1 - (1 - target) * (1 - 0.5**3)  # Zhu and Gupta, 2017, equation 1
        assert end % 2 or densities[end // 2] == pytest.approx(half)


def test_without_a_ramp_the_density_is_the_target_from_the_first_step_on():
    assert {Updates().density(0.2, step, 100) for step in range(101)} == {0.2}


def test_progress_runs_from_0_to_1_where_the_updates_end_and_stays():
    updates = Updates(until=0.5)
    assert [updates.progress(step, 40) for step in (0, 5, 10, 20, 21, 40)] == [0, 0.25, 0.5, 1, 1, 1]


# --- a mask that changes

CHANGED = 3  # the step before which the mask changes
KINDS = {
    **OPTIMIZERS,
    "sgd with momentum": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9),
    "adam": lambda p: torch.optim.Adam(p, 0.01),
    "amsgrad": lambda p: torch.optim.Adam(p, 0.01, amsgrad=True, weight_decay=0.1),
}


def changing(model, **updates):
    """A holder whose mask is another one from step CHANGED on, and both masks."""
    old = random_mask(model)
    generator = torch.Generator().manual_seed(9)
    new = Mask({name: torch.rand(t.shape, generator=generator) < 0.5 for name, t in old.tensors.items()})
    updates = Updates(every=CHANGED, until=1.0, **updates)
    holder = Holder(model, old, updates, lambda step, dense: new if step == CHANGED else holder.mask)
    holder.begin(2 * CHANGED)
    return holder, old, new


def states(optimizer, model):
    """The state tensors of each parameter, and a count of steps where there is one."""
    found = {name: optimizer.state.get(parameter, {}) for name, parameter in model.named_parameters()}
    return {name: {key: torch.as_tensor(v).clone() for key, v in s.items()} for name, s in found.items()}


def weights(model):
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def train(model, optimizer, steps):
    for _ in range(steps):
        optimizer.zero_grad()
        backward(model)
        optimizer.step()


def around_the_change(make, model, **updates):
    """Train over the change: (weights, states) before it, right after it, and after the step that follows it."""
    holder, old, new = changing(model, **updates)
    optimizer = make(model.parameters())
    seen = []

    def look(*_):
        seen.append((weights(model), states(optimizer, model)))

    with holding(holder):
        train(model, optimizer, CHANGED)
        look()
        handle = register_optimizer_step_pre_hook(look)  # runs after the holder's own
        train(model, optimizer, 1)
        handle.remove()
        look()
    assert holder.history == [(0, old.counts()), (CHANGED, new.counts())]
    return old, new, seen


def shaped(state, like):
    return [value for value in state.values() if value.shape == like.shape]


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_all_optimizer_state_is_zero_where_a_change_removes_a_weight(make):
    old, new, (before, right_after, later) = around_the_change(make, network())
    for name, kept in new.tensors.items():
        gone = old.tensors[name] & ~kept
        assert any(bool(value[gone].any()) for value in shaped(before[1][name], kept)), "there was something to clear"
        for weight, state in (right_after, later):
            assert int(weight[name][~kept].count_nonzero()) == 0
            assert len(shaped(state[name], kept)) == len(shaped(before[1][name], kept)) > 0
            assert all(int(value[~kept].count_nonzero()) == 0 for value in shaped(state[name], kept))


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_grown_weights_start_at_zero_with_zero_state_and_learn_from_the_next_step_on(make):
    old, new, (_, right_after, later) = around_the_change(make, network())
    for name, kept in new.tensors.items():
        grown = kept & ~old.tensors[name]
        assert bool(grown.any())
        assert int(right_after[0][name][grown].count_nonzero()) == 0
        assert all(int(value[grown].count_nonzero()) == 0 for value in shaped(right_after[1][name], kept))
        assert bool((later[0][name] != 0)[grown].all())


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_a_change_moves_neither_kept_weights_nor_their_state(make):
    old, new, (before, right_after, _) = around_the_change(make, network())
    for name, value in before[0].items():
        both = new.tensors[name] & old.tensors[name] if name in new.tensors else torch.ones_like(value).bool()
        assert torch.equal(right_after[0][name][both], value[both])
        for key, state in before[1][name].items():
            where = both if state.shape == both.shape else ...
            assert torch.equal(right_after[1][name][key][where], state[where])


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_a_skipped_step_moves_nothing_but_what_the_change_removes(make):
    _, new, (before, _, later) = around_the_change(make, network(), skip_step=True)
    assert set(before[0]) - set(new.tensors) == {"0.bias", "2.bias"}
    for name, value in before[0].items():
        kept = new.tensors.get(name, torch.ones_like(value).bool())
        assert torch.equal(later[0][name], value * kept)
        for key, state in before[1][name].items():
            assert torch.equal(later[1][name][key], state * kept if state.shape == kept.shape else state)


def test_only_the_step_of_an_update_is_skipped():
    model = network()
    holder, _, new = changing(model, skip_step=True)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    moved = []
    with holding(holder):
        for _ in range(2 * CHANGED):
            before = weights(model)["2.bias"]
            train(model, optimizer, 1)
            moved.append(not torch.equal(weights(model)["2.bias"], before))
    assert moved == [step != CHANGED for step in range(2 * CHANGED)]
    assert holder.mask is new


@pytest.mark.parametrize("every", [CHANGED, 100])
def test_gradients_that_are_not_masked_gather_on_removed_weights_which_stay_zero(every):
    model = network()
    mask = random_mask(model)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    holder = Holder(model, mask, Updates(every=every, mask_gradients=False), lambda step, dense: mask)
    holder.begin(100)
    with holding(holder):
        for _ in range(5):
            train(model, optimizer, 1)
            assert all(int(weights(model)[name][~kept].count_nonzero()) == 0 for name, kept in everything(mask).items())
    for name, kept in mask.tensors.items():
        momentum = optimizer.state[model.get_parameter(name)]["momentum_buffer"]
        assert bool((momentum != 0)[~kept].all())
    assert len(holder.history) == 1 + (every == CHANGED)


def test_state_that_gathered_on_removed_weights_is_gone_where_a_change_grows_them():
    _, new, (before, right_after, _) = around_the_change(
        KINDS["sgd with momentum"], network(), mask_gradients=False, reset_state=True
    )
    for name, kept in new.tensors.items():
        (momentum,), (cleared,) = (shaped(seen[1][name], kept) for seen in (before, right_after))
        gathered = (right_after[0][name] == 0) & (momentum != 0)
        assert bool((gathered & kept).any()), "a weight is grown whose momentum has gathered"
        assert not bool(cleared[gathered].any())


def test_a_change_is_given_the_dense_gradients_of_its_step():
    model = network()
    given = []
    mask = random_mask(model)
    holder = Holder(model, mask, Updates(every=1, until=1.0), lambda step, dense: given.append((step, dense)) or mask)
    holder.begin(3)
    made = []
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with holding(holder):
        for _ in range(3):
            optimizer.zero_grad()
            backward(model)
            made.append({name: parameter.grad.clone() for name, parameter in model.named_parameters()})
            optimizer.step()
    assert [step for step, _ in given] == [1, 2]
    for (_, dense), gradients in zip(given, made[1:], strict=True):
        assert all(torch.equal(dense[name], gradient) for name, gradient in gradients.items())
        assert all(bool(dense[name][~kept].any()) for name, kept in mask.tensors.items())


def test_an_optimizer_of_something_else_advances_no_step_and_is_left_alone():
    model, probe = network(), network()
    holder, _, new = changing(model)
    ours = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    other = torch.optim.SGD(probe.parameters(), 0.1, momentum=0.9)
    with holding(holder):
        for done in range(CHANGED):
            assert holder.step == done
            train(probe, other, 4)
            assert holder.step == done
            train(model, ours, 1)
        train(probe, other, 1)
        assert len(holder.history) == 1
        train(model, ours, 1)
    assert holder.mask is new
    assert all(bool((state["momentum_buffer"] != 0).all()) for state in other.state.values())
    assert all(bool((parameter != 0).all()) for parameter in probe.parameters())


def test_the_end_of_the_updates_follows_the_steps_that_are_about_to_be_made():
    model = network()
    holder = Holder(model, random_mask(model), Updates(every=1, until=0.5), lambda step, dense: holder.mask)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with holding(holder):
        for _ in range(2):  # two phases of training: 4 steps, then 8 in all
            holder.begin(4)
            train(model, optimizer, 4)
    assert [step for step, _ in holder.history] == [0, 1, 2, 4]
