"""Train stages with masks that change, on toy data: every step is noted."""

from __future__ import annotations

import functools
import math
from types import SimpleNamespace

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from benchbias.data.values import Split, TrainingData
from benchbias.sparse.cutting import budget_counts
from benchbias.stages import train
from benchbias.stages.job import Job
from benchbias.stages.seeding import generator
from benchbias.suite.tables import Recipe, UpdatesTable
from benchbias.training.fit import fit
from benchbias_plugins.methods.erm import erm
from benchbias_plugins.methods.static import static

EPOCHS, STEPS = 6, 24  # of 32 examples in batches of 8
END = 18  # where the updates end: `until` is 0.75
EVERY = 3
DENSITY = 0.3
WEIGHTS = ("0.weight", "3.weight", "6.weight")


def network(seed=0):
    torch.manual_seed(seed)
    layers = [nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 8, 3, stride=2), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32, 2))


def split(count, name):
    stream = torch.Generator().manual_seed(count)
    images = torch.randint(0, 256, (count, 3, 8, 8), generator=stream, dtype=torch.uint8)
    return Split(images, torch.arange(count) % 2, 2, name)


def toy_data():
    return TrainingData(split(32, "train"), split(8, "val"), (0.5,) * 3, (1.0,) * 3, 8)


class ToyJob(Job):
    """A train stage's job with toy data and a toy network: only the store is left out."""

    def training_data(self, recipe):
        return toy_data()

    def model(self, role):
        return network()

    def mask(self, role):
        return None

    def product(self, role):
        return SimpleNamespace(blobs={}, body={})


class Run:
    """One run of the train stage. asked: what the pruner was given and said; updated, stepped: weights by step.

    updated: right before each optimizer step, after the mask's update; stepped: right after it.
    """

    def __init__(self, pruner, *, trainer=erm, cut=None, options=None, updates=None, recipe=None):
        self.asked, self.updated, self.stepped = [], [], []
        inputs = {
            "component": {"name": "trainer", "options": {}, "groups": []},
            "recipe": {"epochs": EPOCHS, "batch_size": 8, "lr": 0.05, "weight_decay": 0.01, **(recipe or {})},
            "seed": 0,
            "parents": {"data": "data", "init": "init", "start": "init"},
        }
        if pruner is not None:
            inputs["prune"] = {
                "component": {"name": "pruner", "options": options or {}, "groups": []},
                "cut": {"density": DENSITY, "layers": [], "budget": "erk", **(cut or {})},
                "updates": UpdatesTable.model_validate({"every": EVERY, **(updates or {})}).model_dump(),
            }
        components = {("trainer", "trainer"): self.watch(trainer), ("pruner", "pruner"): self.note(pruner)}
        made = train.run(ToyJob(None, inputs, {}, components, torch.device("cpu"), None))
        self.body, self.weights = made.body, made.blobs["weights"]
        self.mask = made.blobs.get("mask")

    def watch(self, trainer):
        @functools.wraps(trainer)
        def watched(model, data, context):
            self.holder = context.holder
            handles = [
                register_optimizer_step_pre_hook(lambda *_: self.updated.append(state(model))),
                register_optimizer_step_post_hook(lambda *_: self.stepped.append(state(model))),
            ]
            try:
                trainer(model, data, context)
            finally:
                for handle in handles:
                    handle.remove()

        return watched

    def note(self, pruner):
        @functools.wraps(pruner or static)
        def noted(model, data, context, **options):
            before = state(model)
            answer = pruner(model, data, context, **options)
            gradients = context.dense_gradients
            self.asked.append(
                SimpleNamespace(
                    context=context,
                    step=context.step,
                    old=context.mask,
                    weights=before,
                    answer=answer,
                    gradients=gradients and {name: g.clone() for name, g in gradients.items()},
                )
            )
            return answer

        return noted

    @property
    def changes(self):
        return self.asked[1:]


def state(model):
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def plain(**recipe):
    """Weights of plain training, without any mask."""
    model = network()
    recipe = Recipe.model_validate({"epochs": EPOCHS, "batch_size": 8, "lr": 0.05, "weight_decay": 0.01, **recipe})
    fit(model, toy_data(), recipe, generator(0, "order"))
    return state(model)


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def parameters():
    return {name: tensor for name, tensor in state(network()).items() if name in WEIGHTS}


def erk_counts(density=DENSITY):
    return budget_counts(parameters(), {"density": density}, "erk")


def first(indices, value, count):
    """The `count` indices of the highest value, of equal ones the first."""
    return set(sorted(indices, key=lambda index: (-value[index], index))[:count])


def brute_force(weight, mask, growth, count):
    """drop_and_grow on lists."""
    size, kept, growth = weight.abs().flatten().tolist(), mask.flatten().tolist(), growth.flatten().tolist()
    active = [index for index, keep in enumerate(kept) if keep]
    stay = first(active, size, len(active) - count)
    return stay, first(set(range(len(kept))) - stay, growth, count)


def cosine(alpha, step, end=END):
    return alpha / 2 * (1 + math.cos(math.pi * step / end))
