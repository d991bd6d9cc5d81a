"""Critical neurons: the card's invariants, the probes on one split, the controls, and overlap against chance."""

from __future__ import annotations

import copy
import functools
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from benchbias import BenchbiasError
from benchbias.errors import UsageError
from benchbias.plan.trials import Selection
from benchbias.plugin.loading import PluginRef
from benchbias.plugin.registry import source_digest
from benchbias.runner.workspace import Workspace
from benchbias.suite.catalogue import load, shipped_file
from benchbias.testing import ToyTrial
from benchbias_plugins.methods.critical_neurons import examples, gradient, magnitude, neurons, ranking
from support import ROOT
from support.critical_trial import context_of, same, trained


@pytest.fixture(scope="module")
def trial() -> tuple[ToyTrial, str]:
    return trained()


@pytest.fixture
def model(trial) -> nn.Module:
    made, key = trial
    return made.network(key).eval()


# neurons


@pytest.mark.parametrize("linear", ["units", "weights"])
def test_scores_are_norms_of_slices_and_do_not_see_the_sign(model, linear):
    weights = {name: w for name, w in model.named_parameters() if w.ndim > 1}
    found = neurons.neuron_norms(weights, linear)
    for name, weight in weights.items():
        scalar = weight.ndim == 2 and linear == "weights"
        slices = weight.detach().double().reshape(weight.numel() if scalar else len(weight), -1)
        assert torch.allclose(found[name], slices.square().sum(1).sqrt(), rtol=1e-12)
        assert bool((found[name] >= 0).all())
    assert same(found, neurons.neuron_norms({name: -w for name, w in weights.items()}, linear))


def test_the_top_of_the_network_is_one_sequence_and_of_equal_scores_the_first_goes_first():
    scores = {"a": torch.tensor([1.0, 3.0, 3.0]), "b": torch.tensor([2.0, 5.0])}
    whole = ranking.ranked(scores, 5, 0.0, "network")
    assert whole == [("b", 1), ("a", 1), ("a", 2), ("b", 0), ("a", 0)]
    assert all(ranking.ranked(scores, k, 0.0, "network") == whole[:k] for k in range(6))
    assert ranking.ranked(scores, 1, 0.0, "layer") == [("a", 1), ("b", 1)]
    assert ranking.ranked(scores, 1, 0.0, "layer", "smallest_as_published") == [("a", 0), ("b", 0)]


@pytest.mark.parametrize(("fraction", "total", "count"), [(0.0001, 252, 1), (0.1, 30, 3), (0.3, 10, 3), (0.5, 5, 3)])
def test_a_fraction_takes_its_ceiling_in_decimal_arithmetic(fraction, total, count):
    assert ranking.wanted_count(total, 0, fraction) == count


def test_of_a_count_and_a_fraction_the_larger_number_is_taken():
    assert [ranking.wanted_count(10, count, 0.25) for count in (0, 1, 3, 4, 10)] == [3, 3, 3, 4, 10]
    assert ranking.wanted_count(10, 2, 0.0) == 2


def test_more_neurons_than_there_are_is_one_clear_message():
    with pytest.raises(BenchbiasError, match="4 critical neurons of 3"):
        ranking.ranked({"a": torch.ones(3)}, 4, 0.0, "network")


def test_ranking_again_takes_distinct_neurons_equals_one_ranking_by_magnitude_and_restores(model):
    weights = dict(model.named_parameters())
    weights = {name: weights[name] for name in weights if weights[name].ndim > 1}
    before = copy.deepcopy(model.state_dict())
    score = functools.partial(neurons.neuron_norms, weights)
    found = ranking.reranked(weights, score, 5)
    assert len(set(found)) == 5
    assert found == ranking.ranked(score(), 5)
    for options in ({"count": 2, "scope": "layer"}, {"count": 1, "fraction": 0.4, "scope": "layer"}):
        assert set(ranking.reranked(weights, score, **options)) == set(ranking.ranked(score(), **options))
    assert same(before, model.state_dict())
    with pytest.raises(BenchbiasError, match="100 critical neurons of"):
        ranking.reranked(weights, score, 100)


