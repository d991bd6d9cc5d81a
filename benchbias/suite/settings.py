"""The effective settings of a method on a task: what sets each value, strongest first, and the points of a sweep.

`--set`, a suite's `override`, `on.<task>`, the method's parameters and stages, the task's recipe, the default.
"""

from __future__ import annotations

import itertools
import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchbias.errors import UsageError, unknown
from benchbias.suite.catalogue import Catalogue
from benchbias.suite.tables import (
    LATER_RECIPE_KEYS,
    MethodTable,
    OverrideTable,
    Provenance,
    Recipe,
    SuiteTable,
    checked,
)


@dataclass(frozen=True)
class Setting:
    """A value and the place that set it."""

    value: Any
    source: str


@dataclass(frozen=True)
class Assignments:
    """Values of `--set`: method -> parameter -> value, and recipe keys."""

    methods: Mapping[str, Mapping[str, Any]]
    recipe: Mapping[str, Any]

    @staticmethod
    def parse(texts: Sequence[str], catalogue: Catalogue) -> Assignments:
        """Parse `method.parameter=value` and `recipe.key=value`, values in TOML syntax. Raises UsageError."""
        methods: dict[str, dict[str, Any]] = {}
        recipe: dict[str, Any] = {}
        for text in texts:
            where = f"--set {text}"
            target, equals, raw = text.partition("=")
            owner, dot, key = target.strip().rpartition(".")
            if not (equals and dot and owner and key):
                raise UsageError(f"{where}: expected method.parameter=value or recipe.key=value")
            value = _toml_value(raw, where)
            if owner == "recipe":
                recipe[key] = value
                checked(Recipe, recipe, f"{where}: recipe")
                continue
            if owner not in catalogue.methods:
                raise UsageError(unknown("method", owner, ("recipe", *catalogue.methods), where))
            declared = declared_parameters(catalogue.methods[owner])
            if key not in declared:
                raise UsageError(unknown("parameter", key, declared, f"{where}: methods.{owner}"))
            methods.setdefault(owner, {})[key] = value
        return Assignments(methods, recipe)


def _toml_value(raw: str, where: str) -> Any:
    try:
        document = tomllib.loads(f"value = {raw.strip()}")
    except tomllib.TOMLDecodeError:
        raise UsageError(f'{where}: {raw.strip()!r} is no TOML value (text needs quotes: "...")') from None
    if set(document) != {"value"}:
        raise UsageError(f"{where}: one value, please")
    return document["value"]


def declared_parameters(method: MethodTable) -> set[str]:
    return set(method.parameters) | set(method.sweep)


@dataclass(frozen=True)
class Settings:
    """A method's parameters on one task: fixed ones, and swept ones with their values; each with its source."""

    fixed: Mapping[str, Setting]
    swept: Mapping[str, Setting]

    @property
    def size(self) -> int:
        """How many points the sweep has."""
        return math.prod(len(setting.value) for setting in self.swept.values())

    def points(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Every point of the sweep: (swept values, all values)."""
        fixed = {name: setting.value for name, setting in self.fixed.items()}
        for values in itertools.product(*(setting.value for setting in self.swept.values())):
            point = dict(zip(self.swept, values, strict=True))
            yield point, fixed | point


def settings_of(catalogue: Catalogue, suite: str, task: str, name: str, assigned: Assignments) -> Settings:
    """Put all sources of a method's parameters together, weakest first."""
    method = catalogue.methods[name]
    place = catalogue.where("methods", name)
    fixed: dict[str, Setting] = {key: Setting(v, f"{place}.parameters") for key, v in method.parameters.items()}
    swept: dict[str, Setting] = {}

    def put(key: str, value: Any, source: str, *, sweep: bool) -> None:
        was_swept = key in swept
        is_sweep = sweep or (was_swept and isinstance(value, list))
        if is_sweep and (not value or len({repr(item) for item in value}) < len(value)):
            raise UsageError(f"{source}: {key}: expected different values, at least one, got {value!r:.80}")
        fixed.pop(key, None)
        swept.pop(key, None)
        (swept if is_sweep else fixed)[key] = Setting(value, source)

    if method.follows is not None:
        followed = settings_of(catalogue, suite, task, method.follows, assigned)
        for key, setting in followed.fixed.items():
            if key in method.parameters:
                put(key, setting.value, setting.source, sweep=False)
    for key, values in method.sweep.items():
        put(key, values, f"{place}.sweep", sweep=True)
    for key, value in method.on.get(task, {}).items():
        put(key, value, f"{place}.on.{task}", sweep=False)
    override = override_of(catalogue.suites[suite], name)
    for kind, table in (("parameters", override.parameters), ("sweep", override.sweep)):
        source = f"{catalogue.where('suites', suite)}.override.{name}.{kind}"
        for key, value in table.items():
            if key not in declared_parameters(method):
                raise UsageError(unknown("parameter", key, declared_parameters(method), source))
            put(key, value, source, sweep=kind == "sweep")
    for key, value in assigned.methods.get(name, {}).items():
        put(key, value, "--set", sweep=False)
    return Settings(fixed, swept)


def override_of(suite: SuiteTable, method: str) -> OverrideTable:
    return OverrideTable.model_validate(suite.override.get(method, {}))


def settings_from(catalogue: Catalogue, suite: SuiteTable, name: str) -> Provenance:
    """How a method's settings in a suite were chosen."""
    owner = catalogue.methods[name].follows or name
    overrides = (override_of(suite, method).settings_from for method in (name, owner))
    return next((found for found in overrides if found is not None), catalogue.methods[owner].settings_from)


def substitute(value: Any, values: Mapping[str, Any]) -> Any:
    """Replace every `$name` by its value."""
    if isinstance(value, dict):
        return {key: substitute(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [substitute(item, values) for item in value]
    return values[value[1:]] if isinstance(value, str) and value.startswith("$") else value


def recipe_settings(
    catalogue: Catalogue,
    suite: str,
    task: str,
    name: str,
    stage: Mapping[str, Any],
    values: Mapping[str, Any],
    assigned: Assignments,
    number: int,
) -> dict[str, Setting]:
    """The recipe of one stage, each value with its source. Raises UsageError."""
    method = catalogue.methods[name]
    place = catalogue.where("methods", name)
    layers = [
        ("the default", {key: field.get_default() for key, field in Recipe.model_fields.items()}),
        (f"{catalogue.where('tasks', task)}.recipe", catalogue.tasks[task].recipe),
        (f"{place}.recipe", substitute(method.recipe, values)),
        (f"{place}.stages[{number}].recipe", substitute(stage.get("recipe", {}), values)),
        (
            f"{catalogue.where('suites', suite)}.override.{name}.recipe",
            override_of(catalogue.suites[suite], name).recipe,
        ),
        ("--set", assigned.recipe),
    ]
    merged: dict[str, Setting] = {}
    for source, table in layers:
        checked(Recipe, table, source)
        merged |= {key: Setting(value, source) for key, value in table.items()}
    return merged


def recipe_of(settings: Mapping[str, Setting]) -> dict[str, Any]:
    """The plain values of a recipe, with numbers in the form that the recipe declares. Raises UsageError."""
    recipe = Recipe.model_validate({key: setting.value for key, setting in settings.items()})
    if fault := recipe.fault():
        sources = dict.fromkeys(settings[key].source for key in ("schedule", "drops", "nesterov", "optimizer"))
        raise UsageError(f"{', '.join(sources)}: {fault}")
    default = Recipe().model_dump()
    return {
        key: value
        for key, value in recipe.model_dump().items()
        if key not in LATER_RECIPE_KEYS or value != default[key]
    }
