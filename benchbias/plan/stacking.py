"""Train stages that are computed at once, in stacks: those of a row that differ in their seed, by chunks. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchbias.plugin.foreign import OURS


def chunk_of(seed: int, seeds: Sequence[int], size: int) -> list[int]:
    """The seeds that a seed is stacked with, itself among them: the selection's in order, cut into chunks."""
    place = seeds.index(seed)
    first = place - place % size
    return list(seeds[first : first + size])


def refusal(stage: Mapping[str, Any], recipe: Mapping[str, Any], plugins: Iterable[str]) -> str | None:
    """Why a train stage is in no stack, by what a plan knows of it; None: it may be in one. plugins: that it runs."""
    if recipe["schedule"] == "plateau":
        return "the rates of a plateau follow each network's own loss"
    if recipe["channels_last"]:
        return "channels_last is a layout of single networks"
    if recipe["epochs"] == 0:
        return "it trains for no epochs"
    if "prune" in stage:
        return "its mask changes during training"
    foreign = sorted({plugin for plugin in plugins if not plugin.startswith(OURS)})
    return f"components of plugin {foreign[0]!r} need a process of their own" if foreign else None


class Stacks:
    """The stacks of a plan, noted while its trials are walked."""

    def __init__(self) -> None:
        self.refused: dict[str, list[str]] = {}  # why -> the stages, in words
        self._members: dict[str, dict[int, str]] = {}

    def note(self, place: str, seed: int, key: str) -> None:
        """Note a stage of a stack; place: what all of its stages share."""
        self._members.setdefault(place, {})[seed] = key

    def refuse(self, why: str, what: str) -> None:
        """Note a stage that is in no stack."""
        rows = self.refused.setdefault(why, [])
        if what not in rows:
            rows.append(what)

    def found(self, planned: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
        """For each stage of a stack all of its stages, in the order of seeds."""
        stacks: dict[str, tuple[str, ...]] = {}
        for members in self._members.values():
            keys = tuple(key for key in members.values() if key in planned)
            stacks |= dict.fromkeys(keys, keys)
        return stacks
