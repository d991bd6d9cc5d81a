"""Suite -> Plan: all trials, their distinct stages in dependency order, and the key of each. Never imports torch."""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchbias import canonical
from benchbias.components import STAGE_KEYS, Component, resolve_options
from benchbias.environment import describe_environment
from benchbias.errors import UsageError, unknown
from benchbias.plugins import Registry, files_digest
from benchbias.resolve import (
    MAX_TRIALS,
    Assignments,
    Settings,
    recipe_of,
    recipe_settings,
    settings_of,
    substitute,
)
from benchbias.suite import Catalogue, MethodTable, SuiteTable, Use, seed_list

FORMAT = 1  # of objects and keys: raise it when their meaning changes

TRACKS = ("labels-none", "val-select", "val-fit", "train")
_SETTINGS_TRACK = {"default": 0, "iid-val": 0, "paper": 1, "val-groups": 1}

_SHARED = ("data.py", "masks.py", "seeding.py", "stages/common.py")
CORE_SOURCES: Mapping[str, tuple[str, ...]] = {
    "data": (*_SHARED, "evaluation.py", "stages/data.py"),
    "init": (*_SHARED, "stages/init.py", "training.py"),
    "train": (*_SHARED, "context.py", "evaluation.py", "stages/train.py", "training.py"),
    "prune": (*_SHARED, "context.py", "stages/prune.py", "training.py"),
    "predict": (*_SHARED, "evaluation.py", "stages/predict.py", "training.py"),
    "score": (*_SHARED, "evaluation.py", "stages/score.py"),
}
"""The core modules that decide what each kind of stage computes: part of its key. A test holds them complete."""


@dataclass(frozen=True)
class Stage:
    """One plugin call: what made it (`inputs`), its key, and its identity (the key without sources and machine)."""

    key: str
    identity: str
    inputs: Mapping[str, Any]
    plugins: tuple[str, ...]

    @property
    def kind(self) -> str:
        return str(self.inputs["kind"])

    @property
    def parents(self) -> Mapping[str, str]:
        parents: Mapping[str, str] = self.inputs["parents"]
        return parents

    @property
    def label(self) -> str:
        """E.g. `train erm, seed 3`."""
        component = self.inputs.get("component")
        name = f" {component['name']}" if component else ""
        return f"{self.kind}{name}, seed {self.inputs['seed']}"


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

    @property
    def row(self) -> str:
        """The method with its swept values, e.g. `magnitude[sparsity=0.8]`."""
        swept = ",".join(f"{name}={value}" for name, value in self.swept.items())
        return f"{self.method}[{swept}]" if swept else self.method

    @property
    def label(self) -> str:
        """E.g. `colored-digits/magnitude[sparsity=0.8]/3`."""
        return f"{self.task}/{self.row}/{self.seed}"


@dataclass(frozen=True)
class Plan:
    """All trials of a suite and their distinct stages, parents before children."""

    suite: str
    table: SuiteTable
    methods: Mapping[str, MethodTable]
    trials: tuple[Trial, ...]
    stages: Mapping[str, Stage]
    limit: int | None
    device: str
    plugins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def payload(self) -> dict[str, Any]:
        """What a worker needs of the plan, as JSON."""
        return {
            "device": self.device,
            "plugins": {name: dict(plugin) for name, plugin in self.plugins.items()},
            "stages": {
                key: {"inputs": dict(stage.inputs), "plugins": list(stage.plugins), "label": stage.label}
                for key, stage in self.stages.items()
            },
        }


@dataclass(frozen=True)
class Selection:
    """What of a suite to plan: None means all of it."""

    methods: Sequence[str] | None = None
    tasks: Sequence[str] | None = None
    seeds: int | Sequence[int] | None = None
    assignments: Sequence[str] = ()
    limit: int | None = None
    device: str = "cpu"


@functools.cache
def core_digest(kind: str) -> str:
    """The sha256 of the core modules that a kind of stage runs."""
    return files_digest([Path(__file__).parent / name for name in CORE_SOURCES[kind]])


def make(catalogue: Catalogue, registry: Registry, suite: str, selection: Selection | None = None) -> Plan:
    """Plan a suite. Raises UsageError for anything unknown, missing or out of range, before anything runs."""
    return _Planner(catalogue, registry, suite, selection or Selection()).plan()


