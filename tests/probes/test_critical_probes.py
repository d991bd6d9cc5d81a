"""Probes of critical neurons: what a modification of them changes, and how two rankings of them overlap."""

from __future__ import annotations

import copy
import functools
import math

import pytest
import torch
from scipy.stats import hypergeom
from torch import nn

from benchbias import Skip
from benchbias.testing import ToyTrial, toy_dataset
from benchbias_plugins.methods.critical_neurons import magnitude, ranking
from benchbias_plugins.probes.critical_neurons import network, overlap, probe, rewinding
from support.critical_trial import EPOCHS, context_of, rows_of, same, trained


@pytest.fixture(scope="module")
def trial() -> tuple[ToyTrial, str]:
    return trained()


@pytest.fixture
def model(trial) -> nn.Module:
    made, key = trial
    return made.network(key).eval()


# what a modification changes


@pytest.mark.parametrize("options", [{}, {"scope": "layer"}, {"linear": "weights"}, {"order": "reranked"}])
def test_no_neuron_no_sigma_and_no_epoch_change_nothing(trial, model, options):
    call = functools.partial(probe.critical, model, toy_dataset(), context_of(trial), controls=1, **options)
    tables = [call(neurons=(0,)), call(modification="noise", sigma=(0.0,), repeats=1, neurons=(2,))]
    if not options:
        tables += [rewinding.layer_rewinding(model, toy_dataset(), context_of(trial), epochs_back=(0,), controls=1)]
    for table in tables:
        for row in rows_of(table):
            assert row["change"] == row["margin change"] == 0
            assert row["control"] in (0, None), "a layer may have too few others"
            assert row["control margin"] == row["control"]


def test_a_rewinding_to_where_the_model_is_changes_nothing_and_one_to_the_start_takes_initial_weights(trial, model):
    made, _ = trial
    context = context_of(trial)
    assert same(context.checkpoint(EPOCHS).state_dict(), model.state_dict())
    row = rows_of(rewinding.layer_rewinding(model, toy_dataset(), context, epochs_back=(EPOCHS,), controls=1))[0]
    hand = copy.deepcopy(model)
    initial = made.made[made.init].blobs["weights"]
    hand.load_state_dict({**model.state_dict(), "0.weight": initial["0.weight"], "0.bias": initial["0.bias"]})
    before, after = (context.answers(net, "test") for net in (model, hand))
    assert row["layer"] == "0"
    assert row["margin change"] == before.changes(after)[row["group"]].margin


def test_a_random_initialisation_of_no_spread_is_a_zero(trial, model):
    call = functools.partial(probe.critical, model, toy_dataset(), controls=0, neurons=(2,))
    zero = rows_of(call(context_of(trial)))
    init = rows_of(call(context_of(trial), modification="init", sigma=(0.0,), repeats=2))
    assert [row["margin change"] for row in zero] == [row["margin change"] for row in init]
    assert any(row["margin change"] for row in zero)


def test_modifying_zeroes_exactly_k_slices_and_restores_them(trial, model):
    seen = []
    net = network.Network.of(model, context_of(trial), (), "test", "units", "cross_entropy")
    before = copy.deepcopy(net.model.state_dict())
    answers = net.context.answers

    def spying(modified, split):
        rows = {n: w.flatten(1) for n, w in modified.named_parameters() if n in net.weights}
        seen.append(sum(int((~row.any(1)).sum()) for row in rows.values()))
        return answers(modified, split)

    object.__setattr__(net.context, "answers", spying)
    chosen = ranking.ranked(net.scores(None), 3)
    net.changes({None: chosen}, lambda part: part.zero_())
    assert seen == [3]
    assert same(before, net.model.state_dict())
    assert torch.equal(answers(net.model, "test").margins, net.before.margins)


def test_each_group_is_measured_under_its_own_modification(trial, model):
    net = network.Network.of(model, context_of(trial), (), "test", "units", "cross_entropy")
    lists = {g: [("0.weight", g)] for g in range(4)}
    joint = net.changes(lists, lambda part: part.zero_())
    for group, chosen in lists.items():
        name = net.before.group_names[group]
        assert joint[name] == net.changes({None: chosen}, lambda part: part.zero_())[name]


