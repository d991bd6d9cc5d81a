"""The progress of a run on standard error: a live bar on a terminal, plain lines in a pipe."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from benchbias.errors import plain

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from benchbias.keys.stage import Stage
    from benchbias.plan.trials import Plan

LINE_SECONDS = 5.0  # between plain progress lines


def reporter(verbosity: int) -> Bar | Lines:
    """A live bar on a terminal, else plain lines; verbosity -1: failures only, 1: a line for every stage.

    told: the keys of the stages whose failure it has said.
    """
    if verbosity == 0 and sys.stderr.isatty():
        return Bar()
    return Lines(verbosity)


def repeated(reasons: Counter[tuple[str, str]]) -> Iterator[str]:
    """Say of each reason that stands for several stages for how many more: one fault is one line."""
    for (outcome, detail), count in reasons.items():
        if count > 1:
            yield f"{outcome}: {count - 1} more for the same reason: {plain(detail)[:160]}"


class Pace:
    """How long the rest of a run takes: what stages of a kind have taken, times those that are left.

    Training counts by epochs. Nothing is said before a stage of every kind that is left has ended.
    """

    def __init__(self, plan: Plan, todo: Collection[str]) -> None:
        self.left = Counter[str]()
        self.done = Counter[str]()
        self.seconds = dict[str, float]()
        self.began: float | None = None  # when the first stage did: starting the engine is no stage's work
        for key in todo:
            self.left[plan.stages[key].kind] += _size(plan.stages[key])

    def ended(self, stage: Stage, seconds: float, now: float) -> None:
        """Note a stage that has ended. now: of a monotonic clock, in seconds."""
        size = _size(stage)
        self.began = now - seconds if self.began is None else min(self.began, now - seconds)
        self.left[stage.kind] -= size
        self.done[stage.kind] += size
        self.seconds[stage.kind] = self.seconds.get(stage.kind, 0.0) + seconds

    def text(self, now: float) -> str:
        """E.g. `, about 40 s left`; empty where that cannot be said."""
        left = {kind: size for kind, size in self.left.items() if size > 0}
        if self.began is None or any(not self.done[kind] for kind in left):
            return ""
        rest = sum(size * self.seconds[kind] / self.done[kind] for kind, size in left.items())
        worked = sum(self.seconds.values())
        at_once = max(worked / max(now - self.began, 1e-9), 1.0) if worked else 1.0
        return f", about {rest / at_once:.0f} s left"


def _size(stage: Stage) -> int:
    """The work of a stage among those of its kind: the epochs of a training, else 1."""
    recipe = stage.inputs.get("recipe")
    return int(recipe["epochs"]) + 1 if isinstance(recipe, Mapping) and "epochs" in recipe else 1


class Lines:
    """Plain lines: the start, now and then how far it is, failures, the end."""

    def __init__(self, verbosity: int) -> None:
        self.verbosity = verbosity
        self.told: set[str] = set()
        self.todo = self.done = self.failed = 0
        self.last = 0.0
        self.reasons: Counter[tuple[str, str]] = Counter()

    def begin(self, plan: Plan, cached: int, todo: Collection[str]) -> None:
        self.todo, self.last, self.pace = len(todo), time.monotonic(), Pace(plan, todo)
        if self.verbosity >= 0:
            self._say(f"{plan.suite}: {len(plan.trials)} trials, {cached} stages cached, {len(todo)} to run")

    def stage(self, stage: Stage, outcome: str, seconds: float, detail: str) -> None:
        self.done += 1
        self.pace.ended(stage, seconds, time.monotonic())
        self.failed += outcome == "failed"
        if outcome != "done":
            self.told.add(stage.key)
            self.reasons[outcome, detail] += 1
        if self.reasons[outcome, detail] == 1:
            self._say(f"{outcome}: {stage.label}: {plain(detail)}")
        elif outcome == "done" and self.verbosity > 0:
            self._say(f"[{self.done}/{self.todo}] {stage.label} ({seconds:.1f} s)")
        elif self.verbosity == 0 and (time.monotonic() - self.last > LINE_SECONDS or self.done == self.todo):
            self.last = time.monotonic()
            left = self.pace.text(self.last) if self.done < self.todo else ""
            self._say(f"[{self.done}/{self.todo}] {self.failed} failed{left}")

    def end(self) -> None:
        for line in repeated(self.reasons):
            self._say(line)

    def note(self, text: str) -> None:
        if self.verbosity >= 0:
            self._say(plain(text))

    def warn(self, text: str) -> None:
        self._say(plain(text))

    def fault(self, text: str) -> None:
        self.warn(text)

    def _say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


class Bar:
    """A live bar with what was cached, done and failed, and the time left."""

    def __init__(self) -> None:
        self.failed = 0
        self.told: set[str] = set()
        self.progress: Progress | None = None
        self.reasons: Counter[tuple[str, str]] = Counter()
        self.task: TaskID | None = None

    def begin(self, plan: Plan, cached: int, todo: Collection[str]) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=Console(stderr=True),
        )
        self.cached, self.pace = cached, Pace(plan, todo)
        self.task = self.progress.add_task(plan.suite, total=len(todo), note=self._note(""))
        self.progress.start()

    def _note(self, now: str) -> str:
        return f"{self.cached} cached, {self.failed} failed{self.pace.text(time.monotonic())} {now}"

    def stage(self, stage: Stage, outcome: str, seconds: float, detail: str) -> None:
        assert self.progress is not None
        assert self.task is not None
        self.failed += outcome == "failed"
        self.pace.ended(stage, seconds, time.monotonic())
        if outcome != "done":
            self.told.add(stage.key)
            self.reasons[outcome, detail] += 1
        if self.reasons[outcome, detail] == 1:
            self.progress.console.print(f"{outcome}: {stage.label}: {plain(detail)}", markup=False, highlight=False)
        self.progress.update(self.task, advance=1, note=self._note(f"· {stage.label}"))

    def end(self) -> None:
        if self.progress is not None:
            for line in repeated(self.reasons):
                self.progress.console.print(line, markup=False, highlight=False)
            self.progress.stop()

    def note(self, text: str) -> None:
        print(plain(text), file=sys.stderr, flush=True)

    def warn(self, text: str) -> None:
        assert self.progress is not None
        self.progress.console.print(plain(text), markup=False, highlight=False)

    def fault(self, text: str) -> None:
        self.warn(text)
