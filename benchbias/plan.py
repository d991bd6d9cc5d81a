"""Suite -> Plan: all trials, their distinct stages in dependency order, and the key of each. Never imports torch."""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchbias import canonical
from benchbias.analysis_inputs import analyses_of, analysis_inputs
from benchbias.components import STAGE_KEYS, Component, resolve_options
from benchbias.environment import describe_environment, version_of
from benchbias.errors import UsageError, unknown
from benchbias.paths import BlockedError, TrialPath
from benchbias.plugins import Registry, files_digest
from benchbias.raw_files import data_folder, locate, raw_digest
from benchbias.resolve import Assignments, Settings, settings_from, settings_of
from benchbias.results import TRACKS
from benchbias.suite import Catalogue
from benchbias.tables import MAX_TRIALS, MethodTable, Use, seed_list
from benchbias.trials import Plan, PlannedAnalysis, Selection, Stage, Trial

FORMAT = 1  # of objects and keys: raise it when their meaning changes


_SHARED = ("data.py", "images.py", "masks.py", "modes.py", "seeding.py", "stages/common.py")
_PRUNING = (
    *(*_SHARED, "context.py", "cutting.py", "evaluation.py", "holding.py", "losses.py", "pruning.py"),
    *("straight_through.py", "training.py"),
)
CORE_SOURCES: Mapping[str, tuple[str, ...]] = {
    "data": (*_SHARED, "evaluation.py", "stages/data.py"),
    "init": (*_SHARED, "stages/init.py", "training.py"),
    "train": (*_PRUNING, "stages/train.py"),
    "prune": (*_PRUNING, "stages/prune.py"),
    "predict": (*_SHARED, "evaluation.py", "stages/predict.py", "training.py"),
    "score": (*_SHARED, "evaluation.py", "stages/score.py"),
    "probe": (
        *_SHARED,
        *("changes.py", "context.py", "cutting.py", "holding.py", "losses.py", "probing.py", "training.py"),
        "stages/probe.py",
    ),
    "analyse": (
        *_SHARED,
        *("cells.py", "columns.py", "estimates.py", "evaluation.py", "influence.py", "results.py", "scored.py"),
        *("parts.py", "training.py"),
        *("stages/analyse.py", "stages/predict.py", "stages/score.py"),
    ),
}
"""The core modules that decide what each kind of stage computes: part of its key. A test holds them complete."""


@functools.cache
def core_digest(kind: str) -> str:
    """The sha256 of the core modules that a kind of stage runs."""
    return files_digest([Path(__file__).parent / name for name in CORE_SOURCES[kind]])


READING_SOURCES = ("decoded.py", "decoding.py", "examples.py", "folder.py", "hub.py")
"""The core modules that turn raw files into images: part of the key of a data stage that reads some."""


@functools.cache
def reading_digest() -> str:
    """The sha256 of the core modules that turn raw files into images."""
    return files_digest([Path(__file__).parent / name for name in READING_SOURCES])


def make(
    catalogue: Catalogue, registry: Registry, suite: str, selection: Selection | None = None, data: Path | None = None
) -> Plan:
    """Plan a suite; `data` is the data folder. Raises UsageError for anything unknown, missing or out of range.

    Raw files that are not there are no error: `Plan.missing` names them, and the keys are not those of a run.
    """
    return Planner(catalogue, registry, suite, selection or Selection(), data or data_folder()).plan()


