"""Reporters: a run tells them what happens while it goes on."""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import Protocol

from benchbias.errors import plain
from benchbias.keys.stage import Stage
from benchbias.plan.trials import Plan
from benchbias.store.store import Product


def notes_of(product: Product | None) -> list[str]:
    """The words of a stage's product for its user: notes, and why seeds were not trained at once."""
    if product is None:
        return []
    why = product.body.get("stacked", {}).get("why", "")
    return [*product.body.get("notes", ()), *([f"a training of it is not stacked: {why}"] if why else [])]


class Reporter(Protocol):
    """Receives everything that happens while a plan runs."""

    def begin(self, plan: Plan, cached: int, todo: Collection[str]) -> None:
        """A run begins. cached: how many stages are done already. todo: the keys of those that are to run."""

    def stage(self, stage: Stage, outcome: str, seconds: float, detail: str) -> None:
        """A stage has ended: outcome is done, failed or skipped."""

    def end(self) -> None: ...

    def note(self, text: str) -> None:
        """Something worth a line before the run begins."""

    def warn(self, text: str) -> None:
        """Something worth a line at any verbosity: a wait for another run, a product that did not come out again."""

    def fault(self, text: str) -> None:
        """A plugin that is told of trials has failed, which is told wherever a run is started."""


class Silent:
    """A reporter that says nothing but what is wrong with a plugin, which no result would tell."""

    def begin(self, plan: Plan, cached: int, todo: Collection[str]) -> None: ...

    def stage(self, stage: Stage, outcome: str, seconds: float, detail: str) -> None: ...

    def end(self) -> None: ...

    def note(self, text: str) -> None: ...

    def warn(self, text: str) -> None: ...

    def fault(self, text: str) -> None:
        print(plain(text), file=sys.stderr, flush=True)
