"""The distinct stages of a plan, collected while its trials are walked. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchbias.data.reading.raw_files import locate, raw_digest
from benchbias.errors import UsageError, unknown
from benchbias.keys.environment import describe_environment
from benchbias.keys.stage import Stage
from benchbias.keys.stage_key import stage_of
from benchbias.plan.stacking import Stacks
from benchbias.plugin.components import Component, resolve_options
from benchbias.plugin.registry import Registry
from benchbias.suite.tables import Use
from benchbias.util import canonical


class BlockedError(Exception):
    """A trial cannot run: a component's plugin could not be loaded, or a package that it uses is absent."""


class Stages:
    """Every stage once, in the order in which they were asked for: parents stand before their children."""

    def __init__(self, registry: Registry, data: Path, device: str) -> None:
        self.registry, self.data = registry, data
        self.environment = canonical.plain(describe_environment(device))
        self.found: dict[str, Stage] = {}
        self.identities: dict[str, str] = {}
        self.raw: dict[tuple[str, str], str | None] = {}
        self.stacks = Stacks()
        self._known: dict[str, str] = {}
        self._resolved: dict[str, dict[str, Any]] = {}

    def component(self, kind: str, use: Use, where: str) -> tuple[Component, dict[str, Any]]:
        """A component with its resolved options. Raises UsageError, or BlockedError where a plugin is broken."""
        component = self.registry.components.get((kind, use.name))
        if component is None:
            message = unknown(kind, use.name, self.registry.names(kind), where)
            if self.registry.broken:
                reasons = "; ".join(f"plugin {n!r} is broken: {b.reason}" for n, b in self.registry.broken.items())
                raise BlockedError(f"{message}; {reasons}")
            raise UsageError(message)
        if component.lacks is not None:
            raise BlockedError(component.lacks)
        asked = repr((kind, use.name, use.options))
        if asked not in self._resolved:  # once for all seeds of a row; what is wrong is told where it is asked for
            self._resolved[asked] = resolve_options(component, use.options, where)
        return component, dict(self._resolved[asked])

    def raw_digests(self, component: Component, options: Mapping[str, Any]) -> dict[str, str | None]:
        """The digests of the raw files that a data set reads; None where they are not there. Raises UsageError."""
        found: dict[str, str | None] = {}
        for kind, name in component.raw_files(options):
            if (kind, name) not in self.raw:
                place = locate(self.data, kind, name)
                self.raw[kind, name] = None if place is None else raw_digest(self.data, place)
            found[f"{kind}:{name}"] = self.raw[kind, name]
        return found

    def missing(self) -> tuple[tuple[str, str], ...]:
        """The raw files that are not there: (hub or folder, name)."""
        return tuple(name for name, digest in self.raw.items() if digest is None)

    def add(self, kind: str, components: Sequence[Component], inputs: Mapping[str, Any]) -> str:
        """Add a stage, if it is not there already, and return its key."""
        made = repr((kind, inputs))
        if made not in self._known:  # most trials share most of their stages: hashing them again is half of the time
            stage = stage_of(
                kind,
                components,
                inputs,
                registry=self.registry,
                environment=self.environment,
                identities=self.identities,
            )
            self.found[stage.key], self.identities[stage.key] = stage, stage.identity
            self._known[made] = stage.key
        return self._known[made]

    def drop_after(self, count: int) -> None:
        """Forget all but the first `count` stages: those of a trial that cannot run are computed for nobody."""
        gone = set(list(self.found)[count:])
        for key in gone:
            del self.found[key], self.identities[key]
        self._known = {made: key for made, key in self._known.items() if key not in gone}
