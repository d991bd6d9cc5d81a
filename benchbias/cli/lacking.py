"""Components that a user names and that lack a package: refused before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from benchbias.errors import UsageError
from benchbias.suite.tables import Use

if TYPE_CHECKING:
    from benchbias.plan.trials import Plan
    from benchbias.plugin.components import Component
    from benchbias.runner.workspace import Workspace


def check_analyses(workspace: Workspace, names: Sequence[str]) -> None:
    """Raises UsageError for the first analysis that lacks a package."""
    for name in names:
        component = workspace.registry.components.get(("analysis", name))
        if component is not None and component.lacks is not None:
            raise UsageError(component.lacks)


def check_methods(workspace: Workspace, names: Sequence[str]) -> None:
    """Raises UsageError where every method lacks a package: nothing could run. Globs are never refused."""
    found = [next((c.lacks for c in _components(workspace, name) if c.lacks is not None), None) for name in names]
    told = [reason for reason in found if reason is not None]
    if told and len(told) == len(found):
        raise UsageError("; ".join(dict.fromkeys(told)))


def _components(workspace: Workspace, name: str) -> Iterator[Component]:
    """The trainers and pruners of a method, or of this name."""
    table = workspace.catalogue.methods.get(name)
    stages = [{"train": name}, {"prune": name}] if table is None else table.stages
    for stage in stages:
        for key, kind in (("train", "trainer"), ("prune", "pruner")):
            if key in stage:
                component = workspace.registry.components.get((kind, Use.of(stage[key], name).name))
                yield from () if component is None else (component,)


def blocked_reasons(plan: Plan) -> list[str]:
    """Why trials or analyses of a plan cannot run: each reason once."""
    trials = [trial.blocked for trial in plan.trials]
    analyses = [planned.blocked for planned in plan.analyses]
    return list(dict.fromkeys(reason for reason in (*trials, *analyses) if reason))
