"""Import a plugin and collect its components: only ever done in a child or a worker process."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from benchbias import hookspecs
from benchbias.errors import UsageError, unknown


@dataclass(frozen=True)
class PluginRef:
    """Where a plugin comes from: a module of a distribution, or a loose file (`path`)."""

    name: str
    module: str
    distribution: str
    version: str
    path: str | None = None


def import_plugin(ref: PluginRef) -> ModuleType:
    """Import a plugin's module. Whatever its code raises comes through."""
    if ref.path is None:
        return importlib.import_module(ref.module)
    spec = importlib.util.spec_from_file_location(ref.module, Path(ref.path))
    if spec is None or spec.loader is None:
        raise UsageError(f"{ref.path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[ref.module] = module
    spec.loader.exec_module(module)
    return module


def components_of(ref: PluginRef) -> dict[tuple[str, str], Callable[..., Any]]:
    """Import a plugin and call its hooks: (kind, name) -> component. Raises UsageError for a broken contract."""
    module = import_plugin(ref)
    _check_hook_names(module)
    manager = pluggy.PluginManager("benchbias")
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(module, ref.name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise UsageError(" ".join(str(error).split())) from None
    found: dict[tuple[str, str], Callable[..., Any]] = {}
    for hook, kind in hookspecs.KINDS.items():
        for table in getattr(manager.hook, hook)():
            if not isinstance(table, Mapping) or not all(isinstance(name, str) for name in table):
                raise UsageError(f"{hook} must return {{name: component}}, not {table!r:.80}")
            found |= {(kind, name): component for name, component in table.items()}
    if not found:
        raise UsageError(f"it implements no hook (known: {', '.join(hookspecs.KINDS)})")
    return found


def _check_hook_names(module: ModuleType) -> None:
    for name, value in vars(module).items():
        marked = getattr(value, "benchbias_impl", None) is not None
        if marked and name not in hookspecs.KINDS:
            raise UsageError(unknown("hook", name, hookspecs.KINDS))
        if name in hookspecs.KINDS and callable(value) and not marked:
            raise UsageError(f"the function {name} lacks the decorator @benchbias.hookimpl")
