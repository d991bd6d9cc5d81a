"""MRM: what its mask logits may move, how masks are drawn, what rewinding leaves, what the search says and costs."""

from __future__ import annotations

import functools
import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import benchbias_plugins.methods.mrm
from benchbias.data.values import Batch
from benchbias.errors import BenchbiasError
from benchbias.network.cost import layer_flops
from benchbias.sparse.straight_through import logits_under, sample_mask
from benchbias.suite.tables import Recipe
from benchbias.testing.calling.calls import half_removed
from benchbias.testing.toys.toy import of_zero_gradients, toy_dataset, with_batch_norm
from benchbias.testing.toys.trial import ToyTrial, changing
from benchbias.training.context import PruneContext
from benchbias.training.fit import logits as answers
from benchbias_plugins.methods.erm import erm
from benchbias_plugins.methods.mrm import Shape, learned_logits, mrm

ADAM = {"epochs": 8, "batch_size": 16, "optimizer": "adam", "lr": 0.1, "schedule": "constant"}
STEPS, EXAMPLES = 8 * 3, 8 * 48
FULL = {"alpha": 0.0, "initial": 30.0}  # sigmoid(30) is 1 in float32: no weight is ever left out
PLAIN = Shape("logits", 0.0, 1.0, double_sigmoid=False)


@functools.cache
def trial():
    """Initial weights, plain training; tests add stages."""
    made = ToyTrial(toy_dataset(), with_batch_norm)
    made.dense = made.train(erm)
    return made


def stage2(pruner=mrm, recipe=None, cut=None, mask=None, **options):
    """A prune stage on the trained weights; its key."""
    toy = trial()
    parents = {"data": toy.data, "init": toy.init, "model": toy.dense, **({"mask": mask} if mask else {})}
    return toy.run(
        "prune", "pruner", pruner, options, parents=parents,
        cut={"layers": [], "budget": "global", **(cut or {})},
        recipe=Recipe.model_validate({**ADAM, **(recipe or {})}).model_dump(),
    )  # fmt: skip


def mask_of(key):
    return trial().mask_of(key).tensors


def density(key):
    mask = mask_of(key)
    return sum(int(kept.sum()) for kept in mask.values()) / sum(kept.numel() for kept in mask.values())


@functools.cache
def outcome():
    """A mask whose sparsity is an outcome, somewhere between all and nothing."""
    key = stage2(alpha=1e-4)
    assert 0.1 < density(key) < 0.9
    return key


def context_of(model, recipe=None, seed=3):
    data = trial().training_data()
    return PruneContext(
        device=torch.device("cpu"), generator=torch.Generator().manual_seed(seed),
        recipe=Recipe.model_validate({**ADAM, **(recipe or {})}), data=data, order=torch.Generator().manual_seed(5),
    )  # fmt: skip


