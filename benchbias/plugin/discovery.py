"""Plugins of this environment, found by the metadata of its distributions; a malformed one costs itself only."""

from __future__ import annotations

import contextlib
import importlib.metadata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchbias.errors import UsageError, plain
from benchbias.plugin.loading import PluginRef
from benchbias.util.packages import distributions, special_file

GROUP = "benchbias"  # the entry-point group
FILE = "entry_points.txt"


@dataclass(frozen=True)
class BrokenPlugin:
    """A plugin that could not be described: what it raised, in one line and in full."""

    reason: str
    traceback: str


@dataclass(frozen=True)
class Discovered:
    """All plugins, sorted by name; the broken ones among them; distributions that cannot be read: where, and why."""

    refs: tuple[PluginRef, ...]
    broken: Mapping[str, BrokenPlugin]
    unreadable: Mapping[str, str]


def discover(loose: Iterable[Path] = ()) -> Discovered:
    """All plugins: one for each entry point of the group, one for each loose file. Imports none of them.

    Of a distribution that is there twice (in an environment over another) the first on the path counts: its modules
    are those that are imported. Raises UsageError for a loose file.
    """
    found: dict[str, PluginRef] = {}
    broken: dict[str, BrokenPlugin] = {}
    unreadable: dict[str, str] = {}
    seen: set[str] = set()
    for distribution in distributions():
        text, fault = _text(distribution)
        lines = list(_lines(text))
        if fault and GROUP not in text:
            unreadable[_place(distribution)] = fault
        if not lines and not (fault and GROUP in text):
            continue
        name, version = _name_and_version(distribution)
        if name in seen:
            continue
        seen.add(name)
        if fault:
            found[name] = PluginRef(name, "", name, version)
            broken[name] = BrokenPlugin(fault, "")
        for line in lines:
            ref, reason = _entry(line, name, version)
            if ref.name in found and found[ref.name] != ref:
                reason = f"two entry points have this name: {found[ref.name].module!r} and {ref.module!r}"
            found.setdefault(ref.name, ref)
            if reason:
                broken[ref.name] = BrokenPlugin(plain(reason), "")
    for path in loose:
        _add_loose(path, found)
    return Discovered(tuple(found[name] for name in sorted(found)), broken, unreadable)


def _text(distribution: importlib.metadata.Distribution) -> tuple[str, str]:
    """The entry points of a distribution as text, as far as it can be read, and why not all of it can be."""
    special = special_file(distribution)
    if special is not None:
        return "", f"its {special} is no plain file"
    try:
        return distribution.read_text(FILE) or "", ""
    except Exception as error:  # whatever a malformed file, or a finder of another's, raises
        text = ""
        with contextlib.suppress(OSError):
            text = Path(_place(distribution), FILE).read_bytes().decode(errors="replace")
        return text, plain(f"its {FILE} cannot be read: {error}")


def _lines(text: str) -> Iterator[str]:
    """The lines of our group."""
    ours = False
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            ours = line == f"[{GROUP}]"
        elif ours and line and not line.startswith(("#", ";")):
            yield line


def _entry(line: str, distribution: str, version: str) -> tuple[PluginRef, str]:
    """The plugin of a line `name = module:object`, and why it is none; empty where it is one."""
    name, equals, value = (part.strip() for part in line.partition("="))
    module = attribute = ""
    with contextlib.suppress(Exception):  # newer versions of Python refuse a value that older ones take
        entry = importlib.metadata.EntryPoint(name, value, GROUP)
        module, attribute = entry.module, entry.attr or ""
    whole = bool(equals and name) and all(part.isidentifier() for part in module.split("."))
    ref = PluginRef(f"{distribution}:{name}", module or value, distribution, version, attribute=attribute)
    return ref, "" if whole else f"the line {line!r:.80} of its {FILE} is not `name = module` or `name = module:object`"


def _name_and_version(distribution: importlib.metadata.Distribution) -> tuple[str, str]:
    """The name and the version of its metadata, else those of its folder, e.g. `other-1.0.dist-info`."""
    name, _, version = Path(_place(distribution)).stem.partition("-")
    with contextlib.suppress(Exception):
        name = distribution.metadata["Name"] or name
    with contextlib.suppress(Exception):
        version = distribution.version or version
    return name, version


def _place(distribution: importlib.metadata.Distribution) -> str:
    """The folder of a distribution's metadata, or another word for it where it has none."""
    return str(getattr(distribution, "_path", None) or distribution)


def _add_loose(path: Path, found: dict[str, PluginRef]) -> None:
    if not path.is_file():
        raise UsageError(f"--plugin {path}: no such file")
    if path.suffix != ".py":
        raise UsageError(f"--plugin {path}: not a Python file (its name must end in .py)")
    if ":" in path.name:  # as in names of plugins of distributions
        raise UsageError(f"--plugin {path}: the name of a plugin file must have no colon")
    module = "benchbias_loose_" + "".join(c if c.isalnum() else "_" for c in path.stem)
    ref = PluginRef(path.name, module, "", "", str(path.resolve()))
    if ref.name in found and found[ref.name] != ref:
        raise UsageError(f"--plugin {path}: another plugin file is also called {path.name}")
    found[ref.name] = ref
