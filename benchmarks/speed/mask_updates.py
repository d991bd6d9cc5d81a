"""The cost of RigL's and REST's mask updates, shared out over 100 steps, beside a dense step of the same network."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from benchbias.sparse.holding import Holder, Updates, holding
from benchbias.sparse.masks import Mask
from benchbias.stages.make_mask import make_mask, prune_context
from benchbias.suite.tables import Recipe
from benchbias.training.fit import fit
from benchbias_plugins.methods.rest import rest_release
from benchbias_plugins.methods.rigl import rigl

from .rows import Goal, Row, Setting
from .subjects import Subject, prepare_torch
from .timing import Spread, interleaved

SUBJECTS = (
    Subject("LeNet", (3, 28, 28), 10, 64, steps=40, epochs=1),
    Subject("ResNet-18", (3, 32, 32), 10, 64, steps=6, epochs=1),
    Subject("ResNet-50", (3, 32, 32), 10, 16, steps=6, epochs=1),
)
QUICK = (Subject("lenet_small", (3, 8, 8), 2, 64, steps=6, epochs=1),)
APART = 100  # steps between two updates
CUT: Mapping[str, Any] = {"layers": (), "budget": "erk"}
DENSITY = {"density": 0.2}
PRUNERS: Mapping[str, tuple[Callable[..., Mask], Updates]] = {
    "RigL": (rigl, Updates(every=1, until=1.0)),
    "REST": (rest_release, Updates(every=1, until=1.0, after_step=True, mask_gradients=False)),
}


class Training:
    """A network trained dense, under a mask that stays, and under one that changes at every step."""

    def __init__(self, subject: Subject) -> None:
        self.subject, self.data, self.network = subject, subject.data(), subject.network()
        self.recipe = Recipe(epochs=subject.epochs, batch_size=subject.batch, lr=1e-3)
        self.steps = subject.steps * subject.epochs

    def dense(self) -> None:
        fit(copy.deepcopy(self.network), self.data, self.recipe, torch.Generator())

    def held(self, name: str, *, updating: bool) -> int:
        """Train with this pruner's masks; how many updates there were after the first mask."""
        pruner, timing = PRUNERS[name]
        model = copy.deepcopy(self.network)
        total, random = self.steps, torch.Generator().manual_seed(0)
        first = self.mask(pruner, model, random, mask=None, step=0, total_steps=total)
        asked = 0

        def change(step: int, dense: Mapping[str, Tensor]) -> Mask:
            nonlocal asked
            asked += 1
            now = {"mask": holder.mask, "step": step, "total_steps": total, "dense_gradients": dense}
            return self.mask(pruner, model, random, **now, progress=timing.progress(step, total))

        holder = Holder(model, first, timing if updating else Updates(), change if updating else None)
        holder.begin(total)
        with holding(holder):
            fit(model, self.data, self.recipe, torch.Generator())
        return asked

    def mask(self, pruner: Callable[..., Mask], model: nn.Module, random: torch.Generator, **given: Any) -> Mask:
        """A mask as a train stage asks for it."""
        same = {"device": torch.device("cpu"), "generator": random, "recipe": self.recipe, "order": torch.Generator()}
        context = prune_context(model, self.data, CUT, DENSITY, **same, **given)
        return make_mask("pruner", lambda copied, asked: pruner(copied, self.data, asked), model, context)


def rows(setting: Setting) -> Iterator[Row]:
    prepare_torch()
    for subject in QUICK if setting.quick else SUBJECTS:
        training = Training(subject)
        for name in PRUNERS:
            yield measured(training, name, setting.rounds)


def measured(training: Training, name: str, rounds: int) -> Row:
    updates = training.held(name, updating=True)
    calls: dict[str, Callable[[], object]] = {
        "dense": training.dense,
        "held": lambda: training.held(name, updating=False),
        "updating": lambda: training.held(name, updating=True),
    }
    return Row(
        f"{name}: a step and a hundredth of an update over a dense step, {training.subject.title}",
        amortised(interleaved(calls, rounds), updates, training.steps),
        Goal(1.03),
        note=f"{updates} updates in {training.steps} steps, less the same without them",
    )


def amortised(found: Mapping[str, list[float]], updates: int, steps: int) -> Spread:
    """1 + (an update / APART) / a dense step, each round's own."""
    rounds = zip(found["dense"], found["held"], found["updating"], strict=True)
    return Spread.of([1 + (u - h) / updates / APART / (d / steps) for d, h, u in rounds])
