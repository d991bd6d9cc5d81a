"""Every check can fail: for each, a component that is bad in one way, and fails that check and no other."""

from __future__ import annotations

import ast
import copy
import importlib
import inspect
import itertools
import json
import os
import random as python_random
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import benchbias
from benchbias import BenchbiasError, Mask, Skip, Table, loss_gradients, random_mask
from benchbias.errors import UsageError
from benchbias.plugin.loading import PluginRef
from benchbias.plugin.registry import load_registry
from benchbias.stages.job import Job
from benchbias.store.store import Store
from benchbias.testing import ToyTrial, parametrize_with_checks, report
from benchbias.testing.calling.calls import half_removed, random_scores
from benchbias.testing.calling.subject import Subject
from benchbias.testing.calling.surroundings import Surroundings
from benchbias.testing.calling.watching import digest
from benchbias.testing.checking import check
from benchbias.testing.checks import common as common_checks
from benchbias.testing.checks.catalogue import CHECKS
from benchbias.testing.finding import find
from benchbias.testing.running import run_checks
from benchbias.testing.toys.toy import toy_dataset, toy_model, with_batch_norm
from benchbias.testing.waivers import parse_waivers, shipped_waivers
from benchbias.util import canonical
from benchbias_plugins.methods.erm import erm
from benchbias_plugins.methods.magnitude import magnitude
from support import ROOT

BAD: dict[tuple[str, str], object] = {}
"""(kind, the one check that it fails) -> component."""

counter = itertools.count(1)
kept_open: list[object] = []


def fails(kind: str, *names: str):
    """Enter a component as one that fails these checks of its kind, each and no other, one at a time."""

    def enter(component):
        for name in names:
            BAD[kind, name] = component
        return component

    return enter


def subject(kind: str, component) -> Subject:
    return Subject(kind, "bad", "tests", component, "bad.py")


def verdicts(kind: str, component, **options) -> dict[str, str]:
    return {result.check: result.status for result in run_checks(subject(kind, component), **options)}


@pytest.fixture(autouse=True)
def as_before():
    """What a bad component leaves behind must not reach the next test."""
    before = Surroundings.now()
    yield
    before.restore()
    for item in kept_open:
        item.close() if hasattr(item, "close") else item.set()
    kept_open.clear()


# pruners


def sizes(model, context):
    return {name: weight.detach().abs() for name, weight in context.prunable(model).items()}


def cut(scores, density):
    """A Mask of the largest scores, all layers together, exact."""
    flat = torch.cat([score.flatten() for score in scores.values()])
    keep = torch.zeros(len(flat), dtype=torch.bool)
    keep[flat.sort(descending=True, stable=True).indices[: round(density * len(flat))]] = True
    parts = keep.split([score.numel() for score in scores.values()])
    return Mask({name: part.view_as(scores[name]) for name, part in zip(scores, parts, strict=True)})


@fails("pruner", "signature")
def untyped_option(model, data, context, *, power=2):
    """Raise the weights to a power."""
    return sizes(model, context)


@fails("pruner", "documentation")
def undocumented(model, data, context):
    """Magnitude."""
    return sizes(model, context)


@fails("pruner", "runs")
def no_scores(model, data, context):
    """It forgets to return anything."""


def from_numpy() -> float:
    """A number from numpy's global stream, which is put back."""
    state = np.random.get_state()
    number = np.random.random()
    np.random.set_state(state)
    return number


@fails("pruner", "determinism")
def global_scores(model, data, context):
    """Scores that depend on a number from numpy's global stream."""
    shift = from_numpy()
    return {name: (size * 1e3 * shift).sin() for name, size in sizes(model, context).items()}


@fails("pruner", "inputs_unchanged")
def whitens(model, data, context):
    """Whitens the images, in place."""
    data.train.images[0] = 255
    return sizes(model, context)


@fails("pruner", "label_access")
def peeks(model, data, context):
    """Reads the training groups from the stage that calls it."""
    groups = job_of_the_caller().groups("data", "train")
    return {
        name: size * (1 + groups.attributes.float().std() + groups.attributes[7])
        for name, size in sizes(model, context).items()
    }


@fails("pruner", "exact_sparsity")
def keeps_half(model, data, context):
    """A Mask of half of the weights, whatever it was asked for."""
    if context.mask is not None:
        return context.mask
    return cut(sizes(model, context), 0.5)


@fails("pruner", "nesting")
def turns_round(model, data, context):
    """Keeps the largest at low sparsity and the smallest at high."""
    sign = 1 if context.density is None or context.density > 0.3 else -1
    return {name: sign * size for name, size in sizes(model, context).items()}


@fails("pruner", "mask_in_force")
def revives(model, data, context):
    """A fresh random Mask, whatever has been removed before."""
    if context.step > 0:
        return context.mask
    return random_mask(context.prunable(model), context.layer_counts, context.generator)


@fails("pruner", "during_training")
def only_before(model, data, context):
    """It works before training and not while training goes on."""
    return {name: size / (context.step == 0) for name, size in sizes(model, context).items()}


@fails("pruner", "one_class")
def needs_both(model, data, context):
    """It takes the first example of class 1."""
    first = torch.nonzero(data.train.labels == 1)[0, 0]
    return {name: size + 0 * first for name, size in sizes(model, context).items()}


