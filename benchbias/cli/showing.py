"""Text for `ls` and `show`: what exists, and the effective value of every setting with the place that set it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from benchbias.errors import UsageError, unknown
from benchbias.plugin.components import Component
from benchbias.plugin.deprecation import deprecated_parts
from benchbias.runner.workspace import Workspace
from benchbias.suite.effective import effective_method, effective_uses, stage_words
from benchbias.suite.settings import settings_from
from benchbias.suite.tables import Use
from benchbias.util.packages import version_of
from benchbias.util.text_table import table

LISTS = ("suites", "tasks", "methods", "plugins", "components")


def listing(workspace: Workspace, what: str) -> str:
    """A list of all suites, tasks, methods, plugins or components. Raises UsageError."""
    catalogue, registry = workspace.catalogue, workspace.registry
    if what == "suites":
        rows = [(n, str(len(s.methods)), str(s.seeds), s.title) for n, s in sorted(catalogue.suites.items())]
        return table(("suite", "methods", "seeds", "title"), rows)
    if what == "tasks":
        where = catalogue.where
        tasks = [
            (n, Use.of(t.dataset, where("tasks", n)).name, Use.of(t.model, where("tasks", n)).name)
            for n, t in sorted(catalogue.tasks.items())
        ]
        return table(("task", "dataset", "model"), tasks)
    if what == "methods":
        methods = [
            (n, " -> ".join(stage_words(s) for s in m.stages), m.baseline or "-")
            for n, m in sorted(catalogue.methods.items())
        ]
        return table(("method", "stages", "baseline"), methods)
    if what == "plugins":
        return table(("plugin", "version", "components or error"), _plugin_rows(workspace))
    if what == "components":
        components = [(c.kind, c.name, c.plugin, c.summary) for _, c in sorted(registry.components.items())]
        return table(("kind", "name", "plugin", "summary"), components)
    raise UsageError(unknown("list", what, LISTS))


def _plugin_rows(workspace: Workspace) -> list[tuple[str, str, str]]:
    registry = workspace.registry
    rows = []
    for name, ref in sorted(registry.plugins.items()):
        found = [_entry(c) for _, c in sorted(registry.components.items()) if c.plugin == name]
        found += ["hook benchbias_record"] if name in registry.trackers else []
        broken = registry.broken.get(name)
        rows.append(
            (
                name,
                ref.version or ("file" if ref.path else "-"),
                f"BROKEN: {broken.reason}" if broken else ", ".join(found),
            )
        )
    return [*rows, *((place, "-", f"UNREADABLE: {reason}") for place, reason in registry.unreadable.items())]


def _entry(component: Component) -> str:
    going = deprecated_parts(component.kind, component.given)
    return f"{component.kind} {component.name}" + (f" (DEPRECATED: {'; '.join(going)})" if going else "")


def details(workspace: Workspace, name: str, suite: str | None, assignments: Sequence[str]) -> str:
    """All about one name: a suite, task, method, plugin or component. Raises UsageError with the known names."""
    catalogue, registry = workspace.catalogue, workspace.registry
    parts = []
    if name in catalogue.suites:
        parts.append(_suite(workspace, name))
    if name in catalogue.tasks:
        parts.append(_task(workspace, name))
    if name in catalogue.methods:
        parts.append(_method(workspace, name, suite, assignments))
    parts += [_component(c) for _, c in sorted(registry.components.items()) if c.name == name]
    parts += [_plugin(workspace, plugin) for plugin in registry.plugins if plugin == name]
    if not parts:
        known = {*catalogue.suites, *catalogue.tasks, *catalogue.methods, *registry.plugins}
        raise UsageError(unknown("name", name, known | {c.name for c in registry.components.values()}))
    return "\n\n".join(parts)


def _plugin(workspace: Workspace, name: str) -> str:
    broken = workspace.registry.broken.get(name)
    ref = workspace.registry.plugins[name]
    head = f"plugin {name}: module {ref.module}, {ref.distribution or ref.path} {ref.version}".rstrip()
    if broken:
        return f"{head}\nBROKEN: {broken.reason}\n\n{broken.traceback}".rstrip()
    return f"{head}\n{_plugin_rows(workspace)[sorted(workspace.registry.plugins).index(name)][2]}"


def _component(component: Component) -> str:
    lines = [f"{component.kind} {component.name} (plugin {component.plugin})", f"  {component.summary}"]
    for name, option in component.options.items():
        default = "must be set" if option.required else f"default {option.default!r}"
        lines.append(f"  option {name}: {option.text}; {default}")
    groups = [given for given in component.given if given.endswith("_groups")]
    lines.append(f"  group labels: {', '.join(groups) if groups else 'none'}")
    lines += [_used(package, install) for package, install in component.uses.items()]
    lines += [f"  DEPRECATED: {text}" for text in deprecated_parts(component.kind, component.given)]
    return "\n".join(lines)


def _used(package: str, install: str) -> str:
    version = version_of(package)
    told = f"not here: pip install '{install}'" if version == "absent" else version
    return f"  uses {package}: {told}"


def _suite(workspace: Workspace, name: str) -> str:
    suite = workspace.catalogue.suites[name]
    lines = [f"suite {name} ({workspace.catalogue.origin['suites', name]}), version {suite.version}: {suite.title}"]
    for key in (
        "tasks",
        "methods",
        "seeds",
        "metrics",
        "rank_by",
        "reference",
        "template",
        "override",
        "probes",
        "probed",
        "analyses",
        "analysed",
    ):
        lines.append(f"  {key} = {_toml(getattr(suite, key))}")
    return "\n".join(lines)


def _task(workspace: Workspace, name: str) -> str:
    catalogue = workspace.catalogue
    task = catalogue.tasks[name]
    lines = [f"task {name} ({catalogue.origin['tasks', name]})"]
    for use in effective_uses(catalogue, workspace.registry, name):
        lines.append(f"  {use.kind} {use.component}")
        lines += [_setting(key, item.value, item.source) for key, item in use.options.items()]
    lines.append("  recipe")
    lines += [_setting(key, item, "this task") for key, item in task.recipe.items()]
    if "seed" in task.dataset:
        lines.append(f"  seed of the data = {task.dataset['seed']}: the same for every trial")
    lines += [f"  predict = {_toml(task.predict)}"] if task.predict else []
    lines += [f"  train_fraction = {task.train_fraction}"] if task.train_fraction is not None else []
    return "\n".join(lines)


def _setting(name: str, value: Any, source: str) -> str:
    return f"    {name} = {_toml(value)}  ({source})"


def _toml(value: Any) -> str:
    """Close enough to TOML to be read: JSON."""
    return json.dumps(value, default=dict, ensure_ascii=False)


def _method(workspace: Workspace, name: str, suite: str | None, assignments: Sequence[str]) -> str:
    """A method's stages with every effective value and where it came from, on each task of a suite that runs it."""
    catalogue = workspace.catalogue
    method = catalogue.methods[name]
    lines = [f"method {name} ({catalogue.origin['methods', name]})"]
    lines.append(f"  baseline = {method.baseline or '-'}, ranked = {str(method.ranked).lower()}")
    suites = [suite] if suite else [s for s, found in catalogue.suites.items() if name in found.methods]
    for suite_name in suites:
        for task in catalogue.suite(suite_name).tasks:
            provenance = settings_from(catalogue, catalogue.suite(suite_name), name)
            lines.append(f"  in suite {suite_name} on task {task}, settings_from {provenance}")
            lines += _method_on(workspace, suite_name, task, name, assignments)
    if not suites:
        lines += [f"  stages = {_toml(method.stages)}", "  in no suite"]
    return "\n".join(lines)


def _method_on(workspace: Workspace, suite: str, task: str, name: str, assignments: Sequence[str]) -> list[str]:
    found = effective_method(workspace.catalogue, workspace.registry, suite, task, name, assignments)
    lines = [_setting(key, item.value, item.source) for key, item in found.parameters.fixed.items()]
    lines += [_setting(key, item.value, f"swept; {item.source}") for key, item in found.parameters.swept.items()]
    for stage in found.stages:
        lines.append(f"    stage {stage.number}: {stage.words}")
        lines += [_setting(f"  {key}", item.value, item.source) for key, item in stage.settings.items()]
        lines += [_setting(f"  recipe.{key}", item.value, item.source) for key, item in stage.recipe.items()]
    return lines
