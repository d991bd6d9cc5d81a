"""Questions that an engine asks of a plan, as a worker is given it (`Plan.payload`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchbias.plugin.foreign import runs_foreign_code


def stack_of(plan: Mapping[str, Any], key: str) -> list[str]:
    """The stages of a stage's stack, itself among them; none where it is in no stack."""
    found: list[str] = plan.get("stacks", {}).get(key, [])
    return found


def size_of(plan: Mapping[str, Any], key: str) -> int:
    """How many stages are computed where this one is."""
    return max(len(stack_of(plan, key)), 1)


def needed_plugins(plan: Mapping[str, Any], key: str) -> list[str]:
    """The stage's own plugins, and those of the model that it rebuilds."""
    stages = plan["stages"]
    init = stages[key]["inputs"]["parents"].get("init")
    return sorted({*stages[key]["plugins"], *(stages[init]["plugins"] if init else ())})


def stands_alone(plan: Mapping[str, Any], key: str) -> bool:
    """Whether a stage must have a process of its own: it runs code that is not ours, which may do anything."""
    stages = plan["stages"]
    init = stages[key]["inputs"]["parents"].get("init")
    called = [stages[one]["inputs"] for one in (key, init) if one is not None]
    return any(runs_foreign_code(inputs, needed_plugins(plan, key)) for inputs in called)


def lenient(stages: Mapping[str, Mapping[str, Any]], key: str, device: str) -> bool:
    """Whether a stage lets be what has no deterministic form: by its recipe, or by that of a stage that it rests on.

    On a card so does `init`, which all recipes share: it tries the network's forward pass, and stores no number of it.
    """
    waiting, seen = [key], set[str]()
    while waiting:
        inputs = stages[one := waiting.pop()]["inputs"]
        if not inputs.get("recipe", {}).get("deterministic", True):
            return True
        seen.add(one)
        waiting += [parent for parent in inputs["parents"].values() if parent not in seen and parent in stages]
    return device != "cpu" and stages[key]["inputs"]["kind"] == "init"
