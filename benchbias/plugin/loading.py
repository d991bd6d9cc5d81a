"""Import a plugin and collect its components: in a child or a worker process; of a tracker also where a run is."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import operator
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from benchbias.errors import UsageError, unknown
from benchbias.plugin import hookspecs
from benchbias.util.as_read import run_as_read


@dataclass(frozen=True)
class PluginRef:
    """Where a plugin comes from: a module of a distribution, or an object in it (`attribute`), or a loose file."""

    name: str
    module: str
    distribution: str
    version: str
    path: str | None = None
    attribute: str = ""


def import_plugin(ref: PluginRef) -> object:
    """Import a plugin: its module, or the object in it that the entry point names. What its code raises comes through.

    Raises UsageError where there is no such object, or it is a class.
    """
    module = _imported(ref)
    if not ref.attribute:
        return module
    try:
        plugin: object = operator.attrgetter(ref.attribute)(module)
    except AttributeError as error:
        raise UsageError(f"entry point {ref.module}:{ref.attribute}: {error}") from None
    if inspect.isclass(plugin):
        raise UsageError(f"entry point {ref.module}:{ref.attribute} is a class: name an instance of it, or the module")
    return plugin


def run_plugins_as_read(refs: Iterable[PluginRef]) -> None:
    """Let the packages of plugins run as they are read, and never as they were compiled before."""
    run_as_read(packages={ref.module.partition(".")[0] for ref in refs})


def _imported(ref: PluginRef) -> ModuleType:
    run_plugins_as_read([ref])
    if ref.path is None:
        return importlib.import_module(ref.module)
    spec = importlib.util.spec_from_file_location(ref.module, Path(ref.path))
    if spec is None or spec.loader is None:
        raise UsageError(f"{ref.path}: not a Python file")
    spec.loader = run_as_read().loader(ref.module, ref.path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[ref.module] = module
    try:
        spec.loader.exec_module(module)
    except ModuleNotFoundError as error:
        if error.name and Path(ref.path).with_name(f"{error.name.partition('.')[0]}.py").is_file():
            raise UsageError(
                f"it imports {error.name!r}, a file beside it: a plugin of several files is a distribution "
                "(`benchbias new` begins one)"
            ) from error
        raise
    return module


def components_of(ref: PluginRef) -> dict[tuple[str, str], Callable[..., Any]]:
    """Import a plugin and call its hooks: (kind, name) -> component. Raises UsageError for a broken contract."""
    return offered(ref)[0]


def offered(ref: PluginRef) -> tuple[dict[tuple[str, str], Callable[..., Any]], str | None]:
    """The components of a plugin, and the docstring of its `benchbias_record`; None where it has none.

    That hook is not called. Raises UsageError for a broken contract.
    """
    manager = registered(ref)
    found: dict[tuple[str, str], Callable[..., Any]] = {}
    for hook, kind in hookspecs.KINDS.items():
        for table in getattr(manager.hook, hook)():
            if not isinstance(table, Mapping) or not all(isinstance(name, str) for name in table):
                raise UsageError(f"{hook} must return {{name: component}}, not {table!r:.80}")
            found |= {(kind, name): component for name, component in table.items()}
    trackers = manager.hook.benchbias_record.get_hookimpls()
    if not found and not trackers:
        plugin = manager.get_plugin(ref.name)
        raise UsageError(f"it implements no hook (known: {', '.join(hookspecs.HOOKS)}){_holder_of_hooks(plugin)}")
    return found, (inspect.getdoc(trackers[0].function) or "") if trackers else None


def registered(ref: PluginRef) -> pluggy.PluginManager:
    """Import a plugin and register it alone. Raises UsageError for hooks that are none."""
    plugin = import_plugin(ref)
    _check_hook_names(plugin)
    manager = pluggy.PluginManager("benchbias")
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(plugin, ref.name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise UsageError(" ".join(str(error).split())) from None
    return manager


def _holder_of_hooks(plugin: object) -> str:
    """A hint: an object of a module has methods that implement hooks, which nobody has named."""
    for name, value in vars(plugin).items() if isinstance(plugin, ModuleType) else ():
        if any(hasattr(getattr(type(value), hook, None), "benchbias_impl") for hook in hookspecs.HOOKS):
            return f"; its object {name!r} does: name it in an entry point, `MODULE:{name}`"
    return ""


def _check_hook_names(plugin: object) -> None:
    own = plugin if isinstance(plugin, ModuleType) else type(plugin)
    for name, value in inspect.getmembers_static(own):
        marked = getattr(value, "benchbias_impl", None) is not None
        if marked and name not in hookspecs.HOOKS:
            raise UsageError(unknown("hook", name, hookspecs.HOOKS))
        if name in hookspecs.HOOKS and callable(value) and not marked:
            raise UsageError(f"the function {name} lacks the decorator @benchbias.hookimpl")
