"""Deprecated public names, hooks and given parameters: the version that drops each, and what takes its place."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class Deprecation:
    """gone_in: the version that no longer has it. instead: what to use. home: a name's `module:attribute`."""

    gone_in: str
    instead: str
    home: str = ""

    def told(self, what: str) -> str:
        """One sentence about `what`."""
        return f"{what} is deprecated and goes in benchbias {self.gone_in}: use {self.instead}"


NAMES: Mapping[str, Deprecation] = MappingProxyType({})
"""Names of `benchbias` that still work: using one warns."""

PARTS: Mapping[tuple[str, str], Deprecation] = MappingProxyType({})
"""(kind, given parameter), or (kind, "") for the kind's hook: `ls plugins`, `show` and `check` say who uses one."""


def deprecated_name(name: str, table: Mapping[str, Deprecation] = NAMES) -> Any:
    """The object behind a deprecated name of `benchbias`, with a DeprecationWarning. Raises AttributeError."""
    if name not in table:
        raise AttributeError(f"module 'benchbias' has no attribute {name!r}")
    entry = table[name]
    warnings.warn(entry.told(f"benchbias.{name}"), DeprecationWarning, stacklevel=3)
    module, _, attribute = entry.home.partition(":")
    return getattr(importlib.import_module(module), attribute)


def deprecated_parts(
    kind: str, given: Sequence[str], table: Mapping[tuple[str, str], Deprecation] = PARTS
) -> list[str]:
    """A sentence for each deprecated thing that a component uses: its kind's hook, and the parameters it declares."""
    names = {"": f"the hook of a {kind}", **{name: f"the parameter {name!r} of a {kind}" for name in given}}
    return [table[kind, name].told(what) for name, what in names.items() if (kind, name) in table]