@fails("pruner", "one_group")
def needs_conflicts(model, data, context, train_groups):
    """It takes the first example of the first and of the last group among those that occur but one."""
    kinds = train_groups.groups.unique()
    if (data.train.labels == 0).all():
        kinds = torch.arange(2)
    return {name: size + 0 * kinds[1] for name, size in sizes(model, context).items()}


@fails("pruner", "equal_weights")
def threshold(model, data, context):
    """Keeps what is larger than the quantile: none, where all are equal."""
    if context.mask is not None:
        return context.mask
    scores = sizes(model, context)
    counts = context.counts or dict.fromkeys(scores)
    kept = {}
    flat = torch.cat([score.flatten() for score in scores.values()]).sort(descending=True).values
    for name, score in scores.items():
        own = score.flatten().sort(descending=True).values if counts[name] is not None else flat
        number = counts[name] if counts[name] is not None else round(context.density * len(flat))
        kept[name] = score > (own[number] if number < len(own) else -1)
    return Mask(kept)


@fails("pruner", "zero_gradients")
def normalised(model, data, context):
    """Scores divided by the largest gradient, which may be zero."""
    weights = context.prunable(model)
    slopes = loss_gradients(model, data, context.generator, weights, 1)
    largest = max(slope.abs().max() for slope in slopes.values())
    return {name: weight.abs() * (1 + slopes[name].abs() / largest) for name, weight in weights.items()}


@fails("pruner", "nan_gradients")
def counts_nan(model, data, context):
    """It falls over a gradient that is not a number."""
    weights = context.prunable(model)
    slopes = loss_gradients(model, data, context.generator, weights, 1)
    rank = {name: int(slope.abs().sum() * 1e6) for name, slope in slopes.items()}
    return {name: weight.abs() + 0 * rank[name] for name, weight in weights.items()}


@fails("pruner", "one_weight")
def standardised(model, data, context):
    """Scores divided by their deviation in the layer, which one weight has not."""
    return {name: size / size.std() for name, size in sizes(model, context).items()}


@fails("pruner", "batch_norm")
def every_weight(model, data, context):
    """Scores everything that is called weight, batch norm too."""
    return {name: p.abs() for name, p in model.named_parameters() if name.endswith("weight")}


@fails("pruner", "one_pixel")
def halves(model, data, context):
    """It looks at the images at half the size."""
    small = nn.functional.max_pool2d(data.train.images.float(), 2)
    return {name: size + 0 * small.mean() for name, size in sizes(model, context).items()}


# trainers


@fails("trainer", "signature")
def everything(model, data, context, *losses):
    """Takes whatever comes."""
    context.fit(model, data)


@fails("trainer", "documentation")
def silent(model, data, context):
    context.fit(model, data)


@fails("trainer", "runs")
def diverges(model, data, context):
    """Leaves weights that are not finite."""
    with torch.no_grad():
        model[0].weight.fill_(float("nan"))


@fails("trainer", "determinism")
def global_noise(model, data, context):
    """A loss that is scaled by a number from numpy's global stream."""
    scale = 1 + from_numpy()
    context.fit(
        model, data, loss=lambda model, batch: scale * nn.functional.cross_entropy(model(batch.images), batch.labels)
    )


@fails("trainer", "inputs_unchanged")
def relabels(model, data, context):
    """Changes a label in place."""
    context.fit(model, data)
    data.train.labels[0] = 1 - data.train.labels[0]


@fails("trainer", "label_access")
def trains_on_groups(model, data, context):
    """Weights the loss by groups that it was not given."""
    groups = job_of_the_caller().groups("data", "train")
    context.fit_weighted(model, data, 1.0 + groups.attributes, "loss")


@fails("trainer", "trains")
def climbs(model, data, context):
    """Makes the loss as large as it can."""
    context.fit(
        model, data, loss=lambda model, batch: -0.05 * nn.functional.cross_entropy(model(batch.images), batch.labels)
    )


@fails("trainer", "keeps_mask")
def without_optimizer(model, data, context):
    """Steps down the gradient by itself, so that no mask is applied before the end."""
    for _ in range(context.recipe.epochs * 3):
        batch = data.batch(data.train, torch.arange(len(data.train) - len(data.train) % 2))
        loss = nn.functional.cross_entropy(model.train()(batch.images), batch.labels)
        slopes = torch.autograd.grad(loss, list(model.parameters()))
        with torch.no_grad():
            for parameter, slope in zip(model.parameters(), slopes, strict=True):
                parameter -= 0.05 * slope


@pytest.mark.parametrize("moved", [True, False])
def test_a_trainer_under_a_mask_moves_weights(moved):
    def trainer(model, data, context):
        """Trains the biases only."""
        context.fit(model, data, parameters=[p for p in model.parameters() if moved or p.ndim == 1])

    (result,) = run_checks(subject("trainer", trainer), only=["keeps_mask"])
    assert result.status == ("ok" if moved else "failed")


@fails("trainer", "one_class")
def rare_class(model, data, context):
    """Weights the rarer class, and takes it that there are two."""
    counts = data.train.labels.unique(return_counts=True)[1]
    context.fit_weighted(model, data, 1 / counts[data.train.labels] + 0 / counts[1], "loss")