def test_removed_weights_stay_removed_and_are_not_critical(trial, model):
    made, _ = trial
    mask = made.mask_of(made.prune(magnitude.critical_magnitude, {"count": 2}, layers=("0",)))
    dead = ~mask.tensors["0.weight"].flatten(1).any(1)
    with torch.no_grad():
        model[0].weight[dead] = 0
    net = network.Network.of(model, context_of(trial, mask), ("0",), "test", "units", "cross_entropy")
    index = torch.arange(24)
    assert bool((net.scores(("test", index))["0.weight"][dead] == 0).all())
    group = int(torch.nonzero(dead)[0])
    changes = net.changes({None: [("0.weight", group)]}, lambda part: part.add_(1.0))
    assert all(change.margin == 0 for change in changes.values())


def test_everything_is_on_one_split_by_type(trial, model):
    context = context_of(trial)
    test, train = (context.answers(model, split) for split in ("test", "train"))
    with pytest.raises(ValueError, match="'train' cannot be compared with those on 'test'"):
        test.changes(train)
    with pytest.raises(ValueError, match="cannot be compared"):
        test.joined({0: train})
    assert "Split: val." in probe.critical(model, toy_dataset(), context, split="val", controls=0).caption


def test_a_depth_before_the_start_is_left_out_and_none_at_all_is_a_skip(trial, model):
    table = rewinding.layer_rewinding(model, toy_dataset(), context_of(trial), epochs_back=(2, 40), controls=0)
    assert {row["epochs back"] for row in rows_of(table)} == {"2"}
    with pytest.raises(Skip, match="4 epochs"):
        rewinding.layer_rewinding(model, toy_dataset(), context_of(trial), epochs_back=(40,))


def test_a_random_step_is_as_long_as_the_rewinding_tensor_by_tensor():
    now = {"w": torch.tensor([1.0, 0.0, 2.0]), "b": torch.tensor([1.0])}
    then = {"w": torch.tensor([0.0, 0.0, 5.0]), "b": torch.tensor([1.0])}
    for seed in range(5):
        found = rewinding.random_steps(now, then, torch.Generator().manual_seed(seed))
        assert float((found["w"] - now["w"]).norm()) == pytest.approx(math.sqrt(10), rel=1e-6)
        assert float(found["w"][1]) == 0, "a zero that stays zero: a mask may have removed it"
        assert torch.equal(found["b"], now["b"])


# the overlap of the criteria


def test_chance_is_hypergeometric_and_layer_by_layer_a_sum_of_such():
    expected, p = overlap.chance([(252, 13, 13)], 3)
    assert expected == pytest.approx(13 * 13 / 252)
    assert p == pytest.approx(float(hypergeom.sf(2, 252, 13, 13)))
    parts = [(10, 4, 3), (6, 2, 5), (3, 0, 1)]
    stream = torch.Generator().manual_seed(0)
    draws = [sum(int((torch.randperm(n, generator=stream)[:a] < b).sum()) for n, a, b in parts) for _ in range(4000)]
    expected, p = overlap.chance(parts, 4)
    assert expected == pytest.approx(sum(draws) / len(draws), abs=0.05)
    assert p == pytest.approx(sum(draw >= 4 for draw in draws) / len(draws), abs=0.03)


def test_a_criterion_overlaps_wholly_where_gradient_and_magnitude_agree(trial, model):
    """A network in which the gradient's norm is a function of the weight's: d(w.x) with equal inputs."""
    table = overlap.criteria_overlap(model, toy_dataset(), context_of(trial), fractions=(1.0,))
    assert {(row["shared"], row["p"], row["p by layers"]) for row in rows_of(table)} == {(12, 1.0, 1.0)}


# what a pure colour reader gets wrong


@pytest.mark.parametrize("flipped", [0, 5])
def test_the_errors_of_a_pure_colour_reader_are_the_minority_and_the_wrong_labels(flipped):
    """|E| = minority items + items whose label is noise (card 2): every one of them, and no other."""
    data = toy_dataset(train=96)
    item = data.splits["train"]
    labels = item.split.labels.clone()
    majority = torch.nonzero(item.groups.aligned)[:, 0]
    noisy = majority[:: max(len(majority) // max(flipped, 1), 1)][:flipped]
    labels[noisy] = 1 - labels[noisy]
    logits = torch.nn.functional.one_hot(item.groups.attributes, 2).float()  # reads the attribute and nothing else
    wrong = torch.nonzero(logits.argmax(1) != labels)[:, 0]
    minority = torch.nonzero(~item.groups.aligned)[:, 0]
    assert len(wrong) == len(minority) + len(noisy)
    assert set(wrong.tolist()) == set(minority.tolist()) | set(noisy.tolist())
