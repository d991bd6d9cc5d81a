"""On a card: captured steps over eager ones, stacked networks over one after another, the default suite's first seed.

Wall time: the CPU time of a process says nothing about what its card does.
"""

from __future__ import annotations

import importlib.util
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

from .rows import Goal, Row, Setting
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
    yield stacked(setting, why)
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

    def train(loss: Callable[[nn.Module, Batch], Tensor]) -> None:
        fit(subject.network().to("cuda"), data, recipe, torch.Generator(), loss=loss)
        torch.cuda.synchronize()

    calls: dict[str, Callable[[], object]] = {"eager": lambda: train(plain), "captured": lambda: train(cross_entropy)}
    return ratios(interleaved(calls, setting.rounds, clock=time.monotonic), "eager", "captured")


def stacked(setting: Setting, why: str) -> Row:
    """The training stages of so many seeds of one method, with and without --stack."""
    if not why and importlib.util.find_spec("benchbias.training.population") is None:
        why = "this version stacks no networks"
    if why:
        return Row(STACKED_TITLE, goal=STACKED, note=why)
    members = 2 if setting.quick else MEMBERS
    apart, together = [], []
    for _ in range(setting.rounds):
        apart.append(training_seconds(members))
        together.append(training_seconds(members, "--stack", members))
    pairs = {"apart": apart, "together": together}
    return Row(STACKED_TITLE, ratios(pairs, "apart", "together"), STACKED)


CONFIG = """schema = 1

[tasks.invented]
dataset = {{ use = "colored_ten_digits", conflict_ratio = 0.05 }}
model = {{ use = "lenet" }}
recipe = {{ epochs = 20, batch_size = 64, lr = 1e-2 }}

[suites.stacked]
title = "Seeds of one method"
version = "1"
tasks = ["invented"]
methods = ["erm"]
metrics = ["accuracy", "worst_group_accuracy"]
rank_by = "worst_group_accuracy"
seeds = {seeds}
"""


def training_seconds(members: int, *options: object) -> float:
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "stacked.toml"
        config.write_text(CONFIG.format(seeds=members), encoding="utf-8")
        arguments = ("run", "-s", "stacked", "--config", config, "--device", "cuda", "-o", Path(folder) / "results")
        return used(benchbias(*arguments, "-q", *options), ROOT).wall


def board(setting: Setting) -> Spread:
    suite = "smoke" if setting.quick else "spurious-small"
    seconds = []
    for _ in range(setting.rounds):
        with tempfile.TemporaryDirectory() as folder:
            command = benchbias("run", "-s", suite, "--seeds", 1, "--device", "cuda", "-o", Path(folder) / "results")
            seconds.append(used([*command, "-q", "--per-gpu", str(PER_CARD)], ROOT).wall)
    return Spread.of(seconds)
