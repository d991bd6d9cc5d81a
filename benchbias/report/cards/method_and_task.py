"""Cards of the methods and tasks of a suite: stages with effective settings, labels used; data, classes and groups."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from typing import Any

from benchbias.board.markdown.surroundings import Surroundings, surroundings
from benchbias.board.row_trials import Trials
from benchbias.board.words import LABELS
from benchbias.errors import BenchbiasError
from benchbias.plugin.components import Component
from benchbias.report.gathering.source import Source
from benchbias.runner.workspace import Workspace
from benchbias.suite.effective import EffectiveMethod, effective_method, effective_uses
from benchbias.suite.settings import Setting


def gather_cards(source: Source) -> dict[str, Any]:
    """Cards of every method and task that has a scored row, as the suite's tables of today set them.

    today: the suite's version in the tables that were read, None where they have no such suite.
    """
    by_method: dict[str, list[Trials]] = {}
    by_task: dict[str, list[Trials]] = {}
    for row in source.rows:
        by_method.setdefault(row.first["method"], []).append(row)
        by_task.setdefault(row.first["task"], []).append(row)
    catalogue = source.catalogue
    known = None if catalogue is None else catalogue.suites.get(source.suite)
    around = surroundings(source.place) if source.published else Surroundings()
    return {
        "today": None if known is None else known.version,
        "methods": [_method(source, around, name, rows) for name, rows in sorted(by_method.items())],
        "tasks": [_task(source, around, name, rows) for name, rows in sorted(by_task.items())],
    }


def _method(source: Source, around: Surroundings, name: str, rows: list[Trials]) -> dict[str, Any]:
    first = rows[0].first
    return {
        "name": name,
        "rows": [row.label for row in rows],
        "labels": LABELS[first["track"]],
        "settingsFrom": sorted({row.first.get("settings_from", "default") for row in rows}),
        "ranked": first["ranked"],
        "control": first["baseline"],
        "page": _page(source, around.methods.get(name)),
        "recorded": _recorded(rows),
        "on": [one for task in dict.fromkeys(row.first["task"] for row in rows) if (one := _on(source, task, name))],
    }


def _page(source: Source, link: str | None) -> str | None:
    """The path of a page beside a published folder: of `../docs/x.md` in `leaderboard` it is docs/x.md."""
    return None if link is None else posixpath.normpath(posixpath.join(source.place.name, link))


def _recorded(rows: Iterable[Trials]) -> dict[str, list[Any]]:
    """The values of each parameter that records name, in the order of rows, each once."""
    found: dict[str, list[Any]] = {}
    for row in rows:
        for key, value in row.first["settings"].items():
            values = found.setdefault(key, [])
            if value not in values:
                values.append(value)
    return found


def _on(source: Source, task: str, name: str) -> dict[str, Any] | None:
    """The stages of a method on a task; None where the tables that were read have no such method, task or suite."""
    workspace = source.workspace
    if workspace is None or not _known(workspace, source.suite, task, name):
        return None
    try:
        found = effective_method(workspace.catalogue, workspace.registry, source.suite, task, name)
    except BenchbiasError:
        return None  # a component of another plugin is not here
    return {"task": task, "parameters": _parameters(found), "stages": [*_stages(workspace, found)]}


def _known(workspace: Workspace, suite: str, task: str, name: str) -> bool:
    catalogue = workspace.catalogue
    return suite in catalogue.suites and task in catalogue.tasks and name in catalogue.methods


def _parameters(found: EffectiveMethod) -> list[dict[str, Any]]:
    fixed, swept = found.parameters.fixed, found.parameters.swept
    return [*_settings(fixed), *({**one, "swept": True} for one in _settings(swept))]


def _settings(settings: Mapping[str, Setting]) -> list[dict[str, Any]]:
    return [{"name": name, "value": one.value, "source": one.source} for name, one in settings.items()]


def _stages(workspace: Workspace, found: EffectiveMethod) -> Iterable[dict[str, Any]]:
    for stage in found.stages:
        kind = "trainer" if stage.kind == "train" else "pruner"
        component = workspace.registry.components.get((kind, stage.component))
        yield {
            "words": stage.words,
            "summary": "" if component is None else component.summary,
            "plugin": "" if component is None else component.plugin,
            "given": _groups_given(component),
            "settings": _settings(stage.settings),
            "recipe": _settings(stage.recipe),
        }


def _groups_given(component: Component | None) -> list[str]:
    """The group labels that a component asks for."""
    return [] if component is None else [name for name in component.given if name.endswith("_groups")]


def _task(source: Source, around: Surroundings, name: str, rows: list[Trials]) -> dict[str, Any]:
    first = rows[0].first
    bodies = [record.body for row in rows for record in row.records.values()]
    about = around.tasks.get(name)
    return {
        "name": name,
        "about": "" if about is None else about.about,
        "classes": first.get("num_classes"),
        "preprocessing": sorted({body["preprocessing"] for body in bodies if body.get("preprocessing")}),
        "groups": _groups(bodies),
        "network": {key: _least_and_most(body[key] for body in bodies) for key in ("parameters", "flops")},
        "uses": _uses(source, name),
        "recipe": {} if _table(source, name) is None else dict(_table(source, name).recipe),
        "sourceImages": _source_images(source, bodies),
    }


def _table(source: Source, name: str) -> Any:
    return None if source.catalogue is None else source.catalogue.tasks.get(name)


def _groups(bodies: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Every group with the least and the largest number of its training and test examples over trials."""
    named = [body for body in bodies if body.get("group_names") == bodies[0].get("group_names")]
    return [
        {
            "name": name,
            "aligned": named[0]["group_aligned"][at],
            "train": _least_and_most(body["train_group_total"][at] for body in named if "train_group_total" in body),
            "test": _least_and_most(body["group_total"][at] for body in named),
        }
        for at, name in enumerate(named[0].get("group_names") or ())
    ]


def _least_and_most(values: Iterable[int]) -> list[int]:
    found = sorted(set(values))
    return [found[0], found[-1]] if found else []


def _source_images(source: Source, bodies: list[Mapping[str, Any]]) -> int | None:
    """How many source images all seeds test together; None where records have no counts by image."""
    used = {body["correct"]["layout"] for body in bodies if body.get("correct")}
    known = [source.layouts[digest] for digest in used if digest in source.layouts]
    return len(set[int]().union(*(one.cluster.tolist() for one in known))) if known else None


def _uses(source: Source, task: str) -> list[dict[str, Any]]:
    """The data set and the network of a task, with their options."""
    workspace = source.workspace
    if workspace is None or task not in workspace.catalogue.tasks:
        return []
    try:
        found = effective_uses(workspace.catalogue, workspace.registry, task)
    except BenchbiasError:
        return []
    components = workspace.registry.components
    summaries = {use.kind: known.summary for use in found if (known := components.get((use.kind, use.component)))}
    return [
        {
            "kind": use.kind,
            "component": use.component,
            "summary": summaries.get(use.kind, ""),
            "options": _settings(use.options),
        }
        for use in found
    ]
