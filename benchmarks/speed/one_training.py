"""One epoch of LeNet in a process of its own, ours or spuco's: prints microseconds of CPU an image."""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch
from torch import nn
from torch.utils.data import DataLoader

from benchbias.data.values import TrainingData
from benchbias.suite.tables import Recipe
from benchbias.training.fit import fit

from .peers import SpucoImages, import_spuco
from .subjects import Subject, prepare_torch
from .timing import cpu_seconds

WARM_STEPS = 20
RATE, MOMENTUM = 1e-2, 0.9


def lenet(count: int) -> Subject:
    return Subject("LeNet", (3, 28, 28), 5, 64, steps=-(-count // 64), epochs=1)


def ours(subject: Subject, data: TrainingData) -> Callable[[], object]:
    recipe = Recipe(epochs=1, batch_size=subject.batch, lr=RATE, momentum=MOMENTUM, nesterov=True)
    return lambda: fit(subject.network(), data, recipe, torch.Generator().manual_seed(0))


def spuco(subject: Subject, data: TrainingData, *, workers: int | None = None) -> Callable[[], object]:
    """spuco's ERM as it is, or with another number of workers of its loader."""
    import_spuco()
    from spuco.robust_train import ERM

    images = SpucoImages(data.train.images, data.train.labels)

    def train() -> None:
        model: nn.Module = subject.network()
        optimizer = torch.optim.SGD(model.parameters(), RATE, MOMENTUM, nesterov=True)
        erm = ERM(model=model, trainset=images, batch_size=subject.batch, optimizer=optimizer, num_epochs=1)
        if workers is not None:
            erm.trainer.trainloader = DataLoader(images, subject.batch, shuffle=True, num_workers=workers)
        erm.train()

    return train


LOOPS = {
    "ours": ours,
    "spuco": spuco,
    "spuco0": lambda subject, data: spuco(subject, data, workers=0),
}


def main() -> None:
    name, count = sys.argv[1], int(sys.argv[2])
    torch.set_num_threads(1)
    if name == "ours":
        prepare_torch()
    small, whole = lenet(WARM_STEPS * 64), lenet(count)
    LOOPS[name](small, small.data())()
    data = whole.data()
    call = LOOPS[name](whole, data)
    before = cpu_seconds()
    call()
    print(1e6 * (cpu_seconds() - before) / len(data.train))


if __name__ == "__main__":
    main()
