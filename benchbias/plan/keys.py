"""The key and the identity of a stage: which sources, versions and inputs decide what it computes. No torch."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchbias.data.reading.raw_files import READERS
from benchbias.plan.trials import Stage
from benchbias.plugin.components import Component
from benchbias.plugin.registry import Registry, files_digest
from benchbias.util import canonical
from benchbias.util.packages import version_of

FORMAT = 1  # of objects and keys: raise it when their meaning changes

CORE = Path(__file__).parent.parent

_SHARED = ("data", "network", "sparse", "stages.job", "stages.seeding")
_MASKING = ("training", "stages.make_mask")
SOURCES: Mapping[str, tuple[str, ...]] = {
    "data": (*_SHARED, "stages.data"),
    "init": (*_SHARED, "training", "stages.init"),
    "train": (*_SHARED, *_MASKING, "stages.masking", "stages.train"),
    "prune": (*_SHARED, *_MASKING, "stages.prune"),
    "predict": (*_SHARED, "training", "stages.predict"),
    "score": (*_SHARED, "stages.score"),
    "probe": (*_SHARED, "training", "stages.probe"),
    "analyse": (
        *(*_SHARED, "training", "statistics", "records"),
        *("stages.analyse", "stages.predict", "stages.score"),
    ),
}
"""The packages, and modules of `stages`, that decide what each kind of stage computes. A test holds them complete."""

READING = ("data.reading",)
"""The package that turns raw files into images: part of the key of a data stage that reads some."""


def source_files(names: Iterable[str]) -> list[Path]:
    """The files of packages (without their sub-packages) and of modules, by name below `benchbias`."""
    found: list[Path] = []
    for name in names:
        path = CORE / name.replace(".", "/")
        found += sorted(path.glob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    return found


@functools.cache
def _digest(names: tuple[str, ...]) -> str:
    return files_digest(source_files(names))


def core_digest(kind: str) -> str:
    """The sha256 of the core's sources that a kind of stage runs."""
    return _digest(SOURCES[kind])


def reading_digest() -> str:
    """The sha256 of the core's sources that turn raw files into images."""
    return _digest(READING)


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
    named = {name: value for name, value in _named(plain, components).items() if name != "raw"}  # two copies: one trial
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
