"""Two rows of a finished suite as an audit: their answers in every common seed, read from the results folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from benchbias.auditing.assembling import audit_answers
from benchbias.auditing.runs.over_runs import audit_runs
from benchbias.auditing.values import Answers, Audit, Column, Options, Warning
from benchbias.errors import UsageError, unknown
from benchbias.records.row_name import as_row_name, row_name

if TYPE_CHECKING:
    from benchbias.data.values import Predictions
    from benchbias.runner.results import Results

ATTRIBUTE = "attribute"  # the name of a task's spurious attribute
TESTED = ("labels", "attributes", "cluster")
BETWEEN = "/"  # a label and an attribute in the name of a group


def audit_rows(runs: Sequence[Answers], options: Options, warnings: Sequence[Warning] = ()) -> Audit:
    """The audit of the answers of rows: exact for one seed, over seeds and test examples for several."""
    if len(runs) == 1:
        return audit_answers(runs[0], options, warnings=warnings)
    return audit_runs(runs, options, warnings=warnings)


def runs_of_rows(results: Results, dense: str, compressed: Sequence[str], task: str | None = None) -> list[Answers]:
    """The answers of rows of a suite, one `Answers` for each seed that all of them have.

    A row is `method` or `method[name=value]`. task: may be left out where there is one. Raises UsageError for a row
    or task that there is not, and where the rows have no seed in common.
    """
    tasks = list(dict.fromkeys(trial.task for trial in results.plan.trials))
    if task is None and len(tasks) > 1:
        raise UsageError(f"the suite has several tasks: give one with -t ({', '.join(tasks)})")
    if task is not None and task not in tasks:
        raise UsageError(unknown("task", task, tasks))
    if as_row_name(dense) in {as_row_name(row) for row in compressed}:
        raise UsageError(f"the row {dense!r} stands on both sides: a row loses nothing against itself")
    named = [as_row_name(row) for row in compressed]
    if len(set(named)) < len(named):
        raise UsageError(f"a compressed row stands twice: {', '.join(compressed)}")
    here = task or tasks[0]
    rows = {row: _seeds(results, here, row) for row in (dense, *compressed)}
    seeds = sorted(set.intersection(*(set(found) for found in rows.values())))
    if not seeds:
        told = "; ".join(f"{row}: {', '.join(map(str, sorted(found))) or 'none'}" for row, found in rows.items())
        raise UsageError(f"the rows have no finished seed in common ({told})")
    runs = [_answers(results, here, dense, compressed, seed) for seed in seeds]
    planned = sorted({trial.seed for trial in results.plan.trials if trial.task == here})
    lacking = [seed for seed in planned if seed not in seeds]
    notes = [f"Suite {results.plan.suite}, task {here}, seeds {', '.join(map(str, seeds))}."]
    if lacking:
        told = ", ".join(map(str, lacking))
        notes.append(f"Not all rows have a score for the planned seeds {told}: the audit is of the others.")
    return [replace(runs[0], notes=tuple(notes)), *runs[1:]]


def _seeds(results: Results, task: str, row: str) -> list[int]:
    """The seeds of a row that have a score. Raises UsageError for a row that there is not."""
    name = as_row_name(row)
    bodies = [record.body for record in results.records if record.body["task"] == task]
    labels = [row_name(body["method"], body["swept"]) for body in bodies]
    exact = name in labels
    found = {
        label: [other for other, own in zip(bodies, labels, strict=True) if own == label]
        for body, label in zip(bodies, labels, strict=True)
        if name == (label if exact else body["method"])
    }
    if not found:
        raise UsageError(unknown("row", row, labels))
    if len(found) > 1:
        raise UsageError(f"{row} has several rows: {', '.join(found)}")
    return [body["seed"] for body in next(iter(found.values())) if body["status"] == "ok"]


def _answers(results: Results, task: str, dense: str, compressed: Sequence[str], seed: int) -> Answers:
    """The answers of all rows on the test split of one seed. Raises UsageError where the rows have other examples."""
    first = results.predictions(dense, seed=seed, task=task)
    others = {row: results.predictions(row, seed=seed, task=task) for row in compressed}
    for row, other in others.items():
        if any(not getattr(first, name).equal(getattr(other, name)) for name in TESTED):
            raise UsageError(f"{row} and {dense} were tested on other examples, seed {seed}")
    labels, attributes = _names(results, task, first)
    return Answers(
        labels,
        first.labels.numpy(),
        first.predicted.numpy(),
        {row: other.predicted.numpy() for row, other in others.items()},
        {ATTRIBUTE: Column(first.attributes.numpy(), attributes)} if attributes else {},
        first.cluster.numpy(),
        dense_name=dense,
    )


def _names(results: Results, task: str, first: Predictions) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of classes and of attributes: those of the groups where each is `label/attribute`, else numbers."""
    names = next(record.body["group_names"] for record in results.records if record.body["task"] == task)
    classes, values = first.logits.shape[1], first.num_attributes
    parts = [name.split(BETWEEN) for name in names]
    if all(len(part) == 2 for part in parts) and len(names) == classes * values:
        labels = [part[0] for part in parts[::values]]
        attributes = [part[1] for part in parts[:values]]
        if [f"{label}{BETWEEN}{attribute}" for label in labels for attribute in attributes] == list(names):
            return _distinct(labels), _distinct(attributes) if values > 1 else ()
    return _numbers(classes), _numbers(values) if values > 1 else ()


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(names) if len(set(names)) == len(names) else _numbers(len(names))


def _numbers(count: int) -> tuple[str, ...]:
    return tuple(map(str, np.arange(count)))
