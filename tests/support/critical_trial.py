"""A toy trial with a trained model whose epochs are kept, for pruners and probes of critical neurons."""

from __future__ import annotations

import functools

import torch
from torch import nn

from benchbias.suite.tables import Recipe
from benchbias.testing import ToyTrial, toy_dataset
from benchbias.testing.calling.calls import plain
from benchbias.training.probe_context import ProbeContext

EPOCHS = 4


def trained() -> tuple[ToyTrial, str]:
    """The trial and the key of its train stage."""
    made = ToyTrial()
    return made, made.train(plain, epochs=EPOCHS, keep_epochs=list(range(1, EPOCHS + 1)))


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
