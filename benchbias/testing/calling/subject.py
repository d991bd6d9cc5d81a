"""A component under check: what it is called, what it declares, and values for its options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from benchbias.plugin.components import Component, Option, describe, resolve_options
from benchbias.plugin.loading import PluginRef, components_of

GROUP_LABELS = ("train_groups", "val_groups")


@dataclass(frozen=True)
class Subject:
    """One component of a plugin. source: how `benchbias check` is told of it.

    network: the model factory of the same name and plugin, where there is one: a trainer is checked on it.
    """

    kind: str
    name: str
    plugin: str
    component: Callable[..., Any]
    source: str
    network: Callable[..., Any] | None = None

    @cached_property
    def described(self) -> Component:
        """Its signature as the core reads it. Raises UsageError."""
        return Component.from_json(self.plugin, describe(self.kind, self.name, self.component))

    @cached_property
    def options(self) -> Mapping[str, Any]:
        """Its options at their defaults; a required one has the first value that its type allows."""
        required = {name: sample(option) for name, option in self.described.options.items() if option.required}
        return resolve_options(self.described, required, "check")

    @property
    def groups(self) -> tuple[str, ...]:
        """The group labels that it declares."""
        return tuple(name for name in GROUP_LABELS if name in self.described.given)


def sample(option: Option) -> Any:
    """A value for an option that has no default."""
    if option.range:
        return option.range["low"]
    if isinstance(option.type, str):
        return {"bool": False, "int": 1, "float": 0.5, "str": "toy"}[option.type]
    return (
        option.type["literal"][0]
        if "literal" in option.type
        else []
        if "tuple" in option.type
        else {}
        if "table" in option.type
        else None
    )


def subjects_of(ref: PluginRef, names: tuple[str, ...], source: str) -> list[Subject]:
    """Import a plugin; its components, or those of these names (`magnitude`, or `pruner magnitude`)."""
    found = components_of(ref)
    return [
        Subject(kind, name, ref.name, component, name if names else source, _network(kind, found.get(("model", name))))
        for (kind, name), component in sorted(found.items())
        if not names or name in names or f"{kind} {name}" in names
    ]


def _network(kind: str, model: Callable[..., Any] | None) -> Callable[..., Any] | None:
    return model if kind == "trainer" else None
