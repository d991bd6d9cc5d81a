"""One trial of a plan by its row and its seed, and the suites that a results folder has runs of. No torch."""

from __future__ import annotations

import re
from pathlib import Path

from benchbias.errors import UsageError, unknown
from benchbias.plan.trials import Plan, Trial
from benchbias.records.row_name import as_row_name
from benchbias.util.files import listed


def row_trial(plan: Plan, method: str, seed: int, task: str | None, what: str) -> Trial:
    """The trial of a row and a seed. what: is done with it, for messages.

    method: `method`, or `method[name=value]` where it has several rows. task: may be left out where there is one.
    Raises UsageError for a trial that there is not.
    """
    tasks = list(dict.fromkeys(trial.task for trial in plan.trials))
    if task is None and len(tasks) > 1:
        raise UsageError(f"{what}: name a task (known: {', '.join(tasks)})")
    if task is not None and task not in tasks:
        raise UsageError(unknown("task", task, tasks, what))
    here = [trial for trial in plan.trials if trial.task == (task or tasks[0])]
    row = as_row_name(method)
    rows = list(dict.fromkeys(trial.row for trial in here if row in (trial.row, trial.method)))
    if row not in rows and len(rows) != 1:
        known = rows or dict.fromkeys(trial.row for trial in here)
        many = f"{what}: {method!r} has several rows: {', '.join(rows)}"
        raise UsageError(many if rows else unknown("row", method, known, what))
    found = {trial.seed: trial for trial in here if trial.row == (row if row in rows else rows[0])}
    if seed not in found:
        raise UsageError(f"{what}: no seed {seed!r} (known: {', '.join(map(str, sorted(found)))})")
    return found[seed]


def suites_run(out: Path) -> list[str]:
    """The suites that a results folder has a last run of (`remembered.remember`), by name. Raises StorageError."""
    names = (re.fullmatch(r"last-run\.(.+)\.json", path.name) for path in listed(out / "plans", ".json"))
    return [found[1] for found in names if found is not None]
