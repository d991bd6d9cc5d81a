"""`benchbias prepare`: fetch raw data, build each data set once in a child process, and verify what we know sums of."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchbias.errors import UsageError, plain
from benchbias.keys.environment import worker_environment
from benchbias.plan.trials import Plan, Selection

if TYPE_CHECKING:
    from benchbias.runner.workspace import Workspace


def prepare_data(workspace: Workspace, suite: str | None, tasks: Sequence[str] | None) -> int:
    """Prepare the data sets of a suite, or of tasks of any suite; the exit code of the child is returned.

    Raises DataError for what cannot be had and UsageError.
    """
    plans = [
        workspace.ready(name, Selection(tasks=chosen), lambda text: print(plain(text), file=sys.stderr))
        for name, chosen in _wanted(workspace, suite, tasks)
    ]
    specs = {repr(spec): spec for plan in plans for spec in _data_sets(plan)}
    if not specs:
        print("nothing to prepare: these data sets read no raw files")
        return 0
    child = subprocess.run(
        [sys.executable, "-P", "-m", "benchbias.engine.building", str(os.getpid())],
        input=json.dumps(list(specs.values())).encode(),
        env=worker_environment(os.environ) | workspace.worker_settings,
        check=False,
    )
    return child.returncode if child.returncode >= 0 else 1


def _wanted(
    workspace: Workspace, suite: str | None, tasks: Sequence[str] | None
) -> list[tuple[str, Sequence[str] | None]]:
    """Suites and the tasks of each that are to be prepared. Raises UsageError."""
    if suite is not None:
        return [(suite, tasks)]
    if not tasks:
        raise UsageError(f"prepare: --suite or --task (suites: {', '.join(workspace.catalogue.suites)})")
    homes = {task: name for name, table in workspace.catalogue.suites.items() for task in table.tasks}
    for task in tasks:
        if task not in homes:
            raise UsageError(f"prepare: no suite has the task {task!r:.80} (known: {', '.join(homes)})")
    return [(homes[task], [task]) for task in tasks]


def _data_sets(plan: Plan) -> list[dict[str, Any]]:
    """The distinct data sets that read raw files, each with the seed of its first trial."""
    found: dict[str, dict[str, Any]] = {}
    for stage in plan.stages.values():
        if stage.kind == "data" and "raw" in stage.inputs:
            plugin = plan.plugins[stage.plugins[0]]["ref"]
            spec = {"plugin": plugin, "component": stage.inputs["component"], "seed": stage.inputs["seed"]}
            found.setdefault(repr(stage.inputs["component"]), spec | {"raw": list(stage.inputs["raw"])})
    return list(found.values())
