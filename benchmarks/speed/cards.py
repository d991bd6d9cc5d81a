"""On a card: captured steps over eager ones, stacked networks over one after another, the default suite's first seed.

Wall time: the CPU time of a process says nothing about what its card does.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from benchbias.data.values import Batch, Split, TrainingData
from benchbias.suite.tables import Recipe
from benchbias.training.fit import cross_entropy, fit
from benchbias.training.population import Member, fit_together
from benchbias.training.stepping import Loss
from benchbias_plugins.networks.small_networks import lenet

from .rows import Absent, Goal, Row, Setting
from .subjects import Subject, prepare_torch
from .timing import Spread, benchbias, interleaved, ratios, used

ROOT = Path(__file__).parent.parent.parent
LENET = Subject("LeNet", (3, 28, 28), 5, 64, steps=400, epochs=5)
SIMPLE_CNN = Subject("SimpleCNN", (3, 28, 28), 10, 64, steps=200, epochs=5)
MEMBERS, PER_CARD = 30, 4
CAPTURED, STACKED, BOARD = Goal(4, at_least=True), Goal(8, at_least=True), Goal(60)
STACKED_TITLE = f"{MEMBERS} LeNets one after another over {MEMBERS} stacked"
BOARD_TITLE = "the default suite's first seed"


def rows(setting: Setting) -> Iterator[Row]:
    """A row a goal, with the reason where it cannot be measured."""
    subjects = [replace(one, steps=20, epochs=1) if setting.quick else one for one in (LENET, SIMPLE_CNN)]
    why = "" if torch.cuda.is_available() else "no card that CUDA can use is here"
    for subject in subjects:
        title = f"eager steps over captured ones, {subject.title}"
        yield Row(title, goal=CAPTURED, note=why) if why else Row(title, captured(subject, setting), CAPTURED)
    yield from stacked(setting, why)
    yield Row(BOARD_TITLE, goal=BOARD, unit="s", note=why) if why else Row(BOARD_TITLE, board(setting), BOARD, "s")


def plain(model: nn.Module, batch: Batch) -> Tensor:
    """The same loss, not declared capturable: so its steps are made one operation after another."""
    return cross_entropy(model, batch)


def on_card(subject: Subject) -> TrainingData:
    """Invented images that lie on the card, as a stage has them."""
    data, card = subject.data(), torch.device("cuda")
    split = Split(data.train.images.to(card), data.train.labels.to(card), subject.classes, "train")
    return TrainingData(split, split, data.mean, data.std, data.batch_size)


def captured(subject: Subject, setting: Setting) -> Spread:
    prepare_torch()
    data = on_card(subject)
    recipe = Recipe(epochs=subject.epochs, batch_size=subject.batch, lr=1e-3)

    def train(loss: Loss) -> None:
        fit(subject.network().to("cuda"), data, recipe, torch.Generator(), loss=loss)
        torch.cuda.synchronize()

    calls: dict[str, Callable[[], object]] = {"eager": lambda: train(plain), "captured": lambda: train(cross_entropy)}
    return ratios(interleaved(calls, setting.rounds, clock=time.monotonic), "eager", "captured")


def stacked(setting: Setting, why: str) -> Iterator[Row]:
    """So many networks of other seeds and orders: each alone, by captured and by eager steps, and all at once."""
    titles = {"captured": STACKED_TITLE, "eager": f"the same over {MEMBERS} stacked, one after another by eager steps"}
    if why:
        yield from (Row(title, goal=STACKED, note=why) for title in titles.values())
        return
    subject = replace(LENET, steps=20 if setting.quick else 100, epochs=1 if setting.quick else 3)
    data, recipe = on_card(subject), Recipe(epochs=subject.epochs, batch_size=subject.batch, lr=1e-3)
    count = 2 if setting.quick else MEMBERS

    def members(loss: Loss) -> list[Member]:
        """Networks whose weights differ in every place, on the card."""
        made = []
        for number in range(count):
            torch.manual_seed(number)
            model = lenet(subject.shape, subject.classes).to("cuda")
            made.append(Member(model, data, recipe, torch.Generator().manual_seed(number), loss))
        return made

    def apart(loss: Loss) -> None:
        for member in members(loss):
            fit(member.model, data, recipe, member.order, loss=loss)
        torch.cuda.synchronize()

    def together() -> None:
        trained = fit_together(members(cross_entropy))
        torch.cuda.synchronize()
        if alone := [one.why for one in trained if one.why]:
            raise Absent(f"they were not stacked: {alone[0]}")

    calls = {"captured": lambda: apart(cross_entropy), "eager": lambda: apart(plain), "together": together}
    found = interleaved(calls, setting.rounds, clock=time.monotonic)
    yield from (Row(title, ratios(found, name, "together"), STACKED) for name, title in titles.items())


def board(setting: Setting) -> Spread:
    suite = "smoke" if setting.quick else "spurious-small"
    seconds = []
    for _ in range(setting.rounds):
        with tempfile.TemporaryDirectory() as folder:
            command = benchbias("run", "-s", suite, "--seeds", 1, "--device", "cuda", "-o", Path(folder) / "results")
            seconds.append(used([*command, "-q", "--per-gpu", str(PER_CARD)], ROOT).wall)
    return Spread.of(seconds)