class Planner:
    """Collects the distinct stages while it goes through the grid."""

    def __init__(self, catalogue: Catalogue, registry: Registry, suite: str, selection: Selection, data: Path) -> None:
        self.registry, self.suite, self.selection, self.data = registry, suite, selection, data
        self.table = catalogue.suite(suite)
        self.names, templates = self._method_names(catalogue)
        self.catalogue = _with_methods(catalogue, suite, templates)
        if selection.limit is not None and selection.limit < 2:
            raise UsageError(f"--limit {selection.limit}: at least 2 images")
        self.tasks = _chosen("task", selection.tasks, self.table.tasks)
        self.assigned = Assignments.parse(selection.assignments, self.catalogue)
        seeds = self.table.seeds if selection.seeds is None else selection.seeds
        if not isinstance(seeds, int) and len(seeds) > MAX_TRIALS:
            raise UsageError(f"{len(seeds):,} seeds; the limit is {MAX_TRIALS:,} trials")
        self.seeds = seed_list(seeds if isinstance(seeds, int) else list(seeds), "seeds")
        self.environment = canonical.plain(describe_environment(selection.device))
        self.stages: dict[str, Stage] = {}
        self.known: dict[str, str] = {}
        self.raw: dict[tuple[str, str], str | None] = {}

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
        analyses = tuple(self._analyses(trials))
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
            analyses,
            tuple(name for name, digest in self.raw.items() if digest is None),
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
            path = TrialPath(self, task, name, values, seed)
            try:
                score = path.walk()
            except BlockedError as blocked:
                identity = canonical.digest([self.suite, self.table.version, task, name, dict(values), seed, "blocked"])
                yield Trial(identity, task, name, point, values, seed, TRACKS[0], blocked=str(blocked))
                continue
            what = [self.suite, self.table.version, task, name, dict(point), seed, self.stages[score].identity]
            track, keys = TRACKS[path.track], tuple(path.keys)
            provenance = settings_from(self.catalogue, self.table, name)
            yield Trial(
                *(canonical.digest(what), task, name, point, values, seed, track, keys),
                settings_from=provenance,
                probes=path.probes,
                blocked_probes=path.blocked_probes,
            )

    def _analyses(self, trials: Sequence[Trial]) -> Iterator[PlannedAnalysis]:
        """One stage for each task and analysis of the suite, made of all trials of the task that can run.

        A search for settings has none. Raises UsageError for an unknown analysis or option.
        """
        named = self.selection.analyses is not None
        where = "analyse" if named else f"{self.catalogue.where('suites', self.suite)}.analyses"
        chosen = analyses_of(self.table, self.selection.analyses, where)
        for use in chosen if self.selection.split == "test" else ():
            for task in self.tasks:
                try:
                    component, options = self.component("analysis", use, where)
                except BlockedError as blocked:
                    yield PlannedAnalysis(use.name, task, use.options, None, str(blocked))
                    continue
                members = [trial for trial in trials if trial.task == task and self._analysed(trial)]
                if not members:
                    yield PlannedAnalysis(use.name, task, options, None, "no trial of this task is analysed")
                    continue
                inputs = analysis_inputs(self.suite, self.table, self.catalogue.methods, task, members)
                inputs["component"] = {"name": use.name, "options": options}
                yield PlannedAnalysis(use.name, task, options, self.stage("analyse", [component], inputs))

    def _analysed(self, trial: Trial) -> bool:
        return trial.blocked is None and (not self.table.analysed or trial.method in self.table.analysed)

    def component(self, kind: str, use: Use, where: str) -> tuple[Component, dict[str, Any]]:
        """A component with its resolved options. Raises UsageError, or BlockedError where a plugin is broken."""
        component = self.registry.components.get((kind, use.name))
        if component is None:
            message = unknown(kind, use.name, self.registry.names(kind), where)
            if self.registry.broken:
                reasons = "; ".join(f"plugin {n!r} is broken: {b.reason}" for n, b in self.registry.broken.items())
                raise BlockedError(f"{message}; {reasons}")
            raise UsageError(message)
        return component, resolve_options(component, use.options, where)

    def raw_digests(self, component: Component, options: Mapping[str, Any]) -> dict[str, str | None]:
        """The digests of the raw files that a data set reads; None where they are not there. Raises UsageError."""
        found: dict[str, str | None] = {}
        for kind, name in component.raw_files(options):
            if (kind, name) not in self.raw:
                place = locate(self.data, kind, name)
                self.raw[kind, name] = None if place is None else raw_digest(self.data, place)
            found[f"{kind}:{name}"] = self.raw[kind, name]
        return found

    def stage(self, kind: str, components: Sequence[Component], inputs: Mapping[str, Any]) -> str:
        """Add a stage, if it is not there already, and return its key."""
        parents = inputs["parents"]
        made = repr((kind, inputs))
        if made in self.known:  # most trials share most of their stages: hashing them again is half of a plan's time
            return self.known[made]
        plain = canonical.plain({"format": FORMAT, "kind": kind, **inputs})  # once for both digests
        named = {name: value for name, value in plain.items() if name != "raw"}  # two copies of data: one trial
        identity = canonical.digest_of_parsed(
            named | {"parents": {role: self.stages[key].identity for role, key in parents.items()}}
        )
        plugins = tuple(sorted({component.plugin for component in components}))
        sources = {"core": core_digest(kind), "plugins": sorted(self.registry.digests[p] for p in plugins)}
        full = {**plain, "sources": sources, "environment": self.environment}
        if "raw" in inputs:
            full |= {
                "sources": {**sources, "reading": reading_digest()},
                "environment": {**self.environment, "pillow": version_of("pillow")},
            }
        key = canonical.digest_of_parsed(full)
        self.stages[key] = Stage(key, identity, full, plugins)
        self.known[made] = key
        return key


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
    pruners = [name for name, method in extra.items() if any("prune" in stage for stage in method.stages)]
    overrides = {name: table.override[table.template] for name in pruners if table.template in table.override}
    changed = table.model_copy(update={"override": {**table.override, **overrides}})
    origin = dict(catalogue.origin) | {("methods", name): "--method" for name in extra}
    suites = {**catalogue.suites, suite: changed}
    return Catalogue(suites, catalogue.tasks, {**catalogue.methods, **extra}, origin)