class _Planner:
    """Collects the distinct stages while it goes through the grid."""

    def __init__(self, catalogue: Catalogue, registry: Registry, suite: str, selection: Selection) -> None:
        self.registry, self.suite, self.selection = registry, suite, selection
        self.table = catalogue.suite(suite)
        self.names, templates = self._method_names(catalogue)
        self.catalogue = _with_methods(catalogue, suite, templates)
        self.tasks = _chosen("task", selection.tasks, self.table.tasks)
        self.assigned = Assignments.parse(selection.assignments, self.catalogue)
        seeds = self.table.seeds if selection.seeds is None else selection.seeds
        self.seeds = seed_list(seeds if isinstance(seeds, int) else list(seeds), "seeds")
        self.environment = dict(describe_environment(selection.device))
        self.stages: dict[str, Stage] = {}
        self.known: dict[str, str] = {}

    def _method_names(self, catalogue: Catalogue) -> tuple[list[str], dict[str, MethodTable]]:
        """The chosen methods: names or globs over the suite's, other methods of the catalogue, or bare pruners."""
        if self.selection.methods is None:
            return list(self.table.methods), {}
        chosen: list[str] = []
        templates: dict[str, MethodTable] = {}
        for pattern in self.selection.methods:
            found = [name for name in self.table.methods if fnmatch.fnmatchcase(name, pattern)]
            if not found and pattern in catalogue.methods:
                found = [pattern]
            if not found:
                templates[pattern] = self._from_template(catalogue, pattern)
                found = [pattern]
            chosen += [name for name in found if name not in chosen]
        return chosen, templates

    def _from_template(self, catalogue: Catalogue, name: str) -> MethodTable:
        """A bare trainer is one stage; a bare pruner takes the place of the pruner in the suite's template."""
        if ("trainer", name) in self.registry.components:
            return MethodTable(stages=[{"train": name}])
        template = catalogue.methods.get(self.table.template or "")
        if ("pruner", name) not in self.registry.components or template is None:
            known = [*catalogue.methods, *self.registry.names("trainer")]
            raise UsageError(unknown("method", name, [*known, *(self.registry.names("pruner") if template else [])]))
        stages = [
            {key: value for key, value in stage.items() if key in STAGE_KEYS} | {"prune": name}
            if "prune" in stage
            else stage
            for stage in template.stages
        ]
        return template.model_copy(update={"stages": stages})

    def plan(self) -> Plan:
        settings = {
            (task, name): settings_of(self.catalogue, self.suite, task, name, self.assigned)
            for task in self.tasks
            for name in self.names
        }
        self._check_size(settings)
        trials = [
            trial
            for (task, name), setting in settings.items()
            for point, values in setting.points()
            for trial in self._trials(task, name, point, values)
        ]
        needed = sorted({plugin for stage in self.stages.values() for plugin in stage.plugins})
        plugins = {
            name: {"digest": self.registry.digests[name], "ref": vars(self.registry.plugins[name])} for name in needed
        }
        return Plan(
            self.suite,
            self.table,
            {name: self.catalogue.methods[name] for name in self.names},
            tuple(trials),
            self.stages,
            self.selection.limit,
            self.selection.device,
            plugins,
        )

    def _check_size(self, settings: Mapping[tuple[str, str], Settings]) -> None:
        rows = sum(setting.size for setting in settings.values())
        if rows * len(self.seeds) > MAX_TRIALS:
            raise UsageError(
                f"suite {self.suite!r}: {rows:,} rows (methods x swept values x tasks) x {len(self.seeds):,} seeds "
                f"= {rows * len(self.seeds):,} trials; the limit is {MAX_TRIALS:,}"
            )

    def _trials(self, task: str, name: str, point: Mapping[str, Any], values: Mapping[str, Any]) -> Iterator[Trial]:
        for seed in self.seeds:
            path = _Path(self, task, name, values, seed)
            try:
                score = path.walk()
            except _BlockedError as blocked:
                identity = canonical.digest([self.suite, self.table.version, task, name, dict(values), seed, "blocked"])
                yield Trial(identity, task, name, point, values, seed, TRACKS[0], blocked=str(blocked))
                continue
            what = [self.suite, self.table.version, task, name, dict(point), seed, self.stages[score].identity]
            yield Trial(canonical.digest(what), task, name, point, values, seed, TRACKS[path.track], tuple(path.keys))

    def component(self, kind: str, use: Use, where: str) -> tuple[Component, dict[str, Any]]:
        """A component with its resolved options. Raises UsageError, or _BlockedError where a plugin is broken."""
        component = self.registry.components.get((kind, use.name))
        if component is None:
            message = unknown(kind, use.name, self.registry.names(kind), where)
            if self.registry.broken:
                reasons = "; ".join(f"plugin {n!r} is broken: {b.reason}" for n, b in self.registry.broken.items())
                raise _BlockedError(f"{kind} {use.name!r} is not available; {reasons}")
            raise UsageError(message)
        return component, resolve_options(component, use.options, where)

    def stage(self, kind: str, components: Sequence[Component], inputs: Mapping[str, Any]) -> str:
        """Add a stage, if it is not there already, and return its key."""
        parents = inputs["parents"]
        made = repr((kind, inputs))
        if made in self.known:  # most trials share most of their stages: hashing them again is half of a plan's time
            return self.known[made]
        identity = canonical.digest(
            {"format": FORMAT, "kind": kind, **inputs}
            | {"parents": {role: self.stages[key].identity for role, key in parents.items()}}
        )
        plugins = tuple(sorted({component.plugin for component in components}))
        full = {
            "format": FORMAT,
            "kind": kind,
            **inputs,
            "sources": {"core": core_digest(kind), "plugins": sorted(self.registry.digests[p] for p in plugins)},
            "environment": self.environment,
        }
        key = canonical.digest(full)
        self.stages[key] = Stage(key, identity, full, plugins)
        self.known[made] = key
        return key


