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
from scipy.stats import binomtest, hypergeom
from torch import nn
from torch.nn.functional import cross_entropy

from benchbias import Answers, BenchbiasError, Skip
from benchbias.errors import UsageError
from benchbias.plan.trials import Selection
from benchbias.plugin.loading import PluginRef
from benchbias.plugin.registry import source_digest
from benchbias.runner.workspace import Workspace
from benchbias.suite.catalogue import load, shipped_file
from benchbias.suite.tables import Recipe
from benchbias.testing import ToyTrial, toy_dataset
from benchbias.testing.calling.calls import plain
from benchbias.training.changes import CONTRAST, MATCHED, change_table, exact_interval, pairs_within
from benchbias.training.probe_context import ProbeContext
from benchbias_plugins.methods.critical_neurons import examples, gradient, magnitude, neurons, ranking
from benchbias_plugins.probes.critical_neurons import network, overlap, probe, rewinding

ROOT = Path(__file__).parent.parent
EPOCHS = 4


@pytest.fixture(scope="module")
def trial() -> tuple[ToyTrial, str]:
    """A toy trial with a trained model, all of whose epochs are kept."""
    made = ToyTrial()
    return made, made.train(plain, epochs=EPOCHS, keep_epochs=list(range(1, EPOCHS + 1)))


@pytest.fixture
def model(trial) -> nn.Module:
    made, key = trial
    return made.network(key).eval()


def context_of(trial, mask=None, data=None) -> ProbeContext:
    made, key = trial
    blobs = made.made[key].blobs

    def load(name: str) -> nn.Module:
        loaded = made.network(key)
        loaded.load_state_dict(blobs[name] if name != "start" else made.made[made.init].blobs["weights"])
        return loaded.eval()

    kept = {epoch: functools.partial(load, f"epoch-{epoch}") for epoch in range(1, EPOCHS + 1)}
    return ProbeContext(
        device=torch.device("cpu"),
        generator=torch.Generator().manual_seed(0),
        recipe=Recipe(epochs=EPOCHS),
        trained_epochs=EPOCHS,
        data=data or toy_dataset(),
        mask=mask,
        checkpoints={0: functools.partial(load, "start"), **kept},
    )


def rows_of(table) -> list[dict]:
    names = list(table.columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*(table.columns[n][2] for n in names), strict=True)]


def same(one, other) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.values(), other.values(), strict=True))


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


# answers


def answers(margins, correct, groups, aligned) -> Answers:
    values = torch.tensor(margins, dtype=torch.float64), torch.tensor(correct), torch.tensor(groups)
    return Answers("test", *values, torch.tensor(aligned), ("0/red", "0/green"))


def test_changes_are_signed_by_group_and_so_is_their_difference():
    before = answers([1.0, 1.0, -1.0, -1.0], [True, True, False, False], [0, 0, 1, 1], [True, True, False, False])
    after = answers([2.0, -1.0, 1.0, 1.5], [True, False, True, True], [0, 0, 1, 1], [True, True, False, False])
    found = before.changes(after)
    assert (found["0/red"].points, found["0/green"].points) == (-50, 100)
    assert (found["0/red"].margin, found["0/green"].margin) == (-0.5, 2.25)
    assert (found[CONTRAST].points, found[CONTRAST].margin) == (150, 2.75)
    assert MATCHED not in found, "no aligned example is as certain as a conflicting one"
    table = rows_of(change_table([_compared(found, found)], "c"))
    assert [row["difference"] for row in table] == [0, 0, 0]
    assert table[0]["absolute change"] == 50
    assert table[0]["sensitive"] == 1


def _compared(run, control):
    from benchbias import Compared

    return Compared({"what": "x"}, [run], [control], {})


def test_margins_are_the_true_logit_less_the_largest_other():
    item = toy_dataset().splits["test"]
    logits = torch.randn(len(item.split), 2, generator=torch.Generator().manual_seed(0))
    found = Answers.of(logits, item)
    labels = item.split.labels
    own = logits.double()
    log_odds = own.softmax(1).gather(1, labels[:, None])[:, 0].logit()
    assert torch.allclose(found.margins, log_odds)
    assert torch.equal(found.correct, logits.argmax(1) == labels)


def test_matched_examples_are_equally_certain_and_used_once():
    stream = torch.Generator().manual_seed(1)
    margins = torch.randn(200, generator=stream).double()
    aligned = torch.rand(200, generator=stream) < 0.6
    found = Answers("test", margins, margins > 0, (~aligned).long(), aligned, ("a", "b"))
    one, other = found.twins
    assert len(one) > 50
    assert float((margins[one] - margins[other]).abs().max()) <= 0.25
    assert bool(((margins[one] > 0) == (margins[other] > 0)).all())
    assert not bool(aligned[one].any())
    assert bool(aligned[other].all())
    assert len(set(one.tolist())) == len(one)
    assert len(set(other.tolist())) == len(other)


def test_as_many_pairs_are_made_as_can_be():
    networkx = pytest.importorskip("networkx")
    stream = torch.Generator().manual_seed(2)
    for _ in range(20):
        ones, others = (torch.rand(8, generator=stream).tolist() for _ in range(2))
        graph = networkx.Graph()
        edges = [(("a", i), ("b", j)) for i in range(8) for j in range(8) if abs(ones[i] - others[j]) <= 0.1]
        graph.add_edges_from(edges)
        best = networkx.max_weight_matching(graph, maxcardinality=True)
        assert len(pairs_within(ones, others, 0.1)) == len(best)


@pytest.mark.parametrize(("correct", "total"), [(0, 7), (7, 7), (3, 56), (55, 56), (90, 183)])
def test_intervals_are_exact_binomial_ones(correct, total):
    wanted = binomtest(correct, total).proportion_ci(0.95, "exact")
    assert exact_interval(correct, total) == pytest.approx((wanted.low, wanted.high), abs=1e-9)


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
