"""The values of a plan: trials, analyses, the plan itself, and what of a suite was selected. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchbias.keys.stage import Stage
from benchbias.records.row_name import row_name

if TYPE_CHECKING:
    from benchbias.suite.tables import MethodTable, SuiteTable


@dataclass(frozen=True)
class Trial:
    """One (task, method with swept values, seed): a path through the stages, or the reason why it cannot run."""

    id: str
    task: str
    method: str
    swept: Mapping[str, Any]
    settings: Mapping[str, Any]
    seed: int
    track: str
    stages: tuple[str, ...] = ()  # keys, in order; the last is the score
    blocked: str | None = None
    settings_from: str = "default"
    probes: Mapping[str, str] = field(default_factory=dict)  # name -> key; no part of the score
    blocked_probes: Mapping[str, str] = field(default_factory=dict)  # name -> why its component cannot be had

    @property
    def everything(self) -> tuple[str, ...]:
        """The keys of all stages: those of the score, then the probes."""
        return (*self.stages, *self.probes.values())

    @property
    def row(self) -> str:
        """The method with its swept values, e.g. `magnitude[sparsity=0.8]`."""
        return row_name(self.method, self.swept)

    @property
    def label(self) -> str:
        """E.g. `colored-digits/magnitude[sparsity=0.8]/3`."""
        return f"{self.task}/{self.row}/{self.seed}"


@dataclass(frozen=True)
class PlannedAnalysis:
    """One analysis of one task's trials: its stage, or the reason why it cannot be made."""

    name: str
    task: str
    options: Mapping[str, Any]
    stage: Stage | None
    blocked: str | None = None

    @property
    def key(self) -> str | None:
        return None if self.stage is None else self.stage.key

    @property
    def label(self) -> str:
        """E.g. `digits/recall_balance`."""
        return f"{self.task}/{self.name}"


@dataclass(frozen=True)
class Plan:
    """The chosen trials of a suite and their distinct stages, parents before children.

    others, other_analyses: the rest of the suite at the same settings, for a board that shows all that a folder holds;
    their stages are not among `stages`. missing: raw files that are not there, (hub or folder, name). stack: how many
    seeds are trained at once, 1 where none are. stacks: of each stage in one, all its stages. unstacked: why others are
    in none, and which.
    """

    suite: str
    table: SuiteTable
    methods: Mapping[str, MethodTable]
    trials: tuple[Trial, ...]
    stages: Mapping[str, Stage]
    limit: int | None
    device: str
    plugins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    analyses: tuple[PlannedAnalysis, ...] = ()
    missing: tuple[tuple[str, str], ...] = ()
    others: tuple[Trial, ...] = ()
    other_analyses: tuple[PlannedAnalysis, ...] = ()
    stack: int = 1
    stacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unstacked: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The suite's name; a limited run has files of its own."""
        return self.suite if self.limit is None else f"{self.suite}.limit-{self.limit}"

    def payload(self) -> dict[str, Any]:
        """The part of the plan that a worker needs, as JSON."""
        return {
            "device": self.device.partition(":")[0],  # a worker sees one card: its slot's
            "plugins": {name: dict(plugin) for name, plugin in self.plugins.items()},
            "stages": {
                key: {"inputs": dict(stage.inputs), "plugins": list(stage.plugins), "label": stage.label}
                for key, stage in self.stages.items()
            },
            **({"stacks": {key: list(keys) for key, keys in self.stacks.items()}} if self.stacks else {}),
        }


@dataclass(frozen=True)
class Selection:
    """The part of a suite to plan: None means all of it.

    split: the one that trials are scored on: `test`, or a validation split while settings are searched for. analyses:
    names in place of those of the suite. stack: seeds that are trained at once (None: as the suite says).
    """

    methods: Sequence[str] | None = None
    tasks: Sequence[str] | None = None
    seeds: int | Sequence[int] | None = None
    assignments: Sequence[str] = ()
    limit: int | None = None
    device: str = "cpu"
    split: str = "test"
    analyses: Sequence[str] | None = None
    stack: int | None = None
