"""Targets of `benchbias check`: components, plugins, distributions, modules, files, folders. Imports none of them."""

from __future__ import annotations

import importlib.util
import sys
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchbias.errors import UsageError, plain, unknown
from benchbias.plugin.discovery import discover
from benchbias.plugin.loading import PluginRef
from benchbias.plugin.registry import Registry, load_registry
from benchbias.util.files import listed


@dataclass(frozen=True)
class Target:
    """A plugin to check, all of it or the components of some names. source: how the user named it.

    folder: where its module lies, if it is not installed.
    """

    ref: PluginRef
    names: tuple[str, ...]
    source: str
    folder: str = ""

    def reachable(self) -> PluginRef:
        """The plugin, once its module can be imported in this process."""
        if self.folder and self.folder not in sys.path:
            sys.path.insert(0, self.folder)
        return self.ref

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(value: dict[str, Any]) -> Target:
        return Target(PluginRef(**value["ref"]), tuple(value["names"]), value["source"], value["folder"])


def find(text: str) -> list[Target]:
    """The plugins that a text names. Raises UsageError with the known names."""
    path = Path(text)
    if path.is_file():
        return [Target(_loose(path), (), text)]
    if path.is_dir() and not path.name.isidentifier():  # else it may be a name, which comes first
        return _in_folder(path, text)
    if not path.is_dir() and (path.suffix == ".py" or "/" in text):
        raise UsageError(f"check {text}: no such file or folder")
    registry = load_registry(quiet=True)
    plugins = {component.plugin: None for (_, name), component in registry.components.items() if name == text}
    if plugins:
        return [Target(registry.plugins[plugin], (text,), text) for plugin in plugins]
    refs = [ref for ref in registry.plugins.values() if text in (ref.name, ref.distribution, ref.module)]
    if refs:
        return [Target(ref, (), text) for ref in refs]
    if path.is_dir():
        return _in_folder(path, text)
    if _importable(text):
        return [Target(PluginRef(text, text, "", ""), (), text)]
    raise UsageError(unknown("plugin", text, _known(registry), "check") + "; or name a file, a folder or a module")


def everything() -> list[Target]:
    """All plugins that are installed."""
    return [Target(ref, (), ref.name) for ref in load_registry(quiet=True).plugins.values()]


def _loose(path: Path) -> PluginRef:
    return next(ref for ref in discover([path]).refs if ref.path == str(path.resolve()))


def _in_folder(folder: Path, text: str) -> list[Target]:
    """The plugins of a project's folder: its entry points, as `benchbias new` writes them, else its Python files.

    Raises UsageError.
    """
    modules = _entry_points(folder / "pyproject.toml", text)
    for at in (folder, folder / "src"):
        found = {module: at for module in modules if _file_of(at, module).exists()}
        if found and len(found) == len(modules):
            name = folder.resolve().name
            return [
                Target(PluginRef(f"{name}:{module}", module, "", "", attribute=attribute), (), text, str(at.resolve()))
                for module, attribute in modules.items()
            ]
    files = [path for path in listed(folder, ".py") if path.name not in ("setup.py", "conftest.py", "__init__.py")]
    if modules or not files:
        told = f"no module {', '.join(modules)}" if modules else "no entry point of ours, no Python file"
        raise UsageError(f"check {text}: {told} in this folder")
    return [Target(_loose(path), (), str(path)) for path in files]


def _entry_points(pyproject: Path, text: str) -> dict[str, str]:
    """Module -> attribute (or nothing) of each entry point of our group. Raises UsageError."""
    try:
        values = tomllib.loads(pyproject.read_bytes().decode())["project"]["entry-points"]["benchbias"].values()
        return {str(value).partition(":")[0].strip(): str(value).partition(":")[2].strip() for value in values}
    except (FileNotFoundError, KeyError):
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"check {text}: {pyproject.name} cannot be read: {plain(str(error))}") from None


def _file_of(folder: Path, module: str) -> Path:
    path = folder.joinpath(*module.split("."))
    return path if path.is_dir() else path.with_suffix(".py")


def _importable(module: str) -> bool:
    try:
        return all(part.isidentifier() for part in module.split(".")) and importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _known(registry: Registry) -> list[str]:
    distributions = {ref.distribution for ref in registry.plugins.values() if ref.distribution}
    return sorted({name for _, name in registry.components} | distributions)