def test_ranking_again_scores_what_is_left():
    """By a score that the removal of the first changes."""
    weight = {"a": torch.tensor([[3.0], [2.0], [1.0]])}

    def scores() -> dict[str, torch.Tensor]:
        gone = weight["a"][0, 0] == 0
        return {"a": torch.tensor([3.0, 1.0, 2.0] if gone else [3.0, 2.0, 1.0])}

    assert ranking.reranked(weight, scores, 2) == [("a", 0), ("a", 2)]
    assert ranking.ranked(scores(), 2, 0.0, "network") == [("a", 0), ("a", 1)]


def test_matched_neurons_are_others_of_the_same_layers_and_the_nearest_in_norm():
    norms = {"a": torch.tensor([9.0, 8.9, 1.0, 8.0, 7.0]), "b": torch.tensor([4.0, 1.0])}
    critical = [("a", 0), ("b", 0)]
    for seed in range(10):
        found = neurons.matched(critical, norms, 2, torch.Generator().manual_seed(seed))
        assert found[0] in (("a", 1), ("a", 3))
        assert found[1] == ("b", 1)
    assert neurons.matched([("a", 0)], norms, 1, torch.Generator()) == [("a", 1)]
    many = neurons.matched([("a", 0), ("a", 1)], norms, 3, torch.Generator())
    assert len({*many, ("a", 0), ("a", 1)}) == 4
    assert neurons.matched([("b", 0), ("b", 1)], norms, 1, torch.Generator()) is None


# gradients


def all_of(context, split):
    item = context.data.splits[split].split
    return functools.partial(context.batch, item), item


def test_a_groups_gradient_is_of_its_mean_cross_entropy_and_of_no_other_sample(trial, model):
    context = context_of(trial)
    weights = context.prunable(model)
    item = context.data.splits["test"]
    index = torch.nonzero(item.groups.groups == 1)[:, 0]
    draw, split = all_of(context, "test")
    found = examples.loss_slopes(model, weights, draw, index, "cross_entropy")
    batch = context.batch(split, index)
    wanted = torch.autograd.grad(cross_entropy(model(batch.images), batch.labels), list(weights.values()))
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(found.values(), wanted, strict=True))
    images = split.images.clone()
    images[item.groups.groups != 1] = 0
    blanked = functools.partial(context.batch, type(split)(images, split.labels, 2, "test"))
    assert same(found, examples.loss_slopes(model, weights, blanked, index, "cross_entropy"))


def test_the_double_softmax_of_the_released_code_is_another_loss(trial, model):
    context = context_of(trial)
    draw, _ = all_of(context, "train")
    batch = draw(torch.arange(8))
    logits = model(batch.images)
    wanted = cross_entropy(logits.softmax(1), batch.labels, reduction="none")
    assert torch.allclose(examples.losses(model, batch, "double_softmax_as_published"), wanted)
    assert not torch.allclose(examples.losses(model, batch), wanted)


def test_hard_samples_have_a_loss_of_at_least_the_largest_of_those_left_out(trial, model):
    context = context_of(trial)
    draw, split = all_of(context, "train")
    each = examples.losses(model, draw(torch.arange(len(split)))).detach()
    arguments = (model, draw, len(split), 20, 20)
    hard = examples.hard_examples(*arguments, "hardest", torch.Generator(), context.device)
    rest = torch.ones(len(split), dtype=torch.bool)
    rest[hard] = False
    assert float(each[hard].min()) >= float(each[rest].max())
    easy = examples.hard_examples(*arguments, "easiest_as_published", torch.Generator(), context.device)
    assert float(each[easy].max()) < float(each.max())
    assert float(each[easy].mean()) < float(each[hard].mean())
    some = examples.hard_examples(model, draw, len(split), 20, 8, "hardest", torch.Generator(), context.device)
    assert len(set(some.tolist())) == 8
    assert set(some.tolist()) < set(hard.tolist())


# the pruners

PRUNERS = {"magnitude": magnitude.critical_magnitude, "gradient": gradient.critical_gradient}
COUNTED = {"magnitude": magnitude.critical_magnitude_counted, "gradient": gradient.critical_gradient_counted}
EACH = {"count": 1, "scope": "layer"}