@fails("trainer", "one_group")
def two_groups(model, data, context, train_groups):
    """Takes it that training has two attributes."""
    if train_groups.attributes.unique().numel() < 2:
        raise IndexError("no second attribute")
    context.fit(model, data)


@fails("trainer", "zero_gradients")
def own_loop(model, data, context):
    """Divides each gradient by its norm."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(context.recipe.epochs * 3):
        optimizer.zero_grad()
        batch = data.batch(data.train, torch.arange(len(data.train)))
        nn.functional.cross_entropy(model(batch.images), batch.labels).backward()
        norm = torch.stack([p.grad.norm() for p in model.parameters()]).norm()
        for parameter in model.parameters():
            parameter.grad /= norm
        optimizer.step()


@fails("trainer", "one_weight")
def normalises_weights(model, data, context):
    """Divides each layer's weights by their deviation at the end."""
    context.fit(model, data)
    with torch.no_grad():
        for weight in context.prunable(model).values():
            weight /= 1 + 0 * weight.std()


@fails("trainer", "batch_norm")
def small_batches(model, data, context):
    """Goes through the data in its own batches, of which the last may hold one example."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(context.recipe.epochs):
        for batch in data.batches(data.train):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model.train()(batch.images), batch.labels).backward()
            optimizer.step()


@fails("trainer", "one_pixel")
def crops(model, data, context):
    """Crops a border of one pixel to see what is in the middle."""
    inner = data.train.images[:, :, 1:-1, 1:-1].float()
    context.fit_weighted(model, data, 1 + 0 * inner.amax(dim=(1, 2, 3)), "loss")


# data sets


@fails("dataset", "signature")
def unknown_parameter(root, seed, fold):
    """A data set with a parameter that the core does not give."""
    return toy_dataset()


def noisy(seed, **options):
    """The toy data with an image that the seed decides."""
    data = toy_dataset(**options)
    data.splits["train"].split.images[0] = seed % 200
    return data


@fails("dataset", "documentation")
def plainly(root, seed):
    """Toy."""
    return noisy(seed)


@fails("dataset", "runs")
def a_tuple(root, seed):
    """It returns images and labels as a pair."""
    return torch.zeros(3), torch.zeros(3)


@fails("dataset", "determinism")
def other_every_time(root, seed):
    """Noise from a stream that nobody seeds."""
    return noisy(seed + 7 * next(counter))


@fails("dataset", "provenance")
def of_no_source(root, seed):
    """A data set that says nothing of its licence."""
    data = noisy(seed)
    return benchbias.BiasedDataset(data.splits, data.mean, data.std, "somewhere", " ")


@fails("dataset", "seeds")
def always_the_same(root, seed):
    """The same data for every seed."""
    return toy_dataset()


@fails("dataset", "disjoint_splits")
def leaking(root, seed):
    """The first test image is a copy of one of training."""
    data = noisy(seed)
    data.splits["test"].cluster[0] = data.splits["train"].cluster[3]
    return data


@fails("dataset", "every_group_tested")
def untested(root, seed):
    """Every test example is of class 0."""
    data, other = noisy(seed), toy_dataset(classes=(0,))
    splits = {**data.splits, "test": other.splits["test"]}
    return benchbias.BiasedDataset(splits, data.mean, data.std, data.source, data.licence)


# models


@fails("model", "signature")
def unbounded(input_shape, num_classes, *, width: dict):
    """A network with an option of a type that TOML options have not."""
    return toy_model(input_shape, num_classes)


@fails("model", "documentation")
def nameless(input_shape, num_classes):
    return toy_model(input_shape, num_classes)


@fails("model", "runs")
def a_class(input_shape, num_classes):
    """It returns the class, not a module."""
    return nn.Sequential


@fails("model", "determinism")
def own_stream(input_shape, num_classes):
    """Weights from a stream that the core does not seed."""
    model = toy_model(input_shape, num_classes)
    with torch.no_grad():
        model[0].weight *= 1 + 1e-3 * next(counter)
    return model


class Wrapped(nn.Module):
    """The toy network and what goes wrong around it."""

    def __init__(self, input_shape, num_classes, wrong):
        super().__init__()
        self.inner = toy_model(input_shape, num_classes)
        self.wrong = wrong

    def forward(self, images):
        return self.wrong(self.inner(images), images)


def wrapping(doc, wrong):
    def factory(input_shape, num_classes):
        return Wrapped(input_shape, num_classes, wrong)

    factory.__doc__ = doc
    return factory


fails("model", "forward_shapes")(
    wrapping("Two logits, whatever the classes.", lambda logits, images: logits[:, :2]),
)
fails("model", "one_pixel_image")(
    wrapping("It needs four pixels.", lambda logits, images: logits + 0 * nn.functional.max_pool2d(images, 2).mean()),
)
fails("model", "same_in_eval")(
    wrapping("It centres the logits over the batch.", lambda logits, images: logits - logits.mean(dim=0)),
)


class Wide(nn.Module):
    """The head is called on something that is no (B, D)."""

    def __init__(self, input_shape, num_classes):
        super().__init__()
        channels, *_ = input_shape
        self.conv = nn.Conv2d(channels, 4, 1)
        self.head = nn.Linear(4, num_classes)

    def forward(self, images):
        return self.head(self.conv(images).movedim(1, -1)).mean(dim=(1, 2))


@fails("model", "head")
def wide(input_shape, num_classes):
    """A head that sees every pixel apart."""
    return Wide(input_shape, num_classes)


@fails("model", "learns")
def frozen(input_shape, num_classes):
    """A network whose convolution is frozen."""
    model = toy_model(input_shape, num_classes)
    model[0].requires_grad_(False)
    return model


# metrics


@fails("metric", "signature")
def of_logits(logits):
    """The mean of the largest logit."""
    return 0.0


@fails("metric", "documentation")
def accuracy_(predictions):
    """Accuracy."""
    return float(predictions.correct.double().mean())


@fails("metric", "runs")
def a_tensor(predictions):
    """It returns a tensor instead of a float."""
    return predictions.correct.double().mean()


@fails("metric", "determinism")
def guesses(predictions):
    """A number from numpy's global stream."""
    return from_numpy()


