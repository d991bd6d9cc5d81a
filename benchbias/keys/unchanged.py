"""Whether what runs here is still what a stage's key names: the core's sources, the packages, the plugins. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from benchbias.errors import UsageError
from benchbias.keys.environment import torch_version
from benchbias.keys.sources import READING, SOURCES, digest_now, source_places
from benchbias.keys.stamps import Kept
from benchbias.plugin.loading import PluginRef
from benchbias.plugin.registry import OWN_DISTRIBUTION, plugin_places, source_digest
from benchbias.util.as_read import run_as_read
from benchbias.util.packages import places_of, version_now

NO_PACKAGES = ("torch", "packages", "device", "cpu", "threads", "deterministic")
"""Fields of a key's environment that are not the version of a package by its name."""


def refusal(inputs: Mapping[str, Any], kept: Kept | None = None) -> str | None:
    """Why a stage with these inputs must not run, or not be stored, as things lie on the disk now; None: it may.

    kept: what was read before is not read again as long as its files are untouched.
    """
    for name, was, now in _compared(inputs, kept if kept is not None else Kept()):
        if was != now:
            versions = f" from {was} to {now}" if name != "benchbias" else ""
            return f"{name} was changed{versions} while this run was going on; run again"
    return None


def first_refusal(stages: Iterable[Mapping[str, Any]], kept: Kept | None = None) -> str | None:
    """The same for the inputs of many stages, of which most name the same sources and packages."""
    distinct = {repr((one["kind"], one["sources"], one["environment"])): one for one in stages}
    return next((told for inputs in distinct.values() if (told := refusal(inputs, kept)) is not None), None)


def plugin_now(plan: Mapping[str, Any], name: str, kept: Kept) -> str:
    """The digest of a plugin as it lies on the disk at this moment; empty where it is gone."""
    ref = PluginRef(**plan["plugins"][name]["ref"])
    try:
        return kept.value(("plugin", name), lambda: source_digest(ref), lambda: plugin_places(ref))
    except UsageError:
        return ""


def own_refusal(plan: Mapping[str, Any], kept: Kept | None = None) -> str | None:
    """The words for the first plugin of ours that is no longer the one that the plan's keys name; None: all are."""
    known = kept if kept is not None else Kept()
    own = (name for name, plugin in plan["plugins"].items() if plugin["ref"]["distribution"] == OWN_DISTRIBUTION)
    changed = next((name for name in own if plugin_now(plan, name, known) != plan["plugins"][name]["digest"]), None)
    return None if changed is None else plugin_changed(changed)


def plugin_changed(name: str) -> str:
    """The words for a plugin that is no longer the one that keys name."""
    return f"plugin {name!r} was changed while this run was going on; run again"


def another_was_run() -> str | None:
    """The words for a file of which this process has run something else than lies there now; None: there is none.

    It was edited, and the edit taken back: a digest before and another one after do not see that.
    """
    path = run_as_read().changed()
    return None if path is None else f"{path} was changed while this run was going on; run again"


def _compared(inputs: Mapping[str, Any], kept: Kept) -> Iterator[tuple[str, object, object]]:
    """Pairs to compare: the name, the state that the key says, the state that is there now."""
    sources, environment = inputs["sources"], inputs["environment"]
    yield "benchbias", sources["core"], _sources(SOURCES[inputs["kind"]], kept)
    if "reading" in sources:
        yield "benchbias", sources["reading"], _sources(READING, kept)
    yield "torch", environment["torch"], _torch()
    versions = {**environment["packages"], **{k: v for k, v in environment.items() if k not in NO_PACKAGES}}
    names = tuple(sorted(versions))
    now = kept.value(("versions", names), lambda: {name: version_now(name) for name in names}, lambda: places_of(names))
    for package, version in versions.items():
        yield package, version, now[package]


def _sources(names: tuple[str, ...], kept: Kept) -> str:
    try:
        return kept.value(("sources", names), lambda: digest_now(names), lambda: source_places(names))
    except UsageError:  # a file is missing, or half written
        return "unreadable"


def _torch() -> str:
    try:
        return torch_version()
    except UsageError:
        return "absent"
