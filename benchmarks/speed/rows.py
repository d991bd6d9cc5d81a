"""Rows of the table: a value with its spread, beside its goal; met or missed is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .timing import Spread


class Absent(Exception):
    """A part cannot be measured here; its message says why, and what would change it."""


@dataclass(frozen=True)
class Goal:
    """The largest value that is good, or with at_least the smallest."""

    limit: float
    at_least: bool = False

    def met(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit


@dataclass(frozen=True)
class Row:
    """One line of the table. unit: empty for a ratio. note: what a reader must know, or why there is no value."""

    what: str
    spread: Spread | None = None
    goal: Goal | None = None
    unit: str = ""
    note: str = ""

    @property
    def verdict(self) -> str:
        """`met` or `missed` by the median; empty where there is no goal; `not measured` where there is no value."""
        if self.spread is None:
            return "not measured"
        if self.goal is None:
            return ""
        return "met" if self.goal.met(self.spread.median) else "missed"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def of_json(value: Mapping[str, Any]) -> Row:
        spread, goal = value["spread"], value["goal"]
        return Row(
            value["what"],
            Spread(**spread) if spread else None,
            Goal(**goal) if goal else None,
            value["unit"],
            value["note"],
        )


@dataclass(frozen=True)
class Setting:
    """How a part is measured. quick: a few seconds, to try the part out: its values say nothing.

    against: a commit to compare the default suite with.
    """

    rounds: int
    quick: bool = False
    against: str = ""