class _BlockedError(Exception):
    """A trial cannot run because a component comes from a plugin that could not be loaded."""


class _Path:
    """One trial's way through the stages."""

    def __init__(self, planner: _Planner, task: str, name: str, values: Mapping[str, Any], seed: int) -> None:
        self.planner, self.task, self.name, self.values, self.seed = planner, task, name, values, seed
        self.method = planner.catalogue.methods[name]
        self.where = planner.catalogue.where("methods", name)
        self.keys: list[str] = []
        self.track = _SETTINGS_TRACK[self.method.settings_from]

    def add(self, kind: str, components: Sequence[Component], inputs: Mapping[str, Any]) -> str:
        key = self.planner.stage(kind, components, inputs)
        if key not in self.keys:
            self.keys.append(key)
        return key

    def walk(self) -> str:
        """Add all stages of the trial; the last one's key is returned."""
        catalogue = self.planner.catalogue
        task = catalogue.tasks[self.task]
        where = catalogue.where("tasks", self.task)
        test = self._data(Use.of(task.dataset, f"{where}.dataset"), f"{where}.dataset")
        data = test
        if self.method.dataset:
            merged = {**task.dataset, **substitute(self.method.dataset, self.values)}
            data = self._data(Use.of(merged, f"{self.where}.dataset"), f"{self.where}.dataset")
        init = self._init(data)
        base = {"data": data, "init": init}
        model = init
        masks: dict[str, str] = {}
        before: str | None = None
        for number, stage in enumerate(self.method.stages, 1):
            stage = substitute(stage, self.values)
            place = f"{self.where}.stages[{number}]"
            if "train" in stage:
                start = self._start(stage, place, model, init)
                parents = base | {"start": start} | masks
                if before is not None and before != start and before not in masks.values():
                    parents["before"] = before
                model = before = self._train(stage, place, number, parents)
            else:
                role = self._mask_role(stage, place)
                before = self._prune(stage, place, number, base | {"model": model} | masks)
                masks = masks | {role: before}
        held = {role: key for role, key in masks.items() if role == "mask"}
        predict = self.add("predict", (), {"seed": self.seed, "parents": base | {"test": test, "model": model} | held})
        return self._score(predict, data, test)

    def _data(self, use: Use, where: str) -> str:
        options = dict(use.options)
        seed = options.pop("seed", self.seed)
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            raise UsageError(f"{where}: seed must be a whole number from 0, got {seed!r}")
        component, resolved = self.planner.component("dataset", Use(use.name, options), where)
        inputs = {"component": {"name": use.name, "options": resolved}, "seed": seed, "parents": {}}
        return self.add("data", [component], inputs | {"limit": self.planner.selection.limit})

    def _init(self, data: str) -> str:
        catalogue = self.planner.catalogue
        place = f"{catalogue.where('tasks', self.task)}.model"
        task_model = Use.of(catalogue.tasks[self.task].model, place)
        where = place if self.method.model is None else f"{self.where}.model"
        use = task_model if self.method.model is None else Use.of(substitute(self.method.model, self.values), where)
        component, options = self.planner.component("model", use, where)
        components = [component]
        inputs: dict[str, Any] = {"component": {"name": use.name, "options": options}}
        if "backbone" in component.given:
            backbone, backbone_options = self.planner.component("model", task_model, place)
            components.append(backbone)
            inputs["backbone"] = {"name": task_model.name, "options": backbone_options}
        return self.add("init", components, inputs | {"seed": self.seed, "parents": {"data": data}})

    def _start(self, stage: Mapping[str, Any], place: str, model: str, init: str) -> str:
        start = stage.get("start", "before")
        if start not in ("before", "init"):
            raise UsageError(unknown("start", start, ("before", "init"), place))
        return init if start == "init" else model

    def _mask_role(self, stage: Mapping[str, Any], place: str) -> str:
        role = stage.get("mask", "force")
        if role not in ("force", "auxiliary"):
            raise UsageError(unknown("mask", role, ("force", "auxiliary"), place))
        return "mask" if role == "force" else "auxiliary"

    def _recipe(self, stage: Mapping[str, Any], number: int) -> dict[str, Any]:
        planner = self.planner
        settings = recipe_settings(
            planner.catalogue, planner.suite, self.task, self.name, stage, self.values, planner.assigned, number
        )
        return recipe_of(settings)

    def _component(self, kind: str, key: str, stage: Mapping[str, Any], place: str) -> tuple[Component, dict[str, Any]]:
        options = {name: value for name, value in stage.items() if name not in STAGE_KEYS}
        component, resolved = self.planner.component(kind, Use(stage[key], options), place)
        if "train_groups" in component.given:
            self.track = max(self.track, TRACKS.index("train"))
        if "val_groups" in component.given:
            self.track = max(self.track, TRACKS.index("val-fit"))
        return component, {"name": component.name, "options": resolved}

    def _train(self, stage: Mapping[str, Any], place: str, number: int, parents: Mapping[str, str]) -> str:
        component, call = self._component("trainer", "train", stage, place)
        recipe = self._recipe(stage, number)
        if recipe["select"] == "val_worst_group":
            self.track = max(self.track, TRACKS.index("val-select"))
        groups = sorted({"train_groups", "val_groups"} & set(component.given))
        return self.add(
            "train",
            [component],
            {"component": call, "recipe": recipe, "groups": groups, "seed": self.seed, "parents": parents},
        )

    def _prune(self, stage: Mapping[str, Any], place: str, number: int, parents: Mapping[str, str]) -> str:
        component, call = self._component("pruner", "prune", stage, place)
        groups = sorted({"train_groups", "val_groups"} & set(component.given))
        inputs = {
            "component": call,
            "cut": _cut(stage, place),
            "recipe": self._recipe(stage, number),
            "groups": groups,
            "seed": self.seed,
            "parents": parents,
        }
        return self.add("prune", [component], inputs)

    def _score(self, predict: str, data: str, test: str) -> str:
        where = f"{self.planner.catalogue.where('suites', self.planner.suite)}.metrics"
        components, metrics = [], []
        for item in self.planner.table.metrics:
            use = Use.of(item, where)
            component, options = self.planner.component("metric", use, where)
            components.append(component)
            metrics.append({"name": use.name, "options": options})
        parents = {"predict": predict, "data": data, "test": test}
        return self.add("score", components, {"metrics": metrics, "seed": self.seed, "parents": parents})