@pytest.mark.parametrize("name", PRUNERS)
@pytest.mark.parametrize("options", [{"count": 3}, {"fraction": 0.2}, {"count": 1, "fraction": 0.2}, EACH])
def test_the_pruners_remove_exactly_the_most_critical_neurons_whole(name, options):
    trial = ToyTrial()
    key = trial.prune((COUNTED if options == EACH else PRUNERS)[name], options, layers=("!head",))
    mask = trial.mask_of(key)
    units = {layer: tensor.flatten(1).any(1) for layer, tensor in mask.tensors.items()}
    gone = {layer: int((~kept).sum()) for layer, kept in units.items()}
    total = sum(len(kept) for kept in units.values())
    if options == EACH:
        assert set(gone.values()) == {1}
    else:
        share = math.ceil(options.get("fraction", 0) * total)
        assert sum(gone.values()) == max(options.get("count", 0), share)
    assert all(bool(mask.tensors[layer][kept].all()) for layer, kept in units.items()), "whole units"
    if name == "magnitude":
        weights = trial.made[trial.init].blobs["weights"]
        norms = neurons.neuron_norms({layer: weights[layer] for layer in units})
        if options != EACH:
            lost = min(float(norms[layer][~kept].min()) for layer, kept in units.items() if not kept.all())
            assert lost >= max(float(norms[layer][kept].max()) for layer, kept in units.items())


@pytest.mark.parametrize("name", PRUNERS)
@pytest.mark.parametrize("amount", [{"count": 2}, {"count": 1, "fraction": 0.2}])
@pytest.mark.parametrize("more", [{}, {"control": True, "nearest": 2}, {"order": "smallest_as_published"}])
def test_the_counted_pruner_of_the_network_is_the_pruner_with_a_count(name, amount, more):
    trial = ToyTrial()
    one, other = (
        trial.mask_of(trial.prune(each[name], amount | more, layers=("!head",))) for each in (PRUNERS, COUNTED)
    )
    assert same(one.tensors, other.tensors)


def test_ranking_again_by_gradient_removes_others_than_ranking_once_and_as_many():
    """On toy networks the second neuron's place depends on the first one's absence, for some seed."""
    differ = False
    for seed in range(5):
        trial = ToyTrial(seed=seed)
        options = {"count": 3, "pool": 16, "batch": 8}
        once, again = (
            trial.mask_of(trial.prune(COUNTED["gradient"], options | more)) for more in ({}, {"order": "reranked"})
        )
        for mask in (once, again):
            assert sum(int((~tensor.flatten(1).any(1)).sum()) for tensor in mask.tensors.values()) == 3
        differ = differ or not same(once.tensors, again.tensors)
    assert differ


def test_scores_are_the_norms_and_the_core_removes_the_largest():
    trial = ToyTrial()
    key = trial.prune(magnitude.critical_magnitude, budget="uniform", sparsity=0.3)
    weights = trial.made[trial.init].blobs["weights"]
    for layer, kept in trial.mask_of(key).tensors.items():
        alive = kept.flatten(1).any(1)
        norms = neurons.neuron_norms({layer: weights[layer]})[layer]
        if not alive.all():
            assert float(norms[~alive].min()) >= float(norms[alive].max())


def test_single_weights_of_linear_layers_are_neurons_where_the_released_code_has_it_so():
    trial = ToyTrial()
    key = trial.prune(COUNTED["magnitude"], {"linear": "weights", "count": 4}, layers=("3",))
    (kept,) = trial.mask_of(key).tensors.values()
    assert int((~kept).sum()) == 4
    weight = trial.made[trial.init].blobs["weights"]["3.weight"].abs()
    assert float(weight[~kept].min()) >= float(weight[kept].max())


def test_the_controls_mask_removes_as_many_of_the_same_layers_and_none_of_the_critical_ones():
    trial = ToyTrial()
    masks = [
        trial.mask_of(trial.prune(magnitude.critical_magnitude, {"count": 3, **more}, layers=("!head",)))
        for more in ({}, {"control": True})
    ]
    for layer in masks[0].tensors:
        one, other = (~mask.tensors[layer].flatten(1).any(1) for mask in masks)
        assert int(one.sum()) == int(other.sum())
        assert not bool((one & other).any())


