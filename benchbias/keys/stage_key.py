"""The key and the identity of a stage, made of everything that decides its product. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchbias.data.reading.raw_files import READERS
from benchbias.keys.sources import core_digest, reading_digest
from benchbias.keys.stage import Stage
from benchbias.plugin.components import Component
from benchbias.plugin.registry import Registry
from benchbias.util import canonical
from benchbias.util.packages import version_of

NO_IDENTITY = ("raw", "stack")
"""Inputs that decide bytes and no identity: two copies of raw files are one trial, so is a seed trained with others."""
FORMAT = 1  # of objects and keys: raise it when their meaning changes


def _named(inputs: Mapping[str, Any], components: Sequence[Component]) -> dict[str, Any]:
    """A stage's inputs as its identity holds them: with options that its components had when published."""
    former = {component.name: component.former for component in components if component.former}
    if not former:
        return dict(inputs)

    def with_former(call: Mapping[str, Any]) -> dict[str, Any]:
        return {**call, "options": {**call["options"], **former.get(call["name"], {})}}

    named = {**inputs, "component": with_former(inputs["component"])} if "component" in inputs else dict(inputs)
    if "prune" in inputs:
        named["prune"] = {**inputs["prune"], "component": with_former(inputs["prune"]["component"])}
    return named


def stage_of(
    kind: str,
    components: Sequence[Component],
    inputs: Mapping[str, Any],
    *,
    registry: Registry,
    environment: Mapping[str, Any],
    identities: Mapping[str, str],
) -> Stage:
    """A stage with its key and its identity.

    environment: what of the machine decides bytes, as JSON. identities: of the stages that it rests on, by key. The
    key is of everything that decides the product. The identity leaves out sources, machine and raw files: trial ids
    are made of it, and survive new versions.
    """
    plain = canonical.plain({"format": FORMAT, "kind": kind, **inputs})  # once for both digests
    named = {name: value for name, value in _named(plain, components).items() if name not in NO_IDENTITY}
    parents = {role: identities[key] for role, key in inputs["parents"].items()}
    plugins = tuple(sorted({component.plugin for component in components}))
    sources = {"core": core_digest(kind), "plugins": sorted(registry.digests[plugin] for plugin in plugins)}
    versions = {package: version_of(package) for component in components for package in component.uses}
    if "raw" in inputs:
        sources["reading"] = reading_digest()
        versions |= {package: version_of(package) for package in READERS}
    full = {**plain, "sources": sources, "environment": {**versions, **environment}}
    return Stage(
        canonical.digest_of_parsed(full), canonical.digest_of_parsed(named | {"parents": parents}), full, plugins
    )
