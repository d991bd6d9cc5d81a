"""The accuracies of 25 groups: one pass of ours, spuco's Evaluator, and a bare forward pass over the same images."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import nn
from torch.utils.data import DataLoader, Subset

from benchbias.data.augment import normalise
from benchbias.data.values import Predictions, Split, TrainingData
from benchbias.network.cost import group_counts
from benchbias.training.fit import logits

from .peers import SpucoImages, import_spuco, partition, quietly, spuco_note
from .rows import Absent, Goal, Row, Setting
from .subjects import Subject, prepare_torch
from .timing import interleaved, ratios

IMAGES, QUICK_IMAGES, CLASSES, BATCH = 10_000, 500, 5, 256
GROUPS = CLASSES * CLASSES


class Scored:
    """A network, images in 25 groups, and the ways to their accuracies."""

    def __init__(self, count: int) -> None:
        self.network = Subject("LeNet", (3, 28, 28), CLASSES, BATCH, steps=1, epochs=1).network()
        draw = torch.Generator().manual_seed(0)
        self.images = torch.randint(0, 256, (count, 3, 28, 28), dtype=torch.uint8, generator=draw)
        self.labels = torch.randint(0, CLASSES, (count,), generator=draw)
        self.attributes = torch.randint(0, CLASSES, (count,), generator=draw)
        self.groups = CLASSES * self.labels + self.attributes
        split = Split(self.images, self.labels, CLASSES, "test")
        self.data = TrainingData(split, split, (0.0,) * 3, (1.0,) * 3, BATCH)
        self.ready = normalise(self.images, self.data.mean, self.data.std)

    def ours(self) -> tuple[list[int], list[int]]:
        """(correct, total) of each group."""
        answers = logits(self.network, self.data, self.data.train)
        aligned, cluster = self.labels == self.attributes, torch.arange(len(self.labels))
        shares = torch.full((GROUPS,), 1 / GROUPS)
        labels = (self.labels, self.attributes, self.groups, aligned, cluster)
        return group_counts(Predictions("test", answers, *labels, shares, CLASSES), GROUPS)

    def bare(self) -> None:
        self.network.eval()
        with torch.no_grad():
            for part in self.ready.split(BATCH):
                self.network(part)

    def spuco(self, workers: int | None = None) -> Callable[[], dict[tuple[int, int], float]]:
        """spuco's evaluation as it is, or with another number of workers of its loaders."""
        from spuco.evaluate import Evaluator

        images, groups = SpucoImages(self.images, self.labels), partition(self.labels, self.attributes)
        weights = {pair: len(members) / len(self.labels) for pair, members in groups.items()}
        model: nn.Module = self.network
        made = Evaluator(testset=images, group_partition=groups, group_weights=weights, batch_size=64, model=model)
        if workers is not None:
            for pair, members in groups.items():
                made.testloaders[pair] = DataLoader(Subset(images, members), batch_size=64, num_workers=workers)
        evaluate: Callable[[], dict[tuple[int, int], float]] = made.evaluate
        return evaluate

    def differs(self, theirs: dict[tuple[int, int], float]) -> float:
        """The largest difference between our accuracies and theirs, in percent."""
        correct, total = self.ours()
        pairs = {(group // CLASSES, group % CLASSES): group for group in range(GROUPS)}
        return max(abs(100 * correct[pairs[pair]] / total[pairs[pair]] - value) for pair, value in theirs.items())


def rows(setting: Setting) -> Iterator[Row]:
    prepare_torch()
    scored = Scored(QUICK_IMAGES if setting.quick else IMAGES)
    yield from against_bare(scored, setting)
    note = spuco_note(import_spuco())
    default, alone = quietly(scored.spuco()), quietly(scored.spuco(workers=0))
    if scored.differs(alone()) > 1e-6:
        raise Absent("spuco's accuracies are not ours: the two do not compute the same")
    peers = {"ours": scored.ours, "spuco": default, "spuco0": alone}
    found = interleaved(peers, setting.rounds)
    yield Row("25 groups over spuco's Evaluator (4 workers)", ratios(found, "ours", "spuco"), Goal(1 / 15), note=note)
    yield Row("25 groups over spuco's Evaluator with 0 workers", ratios(found, "ours", "spuco0"), Goal(1))


def against_bare(scored: Scored, setting: Setting) -> Iterator[Row]:
    found = interleaved({"ours": scored.ours, "bare": scored.bare}, 3 * setting.rounds)
    yield Row("25 groups over one bare forward pass", ratios(found, "ours", "bare"), Goal(1.05))
