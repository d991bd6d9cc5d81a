"""One trial's way through the stages: what each stage is made from, and whose labels the trial uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchbias.errors import UsageError, unknown
from benchbias.plan.choice import Choice
from benchbias.plan.stacking import chunk_of, refusal
from benchbias.plan.stages import BlockedError, Stages
from benchbias.plugin.components import STAGE_KEYS, Component
from benchbias.plugin.foreign import runs_foreign_code
from benchbias.records.schema import TRACKS
from benchbias.suite.settings import recipe_of, recipe_settings, substitute
from benchbias.suite.tables import GROUP_SELECTIONS, LATER_UPDATE_KEYS, UPDATE_KEYS, UpdatesTable, Use, checked

_SETTINGS_TRACK = {"default": 0, "iid-val": 0, "paper": 1, "val-groups": 1}


class TrialPath:
    """One trial's way through the stages. What all seeds of a row share is worked out once.

    provenance: of the row's settings. recipes: of the row's stages by number.
    """

    def __init__(
        self,
        choice: Choice,
        stages: Stages,
        task: str,
        name: str,
        values: Mapping[str, Any],
        seed: int,
        *,
        provenance: str,
        recipes: dict[int, dict[str, Any]],
    ) -> None:
        self.choice, self.stages, self.task, self.name = choice, stages, task, name
        self.values, self.seed, self.recipes = values, seed, recipes
        self.method = choice.catalogue.methods[name]
        self.table = choice.catalogue.tasks[task]
        self.where = choice.catalogue.where("methods", name)
        self.keys: list[str] = []
        self.probes: dict[str, str] = {}
        self.blocked_probes: dict[str, str] = {}
        searching = choice.selection.split != "test"  # then the settings have no provenance yet
        self.track = 0 if searching else _SETTINGS_TRACK[provenance]

    def add(self, kind: str, components: Sequence[Component], inputs: Mapping[str, Any]) -> str:
        key = self.stages.add(kind, components, inputs)
        if key not in self.keys:
            self.keys.append(key)
        return key

    def walk(self) -> str:
        """Add all stages of the trial; the last one's key is returned."""
        catalogue = self.choice.catalogue
        task, where = self.table, catalogue.where("tasks", self.task)
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
        last, begin = 1, init  # the train stage that makes the model, and what it begins from
        for number, stage in enumerate(self.method.stages, 1):
            stage = substitute(stage, self.values)
            place = f"{self.where}.stages[{number}]"
            if "train" in stage:
                start = self._start(stage, place, model, init)
                parents = base | {"start": start} | masks
                if before is not None and before != start and before not in masks.values():
                    parents["before"] = before
                model = before = self._train(stage, place, number, parents)
                last, begin = number, start
                if "prune" in stage:
                    masks = masks | {"mask": model}
            else:
                role = self._mask_role(stage, place)
                before = self._prune(stage, place, number, base | {"model": model} | masks)
                masks = masks | {role: before}
        held = {role: key for role, key in masks.items() if role == "mask"}
        parents = base | {"test": test, "model": model} | held
        inputs = {"seed": self.seed, "split": self.choice.selection.split}
        more = {"more": task.predicted} if task.predicted else {}  # without, as before there was the key
        predict = self.add("predict", (), inputs | more | {"parents": parents})
        if self.choice.selection.split == "test":  # a search for settings needs no probes
            self._probe(last, parents | {"start": begin})
        return self._score(inputs, {"predict": predict, "data": data, "test": test})

    def _data(self, use: Use, where: str) -> str:
        options = dict(use.options)
        seed = options.pop("seed", self.seed)
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            raise UsageError(f"{where}: seed must be a whole number from 0, got {seed!r:.80}")
        component, resolved = self.stages.component("dataset", Use(use.name, options), where)
        inputs = {"component": {"name": use.name, "options": resolved}, "seed": seed, "parents": {}}
        if component.reads:
            inputs["raw"] = self.stages.raw_digests(component, resolved)
        if self.table.train_fraction is not None:
            inputs["share"] = {"fraction": self.table.train_fraction, "seed": self.seed}
        return self.add("data", [component], inputs | {"limit": self.choice.selection.limit})

    def _init(self, data: str) -> str:
        catalogue = self.choice.catalogue
        place = f"{catalogue.where('tasks', self.task)}.model"
        task_model = Use.of(catalogue.tasks[self.task].model, place)
        where = place if self.method.model is None else f"{self.where}.model"
        use = task_model if self.method.model is None else Use.of(substitute(self.method.model, self.values), where)
        component, options = self.stages.component("model", use, where)
        components = [component]
        inputs: dict[str, Any] = {"component": {"name": use.name, "options": options}}
        if "backbone" in component.given:
            backbone, backbone_options = self.stages.component("model", task_model, place)
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

    def _recipe(self, number: int) -> dict[str, Any]:
        """The recipe of a stage as the file has it: a value that looks like a reference is replaced once, not twice."""
        if number not in self.recipes:
            choice, stage = self.choice, self.method.stages[number - 1]
            settings = recipe_settings(
                choice.catalogue, choice.suite, self.task, self.name, stage, self.values, choice.assigned, number
            )
            self.recipes[number] = recipe_of(settings)
        return dict(self.recipes[number])

    def _component(self, kind: str, use: Use, place: str) -> tuple[Component, dict[str, Any]]:
        """A component and what a key says of its call; whose labels it sees moves the trial's track."""
        options = {name: value for name, value in use.options.items() if name not in STAGE_KEYS}
        component, resolved = self.stages.component(kind, Use(use.name, options), place)
        if "train_groups" in component.given:
            self.track = max(self.track, TRACKS.index("train"))
        if "val_groups" in component.given:
            self.track = max(self.track, TRACKS.index("val-fit"))
        groups = sorted({"train_groups", "val_groups"} & set(component.given))
        return component, {"name": component.name, "options": resolved, "groups": groups}

    def _train(self, stage: Mapping[str, Any], place: str, number: int, parents: Mapping[str, str]) -> str:
        component, call = self._component("trainer", Use(stage["train"], stage), place)
        recipe = self._recipe(number)
        if recipe["select"] in GROUP_SELECTIONS:
            self.track = max(self.track, TRACKS.index("val-select"))
        components = [component]
        inputs: dict[str, Any] = {"component": call, "recipe": recipe, "seed": self.seed, "parents": parents}
        if "prune" in stage:
            use = Use.of(stage["prune"], f"{place}.prune")
            pruner, inner = self._component("pruner", use, f"{place}.prune")
            components.append(pruner)
            inputs["prune"] = {
                "component": inner,
                "cut": _cut(use.options, f"{place}.prune"),
                "updates": _updates(use.options, f"{place}.prune"),
            }
        stack = self._stack(stage, number, inputs, components)
        key = self.add("train", components, inputs | ({"stack": {"seeds": stack}} if stack else {}))
        if stack:
            place = repr((self.task, self.name, sorted(self.values.items()), number, stack))
            self.stages.stacks.note(place, self.seed, key)
        return key

    def _stack(
        self, stage: Mapping[str, Any], number: int, inputs: Mapping[str, Any], own: Sequence[Component]
    ) -> list[int]:
        """The seeds that a train stage is computed with at once; none where it is in no stack."""
        choice, stacks = self.choice, self.stages.stacks
        if choice.stack == 1:
            return []
        seeds = chunk_of(self.seed, choice.seeds, choice.stack)
        init = self.stages.found[inputs["parents"]["init"]]
        plugins = (*(component.plugin for component in own), *init.plugins)
        why = refusal(stage, inputs["recipe"], plugins) or ("there is no other seed" if len(seeds) == 1 else None)
        if why is None and any(runs_foreign_code(one, ()) for one in (inputs, init.inputs)):
            why = "an option names code of others, which needs a process of its own"
        if why is None:
            return seeds
        stacks.refuse(why, f"{self.name}, stage {number}")
        return []

    def _prune(self, stage: Mapping[str, Any], place: str, number: int, parents: Mapping[str, str]) -> str:
        component, call = self._component("pruner", Use(stage["prune"], stage), place)
        inputs = {
            "component": call,
            "cut": _cut(stage, place),
            "recipe": self._recipe(number),
            "seed": self.seed,
            "parents": parents,
        }
        return self.add("prune", [component], inputs)

    def _score(self, inputs: Mapping[str, Any], parents: Mapping[str, str]) -> str:
        where = f"{self.choice.catalogue.where('suites', self.choice.suite)}.metrics"
        components, metrics = [], []
        for item in self.choice.table.metrics:
            use = Use.of(item, where)
            component, options = self.stages.component("metric", use, where)
            components.append(component)
            metrics.append({"name": use.name, "options": options})
        return self.add("score", components, {**inputs, "metrics": metrics, "parents": parents})

    def _probe(self, number: int, parents: Mapping[str, str]) -> None:
        """Add the suite's probes of the trial's model: no stage ever has one as its parent.

        number: of the train stage that makes the model; its recipe says what is kept. A probe whose plugin is broken
        is noted; the trial is scored all the same.
        """
        choice = self.choice
        where = f"{choice.catalogue.where('suites', choice.suite)}.probes"
        if choice.table.probed and self.name not in choice.table.probed:
            return
        for item in choice.table.probes:
            use = Use.of(item, where)
            try:
                component, options = self.stages.component("probe", use, where)
            except BlockedError as blocked:
                self.blocked_probes[use.name] = str(blocked)
                continue
            inputs = {
                "component": {"name": use.name, "options": options},
                "recipe": self._recipe(number),
                "seed": self.seed,
                "parents": parents,
            }
            self.probes[use.name] = self.stages.add("probe", [component], inputs)