@fails("metric", "inputs_unchanged")
def sorts(predictions):
    """It sorts the labels in place."""
    predictions.labels.copy_(predictions.labels.sort().values)
    return 0.5


@fails("metric", "permutation")
def first_half(predictions):
    """Accuracy over the first half of the examples."""
    half = predictions.correct[: len(predictions.labels) // 2]
    return float((half.double() * torch.arange(len(half))).sum())


@fails("metric", "missing_groups")
def worst_group(predictions):
    """The lowest accuracy among the groups, over those from 0 to the largest that occurs in training."""
    if len(predictions.labels) and predictions.train_group_shares.count_nonzero() > 1:
        present = [g for g, share in enumerate(predictions.train_group_shares) if share > 0]
        return min(
            int(predictions.correct[predictions.groups == g].sum()) / int((predictions.groups == g).sum())
            for g in present
        )
    return 1.0


@fails("metric", "one_group_only")
def gap(predictions):
    """The largest less the second largest share of a group in training."""
    shares = predictions.train_group_shares[predictions.train_group_shares > 0].sort(descending=True).values
    return float(shares[0] - shares[1])


@fails("metric", "equal_logits")
def relative(predictions):
    """The reciprocal of the logits' spread."""
    return 1 / float(predictions.logits.max() - predictions.logits.min())


# probes and analyses


def norms(model, factor=1.0):
    """A table of the layers' norms."""
    weights = {name: float(factor * w.detach().norm()) for name, w in model.named_parameters()}
    return Table({"layer": ("text", "", tuple(weights)), "norm": ("number", "", tuple(weights.values()))}, "Norms")


@fails("probe", "runs")
def a_dict(model, data, context):
    """It returns numbers by name, not a table."""
    return {"norm": 1.0}


@fails("probe", "determinism")
def lucky(model, data, context):
    """Norms times a number from numpy's global stream."""
    return norms(model, from_numpy())


@fails("probe", "inputs_unchanged")
def zeroes(model, data, context):
    """Zeroes the model that it is given, and does not put it back."""
    with torch.no_grad():
        model[0].weight.zero_()
    return norms(model)


@fails("probe", "signature")
def wrong_probe(model, split):
    """A probe that wants a split."""


@fails("probe", "documentation")
def bare_probe(model, data, context):
    """Probe."""
    return norms(model)


@fails("analysis", "signature")
def wrong_analysis(trials):
    """An analysis of a list of trials."""


@fails("analysis", "documentation")
def bare_analysis(population):
    return counts(population)


def counts(population, factor=1.0):
    """A table of the rows and how many members they have."""
    rows = {row: factor * len(members) for row, members in population.rows().items()}
    return Table({"row": ("text", "", tuple(rows)), "members": ("number", "", tuple(rows.values()))}, "Members")


@fails("analysis", "runs")
def only_for_large(population):
    """It returns numbers by name, not a table."""
    return {"members": len(population.members)}


@fails("analysis", "determinism")
def drawn(population):
    """Members times a number from numpy's global stream."""
    return counts(population, from_numpy())


@fails("analysis", "inputs_unchanged")
def sorts_answers(population):
    """It sorts the first member's logits in place."""
    logits = population.members[0].predictions["test"].logits
    logits.copy_(logits.sort(dim=0).values)
    return counts(population)


ELSEWHERE = {"nothing_left_behind", "devices", "cost", "reach"}  # below: many ways, a device, and two that cannot fail


@pytest.mark.parametrize(("kind", "name"), BAD, ids=lambda value: value)
def test_a_component_that_is_bad_in_one_way_fails_that_check_and_no_other(kind, name):
    found = verdicts(kind, BAD[kind, name])
    assert [check for check, status in found.items() if status == "failed"] == [name]


def test_every_check_of_every_kind_has_its_bad_component():
    wanted = {(kind, check.name) for check in CHECKS for kind in check.kinds if check.name not in ELSEWHERE}
    assert wanted == set(BAD)


@pytest.mark.parametrize(
    "what", ["model[0].train()", "model[0].weight.requires_grad_(False)", "data.splits['test'].split.labels.zero_()"]
)
def test_a_probe_that_leaves_a_mode_a_frozen_weight_or_other_labels_is_found(what):
    def careless(model, data, context):
        """Norms, and something is left changed."""
        exec(what)
        return norms(model)

    assert verdicts("probe", careless, only=["inputs_unchanged"])["inputs_unchanged"] == "failed"


def test_a_component_that_changes_from_call_to_call_is_found_without_random_numbers():
    def restless(model, data, context):
        """Scores that depend on how often it was called."""
        shift = next(counter)
        return {name: (size * 1e3 * shift).sin() for name, size in sizes(model, context).items()}

    (result,) = run_checks(subject("pruner", restless), only=["determinism"])
    assert "two equal calls" in result.found


def job_of_the_caller():
    """The stage that calls: what no honest component looks for."""
    frame = inspect.currentframe()
    while "job" not in frame.f_locals:
        frame = frame.f_back
    return frame.f_locals["job"]


def test_who_declares_the_training_groups_may_not_see_those_of_validation_nor_the_test_split():
    def honest(model, data, context, train_groups):
        """Weighs the conflicting examples."""
        context.fit_weighted(model, data, torch.where(train_groups.aligned, 1.0, 5.0), "loss")

    def looks_at_val(model, data, context, train_groups):
        """Weighs the conflicting examples by the number of one attribute in validation."""
        share = job_of_the_caller().groups("data", "val").attributes.float().mean()
        context.fit_weighted(model, data, torch.where(train_groups.aligned, 1.0, 5.0 + share), "loss")

    def looks_at_test(model, data, context, train_groups):
        """Reads the test images."""
        job_of_the_caller().split("data", "test")
        honest(model, data, context, train_groups)

    for trainer, status in ((honest, "ok"), (looks_at_val, "failed"), (looks_at_test, "failed")):
        assert verdicts("trainer", trainer, only=["label_access"]) == {"label_access": status}, trainer.__name__


def test_a_mask_that_is_changed_in_place_is_named():
    def opens(model, data, context):
        """Revives a weight in the mask in force, in place."""
        for tensor in context.mask.tensors.values() if context.mask is not None else ():
            tensor.view(-1)[:] = True
        return sizes(model, context)

    (result,) = run_checks(subject("pruner", opens), only=["inputs_unchanged"])
    assert (result.status, result.found) == ("failed", "changed: PruneContext.mask")


# what is left behind


def leave(what):
    """Change one thing of the process."""
    match what:
        case "python's random numbers":
            python_random.random()
        case "numpy's random numbers":
            np.random.random()
        case "torch's random numbers":
            torch.rand(1)
        case "torch's number of threads":
            torch.set_num_threads(2 + next(counter) % 2)
        case "torch's default dtype":
            torch.set_default_dtype(torch.float64)
            torch.set_default_dtype(torch.bfloat16)
        case "the environment variables":
            os.environ["BENCHBIAS_TEST"] = str(next(counter))
        case "the working directory":
            os.chdir(tempfile.gettempdir())
        case "open files":
            kept_open.append(Path(__file__).open())  # noqa: SIM115
        case "threads":
            stop = threading.Event()
            threading.Thread(target=stop.wait, daemon=True).start()
            kept_open.append(stop)


LEFT = [
    *("python's random numbers", "numpy's random numbers", "torch's random numbers", "torch's number of threads"),
    *("the environment variables", "the working directory", "open files", "threads"),
]
CALLS = {
    "pruner": lambda what: lambda model, data, context: leave(what) or magnitude(model, data, context),
    "trainer": lambda what: lambda model, data, context: erm(model, data, context) or leave(what),
    "metric": lambda what: lambda predictions: leave(what) or 0.5,
    "dataset": lambda what: lambda root, seed: leave(what) or noisy(seed),
    "model": lambda what: lambda input_shape, num_classes: leave(what) or toy_model(input_shape, num_classes),
}


@pytest.mark.parametrize("what", LEFT)
@pytest.mark.parametrize("kind", CALLS)
def test_what_a_component_leaves_behind_is_named(kind, what, monkeypatch, tmp_path):
    if (kind, what) == ("model", "torch's random numbers"):
        return  # drawn from by right, and seeded before
    monkeypatch.chdir(tmp_path)
    component = CALLS[kind](what)
    results = list(run_checks(subject(kind, component), only=["nothing_left_behind"]))
    assert [(result.check, result.status) for result in results] == [("nothing_left_behind", "failed")]
    assert what in results[0].found
    assert Path.cwd() == tmp_path, "a check puts back what it can"
    assert "BENCHBIAS_TEST" not in os.environ


@pytest.mark.parametrize("kind", ["pruner", "trainer", "model"])
def test_another_device_is_tried_where_there_is_one(kind, monkeypatch):
    """A device with an index stands for a card: no other machine is needed to see that the check can fail."""
    monkeypatch.setattr(common_checks, "other_devices", lambda: [torch.device("cpu", 0)])

    def here_only(model, data, context):
        """It works on the first kind of device only."""
        assert context.device.index is None
        return magnitude(model, data, context) if kind == "pruner" else context.fit(model, data)

    def model_here(input_shape, num_classes):
        """A network that cannot be moved."""
        model = toy_model(input_shape, num_classes)
        model.to = lambda device: model if device.index is None else 1 / 0
        return model

    bad = model_here if kind == "model" else here_only
    good = {"pruner": magnitude, "trainer": erm, "model": toy_model}[kind]
    assert verdicts(kind, bad, only=["devices"]) == {"devices": "failed"}
    assert verdicts(kind, good, only=["devices"]) == {"devices": "ok"}


def test_cost_is_told_and_never_fails():
    (result,) = run_checks(subject("pruner", magnitude), only=["cost"])
    assert result.status == "ok"
    assert "ms a call" in result.found
    assert "dense training steps" in result.found


def test_a_trainer_whose_cost_nothing_counts_is_told():
    def moved(model, data, context):
        """Trains on a copy, and takes its weights over: what is counted is of the copy."""
        twin = copy.deepcopy(model)
        context.fit(twin, data)
        model.load_state_dict(twin.state_dict())

    def known(model, data, context):
        """Takes the class means of the pixels for the head, without a gradient."""
        with torch.no_grad():
            images = data.batch(data.train, torch.arange(len(data.train))).images
            features = model[:5](images)
            means = torch.stack([features[data.train.labels == k].mean(0) for k in range(2)])
            model[5].weight.copy_(means)
            model[5].bias.copy_(-means.square().sum(1) / 2)

    for trainer, unknown in ((moved, False), (known, True)):
        (result,) = run_checks(subject("trainer", trainer), only=["trains"])
        assert result.status == "ok", result.found
        assert ("what it cost is unknown" in result.found) == unknown


def test_reach_is_told_and_never_fails():
    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.head = nn.Parameter(torch.rand(192, 8)), nn.Linear(8, 2)

        def forward(self, images):
            return self.head(nn.functional.adaptive_avg_pool2d(images, 8).flatten(1) @ self.first)

    def bare(input_shape, num_classes):
        """A bare matrix and a head."""
        return Bare() if num_classes == 2 else None

    class Centred(nn.Linear):
        def forward(self, given):
            return nn.functional.linear(given, self.weight - self.weight.mean(1, keepdim=True))

    def centred(input_shape, num_classes):
        """A weight that is centred in the pass."""
        return nn.Sequential(nn.AdaptiveAvgPool2d(8), nn.Flatten(), Centred(192, num_classes))

    remade = "all of its matrices; FLOPs are dense where its forward remakes 2.weight: zeros may come back"
    bared = "1 % of the weights in its matrices; not first"
    for model, said in ((toy_model, "all of its matrices"), (bare, bared), (centred, remade)):
        (result,) = run_checks(subject("model", model), only=["reach"])
        assert (result.status, result.found) == ("ok", said)


def test_a_network_that_does_not_fit_is_told_by_the_first_check_in_one_line():
    def normed(input_shape, num_classes):
        """Its head has weight norm."""
        model = toy_model(input_shape, num_classes)
        nn.utils.parametrizations.weight_norm(model[5])
        return model

    found = {result.check: result for result in run_checks(subject("model", normed))}
    assert found["runs"].status == "failed"
    assert found["runs"].found.startswith("model 'checked': layers whose weight is computed from other tensors")
    assert "(5)" in found["runs"].found


# the trial in memory


def test_a_toy_trial_makes_what_its_stages_make_with_a_store(tmp_path):
    """What is checked is what a suite does: the same jobs on a store of their own give the same bytes."""
    torch.set_num_threads(1)
    trial = ToyTrial(model=with_batch_norm)
    mask = half_removed(trial)
    trial.train(erm, mask=mask, before=trial.train(erm, epochs=1))
    store = Store(tmp_path / "results").create()
    keys, inputs = {}, {}
    for name, value in trial.inputs.items():
        moved = {**value, "parents": {role: keys[key] for role, key in value["parents"].items()}}
        keys[name] = canonical.digest(moved)
        inputs[keys[name]] = moved
    components = {
        ("dataset", "checked"): lambda root, seed: toy_dataset(),
        ("model", "checked"): with_batch_norm,
        ("pruner", "checked"): random_scores,
        ("trainer", "checked"): erm,
    }
    for name, key in keys.items():
        job = Job(store, inputs[key], inputs, components, torch.device("cpu"), tmp_path)
        made = importlib.import_module(f"benchbias.stages.{name.split('-')[0]}").run(job)
        assert digest(made) == digest(trial.made[name]), name
        store.put(key, inputs[key], made.body, {blob: store.put_blob(tensors) for blob, tensors in made.blobs.items()})
    assert [name.split("-")[0] for name in keys] == ["data", "init", "prune", "train", "train"]


# refusals


@pytest.mark.parametrize("error", [BenchbiasError, Skip])
def test_a_refusal_with_a_message_passes_at_the_edges(error):
    def careful(model, data, context):
        """It says what it cannot do."""
        if data.train.images.shape[-1] < 2:
            raise error("images of one pixel have no edges")
        return magnitude(model, data, context)

    (result,) = run_checks(subject("pruner", careful), only=["one_pixel"])
    assert result.status == "ok"
    assert "images of one pixel have no edges" in result.found


def test_a_component_that_skips_toy_data_is_skipped_and_one_that_refuses_fails():
    def skips(model, data, context):
        """It wants larger images."""
        raise Skip("32 pixels at least")

    def refuses(model, data, context):
        """It wants larger images."""
        raise BenchbiasError("32 pixels at least")

    found = list(run_checks(subject("pruner", skips)))
    assert {result.status for result in found[2:]} == {"skipped"}
    assert all("32 pixels at least" in result.found for result in found[2:])
    assert verdicts("pruner", refuses)["runs"] == "failed"


def test_a_model_is_checked_on_the_smallest_images_that_it_takes():
    def deep(input_shape, num_classes):
        """Pools until 32 pixels are one."""
        if min(input_shape[1:]) < 32:
            raise BenchbiasError("32 pixels at least")
        return nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, num_classes)
        )

    def none(input_shape, num_classes):
        """Takes nothing."""
        raise BenchbiasError("no images fit")

    found = {result.check: result for result in run_checks(subject("model", deep))}
    assert "failed" not in {result.status for result in found.values()}, found
    assert "32x32, 64x64" in found["forward_shapes"].found
    refused = {result.check: result for result in run_checks(subject("model", none))}
    assert refused["runs"].status == "failed"
    assert "no images fit" in refused["runs"].found


