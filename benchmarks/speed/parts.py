"""The parts of the measurement: each a module with `rows(setting)`, run in a process of its own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """A part. rounds: how many by default. worker: whether its process has the environment of a stage's."""

    name: str
    title: str
    rounds: int
    worker: bool = True


PARTS = (
    Part("training_loop", "Training loop", 7),
    Part("spuco_training", "Training against spuco", 5, worker=False),
    Part("pruning_sweep", "Pruning sweeps", 3),
    Part("mask_updates", "Masks that change", 3),
    Part("evaluation", "Evaluation", 5),
    Part("decoding", "Images to the cache", 3, worker=False),
    Part("startup", "Start", 5, worker=False),
    Part("growth", "Growth", 3, worker=False),
    Part("stages", "Stages", 3, worker=False),
    Part("jobs", "Jobs", 3, worker=False),
    Part("suite", "Default suite", 3, worker=False),
    Part("profile", "Profile of the default suite", 1, worker=False),
    Part("cards", "On a card", 3, worker=False),
)


def part(name: str) -> Part:
    """A part by its name. Raises KeyError."""
    return {one.name: one for one in PARTS}[name]