def learned(model, alpha, shape=PLAIN, **recipe):
    context = context_of(model, recipe)
    return learned_logits(model.requires_grad_(False), context.data, context, alpha, shape)


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def copied(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


# --- 1, 3, 8: rewinding


def test_with_a_full_mask_stage_3_is_plain_training_bit_for_bit():
    toy = trial()
    key = stage2(**FULL)
    assert density(key) == 1.0
    again = toy.train(erm, mask=key)
    assert same(toy.made[again].blobs["weights"], toy.made[toy.dense].blobs["weights"])
    sparse = toy.train(erm, mask=outcome())
    assert not same(toy.made[sparse].blobs["weights"], toy.made[toy.dense].blobs["weights"])


def test_stage_3_begins_with_the_initial_weights_under_the_mask_and_the_initial_batch_norm():
    toy, seen = trial(), {}

    def peek(model, data, context):
        seen.update(copied(model))
        erm(model, data, context)

    toy.train(peek, mask=outcome())
    start, mask = toy.made[toy.init].blobs["weights"], mask_of(outcome())
    assert any("running_var" in name for name in start)
    assert same(seen, {name: t * mask[name] if name in mask else t for name, t in start.items()})


def test_after_stage_3_the_support_is_in_the_mask_and_the_counts_are_of_the_weights():
    toy = trial()
    key = toy.train(erm, mask=outcome())
    mask, weights, cost = mask_of(outcome()), toy.made[key].blobs["weights"], toy.made[key].body["cost"]
    assert all(int(weights[name][~kept].count_nonzero()) == 0 for name, kept in mask.items())
    assert cost["nonzero_weights"] == sum(int(weights[name].count_nonzero()) for name in mask)
    assert cost["nonzero_weights"] <= sum(toy.made[outcome()].body["kept"].values()) < cost["weights"]


# --- 2, 4, 5, 6, 9: the logits


def test_stage_2_moves_logits_and_neither_weights_nor_batch_norm():
    states = []

    @functools.wraps(mrm)
    def watched(model, data, context, **options):
        states.append(copied(model))
        answer = mrm(model, data, context, **options)
        states.append(copied(model))
        assert all(parameter.grad is None for parameter in model.parameters())
        return answer

    key = stage2(watched, alpha=1e-4)
    assert same(*states)
    assert same(mask_of(key), mask_of(outcome()))
    assert not all(bool(kept.all()) for kept in mask_of(key).values())


@pytest.mark.parametrize("double", [False, True])
def test_weights_are_kept_as_often_as_the_logits_say(double):
    pi = torch.tensor([-3.0, -1.0, 0.0, 0.5, 1.5, 4.0])
    chance = torch.sigmoid(torch.sigmoid(pi)) if double else torch.sigmoid(pi)
    shape, stream, draws = Shape("logits", 0.0, 0.3, double), torch.Generator().manual_seed(1), 20_000
    kept = shape.drawn(pi.repeat(draws, 1), stream).mean(dim=0)
    assert bool(((kept - chance).abs() < 4 * (chance * (1 - chance) / draws).sqrt()).all())
    assert double == bool((kept > 0.5 - 0.02).all()), "DCWP's code never leaves out more than half"


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.0])
def test_a_drawn_mask_is_exactly_0_or_1_and_has_the_gradient_of_its_relaxation(temperature):
    pi = torch.linspace(-6, 6, 5000).requires_grad_()
    mask = sample_mask(pi, torch.Generator().manual_seed(2), temperature=temperature)
    assert set(mask.detach().tolist()) == {0.0, 1.0}
    mask.sum().backward()
    uniform = torch.rand(pi.shape, generator=torch.Generator().manual_seed(2)).double()
    soft = torch.sigmoid((pi.detach().double() + torch.log(uniform) - torch.log1p(-uniform)) / temperature)
    assert torch.equal(mask.detach() == 1, soft > 0.5)
    torch.testing.assert_close(pi.grad.double(), soft * (1 - soft) / temperature, rtol=1e-3, atol=1e-6)
    assert bool((pi.grad > 0).any())