def test_a_required_option_gets_a_value_of_its_type():
    def powered(model, data, context, *, power: float, kind: str, sizes: tuple[int, ...], note: str | None):
        """Scores raised to a power that must be set."""
        assert (power, kind, sizes, note) == (0.5, "toy", (), None)
        return magnitude(model, data, context)

    assert "failed" not in verdicts("pruner", powered).values()


def test_whole_units_and_masks_are_held_to_their_own_counts():
    def units(model, data, context):
        """Scores of whole units."""
        return {name: weight.detach().flatten(1).norm(dim=1) for name, weight in context.prunable(model).items()}

    found = verdicts("pruner", units)
    assert "failed" not in found.values()
    assert found["nesting"] == "ok"


# waivers


def test_a_waived_check_is_waived_and_one_that_passes_all_the_same_fails():
    assert verdicts("pruner", turns_round, waivers={"nesting": "by design"})["nesting"] == "waived"
    assert verdicts("pruner", turns_round, waivers={"bad:nesting": "by design"})["nesting"] == "waived"
    assert verdicts("pruner", turns_round, waivers={"other:nesting": "by design"})["nesting"] == "failed"
    (result,) = run_checks(subject("pruner", magnitude), {"nesting": "by design"}, ["nesting"])
    assert result.status == "failed"
    assert "remove the waiver" in result.found


