"""The stages that one process runs in a row, and which of those that are ready begin first. None of it changes a byte.

A train or prune stage goes with the predict and score stages that rest on it and on what is done. Prune stages that
differ in nothing but their amount, as those of a sweep, go together: the pruner is asked once. So do the train stages
of a stack: the first computes all of them.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from benchbias.board.sweeps import AMOUNTS
from benchbias.keys.stage import Stage
from benchbias.plan.trials import Plan
from benchbias.plugin.foreign import runs_foreign_code

FOLLOWING = ("predict", "score")
EPOCHS = {"prune": 1.0, "predict": 0.5, "probe": 1.0, "analyse": 0.5}
"""The work of a stage that trains for no epochs, as a guess in epochs."""
LEAST = 0.1


@dataclass(frozen=True)
class Grouping:
    """The part of a plan that decides how its stages are dealt out.

    children: the stages that rest on a stage. needs: for each stage those that it waits for: its parents, in a stack
    those of its mates too. waiters: the stages that wait for a stage. sweeps: for each stage of a sweep all of its
    stages, in the plan's order. ranks: the guessed work, in epochs, of a stage and the longest chain that rests on it.
    """

    plan: Plan
    children: Mapping[str, list[str]]
    needs: Mapping[str, frozenset[str]]
    waiters: Mapping[str, list[str]]
    sweeps: Mapping[str, list[str]]
    ranks: Mapping[str, float]

    @staticmethod
    def of(plan: Plan) -> Grouping:
        """The grouping of a plan."""
        children: dict[str, list[str]] = {}
        for key, stage in plan.stages.items():
            for parent in set(stage.parents.values()):
                children.setdefault(parent, []).append(key)
        ranks: dict[str, float] = {}
        for key, stage in reversed(list(plan.stages.items())):  # children before parents
            ranks[key] = _work(stage) + max((ranks[child] for child in children.get(key, ())), default=0.0)
        needs = {key: _needs(plan, key) for key in plan.stages}
        waiters: dict[str, list[str]] = {}
        for key, parents in needs.items():
            for parent in parents:
                waiters.setdefault(parent, []).append(key)
        return Grouping(plan, children, needs, waiters, _sweeps(plan), ranks)

    def together(
        self, key: str, ready: Collection[str], waiting: Mapping[str, Collection[str]], jobs: int
    ) -> list[str]:
        """The stages that one process runs, of which a ready one is the first; parents before children.

        ready: the others that could begin now. waiting: those that wait, and for which ones. jobs: processes at once,
        over which a sweep is dealt out.
        """
        if self.alone(key):
            return [key]
        if mates := self.plan.stacks.get(key):
            return [key, *(mate for mate in mates if mate in ready)]
        others = [other for other in self.sweeps.get(key, ()) if other in ready]
        first = [key, *others[: -(-(len(others) + 1) // jobs) - 1]]
        found = dict.fromkeys(first)
        for one in first:
            self._follow(one, found, waiting)
        return list(found)

    def _follow(self, key: str, found: dict[str, None], waiting: Mapping[str, Collection[str]]) -> None:
        """Add the stages that measure what a stage makes, as far as they wait for nothing else."""
        for child in self.children.get(key, ()):
            measures = child in waiting and child not in found and self.plan.stages[child].kind in FOLLOWING
            if measures and found.keys() >= set(waiting[child]) and not self.alone(child):
                found[child] = None
                self._follow(child, found, waiting)

    def alone(self, key: str) -> bool:
        """Whether a stage needs a process of its own, as all do that run code which is not ours."""
        init = self.plan.stages[key].parents.get("init")
        called = [self.plan.stages[one] for one in (key, init) if one is not None]
        return any(runs_foreign_code(stage.inputs, stage.plugins) for stage in called)


def _needs(plan: Plan, key: str) -> frozenset[str]:
    """The stages that a stage waits for."""
    return frozenset(parent for mate in plan.stacks.get(key, (key,)) for parent in plan.stages[mate].parents.values())


def _work(stage: Stage) -> float:
    if stage.kind == "train":
        return float(max(stage.inputs["recipe"].get("epochs", 1), LEAST))
    return EPOCHS.get(stage.kind, LEAST)


def _sweeps(plan: Plan) -> dict[str, list[str]]:
    """The prune stages that differ in their amount alone, for each that has such others."""
    alike: dict[str, list[str]] = {}
    for key, stage in plan.stages.items():
        if stage.kind == "prune":
            cut = {name: value for name, value in stage.inputs["cut"].items() if name not in AMOUNTS}
            alike.setdefault(repr(sorted({**stage.inputs, "cut": cut}.items())), []).append(key)
    return {key: keys for keys in alike.values() if len(keys) > 1 for key in keys}


class Ready:
    """Stages that can begin. Those on which most work rests come first; or, in a random order, any."""

    def __init__(self, ranks: Mapping[str, float], order: random.Random | None = None) -> None:
        number = {key: place for place, key in enumerate(ranks)}
        self._place: Callable[[str], tuple[float, int]] = lambda key: (
            (-ranks[key] if order is None else order.random()),
            number[key],
        )
        self._heap: list[tuple[tuple[float, int], str]] = []
        self._keys: set[str] = set()

    def add(self, key: str) -> None:
        """Add a stage."""
        if key not in self._keys:
            self._keys.add(key)
            heapq.heappush(self._heap, (self._place(key), key))

    def take(self) -> str:
        """Remove the stage that is to begin first, and return it."""
        while True:
            _, key = heapq.heappop(self._heap)
            if key in self._keys:
                self._keys.discard(key)
                return key

    def discard(self, key: str) -> None:
        """Remove a stage, if it is there."""
        self._keys.discard(key)

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)
