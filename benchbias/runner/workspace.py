"""The tables and the plugins that a command works with, and the plans made from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from benchbias.data.reading.fetching import provide
from benchbias.data.reading.raw_files import data_folder
from benchbias.errors import UsageError
from benchbias.plan.planner import make
from benchbias.plan.trials import Plan, Selection
from benchbias.plugin.registry import Registry, load_registry
from benchbias.suite.catalogue import Catalogue, load
from benchbias.util.connections import OFFLINE
from benchbias.util.connections import offline as is_offline


@dataclass(frozen=True)
class Given:
    """Files that a user has named: --config, --plugin, --data-dir."""

    config: Path | None = None
    plugins: tuple[Path, ...] = ()
    data: Path | None = None


@dataclass(frozen=True)
class Workspace:
    """Everything that a command works with. data: the data folder. offline: whether no connection may be opened."""

    catalogue: Catalogue
    registry: Registry
    data: Path
    offline: bool = False
    given: Given = Given()

    @staticmethod
    def open(
        config: Path | None = None,
        plugins: Iterable[Path] = (),
        *,
        strict: bool = False,
        quiet: bool = False,
        data: Path | None = None,
        offline: bool = False,
    ) -> Workspace:
        """Read benchmarks.toml and the plugins' descriptions. Raises UsageError.

        data: the data folder (default: $BENCHBIAS_DATA, else ./data). offline: no connection is ever opened.
        """
        given = Given(config, tuple(plugins), data)
        registry = load_registry(given.plugins, quiet=quiet)
        if strict and registry.broken:
            name, broken = next(iter(registry.broken.items()))
            raise UsageError(f"--strict-plugins: plugin {name!r} is broken: {broken.reason}")
        folder = data.absolute() if data is not None else data_folder()
        return Workspace(load(config), registry, folder, offline or is_offline(), given)

    def plan(self, name: str, selection: Selection | None = None, *, others: bool = False) -> Plan:
        """Plan a suite, see `plan.planner.make`. Raw files that are not there are named by `Plan.missing`."""
        return make(self.catalogue, self.registry, name, selection, self.data, others=others)

    def ready(self, name: str, selection: Selection, note: Callable[[str], None], *, others: bool = False) -> Plan:
        """Plan a suite after fetching what is missing; `note` is told. Raises DataError where that cannot be had."""
        plan = self.plan(name, selection, others=others)
        if plan.missing:
            provide(self.data, plan.missing, note, offline=self.offline)
            plan = self.plan(name, selection, others=others)
        return plan

    @property
    def worker_settings(self) -> dict[str, str]:
        """Environment variables of this workspace's workers."""
        return {"BENCHBIAS_DATA": str(self.data)} | (dict.fromkeys(OFFLINE, "1") if self.offline else {})
