"""Endings of trials: which trials have ended when a stage has, each said once."""

from __future__ import annotations

from collections.abc import Collection

from benchbias.plan.trials import Plan, Trial


class Endings:
    """The trials of a plan that have not ended yet. A trial ends when none of its stages can still be computed.

    settled: keys of stages that are done, have failed, or rest on one that has. A trial of which all are settled at
    the start has ended before, and is never said to end.
    """

    def __init__(self, plan: Plan, settled: Collection[str]) -> None:
        self._children: dict[str, list[str]] = {}
        for key, stage in plan.stages.items():
            for parent in set(stage.parents.values()):
                self._children.setdefault(parent, []).append(key)
        self._trials = {trial.id: trial for trial in plan.trials}
        self._open: dict[str, set[str]] = {}
        self._of: dict[str, list[str]] = {}
        for trial in plan.trials:
            rest = set(trial.everything) - set(settled)
            if rest and trial.blocked is None:
                self._open[trial.id] = rest
                for key in rest:
                    self._of.setdefault(key, []).append(trial.id)

    def after(self, key: str, *, failed: bool) -> list[Trial]:
        """The trials that end with a stage, in the plan's order. failed: all that rests on it will never be."""
        found: set[str] = set()
        for settled in self._with_descendants(key) if failed else (key,):
            for trial in self._of.pop(settled, ()):
                self._open[trial].discard(settled)
                if not self._open[trial]:
                    found.add(trial)
        return [self._trials[trial] for trial in self._trials if trial in found]

    def _with_descendants(self, key: str) -> list[str]:
        found, todo = {key}, [key]
        while todo:
            new = set(self._children.get(todo.pop(), ())) - found
            found |= new
            todo += sorted(new)
        return sorted(found)