def _cut(stage: Mapping[str, Any], place: str) -> dict[str, Any]:
    """The core's keys of a prune stage, checked."""
    amounts = {key: stage[key] for key in ("sparsity", "density") if key in stage}
    if len(amounts) > 1:
        raise UsageError(f"{place}: sparsity or density, not both")
    for key, value in amounts.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise UsageError(f"{place}: {key} is a fraction from 0 to 1, got {value!r}")
    layers = stage.get("layers", [])
    layers = [layers] if isinstance(layers, str) else layers
    if not isinstance(layers, list) or not all(isinstance(item, str) and item for item in layers):
        raise UsageError(f'{place}: layers is a glob or a list of globs of layer names, "!" excludes; got {layers!r}')
    budget = stage.get("budget", "global")
    if budget not in ("global", "uniform", "erk"):
        raise UsageError(unknown("budget", budget, ("global", "uniform", "erk"), place))
    return {key: float(value) for key, value in amounts.items()} | {"layers": layers, "budget": budget}


def _chosen(what: str, chosen: Sequence[str] | None, known: Sequence[str]) -> list[str]:
    if chosen is None:
        return list(known)
    for name in chosen:
        if name not in known:
            raise UsageError(unknown(f"{what} of this suite", name, known))
    return list(dict.fromkeys(chosen))


def _with_methods(catalogue: Catalogue, suite: str, extra: Mapping[str, MethodTable]) -> Catalogue:
    """The catalogue with methods made from the suite's template; what overrides the template overrides them."""
    table = catalogue.suites[suite]
    overrides = {name: table.override[table.template] for name in extra if table.template in table.override}
    changed = table.model_copy(update={"override": {**table.override, **overrides}})
    origin = dict(catalogue.origin) | {("methods", name): "--method" for name in extra}
    suites = {**catalogue.suites, suite: changed}
    return Catalogue(suites, catalogue.tasks, {**catalogue.methods, **extra}, origin)
