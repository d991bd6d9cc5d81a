"""The progress of a run on standard error: a live bar on a terminal, plain lines in a pipe."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from benchbias.errors import plain

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from benchbias.keys.stage import Stage
    from benchbias.plan.trials import Plan
    from benchbias.runner.reporter import Reporter

LINE_SECONDS = 5.0  # between plain progress lines


def reporter(verbosity: int) -> Reporter:
    """A live bar on a terminal, else plain lines; verbosity -1: failures only, 1: a line for every stage."""
    if verbosity == 0 and sys.stderr.isatty():
        return Bar()
    return Lines(verbosity)


class Lines:
    """Plain lines: the start, now and then how far it is, failures, the end."""

    def __init__(self, verbosity: int) -> None:
        self.verbosity = verbosity
        self.todo = self.done = self.failed = 0
        self.started = self.last = 0.0

    def begin(self, plan: Plan, cached: int, todo: int) -> None:
        self.todo, self.started, self.last = todo, time.monotonic(), time.monotonic()
        if self.verbosity >= 0:
            self._say(f"{plan.suite}: {len(plan.trials)} trials, {cached} stages cached, {todo} to run")

    def stage(self, stage: Stage, outcome: str, seconds: float, detail: str) -> None:
        self.done += 1
        self.failed += outcome == "failed"
        if outcome != "done":
            self._say(f"{outcome}: {stage.label}: {plain(detail)}")
        elif self.verbosity > 0:
            self._say(f"[{self.done}/{self.todo}] {stage.label} ({seconds:.1f} s)")
        elif self.verbosity == 0 and (time.monotonic() - self.last > LINE_SECONDS or self.done == self.todo):
            self.last = time.monotonic()
            left = (self.last - self.started) / self.done * (self.todo - self.done)
            self._say(f"[{self.done}/{self.todo}] {self.failed} failed, about {left:.0f} s left")

    def end(self) -> None: ...

    def note(self, text: str) -> None:
        if self.verbosity >= 0:
            self._say(plain(text))

    def warn(self, text: str) -> None:
        self._say(plain(text))

    def _say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


class Bar:
    """A live bar with what was cached, done and failed, and the time left."""

    def __init__(self) -> None:
        self.failed = 0
        self.progress: Progress | None = None
        self.task: TaskID | None = None

    def begin(self, plan: Plan, cached: int, todo: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self.cached = cached
        self.task = self.progress.add_task(plan.suite, total=todo, note=self._note(""))
        self.progress.start()

    def _note(self, now: str) -> str:
        return f"{self.cached} cached, {self.failed} failed {now}"

    def stage(self, stage: Stage, outcome: str, seconds: float, detail: str) -> None:
        assert self.progress is not None
        assert self.task is not None
        self.failed += outcome == "failed"
        if outcome != "done":
            self.progress.console.print(f"{outcome}: {stage.label}: {plain(detail)}", markup=False, highlight=False)
        self.progress.update(self.task, advance=1, note=self._note(f"· {stage.label}"))

    def end(self) -> None:
        if self.progress is not None:
            self.progress.stop()

    def note(self, text: str) -> None:
        print(plain(text), file=sys.stderr, flush=True)

    def warn(self, text: str) -> None:
        assert self.progress is not None
        self.progress.console.print(plain(text), markup=False, highlight=False)