@pytest.mark.parametrize("name", PRUNERS)
def test_a_control_of_neurons_that_the_core_chooses_is_refused(name):
    with pytest.raises(BenchbiasError, match="control goes with count or fraction"):
        ToyTrial().prune(PRUNERS[name], {"control": True})


# what cannot be asked for


@pytest.fixture(scope="module")
def workspace(plugin_cache) -> Workspace:
    return Workspace.open(shipped_file(), quiet=True)


@pytest.mark.parametrize(
    ("pruner", "options"),
    [
        ("critical_magnitude", ["pool = 3", "batch = 3", 'examples = "hardest"', 'loss = "cross_entropy"']),
        ("critical_magnitude_counted", ["pool = 3", 'loss = "cross_entropy"', 'order = "reranked"', "count = 0"]),
        *(
            (f"critical_{name}", ['scope = "layer"', 'linear = "weights"', 'order = "reranked"', "rerank = true"])
            for name in PRUNERS
        ),
        ("critical_gradient", ['criterion = "magnitude"']),
        ("critical_gradient_counted", ["rerank = true", "count = 0"]),
    ],
)
def test_options_that_exclude_each_other_are_refused_when_planning(pruner, options, workspace, tmp_path):
    for option in options:
        config = tmp_path / "own.toml"
        stages = f'[{{ train = "erm" }}, {{ prune = "{pruner}", {option} }}]'
        config.write_text(f"schema = 1\n[methods.critical-magnitude]\nstages = {stages}\n")
        own = Workspace(load(config), workspace.registry, workspace.data)
        with pytest.raises(UsageError, match=f"option '{option.split(' ')[0]}'"):
            own.plan("critical-neurons", Selection(methods=("critical-magnitude",)))


def test_published_records_are_of_todays_trials_though_the_pruners_have_lost_options(workspace):
    """Trial ids hold the options of the one pruner there was; without them no record would be of a planned trial."""
    published = {path.stem for path in (ROOT / "leaderboard/records/critical-neurons").glob("*.json")}
    rows = tuple(name for name in workspace.catalogue.suites["critical-neurons"].methods if name != "erm")
    planned = {trial.id for trial in workspace.plan("critical-neurons", Selection(methods=rows)).trials}
    assert planned < published
    assert len(planned) == 4 * 2 * 5
    components = {key: replace(component, former={}) for key, component in workspace.registry.components.items()}
    forgetful = Workspace(workspace.catalogue, replace(workspace.registry, components=components), workspace.data)
    others = {trial.id for trial in forgetful.plan("critical-neurons", Selection(methods=rows)).trials}
    assert not others & published


def test_the_pruners_have_had_the_options_that_their_records_hold(workspace):
    had = {"criterion", "count", "fraction", "scope", "linear", "order", "rerank", "control", "nearest"}
    had |= {"pool", "batch", "examples", "loss"}
    for name in PRUNERS:
        component = workspace.registry.components["pruner", f"critical_{name}"]
        assert component.options.keys() | component.former.keys() == had
        assert component.former["criterion"] == name


def test_the_probes_sources_are_those_that_they_import_of_the_pruners_too(tmp_path, monkeypatch):
    """A neuron is defined beside the pruners: a change there must change the keys of both."""
    shutil.copytree(Path(neurons.__file__).parents[2], tmp_path / "copied", ignore=shutil.ignore_patterns("*.pyc"))
    monkeypatch.syspath_prepend(tmp_path)
    refs = [PluginRef(room, f"copied.{room}.critical_neurons", "benchbias", "1") for room in ("methods", "probes")]
    for file, of_probes in (("neurons", True), ("ranking", True), ("examples", True), ("removing", False)):
        before = [source_digest(ref) for ref in refs]
        with (tmp_path / f"copied/methods/critical_neurons/{file}.py").open("a") as text:
            text.write("# changed\n")
        changed = [source_digest(ref) != digest for ref, digest in zip(refs, before, strict=True)]
        assert changed == [True, of_probes], file