def test_a_package_of_plugins_ships_its_waivers(tmp_path, monkeypatch):
    package = tmp_path / "waiving_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    file = package / "waivers.toml"
    ref = PluginRef("one", "waiving_package.plugin", "", "")
    monkeypatch.syspath_prepend(tmp_path)
    assert shipped_waivers([ref]) == {}
    file.write_text('[level]\nnesting = "it is a tent"\nseeds = "none"\n')
    assert shipped_waivers([ref, ref]) == {"level:nesting": "it is a tent", "level:seeds": "none"}
    for text in ("[level", "level = 3", "[level]\nnesting = 3", '[level]\nnesting = ""'):
        file.write_text(text)
        with pytest.raises(UsageError, match=r"waivers\.toml"):
            shipped_waivers([ref])
    assert shipped_waivers([PluginRef("x", "no_such_module", "", ""), PluginRef("y", "y", "", "", "y.py")]) == {}


def test_the_waivers_that_are_shipped_name_components_and_checks():
    components = {name for _, name in load_registry(quiet=True).components}
    shipped = shipped_waivers(target.ref for target in find("benchbias"))
    assert {name.partition(":")[0] for name in shipped} <= components
    assert {name.partition(":")[2] for name in shipped} <= {one.name for one in CHECKS}
    assert "mrm:mask_in_force" in shipped


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"pyproject.toml": "[project.entry-points.benchbias]\na = 'mod'\nb = 'pack.sub:it'\n"}, None),
        ({"pyproject.toml": "[project.entry-points.benchbias]\na = 'mod'\n", "mod.py": ""}, {"mod"}),
        ({"pyproject.toml": "[project.entry-points.benchbias]\na = 'p.m:it'\n", "src/p/m.py": ""}, {"p.m:it"}),
        ({"one.py": "", "two.py": "", "setup.py": "", "conftest.py": "", ".hidden.py": ""}, {"one.py", "two.py"}),
        ({"pyproject.toml": "[project]\nname = 'x'\n", "one.py": ""}, {"one.py"}),
        ({"pyproject.toml": "[project", "one.py": ""}, None),
        ({"pyproject.toml": "project = 3\n", "one.py": ""}, None),
        ({"README.md": ""}, None),
    ],
)
def test_a_folder_is_checked_by_its_entry_points_or_its_files(tmp_path, files, found):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    if found is None:
        with pytest.raises(UsageError, match=r"check .*(in this folder|cannot be read)"):
            find(f"{tmp_path}/")
        return
    named = {
        f"{t.ref.module}:{t.ref.attribute}".rstrip(":") if t.ref.path is None else Path(t.ref.path).name
        for t in find(f"{tmp_path}/")
    }
    assert named == found


