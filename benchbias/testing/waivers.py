"""Waivers: checks that a component fails by its nature, each with a reason; given, or shipped with a plugin."""

from __future__ import annotations

import contextlib
import importlib.util
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from benchbias.errors import UsageError, plain, unknown
from benchbias.plugin.loading import PluginRef

FILE = "waivers.toml"  # of a package of plugins: [component] check = "reason"


def parse_waivers(texts: Iterable[str]) -> dict[str, str]:
    """CHECK=reason, or COMPONENT:CHECK=reason. Raises UsageError without a reason."""
    found = {}
    for text in texts:
        name, equals, reason = text.partition("=")
        if not equals or not reason.strip():
            raise UsageError(f"--waive {text}: expected CHECK=reason or COMPONENT:CHECK=reason")
        found[name.strip()] = reason.strip()
    return found


def shipped_waivers(refs: Iterable[PluginRef]) -> dict[str, str]:
    """The waivers in `waivers.toml` of the packages of plugins, as `parse_waivers` has them. Raises UsageError."""
    return {
        f"{component}:{check}": reason
        for file in sorted({file for ref in refs for file in _files(ref)})
        for component, checks in _tables(file).items()
        for check, reason in checks.items()
    }


def _files(ref: PluginRef) -> Iterator[Path]:
    spec = None
    with contextlib.suppress(ImportError, ValueError):  # a module that cannot be found: a check tells it
        spec = importlib.util.find_spec(ref.module.partition(".")[0]) if ref.path is None else None
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        if (file := Path(folder, FILE)).is_file():
            yield file


def _tables(file: Path) -> dict[str, dict[str, str]]:
    try:
        tables: dict[str, dict[str, str]] = tomllib.loads(file.read_bytes().decode())
    except (OSError, ValueError) as error:
        raise UsageError(f"{file}: it cannot be read: {plain(str(error))}") from None
    for component, checks in tables.items():
        if not isinstance(checks, dict) or not all(isinstance(reason, str) and reason for reason in checks.values()):
            raise UsageError(f'{file}: {component}: a table of CHECK = "reason" is expected')
    return tables


def check_names(given: Iterable[str], known: Iterable[str], where: str) -> None:
    """Refuse names of checks that there are not. Raises UsageError."""
    for name in given:
        if name.rpartition(":")[2] not in set(known):
            raise UsageError(unknown("check", name.rpartition(":")[2], known, where))


def waiver_of(waivers: Mapping[str, str], component: str, check: str) -> str | None:
    """The reason why a component may fail a check, or None."""
    return waivers.get(f"{component}:{check}", waivers.get(check))
