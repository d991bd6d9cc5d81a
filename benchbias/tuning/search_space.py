"""The search for settings, without running it: what is searched, the trials, and which one is chosen."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchbias.plugin.registry import Registry
from benchbias.records.schema import TRACKS
from benchbias.suite.catalogue import Catalogue
from benchbias.suite.tables import MethodTable, Recipe, SpaceTable, SuiteTable
from benchbias.tuning.log import RECIPE


@dataclass(frozen=True)
class Dimension:
    """One setting that is searched: its bounds, its default, and whether it is a whole number."""

    name: str
    space: SpaceTable
    default: float
    whole: bool

    def value(self, position: float) -> float:
        """The value at a position from 0 (low) to 1 (high)."""
        low, high = self._scaled(self.space.low), self._scaled(self.space.high)
        scaled = low + position * (high - low)
        value = math.exp(scaled) if self.space.log else scaled
        return round(value) if self.whole else float(f"{value:.4g}")

    def position(self, value: float) -> float:
        """Where a value lies, 0 at low and 1 at high; a default may lie outside."""
        low, high = self._scaled(self.space.low), self._scaled(self.space.high)
        return (self._scaled(value) - low) / (high - low) if value > 0 or not self.space.log else 0.0

    def _scaled(self, value: float) -> float:
        return math.log(value) if self.space.log else value


@dataclass(frozen=True)
class Search:
    """The settings that are searched for one method. owner: whom they belong to, a method or `recipe`."""

    method: str
    owner: str
    dimensions: tuple[Dimension, ...]

    def assignments(self, settings: Mapping[str, float]) -> list[str]:
        """The settings as `--set` takes them."""
        return [f"{self.owner}.{name}={value}" for name, value in settings.items()]


def searches(catalogue: Catalogue, registry: Registry, suite: str) -> list[Search]:
    """The recipe's search, if the suite has one, then one for each method of the suite with something to search.

    Controls are not searched: they have the settings of what they control.
    """
    table = catalogue.suite(suite)
    ranked = [name for name in table.methods if catalogue.methods[name].ranked]
    tuned = [Search(name, name, dimensions_of(catalogue.methods[name], registry)) for name in ranked]
    recipe = table.tuning.recipe if table.tuning else None
    first = [Search(recipe.method, RECIPE, _recipe_dimensions(catalogue, table))] if recipe else []
    return first + [search for search in tuned if search.dimensions]


def dimensions_of(method: MethodTable, registry: Registry) -> tuple[Dimension, ...]:
    """A method's parameters with bounds: its own `space`, else the `Range` of the option that a parameter sets."""
    spaces = dict(_option_spaces(method, registry)) | method.space
    found = []
    for name, default in method.parameters.items():
        if name in spaces and isinstance(default, int | float) and not isinstance(default, bool):
            found.append(Dimension(name, spaces[name], default, isinstance(default, int)))
    return tuple(found)


def _option_spaces(method: MethodTable, registry: Registry) -> Iterator[tuple[str, SpaceTable]]:
    for stage in method.stages:
        inner = stage.get("prune")
        calls = [("trainer", stage.get("train"), stage), ("pruner", inner, stage)]
        if isinstance(inner, dict):
            calls[1] = ("pruner", inner.get("use"), inner)
        for kind, name, options in calls:
            component = registry.components.get((kind, str(name)))
            for option, value in options.items() if component else ():
                bounds = component.options[option].range if component and option in component.options else None
                if bounds and isinstance(value, str) and value.startswith("$"):
                    yield (
                        value[1:],
                        SpaceTable(**{**bounds, "low": float(bounds["low"]), "high": float(bounds["high"])}),
                    )


def _recipe_dimensions(catalogue: Catalogue, table: SuiteTable) -> tuple[Dimension, ...]:
    """The searched keys of the recipe; their defaults are what the suite's first task says."""
    assert table.tuning is not None
    assert table.tuning.recipe is not None
    recipe = {**Recipe().model_dump(), **catalogue.tasks[table.tasks[0]].recipe}
    return tuple(
        Dimension(key, space, recipe[key], isinstance(recipe[key], int))
        for key, space in table.tuning.recipe.space.items()
    )


def proposals(search: Search, trials: int) -> list[dict[str, float]]:
    """The settings of every trial: the default, then a scrambled Sobol sequence over the space.

    The scrambling is a function of the owner's name alone, so the same search proposes the same settings.
    """
    import numpy as np
    from scipy.stats import qmc

    seed = int.from_bytes(hashlib.sha256(search.owner.encode()).digest()[:8])
    sampler = qmc.Sobol(len(search.dimensions), scramble=True, rng=np.random.default_rng(seed))
    points = sampler.random_base2(math.ceil(math.log2(trials)))[: trials - 1]  # (trials - 1, D) in [0, 1)
    default = {dimension.name: dimension.default for dimension in search.dimensions}
    drawn = [{d.name: d.value(float(at)) for d, at in zip(search.dimensions, point, strict=True)} for point in points]
    return [default, *drawn]


@dataclass(frozen=True)
class Rule:
    """How a track chooses: the split, and whether its worst class or its worst group is compared."""

    split: str
    worst: str

    @staticmethod
    def of(track: str, table: SuiteTable) -> Rule:
        """Methods without group labels: worst class on `val`, drawn as training is; the others: worst group."""
        if track == TRACKS[0] or table.tuning is None:
            return Rule("val", "class")
        return Rule(table.tuning.group_split, "group")


@dataclass(frozen=True)
class Value:
    """A trial's value on validation: the worst accuracy, pooled over seeds, and its standard error."""

    accuracy: float
    standard_error: float


def worst_pooled(scores: Sequence[Mapping[str, Any]], worst: str) -> Value | None:
    """The lowest accuracy among groups or classes, over the validation predictions of all seeds together.

    scores: bodies of score stages, one a seed. None where a group or class has no example.
    """
    number = len(scores[0]["group_total"])
    width = 1 if worst == "group" else number // int(scores[0]["num_classes"])
    found = []
    for first in range(0, number, width):
        correct, total = (
            sum(sum(score[name][first : first + width]) for score in scores)
            for name in ("group_correct", "group_total")
        )
        if not total:
            return None
        share = correct / total
        found.append(Value(share, math.sqrt(share * (1 - share) / total)))
    return min(found, key=lambda value: value.accuracy)


def mean_value(values: Sequence[Value]) -> Value:
    """The mean over the rows of a sweep; they share their validation examples, so their errors do not average out."""
    rows = len(values)
    return Value(sum(v.accuracy for v in values) / rows, sum(v.standard_error for v in values) / rows)


def choose(search: Search, tried: Sequence[tuple[Mapping[str, float], Value | None]]) -> int | None:
    """The trial nearest to the default among those within one standard error of the best; None if all failed."""
    values = [(number, value) for number, (_, value) in enumerate(tried) if value is not None]
    if not values:
        return None
    best = max((value for _, value in values), key=lambda value: value.accuracy)
    near = [number for number, value in values if value.accuracy >= best.accuracy - best.standard_error]
    return min(near, key=lambda number: (_distance(search, tried[number][0]), number))


def _distance(search: Search, settings: Mapping[str, float]) -> float:
    """The distance from the default, in the unit cube of the space."""
    return math.dist(
        [d.position(settings[d.name]) for d in search.dimensions], [d.position(d.default) for d in search.dimensions]
    )