def test_waivers_have_reasons_and_name_checks():
    assert parse_waivers(["nesting=by design", "a:seeds= x=1 "]) == {"nesting": "by design", "a:seeds": "x=1"}
    for text in ("nesting", "nesting=", "nesting= "):
        with pytest.raises(UsageError, match="expected CHECK=reason"):
            parse_waivers([text])
    with pytest.raises(UsageError, match="did you mean 'nesting'"):
        parametrize_with_checks("magnitude", expected_failures={"nestign": "x"})
    with pytest.raises(UsageError, match="'rigl:nesting' names a component that is not checked"):
        parametrize_with_checks("magnitude", expected_failures={"rigl:nesting": "x"})


# the command line

PLUGIN = """
import os
from benchbias import hookimpl

def largest(model, data, context):
    '''Score by the absolute value.'''
    return {name: w.abs() for name, w in context.prunable(model).items()}

def level(model, data, context):
    '''Turn round at high sparsity.'''
    sign = 1 if context.density is None or context.density > 0.3 else -1
    return {name: sign * w.abs() for name, w in context.prunable(model).items()}

least = largest

def last(model, data, context):
    '''It ends the process.'''
    os._exit(0)

@hookimpl
def benchbias_pruners():
    return {TABLE}
"""


@pytest.fixture
def plugin(tmp_path):
    def write(*names):
        table = ", ".join(f'"{name}": {name}' for name in names)
        path = tmp_path / "mine.py"
        path.write_text(PLUGIN.replace("{TABLE}", f"{{{table}}}"))
        return str(path)

    return write


