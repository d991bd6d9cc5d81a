"""The checks as pytest tests: one test for every component and check."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from benchbias.errors import UsageError
from benchbias.plugin.loading import PluginRef
from benchbias.testing.calling.subject import Subject, subjects_of
from benchbias.testing.checks.catalogue import CHECKS, checks_for
from benchbias.testing.finding import Target, everything, find
from benchbias.testing.running import run_checks
from benchbias.testing.waivers import check_names, shipped_waivers

Named = str | Path | ModuleType
"""A name of components: a file, a module, or the name of a component, a plugin or a distribution."""


def parametrize_with_checks(
    components: Sequence[Named] | Named | None = None,
    *,
    expected_failures: Mapping[str, str] | None = None,
) -> Callable[..., Any]:
    """Give a test function the argument `check`, once for every check of every component: call it.

    components: modules, files, or names of components, plugins and distributions, as `benchbias check` takes them;
    None: everything installed. expected_failures: check, or component:check -> the reason why it may fail: xfail;
    one that passes all the same fails. A package of plugins may ship some (`waivers.toml`).
    Raises UsageError for a name that there is not.
    """
    import pytest

    waivers = dict(expected_failures or {})
    check_names(waivers, [check.name for check in CHECKS], "expected_failures")
    targets = _targets(components)
    found = [subject for target in targets for subject in _subjects(target)]
    for name in waivers:
        component = name.rpartition(":")[0]
        if component and component not in {subject.name for subject in found}:
            raise UsageError(f"expected_failures: {name!r} names a component that is not checked here")
    waivers = shipped_waivers(target.ref for target in targets) | waivers
    parameters = [
        pytest.param(_bound(subject, check.name, waivers), id=f"{subject.kind}-{subject.name}-{check.name}")
        for subject in found
        for check in checks_for(subject.kind)
    ]
    return pytest.mark.parametrize("check", parameters)


def _targets(components: Sequence[Named] | Named | None) -> list[Target]:
    if components is None:
        return everything()
    items = [components] if isinstance(components, str | Path | ModuleType) else components
    return [target for item in items for target in _find(item)]


def _find(item: Named) -> list[Target]:
    if isinstance(item, ModuleType):
        return [Target(PluginRef(item.__name__, item.__name__, "", ""), (), item.__name__)]
    return find(str(item))


def _subjects(target: Target) -> list[Subject]:
    return subjects_of(target.reachable(), target.names, target.source)


def _bound(subject: Subject, name: str, waivers: Mapping[str, str]) -> Callable[[], None]:
    def run() -> None:
        """Run the check; skip, xfail or fail as it says."""
        import pytest

        result = list(run_checks(subject, waivers, [name]))[-1]
        told = f"{subject.kind} {subject.name!r}, {result.check}\nexpected: {result.expected}\nfound: {result.found}"
        if result.status == "failed":
            pytest.fail(f"{told}\nagain: {result.again}", pytrace=False)
        if result.status == "skipped":
            pytest.skip(result.found)
        if result.status == "waived":
            pytest.xfail(result.found)

    return run
