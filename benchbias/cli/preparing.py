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
    from benchbias.keys.stage import Stage
    from benchbias.runner.workspace import Workspace


def prepare_data(workspace: Workspace, suite: str | None, tasks: Sequence[str] | None) -> int:
    """Prepare the data sets of a suite, or of tasks of any suite; the exit code of the child is returned.

    Everything that needs no training is checked: tables, images, splits, augmentations, networks and their weights.
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
    """The distinct data sets that read raw files, or whose networks do, each with the seed of its first trial.

    With each stand the networks and the augmentations that its trials ask for.
    """
    found: dict[str, dict[str, Any]] = {}
    for key, stage in plan.stages.items():
        if stage.kind != "data":
            continue
        users = [other for other in plan.stages.values() if other.parents.get("data") == key]
        networks = [_network(plan, user) for user in users if user.kind == "init"]
        if "raw" in stage.inputs or any(one["component"]["options"].get("weights") for one in networks):
            spec = {"plugin": plan.plugins[stage.plugins[0]]["ref"], "component": stage.inputs["component"]}
            spec |= {"seed": stage.inputs["seed"], "raw": list(stage.inputs.get("raw", ()))}
            one = found.setdefault(repr(stage.inputs["component"]), {**spec, "networks": [], "augmentations": []})
            one["networks"] += [network for network in networks if network not in one["networks"]]
            asked = {user.inputs["recipe"]["augment"] for user in users if "recipe" in user.inputs}
            one["augmentations"] = sorted({*one["augmentations"], *asked})
    return list(found.values())


def _network(plan: Plan, stage: Stage) -> dict[str, Any]:
    """A network as the child builds it: its plugins, its component, and that of the backbone that it takes."""
    plugins = [plan.plugins[name]["ref"] for name in stage.plugins]
    return {"plugins": plugins, "component": stage.inputs["component"], "backbone": stage.inputs.get("backbone")}
