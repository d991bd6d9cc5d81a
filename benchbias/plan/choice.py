"""The part of a suite that is planned: its tables with chosen tasks, methods, seeds and assignments. No torch."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from benchbias.errors import UsageError, unknown
from benchbias.plan.trials import Selection
from benchbias.plugin.components import STAGE_KEYS
from benchbias.plugin.registry import Registry
from benchbias.suite.catalogue import Catalogue
from benchbias.suite.settings import Assignments
from benchbias.suite.tables import MAX_TRIALS, MethodTable, SuiteTable, seed_list

STACKED, MOST_STACKED = 8, 1024  # seeds that are trained at once where a suite asks for it, and at most


@dataclass(frozen=True)
class Choice:
    """The selection, with names instead of globs; the catalogue has the methods that a bare pruner's name makes."""

    catalogue: Catalogue
    suite: str
    selection: Selection
    table: SuiteTable
    methods: tuple[str, ...]
    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    assigned: Assignments

    @staticmethod
    def of(catalogue: Catalogue, registry: Registry, suite: str, selection: Selection) -> Choice:
        """Raises UsageError for anything unknown or out of range."""
        table = catalogue.suite(suite)
        methods, templates = _methods(catalogue, registry, table, selection.methods)
        if selection.limit is not None and selection.limit < 2:
            raise UsageError(f"--limit {selection.limit}: at least 2 images")
        if selection.stack is not None and not 1 <= selection.stack <= MOST_STACKED:
            raise UsageError(f"--stack {selection.stack}: from 1 (none at once) to {MOST_STACKED} seeds")
        whole = _with_methods(catalogue, suite, templates)
        tasks = _tasks(selection.tasks, table.tasks)
        assigned = Assignments.parse(selection.assignments, whole)
        seeds = table.seeds if selection.seeds is None else selection.seeds
        return Choice(whole, suite, selection, table, tuple(methods), tasks, _seeds(seeds), assigned)

    @property
    def stack(self) -> int:
        """How many seeds are trained at once."""
        asked = self.selection.stack
        return asked if asked is not None else STACKED if self.table.population else 1

    @property
    def is_whole(self) -> bool:
        """Whether nothing of the suite was left out."""
        chosen = self.selection
        return chosen.methods is None and chosen.tasks is None and chosen.seeds is None

    def whole(self) -> Choice:
        """The whole suite at the same settings, and chosen methods that are not the suite's."""
        methods = tuple(dict.fromkeys((*self.table.methods, *self.methods)))
        return replace(self, methods=methods, tasks=tuple(self.table.tasks), seeds=_seeds(self.table.seeds))


def _seeds(seeds: int | Sequence[int]) -> tuple[int, ...]:
    if not isinstance(seeds, int) and len(seeds) > MAX_TRIALS:
        raise UsageError(f"{len(seeds):,} seeds; the limit is {MAX_TRIALS:,} trials")
    return tuple(seed_list(seeds if isinstance(seeds, int) else list(seeds), "seeds"))


def _tasks(chosen: Sequence[str] | None, known: Sequence[str]) -> tuple[str, ...]:
    for name in chosen or ():
        if name not in known:
            raise UsageError(unknown("task of this suite", name, known))
    return tuple(known) if chosen is None else tuple(dict.fromkeys(chosen))


def _methods(
    catalogue: Catalogue, registry: Registry, table: SuiteTable, wanted: Sequence[str] | None
) -> tuple[list[str], dict[str, MethodTable]]:
    """The chosen methods: names or globs over the suite's, else over all methods, trainers and pruners."""
    if wanted is None:
        return list(table.methods), {}
    chosen: list[str] = []
    templates: dict[str, MethodTable] = {}
    for pattern in wanted:
        found = _matching(table.methods, pattern) or _matching(catalogue.methods, pattern)
        if not found:
            pruners = registry.names("pruner") if table.template in catalogue.methods else []
            found = _matching(dict.fromkeys([*registry.names("trainer"), *pruners]), pattern) or [pattern]
            templates |= {name: _from_template(catalogue, registry, table, name) for name in found}
        chosen += [name for name in found if name not in chosen]
    return chosen, templates


def _matching(names: Iterable[str], pattern: str) -> list[str]:
    return [name for name in names if name == pattern or fnmatch.fnmatchcase(name, pattern)]


def _from_template(catalogue: Catalogue, registry: Registry, table: SuiteTable, name: str) -> MethodTable:
    """A bare trainer is one stage; a bare pruner takes the place of the pruner in the suite's template."""
    if ("trainer", name) in registry.components:
        return MethodTable(stages=[{"train": name}])
    template = catalogue.methods.get(table.template or "")
    if ("pruner", name) not in registry.components or template is None:
        known = [*catalogue.methods, *registry.names("trainer")]
        raise UsageError(unknown("method", name, [*known, *(registry.names("pruner") if template else [])]))
    stages = [
        {key: value for key, value in stage.items() if key in STAGE_KEYS} | {"prune": name}
        if "prune" in stage
        else stage
        for stage in template.stages
    ]
    return template.model_copy(update={"stages": stages})


def _with_methods(catalogue: Catalogue, suite: str, extra: Mapping[str, MethodTable]) -> Catalogue:
    """The catalogue with methods made from the suite's template; what overrides the template overrides them."""
    table = catalogue.suites[suite]
    pruners = [name for name, method in extra.items() if any("prune" in stage for stage in method.stages)]
    overrides = {name: table.override[table.template] for name in pruners if table.template in table.override}
    changed = table.model_copy(update={"override": {**table.override, **overrides}})
    origin = dict(catalogue.origin) | {("methods", name): "--method" for name in extra}
    suites = {**catalogue.suites, suite: changed}
    return Catalogue(suites, catalogue.tasks, {**catalogue.methods, **extra}, origin)
