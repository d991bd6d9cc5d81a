"""Refusals and failures of components: what lacks a package is refused first, what failed is named after every run."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import TYPE_CHECKING

from benchbias.errors import UsageError
from benchbias.suite.tables import Use

if TYPE_CHECKING:
    from benchbias.plan.trials import Plan
    from benchbias.plugin.components import Component
    from benchbias.runner.results import Results
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


def failures_untold(results: Results, told: Container[str]) -> list[str]:
    """Failures that a run has not named, each once: what cannot run, and stages that failed in earlier runs.

    told: the keys of stages whose failure it has told.
    """
    earlier = [
        f"failed before: {failure.stage}: {failure.reason} (`--rerun failed` tries again)"
        for key, failure in results.report.failures.items()
        if failure.status == "failed" and key not in told
    ]
    return [*(f"cannot run: {reason}" for reason in blocked_reasons(results.plan)), *dict.fromkeys(earlier)]
