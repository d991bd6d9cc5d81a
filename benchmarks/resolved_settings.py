"""The settings of rows as the planner resolves them: flat names and values, what is swept in one list."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from benchbias.plan.trials import Plan, Trial
from benchbias.runner.workspace import Workspace
from benchbias.suite.settings import settings_from
from benchbias.suite.tables import Recipe, UpdatesTable

Settings = dict[str, Any]
TRAINS = ("mrm",)  # pruners that train: the recipe of their stage counts


class Place(NamedTuple):
    """Where a row stands."""

    suite: str
    task: str
    method: str


def published(workspace: Workspace) -> Iterator[tuple[Place, Settings]]:
    """Every row of every suite whose settings are said to be a paper's, on each task, with its settings."""
    catalogue = workspace.catalogue
    for suite, table in catalogue.suites.items():
        methods = {name for name in table.methods if settings_from(catalogue, table, name) == "paper"}
        if not methods:
            continue
        plan = workspace.plan(suite)
        rows: dict[Place, list[Settings]] = {}
        for trial in plan.trials:
            if trial.method in methods:
                rows.setdefault(Place(suite, trial.task, trial.method), []).append(flat(plan, trial))
        for place, found in rows.items():
            yield place, together(found)


def together(found: list[Settings]) -> Settings:
    """The settings of a row's trials as one: what differs is `{"swept": [...]}`, sorted."""
    names = dict.fromkeys(name for one in found for name in one)
    made: Settings = {}
    for name in names:
        values = {json.dumps(one[name]): one[name] for one in found if name in one}
        listed = sorted(values.values(), key=lambda value: (str(type(value)), value))
        made[name] = listed[0] if len(listed) == 1 else {"swept": listed}
    return made


def flat(plan: Plan, trial: Trial) -> Settings:
    """The settings of one trial: `data`, `model`, and of every stage by its number, from 1."""
    made: Settings = {}
    number = 0
    for key in trial.stages:
        inputs = plan.stages[key].inputs
        kind = str(inputs["kind"])
        if kind == "data":
            made |= named("data", inputs["component"])
        elif kind == "init":
            made |= named("model", inputs["component"])
            made |= named("backbone", inputs["backbone"]) if "backbone" in inputs else {}
        elif kind in ("train", "prune"):
            number += 1
            made |= {f"{number}.{name}": value for name, value in stage_settings(kind, inputs).items()}
    return {name: "none" if value is None else value for name, value in made.items()}


def named(role: str, call: Mapping[str, Any]) -> Settings:
    """A component's name under its role, and its options."""
    return {role: call["name"]} | {f"{role}.{name}": value for name, value in call["options"].items()}


def stage_settings(kind: str, inputs: Mapping[str, Any]) -> Settings:
    """The settings of a train or prune stage that can change what it computes."""
    call = inputs["component"]
    recipe = {f"recipe.{name}": value for name, value in read(inputs["recipe"]).items()}
    made: Settings = {kind: call["name"]} | dict(call["options"])
    if kind == "prune":
        made |= inputs["cut"]
        return made | (recipe if call["name"] in TRAINS else {})
    made |= recipe
    if "prune" in inputs:
        inner = inputs["prune"]
        updates = UpdatesTable().model_dump() | dict(inner["updates"])
        del updates["reset_state"]  # as mask_gradients, in all of these rows
        still = inner["component"]["name"] == "static"  # its mask never changes
        parts = named("mask", inner["component"])
        for table in (inner["cut"], {} if still else updates):
            parts |= {f"mask.{name}": value for name, value in table.items()}
        made |= parts
    return made


def read(recipe: Mapping[str, Any]) -> Settings:
    """A recipe, whole, without the keys that its optimizer or schedule does not read."""
    whole = Recipe().model_dump() | dict(recipe)
    unread = {
        "momentum": whole["optimizer"] != "sgd",
        "nesterov": whole["optimizer"] != "sgd",
        "drops": whole["schedule"] != "steps",
        "drop_factor": whole["schedule"] not in ("steps", "plateau"),
        "patience": whole["schedule"] != "plateau",
    }
    return {name: value for name, value in whole.items() if not unread.get(name, False)}