def test_draws_come_from_the_generator_given_alone():
    before = torch.random.get_rng_state()
    one, other = (sample_mask(torch.zeros(99), torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(one, other)
    assert torch.equal(torch.random.get_rng_state(), before)


def still(shape=(3, 8, 8)):
    return of_zero_gradients(shape, 2)


def test_without_a_penalty_and_a_gradient_no_logit_moves_and_with_a_large_penalty_all_fall():
    assert all(bool((pi == 0.0).all()) for pi in learned(still(), 0.0).values())
    network = trial().network(trial().dense)
    assert all(bool((pi < -0.5).all()) for pi in learned(network, 1e3).values())
    assert any(bool((pi > 0).any()) for pi in learned(network, 0.0).values())


def test_the_penalty_is_the_sum_of_logits_or_of_their_sigmoids():
    """By its gradient, on logits that nothing else moves: a step of SGD is lr times it."""
    step = {"optimizer": "sgd", "lr": 0.5, "momentum": 0.0, "epochs": 1, "batch_size": 48}
    for penalty, slope in (("logits", 1.0), ("probabilities", torch.sigmoid(torch.tensor(0.7)) * 0.331812)):
        found = learned(still(), 0.25, Shape(penalty, 0.7, 1.0, double_sigmoid=False), **step)
        assert all(torch.allclose(pi, torch.tensor(0.7 - 0.5 * 0.25 * float(slope))) for pi in found.values())


def test_only_a_logit_above_zero_keeps_its_weight_unless_zero_is_kept_too(monkeypatch: pytest.MonkeyPatch):
    def given(model, data, context, alpha, shape):
        return {n: torch.tensor([-1.0, 0.0, 1e-9]).repeat(w.numel())[: w.numel()].view(w.shape)
                for n, w in context.prunable(model).items()}  # fmt: skip

    monkeypatch.setattr(benchbias_plugins.methods.mrm, "learned_logits", given)
    for keep_at_zero, expected in ((False, [False, False, True]), (True, [False, True, True])):
        mask = mask_of(stage2(keep_at_zero=keep_at_zero))
        assert all(kept.flatten()[:3].tolist() == expected for kept in mask.values())


def test_one_mask_is_shared_by_a_batch_whatever_the_order_of_its_examples(monkeypatch: pytest.MonkeyPatch):
    used: list[dict] = []

    def noted(model, weights, images):
        used.append({name: weight.detach().clone() for name, weight in weights.items()})
        return logits_under(model, weights, images)

    monkeypatch.setattr(benchbias_plugins.methods.mrm, "logits_under", noted)
    model, losses = trial().network(trial().dense), []
    context = context_of(model)
    batch = context.data.batch(context.data.train, torch.arange(16))

    def fit(model, data, *, loss, parameters):
        for order in (torch.arange(16), torch.arange(16).flip(0)):
            context.generator.manual_seed(6)
            losses.append(
                loss(model.train(), Batch(batch.images[order], batch.labels[order], batch.index[order])).detach()
            )

    monkeypatch.setattr(PruneContext, "fit", lambda self, *given, **named: fit(*given, **named))
    learned_logits(model.requires_grad_(False), context.data, context, 0.1, PLAIN)
    assert same(*used)
    assert all(used[0][name].shape == weight.shape for name, weight in context.prunable(model).items())
    assert float(losses[0]) == pytest.approx(float(losses[1]), rel=1e-5)


def test_a_forward_pass_under_other_weights_is_that_of_the_model_that_has_them():
    model, other = trial().network(), trial().network(trial().dense)
    images = trial().training_data().batch(trial().training_data().train, torch.arange(16)).images
    weights = {name: weight.detach().clone().requires_grad_() for name, weight in other.named_parameters()}
    before = copied(model)
    found = logits_under(model.train(), weights, images)
    torch.testing.assert_close(found, other.train()(images))
    assert same(copied(model), before), "batch-norm statistics too"
    found.sum().backward()
    assert all(weight.grad is not None for weight in weights.values())
    assert all(parameter.grad is None for parameter in model.parameters())


# --- 7: what is deterministic


def test_the_mask_and_the_answers_under_it_are_the_same_every_time():
    toy = trial()
    assert same(mask_of(stage2(alpha=1e-4)), mask_of(outcome()))
    key = toy.train(erm, mask=outcome())
    model, data = toy.network(key), toy.training_data()
    assert torch.equal(answers(model, data, data.val), answers(model, data, data.val))


def test_a_search_inside_a_train_stage_disturbs_no_other_stream():
    toy = trial()
    spec = changing(FULL, (), 0.5, "global")
    spec["cut"] = {"layers": [], "budget": "global"}
    trained = toy.train(erm, prune={**spec, "component": {"name": "pruner", "options": FULL, "groups": []}}, pruner=mrm)
    assert same(toy.made[trained].blobs["weights"], toy.made[toy.dense].blobs["weights"])
    body, plain = toy.made[trained].body, toy.made[toy.dense].body
    runs = len(range(0, 14, 3))  # before step 0, then every 3 steps up to 3/4 of 18
    assert body["steps"] == (1 + runs) * plain["steps"]
    assert body["training_flops"] == (1 + runs) * plain["training_flops"]


# --- a target density


@pytest.mark.parametrize("target", [0.5, 0.1])
def test_a_target_is_met_exactly_and_by_the_logits_own_zero_within_the_tolerance(target):
    key = stage2(cut={"density": target}, tolerance=0.05)
    assert density(key) == pytest.approx(target, abs=1 / 600)
    tried = trial().made[key].blobs["saved"]["penalties"]
    assert abs(float(tried[-1, 1]) - target) <= 0.05
    assert all(abs(float(share) - target) > 0.05 for share in tried[:-1, 1])
    rising = tried[tried[:, 0].argsort()]
    assert bool((rising[:, 1].diff() <= 0.02).all()), "a larger penalty keeps fewer"
    own = mask_of(stage2(alpha=float(tried[-1, 0])))
    share = sum(int(kept.sum()) for kept in own.values()) / sum(kept.numel() for kept in own.values())
    assert share == pytest.approx(float(tried[-1, 1])), "each run of the search is the run of its penalty alone"
    assert trial().made[key].body["steps"] == STEPS * len(tried)


def test_a_target_that_no_penalty_meets_is_refused_with_what_came_near():
    with pytest.raises(BenchbiasError, match=r"keeps 0.5 of the weights within 0.02.*nearest"):
        stage2(cut={"density": 0.5}, lowest=1e-9, highest=1e-8, runs=3)


@pytest.mark.parametrize(("sparsity", "expected"), [(0.0, 1.0), (1.0, 0.0)])
def test_all_or_nothing_takes_no_search(sparsity, expected):
    key = stage2(cut={"sparsity": sparsity})
    assert density(key) == expected
    assert "steps" not in trial().made[key].body


def test_what_a_mask_in_force_removed_stays_removed_and_counts_as_removed():
    toy = trial()
    force = half_removed(toy)
    held = toy.mask_of(force).tensors
    key = stage2(mask=force, alpha=0.0, initial=30.0)
    assert same(mask_of(key), dict(held))


# --- what it costs


def test_a_prune_stage_that_trains_says_what_it_cost_and_no_other_does():
    toy = trial()
    body = toy.made[outcome()].body
    dense = sum(layer_flops(toy.network(), torch.zeros(1, 3, 8, 8)).values())
    assert (body["steps"], body["examples"], len(body["losses"])) == (STEPS, EXAMPLES, 8)
    assert body["training_flops"] == 3 * dense * EXAMPLES
    assert all(math.isfinite(loss) for loss in body["losses"])
    quiet = toy.made[half_removed(toy)].body
    assert set(quiet) == {"units", "attached", "kept", "total"}


def test_under_a_mask_in_force_the_logits_cost_two_sparse_passes_and_a_dense_gradient():
    toy = trial()
    force = half_removed(toy)
    body = toy.made[stage2(mask=force, alpha=0.0)].body
    layers, kept = layer_flops(toy.network(), torch.zeros(1, 3, 8, 8)), toy.made[force].body["kept"]
    total = {name: tensor.numel() for name, tensor in toy.mask_of(force).tensors.items()}
    sparse = sum(flops * kept[name] / total[name] for name, flops in layers.items())
    assert body["training_flops"] == pytest.approx(EXAMPLES * (2 * sparse + sum(layers.values())), abs=1)


TOML = """
schema = 1
[suites.one]
title = "MRM with a full mask"
version = "1"
tasks = ["colored-digits-tiny"]
methods = ["erm", "mrm"]
seeds = 1
metrics = ["accuracy"]
rank_by = "accuracy"
override.mrm = { parameters = { alpha = 0.0, initial = 30.0 } }
"""


def test_the_record_counts_all_three_stages(tmp_path: Path, cli):
    (tmp_path / "one.toml").write_text(TOML)
    done = cli("run", "-s", "one", "--config", "one.toml", "-o", "out", "-j", "1", "-q", "--limit", "64", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = [json.loads(path.read_text())["body"] for path in (tmp_path / "out").rglob("records/*/*.json")]
    body = {record["method"]: SimpleNamespace(**record) for record in found}
    assert body["mrm"].training_steps == 3 * body["erm"].training_steps > 0
    assert body["mrm"].training_flops == 3 * body["erm"].training_flops > 0
    assert body["mrm"].selected_epochs == [None, None], "of the train stages"
    assert body["mrm"].group_correct == body["erm"].group_correct, "with a full mask it is its baseline"


def test_a_model_with_dropout_sees_the_same_draws_in_every_run_of_a_search():
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(192, 2))
    context = context_of(model)
    runs = [learned_logits(model.requires_grad_(False), context.data, context, 1e-3, PLAIN) for _ in range(2)]
    assert same(*runs)