def _updates(stage: Mapping[str, Any], place: str) -> dict[str, Any]:
    """When the mask of a train stage changes, checked; with the defaults filled in, those of later keys left out."""
    values = {key: stage[key] for key in UPDATE_KEYS if key in stage}
    table = checked(UpdatesTable, values, place)
    default = UpdatesTable().model_dump()
    return {
        key: value for key, value in table.model_dump().items() if key not in LATER_UPDATE_KEYS or value != default[key]
    }


def _cut(stage: Mapping[str, Any], place: str) -> dict[str, Any]:
    """The core's keys of a prune stage, checked."""
    amounts = {key: stage[key] for key in ("sparsity", "density", "removed") if key in stage}
    if len(amounts) > 1:
        raise UsageError(f"{place}: one of sparsity, density and removed, not {' and '.join(amounts)}")
    removed = amounts.pop("removed", None)
    if removed is not None and (isinstance(removed, bool) or not isinstance(removed, int) or removed < 0):
        raise UsageError(f"{place}: removed is a number of weights, a whole number from 0, got {removed!r:.80}")
    for key, value in amounts.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise UsageError(f"{place}: {key} is a fraction from 0 to 1, got {value!r:.80}")
    layers = stage.get("layers", [])
    layers = [layers] if isinstance(layers, str) else layers
    if not isinstance(layers, list) or not all(isinstance(item, str) and item for item in layers):
        raise UsageError(
            f'{place}: layers is a glob or a list of globs of layer names, "!" excludes; got {layers!r:.80}'
        )
    budget = stage.get("budget", "global")
    if budget not in ("global", "uniform", "erk"):
        raise UsageError(unknown("budget", budget, ("global", "uniform", "erk"), place))
    if removed is not None and budget != "global":
        raise UsageError(f'{place}: removed goes with budget = "global": a number of weights is shared by no rule')
    counted = {} if removed is None else {"removed": removed}
    return {key: float(value) for key, value in amounts.items()} | counted | {"layers": layers, "budget": budget}