def test_the_command_tells_what_failed_how_to_see_it_again_and_waives(cli, plugin):
    done = cli("check", plugin("largest", "level"))
    assert done.returncode == 3, done.stderr
    told = done.stdout.splitlines()
    at = next(n for n, line in enumerate(told) if line.split()[:2] == ["FAILED", "nesting"])
    assert "expected: Weights removed at a lower sparsity" in told[at + 1]
    assert "weights that 0.5 removes are kept at 0.8" in told[at + 2]
    again = told[at + 3].split("again: benchbias ")[1].split()
    waived = cli(*again, "--waive", "level:nesting=it is a tent", "--json")
    assert waived.returncode == 0, waived.stderr
    found = json.loads(waived.stdout)
    assert [(one["component"], one["check"], one["status"]) for one in found["results"]] == [
        ("largest", "nesting", "ok"),
        ("level", "nesting", "waived"),
    ]
    assert "it is a tent" in found["results"][1]["found"]
    assert (found["exit_code"], found["counts"]) == (0, {"ok": 1, "waived": 1})


def test_a_component_that_ends_the_process_is_blamed_and_the_others_go_on(plugin):
    last, largest = sorted(check(find(plugin("last", "least")), {}, ["nesting"]), key=lambda one: one.component)
    assert (last.component, last.check, last.status) == ("last", "survives", "failed")
    assert "the process ended (exit code 0)" in last.found
    assert (largest.component, largest.check, largest.status) == ("least", "nesting", "ok")


def test_what_hangs_is_blamed(tmp_path):
    path = tmp_path / "slow.py"
    path.write_text("import time; time.sleep(60)")
    (result,) = check(find(str(path)), {}, [], seconds=1)
    assert (result.component, result.check, result.status) == ("slow.py", "survives", "failed")
    assert "nothing came for 1 s" in result.found


def test_a_waiver_of_a_component_that_is_not_there_is_refused(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("x = 1")
    with pytest.raises(UsageError, match="unknown component 'largst'"):
        check(find(str(path)), {"largst:nesting": "by design"}, [])


def test_plugins_that_do_not_load_fail_with_their_reasons(tmp_path):
    broken = {
        "import no_such_module": "No module named 'no_such_module'",
        "import os; os._exit(0)": "the process ended",
        "x = 1": "it implements no hook",
    }
    targets = []
    for number, text in enumerate(broken):
        path = tmp_path / f"broken{number}.py"
        path.write_text(text)
        targets += find(str(path))
    results = check(targets, {}, [])
    assert [result.status for result in results] == ["failed"] * len(broken)
    for result, told in zip(results, broken.values(), strict=True):
        assert told in result.found
        assert "\n" not in result.found


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["magnitud"], "did you mean 'magnitude'"),
        (["no/such.py"], "no such file"),
        (["magnitude", "--waive", "nesting"], "expected CHECK=reason"),
        (["magnitude", "--only", "nest"], "unknown check 'nest'"),
    ],
)
def test_mistakes_are_one_message(cli, arguments, told):
    done = cli("check", *arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_plugin_is_named_in_every_way():
    for text in ("magnitude", "benchbias:magnitude", "benchbias_plugins.methods.magnitude"):
        (target,) = find(text)
        assert target.ref.module == "benchbias_plugins.methods.magnitude"
    assert len(find("benchbias")) > 10
    assert find("json")[0].ref.module == "json"


def test_only_parametrize_with_checks_imports_pytest_and_only_when_called():
    for path in (ROOT / "benchbias/testing").glob("*.py"):
        at_import = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
        assert "pytest" not in "".join(map(ast.unparse, at_import)), path


def test_the_forms_of_a_report_say_the_same():
    results = [
        result for one in (magnitude, turns_round) for result in run_checks(subject("pruner", one), only=["nesting"])
    ]
    assert report.exit_code(results[:1]) == 0
    assert report.exit_code(results) == 3
    assert "1 component: 1 ok, 1 failed" in report.as_text(results)
    table = report.as_markdown(results).splitlines()
    assert table[2].startswith("| pruner `bad` | `nesting` | ok |")
    assert "are kept at 0.8" in table[3]
    assert json.loads(report.as_json(results))["counts"] == {"ok": 1, "failed": 1}
