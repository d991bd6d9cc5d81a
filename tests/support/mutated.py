"""Documents of tables and lists, spoilt in their structure, and TOML text of them."""

from __future__ import annotations

import copy
import datetime
import json
import math
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 3, 2**31, 2**63, 10**30, 10**400, -(10**400)),
    *(0.5, -0.0, 1e-320, 1e308, -1e308, math.nan, math.inf, -math.inf),
    *("", " ", "x", "erm", "$", "$x", "$sparsity", "-", "..", "../../x", "/etc/passwd", "NaN", "1", "a" * 3000),
    *("\x00", "\x1b[31m", "\u202e\u2066", "\u200b", "\N{COMBINING ACUTE ACCENT}", "\N{PILE OF POO}", "\nx: y\n"),
    *("<b>", "[x](javascript:alert(1))", "|", "`"),
    *([], {}, [[]], [{}], {"": 0}, {"use": 3}, [1, 1], ["erm", "erm"], {"train": "erm"}, [None]),
    *(datetime.date(1979, 5, 27), datetime.time(7, 32), [datetime.date(1979, 5, 27)]),
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (table or list, key or index) below a document."""
    found: list[tuple[Any, Any]] = []
    keys = list(value) if isinstance(value, Mapping) else range(len(value)) if isinstance(value, list) else []
    for key in keys:
        found.append((value, key))
        found += places(value[key])
    return found


def spoilt(document: Any, numbers: random.Random, only: str = "") -> Any:
    """A copy with one to three changes of its structure. only: the key of the top table below which they are."""
    found = copy.deepcopy(document)
    for _ in range(numbers.choice((1, 1, 1, 2, 3))):
        here = places(found[only] if only and isinstance(found.get(only), dict | list) else found)
        if here:
            _change(*numbers.choice(here), here, numbers)
    return found


def _change(owner: Any, key: Any, others: list[tuple[Any, Any]], numbers: random.Random) -> None:
    kind = numbers.randrange(9)
    value = owner[key]
    if kind <= 2:
        owner[key] = copy.deepcopy(numbers.choice(ODD))
    elif kind == 3:
        del owner[key]
    elif kind == 4:
        other, place = numbers.choice(others)
        owner[key] = copy.deepcopy(other[place])
    elif kind == 5 and isinstance(owner, dict):
        owner[_misspelt(str(key), numbers)] = owner.pop(key)
    elif kind == 6 and isinstance(owner, dict):
        owner[numbers.choice(("x", "use", "recipe", "", "\u202e", "stages", key * 2))] = copy.deepcopy(value)
    elif kind == 7:
        for _ in range(numbers.choice((1, 2, 60))):
            value = [value] if numbers.random() < 0.5 else {"x": value}
        owner[key] = value
    elif isinstance(value, list) and value:
        value.append(copy.deepcopy(numbers.choice([*value, *ODD])))
    elif isinstance(value, bool) or not isinstance(value, int | float):
        owner[key] = str(value)
    else:
        owner[key] = numbers.choice((value + 1, -value, value / 2, value * 10**20, float(value), str(value), [value]))


def _misspelt(key: str, numbers: random.Random) -> str:
    at = numbers.randrange(len(key) + 1)
    return numbers.choice((key[:at] + key[at + 1 :], key[:at] + "x" + key[at:], key.upper(), key + "/../x"))


def toml(document: Mapping[str, Any]) -> str:
    """TOML text: a line for each key of the top table and of the tables below it."""
    lines = []
    for key, value in document.items():
        if isinstance(value, dict) and value:
            lines += [f"{_key(key)}.{_key(inner)} = {_value(item)}" for inner, item in value.items()]
        else:
            lines.append(f"{_key(key)} = {_value(value)}")
    return "\n".join(lines) + "\n"


def _key(key: Any) -> str:
    return json.dumps(str(key), ensure_ascii=True).replace("\\u007f", "\x7f") if key else '""'


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, bool) or value is None:
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def small(shipped: Mapping[str, Any]) -> dict[str, Any]:
    """Of the shipped document a suite of two tasks with every form of method: quick to load and to plan."""
    names = ("erm", "erm-ft", "small-dense", "erm-unbiased", "undecayed", "gradual-magnitude", "rigl", "rigl-x3", "jtt")
    methods = {name: shipped["methods"][name] for name in (*names, "static", "static-x3", "erm-x3")}
    whole = shipped["suites"]["spurious-small"]
    override = {name: table for name, table in whole["override"].items() if name in names}
    suite = {**whole, "methods": list(names), "seeds": 1, "override": override, "template": "undecayed"}
    return {"schema": 1, "suites": {"small": suite}, "tasks": dict(shipped["tasks"]), "methods": methods}


def verdict(path: Path, text: str, registry: Any) -> str:
    """`planned`, or the one message that refuses a benchmarks.toml; any other exception comes through."""
    from benchbias.errors import UsageError
    from benchbias.plan.planner import make
    from benchbias.plan.trials import Selection
    from benchbias.suite.catalogue import load
    from benchbias.suite.tables import seed_list

    path.write_text(text, encoding="utf-8")
    try:
        catalogue = load(path)
        for name, suite in catalogue.suites.items():
            if catalogue.origin["suites", name] == str(path):
                many = len(seed_list(suite.seeds, "seeds")) > 3
                make(catalogue, registry, name, Selection(seeds=[0] if many else None))
    except UsageError as error:
        return str(error)
    return "planned"
