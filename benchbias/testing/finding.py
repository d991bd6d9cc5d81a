"""Targets of `benchbias check`: components, plugins, distributions, modules and files. Imports none of them."""

from __future__ import annotations

import importlib.util
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchbias.errors import UsageError, unknown
from benchbias.plugin.discovery import discover
from benchbias.plugin.loading import PluginRef
from benchbias.plugin.registry import Registry, load_registry


@dataclass(frozen=True)
class Target:
    """A plugin to check, all of it or the components of some names. source: how the user named it."""

    ref: PluginRef
    names: tuple[str, ...]
    source: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(value: dict[str, Any]) -> Target:
        return Target(PluginRef(**value["ref"]), tuple(value["names"]), value["source"])


def find(text: str) -> list[Target]:
    """The plugins that a text names. Raises UsageError with the known names."""
    path = Path(text)
    if path.is_file():
        return [Target(_loose(path), (), text)]
    if path.suffix == ".py" or "/" in text:
        raise UsageError(f"check {text}: no such file")
    registry = load_registry(quiet=True)
    plugins = {component.plugin: None for (_, name), component in registry.components.items() if name == text}
    if plugins:
        return [Target(registry.plugins[plugin], (text,), text) for plugin in plugins]
    refs = [ref for ref in registry.plugins.values() if text in (ref.name, ref.distribution, ref.module)]
    if refs:
        return [Target(ref, (), text) for ref in refs]
    if _importable(text):
        return [Target(PluginRef(text, text, "", ""), (), text)]
    raise UsageError(unknown("plugin", text, _known(registry), "check") + "; or name a file or a module")


def everything() -> list[Target]:
    """All plugins that are installed."""
    return [Target(ref, (), ref.name) for ref in load_registry(quiet=True).plugins.values()]


def _loose(path: Path) -> PluginRef:
    return next(ref for ref in discover([path]).refs if ref.path == str(path.resolve()))


def _importable(module: str) -> bool:
    try:
        return all(part.isidentifier() for part in module.split(".")) and importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _known(registry: Registry) -> list[str]:
    distributions = {ref.distribution for ref in registry.plugins.values() if ref.distribution}
    return sorted({name for _, name in registry.components} | distributions)
