"""A stage as a value. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Stage:
    """One plugin call: what made it (`inputs`), its key, and its identity (less sources, machine and raw files)."""

    key: str
    identity: str
    inputs: Mapping[str, Any]
    plugins: tuple[str, ...]

    @property
    def kind(self) -> str:
        return str(self.inputs["kind"])

    @property
    def parents(self) -> Mapping[str, str]:
        parents: Mapping[str, str] = self.inputs["parents"]
        return parents

    @property
    def label(self) -> str:
        """E.g. `train erm, seed 3`."""
        component = self.inputs.get("component")
        name = f" {component['name']}" if component else ""
        if self.kind == "analyse":
            return f"analyse{name} of {self.inputs['task']}"
        return f"{self.kind}{name}, seed {self.inputs['seed']}"
