"""The origin of what a stage runs: our code, or that of others, who may leave anything in its process. No torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

OURS = "benchbias:"  # how the names of our own plugins begin; no file of a user may have such a name
_OBJECT = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")  # such as package.module:Class


def runs_foreign_code(inputs: Mapping[str, Any], plugins: Iterable[str]) -> bool:
    """Whether a stage runs a component that is not ours, or one of ours with an option that names an object to import.

    inputs: of the stage. plugins: the names of those that it runs.
    """
    return not all(name.startswith(OURS) for name in plugins) or any(map(_OBJECT.fullmatch, _texts(_options(inputs))))


def _options(inputs: Mapping[str, Any]) -> list[Any]:
    """The options of all components that a stage calls."""
    calls = [inputs.get("component"), inputs.get("backbone"), inputs.get("prune", {}).get("component")]
    calls += inputs.get("metrics", [])
    return [call["options"] for call in calls if call]


def _texts(value: Any) -> Iterator[str]:
    """All texts in a value as JSON has it."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
