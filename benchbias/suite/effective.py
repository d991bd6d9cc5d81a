"""The effective settings of tasks and of methods on them: every value with the place that set it. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchbias.plugin.components import resolve_options
from benchbias.plugin.registry import Registry
from benchbias.suite.catalogue import Catalogue
from benchbias.suite.settings import Assignments, Setting, Settings, recipe_settings, settings_of
from benchbias.suite.tables import Use

OF_A_CUT = ("start", "mask", "layers", "sparsity", "density", "removed", "budget")
"""Keys of a stage that no component has: where it starts, and what is cut how far."""


@dataclass(frozen=True)
class EffectiveStage:
    """One stage of a method on a task. settings: of its component, and of the cut; recipe: of a train stage."""

    number: int
    kind: str
    component: str
    settings: Mapping[str, Setting]
    recipe: Mapping[str, Setting]

    @property
    def words(self) -> str:
        """E.g. `train erm`."""
        return f"{self.kind} {self.component}"


@dataclass(frozen=True)
class EffectiveMethod:
    """A method on one task of a suite: its parameters, and its stages at the first point of its sweep."""

    parameters: Settings
    stages: tuple[EffectiveStage, ...]


@dataclass(frozen=True)
class EffectiveUse:
    """The data set or the network of a task, with its options."""

    kind: str
    component: str
    options: Mapping[str, Setting]


def stage_words(stage: Mapping[str, Any]) -> str:
    """E.g. `prune magnitude`, of a stage's table."""
    return f"train {stage['train']}" if "train" in stage else f"prune {stage['prune']}"


def effective_uses(catalogue: Catalogue, registry: Registry, name: str) -> tuple[EffectiveUse, ...]:
    """The data set and the network of a task. Raises UsageError."""
    task, where = catalogue.tasks[name], catalogue.where("tasks", name)
    found = []
    for kind, value in (("dataset", task.dataset), ("model", task.model)):
        use = Use.of(value, f"{where}.{kind}")
        component = registry.components.get((kind, use.name))
        given = {key: item for key, item in use.options.items() if key != "seed"}
        resolved = resolve_options(component, given, where) if component else given
        options = {
            key: Setting(item, "this task" if key in use.options else "the default") for key, item in resolved.items()
        }
        found.append(EffectiveUse(kind, use.name, options))
    return tuple(found)


def effective_method(
    catalogue: Catalogue, registry: Registry, suite: str, task: str, name: str, assignments: Sequence[str] = ()
) -> EffectiveMethod:
    """A method's parameters and stages with every effective value on a task of a suite. Raises UsageError."""
    assigned = Assignments.parse(assignments, catalogue)
    settings = settings_of(catalogue, suite, task, name, assigned)
    _, values = next(settings.points())
    stages = []
    for number, stage in enumerate(catalogue.methods[name].stages, 1):
        recipe = recipe_settings(catalogue, suite, task, name, stage, values, assigned, number)
        stages.append(_stage(registry, stage, number, recipe))
    return EffectiveMethod(settings, tuple(stages))


def _stage(registry: Registry, stage: Mapping[str, Any], number: int, recipe: Mapping[str, Setting]) -> EffectiveStage:
    kind, place = "train" if "train" in stage else "prune", f"stages[{number}]"
    component = registry.components.get(("trainer" if kind == "train" else "pruner", stage[kind]))
    settings = {
        key: Setting(stage.get(key, option.default), place if key in stage else "the default")
        for key, option in (component.options if component else {}).items()
    }
    own = (*OF_A_CUT, *(("prune",) if kind == "train" else ()))
    cut = {key: Setting(stage[key], place) for key in own if key in stage}
    return EffectiveStage(number, kind, stage[kind], settings | cut, recipe if kind == "train" else {})
